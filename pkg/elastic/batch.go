package elastic

import (
	"context"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/shipperd/shipperd/pkg/killpoint"
	"github.com/shipperd/shipperd/pkg/progress"
)

const (
	// The backoff is full jitter below 250 ms, doubled to 15 s: a batch in a storm
	// asks every 7.5 s on average, and is back half a minute after it at the latest.
	firstBackoff = 250 * time.Millisecond
	lastBackoff  = 15 * time.Second
	// lastTries is over what the last tries are spread when the daemon drains.
	lastTries = 10 * time.Millisecond
)

// batch is one Write. One goroutine uses it.
type batch struct {
	sink  *Sink
	task  *progress.Task
	rand  *rand.Rand
	units []unit // what is left to do, oldest first
}

// unit is documents that go together.
type unit struct {
	docs     []doc
	index    *index    // of all of them, once they had to wait for it
	due      time.Time // not before
	failures int       // in a row, for the backoff
	unknown  int       // unknown replies in a row
	probes   []*gate   // whose only probe this is
	last     bool      // it was tried since the daemon drains
}

// newBatch returns the work of one Write. Its jitter depends on the seed and the
// first document, not on what other batches do.
func newBatch(s *Sink, docs []doc) *batch {
	h := fnv.New64a()
	_, _ = h.Write([]byte(docs[0].record.Shard + "/" + docs[0].record.Sequence))
	return &batch{
		sink: s, task: s.progress.Begin("bulk write"),
		rand:  rand.New(rand.NewPCG(s.seed, h.Sum64())),
		units: []unit{{docs: docs}},
	}
}

// run works until no unit is left.
func (b *batch) run(ctx context.Context) error {
	defer func() { // a probe that nobody ends would keep its gate closed
		for _, u := range b.units {
			b.leave(&u)
		}
	}()
	for len(b.units) > 0 {
		i, wait := b.next(time.Now())
		if i < 0 {
			if err := b.sleep(ctx, wait); err != nil {
				return err
			}
			continue
		}
		u := b.units[i]
		b.units = slices.Delete(b.units, i, i+1)
		if err := b.attempt(ctx, u); err != nil {
			return err
		}
	}
	return nil
}

// next returns the first unit that can go, or -1 and how long to wait for one.
func (b *batch) next(now time.Time) (int, time.Duration) {
	wait := lastBackoff
	drains := b.sink.drains()
	for i := range b.units {
		d := b.ready(&b.units[i], now).Sub(now)
		if d <= 0 || drains && !b.units[i].last {
			return i, 0
		}
		wait = min(wait, d)
	}
	return -1, wait
}

// ready returns when u can go.
func (b *batch) ready(u *unit, now time.Time) time.Time {
	if len(u.probes) > 0 {
		return u.due
	}
	at := u.due
	if t := b.sink.gate.ready(now); t.After(at) {
		at = t
	}
	if u.index != nil && !b.sink.givenUp(u.index, now) {
		if t := u.index.gate.ready(now); t.After(at) {
			at = t
		}
	}
	return at
}

// sleep waits for d and some jitter, until the daemon begins to drain, or ctx ends.
func (b *batch) sleep(ctx context.Context, d time.Duration) error {
	b.task.Wait()
	defer b.task.Work()
	draining := b.sink.draining
	if b.sink.drains() {
		draining = nil // known already
	}
	timer := time.NewTimer(d + b.jitter(d/4))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-draining:
		return b.sleep(ctx, b.jitter(lastTries)) // all batches wake now
	}
}

// jitter returns a random duration below d, in nanoseconds, so that no two batches
// wake in one instant.
func (b *batch) jitter(d time.Duration) time.Duration {
	return time.Duration(b.rand.Int64N(int64(d) + 1))
}

// backoff returns how long a unit waits after so many failures in a row.
func (b *batch) backoff(failures int, retryAfter time.Duration) time.Duration {
	wait := b.jitter(min(firstBackoff<<min(failures, 10), lastBackoff))
	if wait < retryAfter {
		wait = retryAfter + b.jitter(firstBackoff) // not all at the same moment
	}
	return wait
}

