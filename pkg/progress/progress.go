// Package progress tells a stage that is stuck from one that waits.
//
// Everything that holds work opens a Task. A task is at work, and has to move
// within the limit, or it waits for something declared: memory budget, a
// backoff, a paused index, input. Only a task at work for too long is stuck. The
// health endpoint and the service watchdog both ask here, so that an outage of a
// peer, however long, never looks like a wedged process.
package progress

import (
	"sync"
	"time"
)

// Monitor knows all open tasks. The zero value is ready for use.
type Monitor struct {
	mu    sync.Mutex
	tasks map[*Task]struct{}
}

// Task is one piece of work of one goroutine. A nil Task ignores every call.
type Task struct {
	monitor *Monitor
	name    string
	since   time.Time // zero while it waits; guarded by monitor.mu
}

// Begin opens a task that is at work from now on. A nil Monitor returns a nil Task.
func (m *Monitor) Begin(name string) *Task {
	if m == nil {
		return nil
	}
	t := &Task{monitor: m, name: name, since: time.Now()}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tasks == nil {
		m.tasks = make(map[*Task]struct{})
	}
	m.tasks[t] = struct{}{}
	return t
}

// Wait declares that the task waits, until Work.
func (t *Task) Wait() { t.set(time.Time{}) }

// Work declares that the task is at work again, or has moved a step.
func (t *Task) Work() { t.set(time.Now()) }

func (t *Task) set(since time.Time) {
	if t == nil {
		return
	}
	t.monitor.mu.Lock()
	defer t.monitor.mu.Unlock()
	t.since = since
}

// End closes the task.
func (t *Task) End() {
	if t == nil {
		return
	}
	t.monitor.mu.Lock()
	defer t.monitor.mu.Unlock()
	delete(t.monitor.tasks, t)
}

// Stuck returns the name of the task that has been at work without a step for
// the longest time, and how long, if that is more than limit.
func (m *Monitor) Stuck(limit time.Duration) (name string, age time.Duration, stuck bool) {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	for t := range m.tasks {
		if t.since.IsZero() {
			continue
		}
		if a := now.Sub(t.since); a > limit && a > age {
			name, age, stuck = t.name, a, true
		}
	}
	return name, age, stuck
}
