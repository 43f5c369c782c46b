package pipeline

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Budget bounds the bytes that are in flight. The source reserves before it
// reads; decode charges what a record really takes, ten times what was read; settle
// gives back. Nobody waits for budget while holding some, so waiting always ends.
//
// Decode goes on whatever has been read, so that what waits to be decoded can never
// keep it from giving back; but it waits while documents have their part, and what has
// been read has no more than the rest. So what is in flight takes at most the budget
// and one record for each worker.
type Budget struct {
	total int64

	mu        sync.Mutex
	used      int64
	documents int64         // of used
	room      chan struct{} // closed when documents leave room; nil: nobody waits
	full      time.Time     // since when somebody waits for room
	waiting   []*claim      // first come, first served: a large claim is not starved
	waited    time.Duration // in all, by claims that wait no more
}

type claim struct {
	bytes   int64
	since   time.Time
	granted chan struct{}
}

// NewBudget returns a budget of total bytes.
func NewBudget(total int64) *Budget { return &Budget{total: total} }

// Reserve waits until bytes are free and takes them. A claim for more than the
// whole budget is granted when nothing else is in flight. Its error is that of ctx.
func (b *Budget) Reserve(ctx context.Context, bytes int64) error {
	b.mu.Lock()
	if len(b.waiting) == 0 && b.fitsLocked(bytes) {
		b.used += bytes
		b.mu.Unlock()
		return nil
	}
	c := &claim{bytes: bytes, since: time.Now(), granted: make(chan struct{})}
	b.waiting = append(b.waiting, c)
	b.mu.Unlock()

	select {
	case <-c.granted:
		return nil
	case <-ctx.Done():
		b.abandon(c)
		return context.Cause(ctx)
	}
}

// abandon takes c out of the queue, or gives its bytes back where it was granted
// in the same moment.
func (b *Budget) abandon(c *claim) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := slices.Index(b.waiting, c); i >= 0 {
		b.waiting = slices.Delete(b.waiting, i, i+1)
		b.waited += time.Since(c.since)
	} else {
		b.used -= c.bytes
	}
	b.grantLocked() // what stood behind c may fit
}

// Charge takes bytes without waiting.
func (b *Budget) Charge(bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used += bytes
}

// Release gives bytes back.
func (b *Budget) Release(bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= bytes
	b.grantLocked()
}

// documentsPart is the part of the budget that documents may take: of 64 MiB 40,
// which are 8 requests of 5 MiB.
func (b *Budget) documentsPart() int64 { return b.total / 8 * 5 }

// awaitRoom waits while documents have their part. Its error is that of ctx.
func (b *Budget) awaitRoom(ctx context.Context) error {
	for {
		room := b.roomLater()
		if room == nil {
			return nil
		}
		select {
		case <-room:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// roomLater returns nil when there is room, else what is closed when there is.
func (b *Budget) roomLater() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.documents < b.documentsPart() {
		return nil
	}
	if b.room == nil {
		b.room, b.full = make(chan struct{}), time.Now()
	}
	return b.room
}

// decoded counts bytes that have been taken as documents'.
func (b *Budget) decoded(bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.documents += bytes
	b.grantLocked() // what has been read has become less
}

// settled gives documents' bytes back.
func (b *Budget) settled(bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.documents -= bytes
	b.used -= bytes
	b.grantLocked()
	if b.room != nil && b.documents < b.documentsPart() {
		close(b.room)
		b.room = nil
		b.waited += time.Since(b.full)
	}
}

// fitsLocked leaves documents their part, except from a claim that is larger than
// the rest and comes alone.
func (b *Budget) fitsLocked(bytes int64) bool {
	reading := b.used - b.documents
	return b.used <= 0 || b.used+bytes <= b.total && (reading+bytes <= b.total-b.documentsPart() || reading <= 0)
}

func (b *Budget) grantLocked() {
	for len(b.waiting) > 0 && b.fitsLocked(b.waiting[0].bytes) {
		c := b.waiting[0]
		b.waiting = slices.Delete(b.waiting, 0, 1)
		b.used += c.bytes
		b.waited += time.Since(c.since)
		close(c.granted)
	}
}

// Used returns the bytes in flight, and for how long claims, and decode for the
// documents' part, have waited in all. What waits now is included: an outage shows
// while it lasts.
func (b *Budget) Used() (bytes int64, waited time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	waited = b.waited
	if b.room != nil {
		waited += time.Since(b.full)
	}
	for _, c := range b.waiting {
		waited += time.Since(c.since)
	}
	return b.used, waited
}

// Total returns the size of the budget.
func (b *Budget) Total() int64 { return b.total }
