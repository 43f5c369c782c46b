package elastic

import (
	"sync"
	"time"

	"go.uber.org/zap"
)

// quiet is how long after a line about trouble no other of its kind is written.
const quiet = 30 * time.Second

// condition is whether bulk requests get through. One line is logged when they
// begin to fail, one when they get through again.
type condition struct {
	mu       sync.Mutex
	since    time.Time // of the trouble; zero without
	failures int
	logged   bool      // its beginning was
	lastLine time.Time // about a beginning
	faults   map[string]time.Time
}

// observe notes what became of a request.
func (s *Sink) observe(e *endpoint, r *reply) {
	switch r.class {
	case busy, unreachable, unknown:
		s.metrics.up.Set(0)
		s.failed(e, r)
	case blocked, paused:
		s.metrics.up.Set(0) // its gate has its own lines
	case accepted:
		s.metrics.up.Set(1)
		s.recovered(e)
	default: // about documents
	}
}

func (s *Sink) failed(e *endpoint, r *reply) {
	now, c := time.Now(), &s.condition
	c.mu.Lock()
	if c.since.IsZero() {
		c.since, c.failures, c.logged = now, 0, false
	}
	c.failures++
	say := !c.logged && now.Sub(c.lastLine) >= quiet
	if say {
		c.logged, c.lastLine = true, now
	}
	c.mu.Unlock()
	if !say {
		return
	}
	text := r.fault.reason
	if r.err != nil {
		text = s.scrub(r.err.Error())
	}
	s.log.Warn("bulk requests fail; they are tried again until they get through",
		zap.Stringer("endpoint", e), zap.Stringer("class", r.class), zap.Int("status", r.status),
		zap.String("error_type", r.fault.kind), zap.String("error", text))
}

func (s *Sink) recovered(e *endpoint) {
	c := &s.condition
	c.mu.Lock()
	since, failures, say := c.since, c.failures, c.logged
	c.since, c.logged = time.Time{}, false
	c.mu.Unlock()
	if say {
		s.log.Info("bulk requests get through again", zap.Stringer("endpoint", e),
			zap.Duration("after", time.Since(since)), zap.Int("failed_requests", failures))
	}
}

// noteFault counts what an index has against a document, and logs the first of
// each type for ten minutes.
func (s *Sink) noteFault(x *index, f fault) {
	kind := s.metrics.itemError(f.kind)
	now, c := time.Now(), &s.condition
	c.mu.Lock()
	last, seen := c.faults[kind]
	say := !seen || now.Sub(last) >= 20*quiet
	if say {
		if c.faults == nil {
			c.faults = make(map[string]time.Time)
		}
		c.faults[kind] = now
	}
	c.mu.Unlock()
	if say {
		s.log.Warn("documents are not taken as they are; more of this kind are only counted",
			zap.String("index", x.name), zap.Int("status", f.status), zap.String("error_type", f.kind),
			zap.String("error", f.reason), zap.String("field", f.field))
	}
}
