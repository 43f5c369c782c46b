package elastic

import (
	"encoding/json"
	"sync"
	"time"
)

// maxIndices bounds the indices that are remembered: ten years of days. Beyond it,
// those that nothing is known of any more are forgotten.
const maxIndices = 4096

// recently is how long ago an index must have accepted a document to be taken for one
// that is well and in use.
const recently = time.Minute

// index is what is known of one destination.
type index struct {
	name   string
	action []byte // {"create":{"_index":"NAME","_id":" : the action line up to the id
	gate   gate
}

// indices knows all destinations of late.
type indices struct {
	mu     sync.Mutex
	byName map[string]*index
}

// find returns the index called name.
func (m *indices) find(name string) *index {
	m.mu.Lock()
	defer m.mu.Unlock()
	if x := m.byName[name]; x != nil {
		return x
	}
	if len(m.byName) >= maxIndices {
		m.forgetLocked(time.Now().Add(-recently))
	}
	quoted, _ := json.Marshal(name) // a string always has a JSON form
	x := &index{name: name, action: []byte(`{"create":{"_index":` + string(quoted) + `,"_id":"`)}
	m.byName[name] = x
	return x
}

func (m *indices) forgetLocked(before time.Time) {
	for name, x := range m.byName {
		if reason, _, _ := x.gate.closed(); reason == "" && !x.gate.acceptedSince(before) {
			delete(m.byName, name)
		}
	}
}

// othersOpen says whether an index other than x is open since t.
func (m *indices) othersOpen(x *index, t time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, other := range m.byName {
		if other != x && other.gate.openSince(t) {
			return true
		}
	}
	return false
}

// abandoned returns the indices that are paused and that nobody has waited for since t.
func (m *indices) abandoned(t time.Time) (list []*index) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, x := range m.byName {
		if x.gate.abandoned(t) {
			list = append(list, x)
		}
	}
	return list
}
