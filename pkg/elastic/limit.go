package elastic

import (
	"sync"
	"time"
)

const (
	// requestBytes is how much a request has before compression, unless the server
	// takes less: a full batch, 5 MiB of documents, with its action lines, which are 50
	// bytes each. Throughput does not grow beyond that, some domains refuse 10 MiB.
	requestBytes = 6 << 20
	// leastBytes is where learning ends: below it a limit is that of a document.
	leastBytes = 64 << 10
	// The learned limit grows by a tenth a minute, so that a server that was given
	// more is used after a while, at the price of one refusal in several minutes.
	regrowEvery = time.Minute
)

// limit is the size of requests, learned from 413.
type limit struct {
	mu      sync.Mutex
	most    int
	bytes   int
	changed time.Time
}

func newLimit(most int) *limit { return &limit{most: most, bytes: most} }

// now returns the limit in bytes before compression.
func (l *limit) now(now time.Time) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bytes < l.most && now.Sub(l.changed) >= regrowEvery {
		l.bytes, l.changed = min(l.bytes+l.bytes/10, l.most), now
	}
	return l.bytes
}

// refused notes that size bytes were too much.
func (l *limit) refused(now time.Time, size int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if half := max(size/2, leastBytes); half < l.bytes {
		l.bytes = half
	}
	l.changed = now
}
