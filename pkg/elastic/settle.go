package elastic

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/shipperd/shipperd/pkg/killpoint"
	"github.com/shipperd/shipperd/pkg/record"
)

const (
	// unknownReplies is how many in a row split a unit, or pause a document's index.
	unknownReplies = 3
	// failingLong is how long the server may fail at a document, while it accepts
	// others of that index, until it is taken for the document's own fault.
	failingLong = 5 * time.Minute
	// lettersAtOnce is how many letters there are of a batch at a time: each takes 300
	// bytes beside the budget, for as long as the store is full.
	lettersAtOnce = 100
)

// settle makes of u what the reply to it says.
func (b *batch) settle(ctx context.Context, u unit, e *endpoint, r *reply) error {
	s := b.sink
	if r.class != accepted && r.class != unreachable {
		for i := range u.docs {
			u.docs[i].tried = true
		}
	}
	u.failures++
	switch r.class {
	case accepted:
		s.resume(&s.gate, zap.Stringer("endpoint", e))
		return b.settleItems(ctx, u, r)
	case rejected:
		return b.bisect(ctx, u, e, r.fault)
	case tooLarge:
		return b.shrink(ctx, u, r.fault)
	case unknown:
		return b.unanswered(ctx, u, r)
	case blocked, paused:
		s.pause(&s.gate, zap.Stringer("endpoint", e), pauseReasonOf(r.class, r.status), r.fault)
		return b.again(u, 0, r.class)
	default: // busy, unreachable
		return b.again(u, b.backoff(u.failures, r.retryAfter), r.class)
	}
}

// again puts u back, to be tried after wait. While the daemon drains it gives up
// what a wait would not help.
func (b *batch) again(u unit, wait time.Duration, c class) error {
	b.leave(&u)
	if u.last && (c == unreachable || c == blocked || c == paused) {
		return fmt.Errorf("%w: %d documents, %v", errDraining, len(u.docs), c)
	}
	b.sink.metrics.retries[c].Inc()
	if u.due = (time.Time{}); wait > 0 {
		u.due = time.Now().Add(wait)
	}
	b.join(u)
	return nil
}

// halve puts both halves of u back, at the head of the list: depth first, the one
// bad document is alone after log2 of their number.
func (b *batch) halve(u unit, wait time.Duration, c class) {
	b.sink.metrics.retries[c].Inc()
	u.due, u.unknown = time.Now().Add(wait), 0
	left, right := u, u
	half := len(u.docs) / 2
	left.docs, right.docs = u.docs[:half:half], u.docs[half:]
	b.first(right)
	b.first(left)
}

// unanswered counts unknown replies: something in u may be what breaks them.
func (b *batch) unanswered(ctx context.Context, u unit, r *reply) error {
	u.unknown++
	wait := b.backoff(u.failures, r.retryAfter)
	switch {
	case u.last && r.status == 0: // no reply at all: as good as unreachable, and a restart sends it again
		return b.again(u, wait, unreachable)
	case u.unknown < unknownReplies:
		return b.again(u, wait, unknown)
	case len(u.docs) > 1:
		b.halve(u, wait, unknown)
		return nil
	}
	d, f := &u.docs[0], fault{status: r.status}
	if r.err != nil {
		f.reason = b.sink.scrub(r.err.Error())
	}
	var s sorted
	b.stubborn(d, f, &s)
	if len(s.again) > 0 {
		b.sink.pause(&d.index.gate, zap.String("index", d.index.name), pauseUnanswered, f)
		s.again, s.held = nil, s.again
	}
	return b.follow(ctx, u, &s, unknown, 0)
}

// bisect looks for the document that has the whole request refused. A document
// alone goes through its forms; when none gets through either and nothing else
// does, it is no document's fault.
func (b *batch) bisect(ctx context.Context, u unit, e *endpoint, f fault) error {
	if len(u.docs) > 1 {
		b.halve(u, 0, rejected)
		return nil
	}
	var s sorted
	b.refuse(&u.docs[0], f, &b.sink.gate, zap.Stringer("endpoint", e), &s)
	return b.follow(ctx, u, &s, rejected, 0)
}

