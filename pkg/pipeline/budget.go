package pipeline

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Budget bounds the bytes that are in flight. The source reserves before it
// reads; decode charges what a record really takes, without waiting, so the
// balance may go below zero by what the workers hold; settle gives back. Nobody
// waits for budget while holding some, so waiting always ends.
type Budget struct {
	total int64

	mu      sync.Mutex
	used    int64
	waiting []*claim      // first come, first served: a large claim is not starved
	waited  time.Duration // in all, by claims that wait no more
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

func (b *Budget) fitsLocked(bytes int64) bool {
	return b.used+bytes <= b.total || b.used <= 0
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

// Used returns the bytes in flight, and for how long claims have waited in all,
// those that wait now included: an outage shows while it lasts.
func (b *Budget) Used() (bytes int64, waited time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	waited = b.waited
	for _, c := range b.waiting {
		waited += time.Since(c.since)
	}
	return b.used, waited
}

// Total returns the size of the budget.
func (b *Budget) Total() int64 { return b.total }
