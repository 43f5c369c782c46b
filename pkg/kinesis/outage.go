package kinesis

import (
	"math/rand/v2"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// callError is a failed call of the service, classified.
type callError struct {
	op     string
	reason reason
	err    error
}

func (e *callError) Error() string { return e.op + ": " + e.err.Error() }
func (e *callError) Unwrap() error { return e.err }

// quiet is the least time between the first lines of two outages for one reason: a
// service that fails now and then fills metrics, not the log.
const quiet = time.Minute

// outages makes one log line of the first failure and one of the recovery,
// however many shards fail in the same way meanwhile.
type outages struct {
	log     *zap.Logger
	metrics *metrics

	mu     sync.Mutex
	open   map[reason]*outage
	logged map[reason]time.Time // when the latest first line was written
}

type outage struct {
	since    time.Time
	failures int
	callers  int  // that fail in this way at the moment
	logged   bool // its first line is written
}

func newOutages(log *zap.Logger, m *metrics) *outages {
	return &outages{log: log, metrics: m, open: make(map[reason]*outage), logged: make(map[reason]time.Time)}
}

// join counts a failure; caller says whether the caller has not been failing in this way before.
func (o *outages) join(failure *callError, caller bool) {
	if o.count(failure.reason, caller, time.Now()) {
		o.log.Check(level(failure.reason, zap.WarnLevel), "kinesis calls fail").Write(
			zap.String("reason", string(failure.reason)), zap.Error(failure), zap.String("advice", advice(failure.reason, failure.op)))
	}
}

// count says whether the failure is to be logged.
func (o *outages) count(r reason, caller bool, now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	out, known := o.open[r]
	if !known {
		out = &outage{since: now}
		o.open[r] = out
		o.metrics.pause(r, true)
	}
	out.failures++
	if caller {
		out.callers++
	}
	if last, ok := o.logged[r]; out.logged || ok && now.Sub(last) < quiet {
		return false
	}
	out.logged, o.logged[r] = true, now
	return true
}

// leave ends a caller's part in an outage; the last one ends the outage.
func (o *outages) leave(r reason, recovered bool) {
	o.mu.Lock()
	out := o.open[r]
	out.callers--
	over := out.callers == 0
	if over {
		delete(o.open, r)
		o.metrics.pause(r, false)
	}
	o.mu.Unlock()
	if over && recovered && out.logged { // otherwise shipperd stops, or the shard has ended
		o.log.Check(level(r, zap.InfoLevel), "kinesis calls succeed again").Write(
			zap.String("reason", string(r)), zap.Duration("lasted", time.Since(out.since)), zap.Int("failures", out.failures))
	}
}

// level lowers the level of what belongs to sharing a stream; the metrics count it.
func level(r reason, usual zapcore.Level) zapcore.Level {
	if r == throttled || r == expired {
		return zap.DebugLevel
	}
	return usual
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
