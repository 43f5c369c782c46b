package pipeline

import (
	"sync"
	"time"

	"github.com/shipperd/shipperd/pkg/checkpoint"
)

// The span of a shard (rule 3): what a crash makes shipperd read again, and how
// far a slow batch may fall behind the shard's newest record.
const (
	spanRecords = 10_000
	spanBytes   = 64 << 20
)

// shard is one shard's place in the pipeline.
type shard struct {
	name string
	room chan struct{} // capacity 1: the span has shrunk since the last look

	mu        sync.Mutex
	tracker   checkpoint.Tracker
	ended     chan struct{} // of the sentinel, once admitted
	committed time.Time     // when its position was last stored
}

// hasRoom says whether another record may be admitted. One record always may, however large.
func (s *shard) hasRoom() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	records, bytes := s.tracker.Span()
	return records == 0 || records < spanRecords && bytes < spanBytes
}

// settle marks the ticket as done and says whether there is a new position to store.
func (s *shard) settle(ticket uint64) (moved bool) {
	s.mu.Lock()
	before, _ := s.tracker.Span()
	s.tracker.Settle(ticket)
	after, _ := s.tracker.Span()
	s.mu.Unlock()
	if after == before {
		return false
	}
	select {
	case s.room <- struct{}{}:
	default: // the admitting goroutine has not looked since the last time
	}
	return true
}

// shards holds every shard that records came from.
type shards struct {
	mu     sync.Mutex
	byName map[string]*shard
}

// get returns the shard of that name, made at its first record.
func (s *shards) get(name string) *shard {
	s.mu.Lock()
	defer s.mu.Unlock()
	sh, ok := s.byName[name]
	if !ok {
		sh = &shard{name: name, room: make(chan struct{}, 1)}
		if s.byName == nil {
			s.byName = make(map[string]*shard)
		}
		s.byName[name] = sh
	}
	return sh
}

// all returns every shard, for metrics and commit.
func (s *shards) all() []*shard {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*shard, 0, len(s.byName))
	for _, sh := range s.byName {
		list = append(list, sh)
	}
	return list
}

// remove forgets a shard whose end is stored; its metrics end with it.
func (s *shards) remove(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byName, name)
}
