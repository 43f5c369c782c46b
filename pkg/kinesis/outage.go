package kinesis

import (
	"math/rand/v2"
	"sync"
	"time"

	"go.uber.org/zap"
)

// callError is a failed call of the service, classified.
type callError struct {
	op     string
	reason reason
	err    error
}

func (e *callError) Error() string { return e.op + ": " + e.err.Error() }
func (e *callError) Unwrap() error { return e.err }

// outages makes one log line of the first failure and one of the recovery,
// however many shards fail in the same way meanwhile.
type outages struct {
	log     *zap.Logger
	metrics *metrics

	mu   sync.Mutex
	open map[reason]*outage
}

type outage struct {
	since    time.Time
	failures int
	callers  int // that fail in this way at the moment
}

func newOutages(log *zap.Logger, m *metrics) *outages {
	return &outages{log: log, metrics: m, open: make(map[reason]*outage)}
}

// join counts a failure; caller says whether the caller has not been failing in this way before.
func (o *outages) join(failure *callError, caller bool) {
	o.mu.Lock()
	out, known := o.open[failure.reason]
	if !known {
		out = &outage{since: time.Now()}
		o.open[failure.reason] = out
	}
	out.failures++
	if caller {
		out.callers++
	}
	o.mu.Unlock()
	if known {
		return
	}
	o.metrics.pause(failure.reason, true)
	fields := []zap.Field{zap.String("reason", string(failure.reason)), zap.Error(failure), zap.String("advice", advice(failure.reason, failure.op))}
	if failure.reason == throttled || failure.reason == expired {
		o.log.Debug("kinesis calls fail", fields...) // part of sharing a stream; the metrics count it
		return
	}
	o.log.Warn("kinesis calls fail", fields...)
}

// leave ends a caller's part in an outage; the last one ends the outage.
func (o *outages) leave(r reason, recovered bool) {
	o.mu.Lock()
	out := o.open[r]
	out.callers--
	over := out.callers == 0
	if over {
		delete(o.open, r)
	}
	o.mu.Unlock()
	if !over {
		return
	}
	o.metrics.pause(r, false)
	fields := []zap.Field{zap.String("reason", string(r)), zap.Duration("lasted", time.Since(out.since)), zap.Int("failures", out.failures)}
	switch {
	case !recovered: // shipperd stops, or the shard has ended
	case r == throttled || r == expired:
		o.log.Debug("kinesis calls succeed again", fields...)
	default:
		o.log.Info("kinesis calls succeed again", fields...)
	}
}

// The waits after a failure. Full jitter below the ceiling, which doubles each
// time: many shards that fail at once do not come back at once.
const (
	firstBackoff = 250 * time.Millisecond
	maxBackoff   = 20 * time.Second
	// pause is for what only a person can heal. The first half of it is not
	// jitter: 2,500 shards then make at most 170 calls a second that must fail.
	pause = 30 * time.Second
)

// retrier is one caller's patience: how it has been failing, and how long it
// waits. It belongs to one goroutine.
type retrier struct {
	outages  *outages
	random   *rand.Rand
	failing  reason // empty while calls succeed
	failures int    // one after the other
}

// failed notes a failure and returns how long to wait before the next call.
func (r *retrier) failed(failure *callError) time.Duration {
	joins := r.failing != failure.reason
	switch {
	case joins && failure.reason == expired:
		r.recovered() // it is an answer, after a time without any
	case joins:
		r.left(false)
	}
	r.outages.join(failure, joins)
	r.failing = failure.reason
	r.failures++
	switch {
	case failure.reason == expired && r.failures == 1:
		return 0 // nothing is wrong; a new iterator or listing is all it takes
	case failure.reason.pauses():
		return pause/2 + r.jitter(pause/2)
	}
	return r.jitter(min(maxBackoff, firstBackoff<<min(r.failures-1, 10)))
}

// recovered notes a success.
func (r *retrier) recovered() {
	r.left(true)
	r.failures = 0
}

// left ends the caller's part in an outage, if it has one.
func (r *retrier) left(recovered bool) {
	if r.failing != "" {
		r.outages.leave(r.failing, recovered)
		r.failing = ""
	}
}

// jitter returns a duration between 0 and ceiling.
func (r *retrier) jitter(ceiling time.Duration) time.Duration {
	return time.Duration(r.random.Int64N(int64(ceiling) + 1))
}
