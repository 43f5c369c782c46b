package pipeline

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Budget bounds the bytes that are in flight. The source reserves before it reads;
// a worker begins before it decodes, with what the documents are expected to take;
// settle gives back. What waits for documents' part holds only what has been read,
// and what waits to read holds nothing, so waiting always ends.
//
// Documents have a part that reading leaves to them: what waits to be decoded can
// never keep it from giving back. In flight is at most the budget and one record,
// or one for each worker where it takes more than was expected.
type Budget struct {
	total int64

	mu        sync.Mutex
	reading   claims
	documents claims
	waited    time.Duration // in all, by claims that wait no more
}

// claims are one of the two parts: what it holds, and who waits for it.
type claims struct {
	held    int64
	waiting []*claim // first come, first served: a large claim is not starved
	fits    func(bytes int64) bool
}

type claim struct {
	bytes   int64
	since   time.Time
	granted chan struct{}
}

// NewBudget returns a budget of total bytes.
func NewBudget(total int64) *Budget {
	b := &Budget{total: total}
	b.reading.fits, b.documents.fits = b.readingFits, b.documentsFit
	return b
}

// readingFits leaves documents their part, except from a claim that is larger than
// the rest and comes alone.
func (b *Budget) readingFits(bytes int64) bool {
	read, used := b.reading.held, b.reading.held+b.documents.held
	return used <= 0 || used+bytes <= b.total && (read+bytes <= b.total-b.documentsPart() || read <= 0)
}

// documentsFit lets any record in beside no more than a batch that waits to be full:
// nothing else may have to settle.
func (b *Budget) documentsFit(bytes int64) bool {
	return b.documents.held+bytes <= b.documentsPart() || b.documents.held <= b.openPart()
}

// documentsPart is the part of the budget that documents may take: of 64 MiB 40,
// which are 8 requests of 5 MiB.
func (b *Budget) documentsPart() int64 { return b.total / 8 * 5 }

// openPart is what the records of a batch that waits to be full may hold: four times
// the documents of a full one, unless the budget is small.
func (b *Budget) openPart() int64 { return b.documentsPart() / 2 }

// Reserve waits until bytes are free for reading and takes them. A claim for more than
// the whole budget is granted when nothing else is in flight. Its error is that of ctx.
func (b *Budget) Reserve(ctx context.Context, bytes int64) error {
	return b.claim(ctx, &b.reading, bytes)
}

// begin waits until bytes are free for documents and takes them. A claim for more than
// documents' part is granted when little else is in flight. Its error is that of ctx.
func (b *Budget) begin(ctx context.Context, bytes int64) error {
	return b.claim(ctx, &b.documents, bytes)
}

func (b *Budget) claim(ctx context.Context, of *claims, bytes int64) error {
	b.mu.Lock()
	if len(of.waiting) == 0 && of.fits(bytes) {
		of.held += bytes
		b.mu.Unlock()
		return nil
	}
	c := &claim{bytes: bytes, since: time.Now(), granted: make(chan struct{})}
	of.waiting = append(of.waiting, c)
	b.mu.Unlock()

	select {
	case <-c.granted:
		return nil
	case <-ctx.Done():
		b.abandon(of, c)
		return context.Cause(ctx)
	}
}

// abandon takes c out of the queue, or gives its bytes back where it was granted
// in the same moment.
func (b *Budget) abandon(of *claims, c *claim) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := slices.Index(of.waiting, c); i >= 0 {
		of.waiting = slices.Delete(of.waiting, i, i+1)
		b.waited += time.Since(c.since)
	} else {
		of.held -= c.bytes
	}
	b.grantLocked() // what stood behind c may fit
}

// Charge takes bytes for reading without waiting.
func (b *Budget) Charge(bytes int64) { b.change(bytes, 0) }

// Release gives bytes of reading back.
func (b *Budget) Release(bytes int64) { b.change(-bytes, 0) }

// decoded puts what the documents of a record take in the place of what was expected,
// and of what the record took when it had been read.
func (b *Budget) decoded(read, expected, documents int64) { b.change(-read, documents-expected) }

// settled gives documents' bytes back.
func (b *Budget) settled(bytes int64) { b.change(0, -bytes) }

func (b *Budget) change(reading, documents int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reading.held += reading
	b.documents.held += documents
	b.grantLocked()
}

func (b *Budget) grantLocked() {
	for _, of := range []*claims{&b.documents, &b.reading} {
		for len(of.waiting) > 0 && of.fits(of.waiting[0].bytes) {
			c := of.waiting[0]
			of.waiting = slices.Delete(of.waiting, 0, 1)
			of.held += c.bytes
			b.waited += time.Since(c.since)
			close(c.granted)
		}
	}
}

// Used returns the bytes in flight, and for how long claims have waited in all. What
// waits now is included: an outage shows while it lasts.
func (b *Budget) Used() (bytes int64, waited time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	waited = b.waited
	for _, of := range []*claims{&b.documents, &b.reading} {
		for _, c := range of.waiting {
			waited += time.Since(c.since)
		}
	}
	return b.reading.held + b.documents.held, waited
}

// Total returns the size of the budget.
func (b *Budget) Total() int64 { return b.total }
