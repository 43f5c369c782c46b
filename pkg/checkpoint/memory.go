package checkpoint

import (
	"context"
	"maps"
	"sync"
)

// Memory is a Store that forgets everything with the process: for runs that must
// leave no trace. The zero value is empty and ready for use.
type Memory struct {
	mu     sync.Mutex
	shards map[string]Position
}

// Load implements Store.
func (m *Memory) Load(context.Context) (map[string]Position, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	loaded := make(map[string]Position, len(m.shards))
	maps.Copy(loaded, m.shards)
	return loaded, nil
}

// Save implements Store.
func (m *Memory) Save(_ context.Context, positions map[string]Position) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.shards == nil {
		m.shards = make(map[string]Position)
	}
	maps.Copy(m.shards, positions)
	return nil
}

// Forget implements Store.
func (m *Memory) Forget(_ context.Context, shards []string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, shard := range shards {
		delete(m.shards, shard)
	}
	return nil
}