// shrink splits what is too large. Of one document too large, the original becomes
// a dead letter and what fits goes to the index.
func (b *batch) shrink(ctx context.Context, u unit, f fault) error {
	b.sink.limit.refused(time.Now(), sizeOf(u.docs))
	if len(u.docs) > 1 {
		b.halve(u, 0, tooLarge)
		return nil
	}
	d := &u.docs[0]
	if d.fault != nil && d.fault.cut {
		b.leave(&u)
		b.done(d, record.DeadLettered) // cut, and still too large
		return nil
	}
	d.blame(f)
	if !d.fault.lettered {
		if err := b.put(ctx, d.letter(record.ReasonTooLarge, f)); err != nil {
			b.leave(&u)
			return err
		}
	}
	d.fault.lettered, d.fault.cut, d.form = true, true, max(d.form, reduced)
	b.sink.metrics.retries[tooLarge].Inc()
	b.first(u)
	return nil
}

// sorted is what an attempt's documents come to, beside those that are done.
type sorted struct {
	again    []doc // after a backoff
	forms    []doc // at once, in their next form
	held     []doc // behind a gate
	dead     []doc // dead letters
	suspects []doc // duplicates that may be collisions
}

// settleItems settles each document of u by its item.
func (b *batch) settleItems(ctx context.Context, u unit, r *reply) error {
	var (
		s    sorted
		last *index
		now  = time.Now()
	)
	for i := range u.docs {
		d, item := &u.docs[i], &r.items[i]
		b.sink.metrics.items[item.class].Inc()
		if (item.class == accepted || item.class == duplicate) && d.index != last {
			last = d.index
			b.sink.accepts(last, now, r.sent)
		}
		switch item.class {
		case accepted:
			b.done(d, record.Indexed)
		case duplicate:
			if b.sink.lookups.suspect(d, b.sink.started) {
				s.suspects = append(s.suspects, *d)
			} else {
				b.done(d, record.Duplicate)
			}
		default:
			f := fault{status: item.status}
			if item.class == busy { // thousands at a time, and nobody reads their reasons
				f.kind = faultKind(item.fault)
			} else {
				f = parseFault(item.status, item.fault, b.sink.scrub)
			}
			b.sink.noteFault(d.index, f)
			b.settleFault(d, item.class, f, &s)
		}
	}
	if len(s.again) < len(u.docs) {
		u.failures = 1 // some got through
	}
	return b.follow(ctx, u, &s, busy, b.backoff(u.failures, r.retryAfter))
}

// settleFault sorts a document that the index did not take.
func (b *batch) settleFault(d *doc, c class, f fault, s *sorted) {
	d.tried = true
	x := d.index
	switch c {
	case rejected:
		b.refuse(d, f, &x.gate, zap.String("index", x.name), s)
	case failing:
		b.stubborn(d, f, s)
	case blocked, paused:
		b.sink.pause(&x.gate, zap.String("index", x.name), pauseReasonOf(c, f.status), f)
		s.held = append(s.held, *d)
	default: // busy
		s.again = append(s.again, *d)
	}
}

// refuse moves a document that was refused on to its next form. Bare and refused
// as well, it is no document's fault: the gate closes, and the document starts over
// behind it. Refused there in every form again, it is its own fault all the same
// when others were accepted since; or when no other has come for blocked_after,
// because then nothing else can ever show whose fault it is.
func (b *batch) refuse(d *doc, f fault, g *gate, what zap.Field, s *sorted) {
	d.blame(f)
	if d.form < bare {
		d.form++
		s.forms = append(s.forms, *d)
		return
	}
	now, refusedAt := time.Now(), d.fault.refusedAt
	switch {
	case refusedAt.IsZero():
		refusedAt = now
		g.refused.Store(now.UnixNano())
	case g.acceptedSince(refusedAt):
		s.bury(d, record.ReasonRejected)
		return
	case !g.refusedSince(now.Add(-b.sink.config.BlockedAfter)):
		s.bury(d, record.ReasonRejected)
		b.sink.resume(g, what) // it holds back none but these
		return
	}
	if !d.fault.lettered { // else it stays cut
		d.fault, d.form = &fault{}, whole
	}
	d.fault.refusedAt = refusedAt
	s.held = append(s.held, *d)
	b.sink.pause(g, what, pauseRefused, f)
}