// attempt takes u one step further. u is off the list.
func (b *batch) attempt(ctx context.Context, u unit) error {
	s, now, drains := b.sink, time.Now(), b.sink.drains()
	if u = b.passing(u); len(u.docs) == 0 {
		return nil
	}
	if !b.enter(&u, now, drains && !u.last) {
		if u.index != nil && s.givenUp(u.index, now) {
			return b.giveUp(ctx, u)
		}
		b.units = append(b.units, u)
		return nil
	}
	u = b.cut(u, now)
	final := drains && !u.last
	u.last = drains

	b.task.Wait()
	err := s.window.acquire(ctx)
	b.task.Work()
	if err != nil {
		b.leave(&u)
		return err
	}
	began := time.Now()
	e, wait := s.endpoints.pick(began, final)
	if e == nil {
		s.window.release(began, neutral)
		return b.again(u, wait, unreachable)
	}
	killpoint.Here(killpoint.BatchSend)
	r := s.send(ctx, e, u.docs, s.compress(e))
	killpoint.Here(killpoint.BatchReplied)
	s.endpoints.done(e, time.Now(), r.endpointFailed(), r.retryAfter)
	s.window.release(began, r.signal)
	defer s.recycle(r)
	if ctx.Err() != nil && r.class != accepted {
		b.leave(&u)
		return context.Cause(ctx)
	}
	s.observe(e, r)
	return b.settle(ctx, u, e, r)
}

// passing returns u without its documents of paused indices, which become units of
// their own: one blocked index must not have the others' documents sent again.
func (b *batch) passing(u unit) unit {
	if u.index != nil || b.sink.paused.Load() == 0 {
		return u
	}
	var (
		open   = u.docs[:0]
		held   []doc
		last   *index
		paused bool
	)
	for _, d := range u.docs {
		if d.index != last {
			reason, _, _ := d.index.gate.closed()
			last, paused = d.index, reason != ""
		}
		if paused {
			held = append(held, d)
		} else {
			open = append(open, d)
		}
	}
	b.hold(held, u.last)
	u.docs = open
	return u
}

// hold makes units of docs, one for each index.
func (b *batch) hold(docs []doc, last bool) {
	for i := range docs {
		b.join(unit{docs: docs[i : i+1 : i+1], index: docs[i].index, last: last})
	}
}

// join puts u back, with a unit that waits for the same if there is one: each probe
// takes one document out of its unit, and they must not come to be as many requests.
func (b *batch) join(u unit) {
	for i := range b.units {
		v := &b.units[i]
		if v.index == u.index && v.last == u.last && v.due.Equal(u.due) && v.unknown == u.unknown && len(v.probes) == 0 {
			v.docs = append(v.docs, u.docs...)
			return
		}
	}
	b.units = append(b.units, u)
}

// enter passes the gates of u, or none of them.
func (b *batch) enter(u *unit, now time.Time, force bool) bool {
	if len(u.probes) > 0 {
		return true // it is in between two forms of its probe
	}
	gates := []*gate{&b.sink.gate, nil}[:1]
	if u.index != nil {
		gates = append(gates, &u.index.gate)
	}
	for _, g := range gates {
		pass, probe := g.enter(now, force)
		if !pass {
			b.leave(u)
			return false
		}
		if probe {
			u.probes = append(u.probes, g)
		}
	}
	return true
}

// leave ends the probes of u that told nothing.
func (b *batch) leave(u *unit) {
	for _, g := range u.probes {
		g.leave(time.Now())
	}
	u.probes = nil
}

// cut returns what of u goes in one request: a probe is one document, all else is
// bounded by the request limit. The rest is put back.
func (b *batch) cut(u unit, now time.Time) unit {
	n, limit := 1, b.sink.limit.now(now)
	if len(u.probes) == 0 {
		for size := u.docs[0].size(); n < len(u.docs); n++ {
			if size += u.docs[n].size(); size > limit {
				break
			}
		}
	}
	if n < len(u.docs) {
		rest := u
		rest.probes, rest.docs, rest.due = nil, u.docs[n:], time.Time{}
		b.first(rest)
		u.docs = u.docs[:n:n]
	}
	return u
}

// first puts u at the head of the list.
func (b *batch) first(u unit) { b.units = slices.Insert(b.units, 0, u) }

// compress says whether requests to e are compressed.
func (s *Sink) compress(e *endpoint) bool {
	return s.config.Gzip == "on" || s.config.Gzip == "auto" && e.url.Scheme == "https"
}