// stubborn waits with a document that the server fails at. When that lasts, though
// the index accepts others, it goes the way of a rejected one.
func (b *batch) stubborn(d *doc, f fault, s *sorted) {
	now := time.Now()
	if d.fault == nil {
		d.fault = &fault{}
	}
	if d.fault.since.IsZero() {
		d.fault.since = now
	}
	switch {
	case now.Sub(d.fault.since) < failingLong || !d.index.gate.acceptedSince(now.Add(-recently)):
		s.again = append(s.again, *d)
	case d.form < bare:
		d.blame(f)
		d.form++
		s.forms = append(s.forms, *d)
	default:
		d.blame(f)
		s.bury(d, record.ReasonUnprocessable)
	}
}

// bury makes d a dead letter.
func (s *sorted) bury(d *doc, reason string) {
	d.fault.verdict = reason
	s.dead = append(s.dead, *d)
}

// follow puts what is sorted where it goes. A probe ends, unless its document goes
// on at once in another form.
func (b *batch) follow(ctx context.Context, u unit, s *sorted, c class, wait time.Duration) error {
	if len(s.forms) > 0 {
		next := unit{docs: s.forms, index: u.index, probes: u.probes, last: u.last}
		b.sink.metrics.retries[rejected].Inc()
		b.first(next)
	} else {
		b.leave(&u)
	}
	u.probes = nil
	if err := b.compare(ctx, s); err != nil {
		return err
	}
	for dead := range slices.Chunk(s.dead, lettersAtOnce) {
		if err := b.letter(ctx, dead); err != nil {
			return err
		}
	}
	if len(s.held) > 0 {
		if u.last {
			return fmt.Errorf("%w: %d documents, %v", errDraining, len(s.held), paused)
		}
		b.sink.metrics.retries[paused].Inc()
		b.hold(s.held, u.last)
	}
	if len(s.again) > 0 {
		u.docs = s.again
		return b.again(u, wait, c)
	}
	return nil
}

// letter makes docs dead letters, unless they are already.
func (b *batch) letter(ctx context.Context, docs []doc) error {
	var letters []record.Letter
	for i := range docs {
		if d := &docs[i]; !d.fault.lettered {
			letters = append(letters, d.letter(d.fault.verdict, *d.fault))
		}
	}
	if err := b.put(ctx, letters...); err != nil {
		return err
	}
	for i := range docs {
		b.done(&docs[i], record.DeadLettered)
	}
	return nil
}

// put makes letters durable. It may take as long as the store is full.
func (b *batch) put(ctx context.Context, letters ...record.Letter) error {
	if len(letters) == 0 {
		return nil
	}
	b.task.Wait()
	defer b.task.Work()
	killpoint.Here(killpoint.BatchBury)
	if err := b.sink.letters.Put(ctx, letters...); err != nil {
		return fmt.Errorf("put dead letters: %w", err)
	}
	killpoint.Here(killpoint.BatchBuried)
	return nil
}

// giveUp makes dead letters of documents whose index has been blocked for too long.
func (b *batch) giveUp(ctx context.Context, u unit) error {
	_, _, f := u.index.gate.closed()
	s := sorted{}
	for i := range u.docs {
		d := &u.docs[i]
		d.blame(f)
		s.bury(d, record.ReasonReadOnly)
	}
	u.docs = nil
	return b.follow(ctx, u, &s, blocked, 0)
}

// done sets the outcome of d's event.
func (b *batch) done(d *doc, o record.Outcome) {
	d.event.Outcome = o
	if o == record.Indexed && d.form != whole {
		d.event.Reduced = true
		b.sink.metrics.reduced(d.fault.kind)
	}
}
