package elastic

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// firstWindow is where the window starts: a single sender cannot keep a cluster
// busy, and two cannot flood one.
const firstWindow = 2

// signal is what a request tells the window.
type signal uint8

const (
	neutral signal = iota // nothing was learned
	eased                 // the cluster kept up
	pressed               // it refused, failed or did not answer
)

// window bounds the requests in flight: additive increase, one per round trip
// while the window is what holds requests back; multiplicative decrease, a half,
// at most once per round trip. Places are given in the order they were asked for,
// each with a delay of some nanoseconds: those that come free in one instant are not
// taken in one, so that a simulation in fake time has one order of events.
type window struct {
	ceiling float64
	size    prometheus.Gauge
	running prometheus.Gauge

	mu       sync.Mutex
	limit    float64
	inFlight int
	shrunk   time.Time
	waiters  []chan time.Duration
}

func newWindow(ceiling int, size, running prometheus.Gauge) *window {
	w := &window{ceiling: float64(ceiling), size: size, running: running}
	w.limit = min(firstWindow, w.ceiling)
	size.Set(w.limit)
	return w
}

// acquire waits for a place. The error is that of ctx.
func (w *window) acquire(ctx context.Context) error {
	w.mu.Lock()
	if len(w.waiters) == 0 && w.inFlight < int(w.limit) {
		w.inFlight++
		w.running.Set(float64(w.inFlight))
		w.mu.Unlock()
		return nil
	}
	given := make(chan time.Duration, 1)
	w.waiters = append(w.waiters, given)
	w.mu.Unlock()
	select {
	case delay := <-given:
		<-time.After(delay)
		return nil
	case <-ctx.Done():
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if i := slices.Index(w.waiters, given); i >= 0 {
		w.waiters = slices.Delete(w.waiters, i, i+1)
	} else {
		w.inFlight-- // given in the same instant
		w.giveLocked()
	}
	return context.Cause(ctx)
}

// release gives the place back. began is when its request was sent.
func (w *window) release(began time.Time, s signal) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case s == eased && w.inFlight >= int(w.limit):
		w.limit = min(w.limit+1/w.limit, w.ceiling)
	case s == pressed && !began.Before(w.shrunk):
		// A request from before the last decrease reports the pressure that caused it.
		w.limit = max(w.limit/2, 1)
		w.shrunk = time.Now()
	}
	w.inFlight--
	w.giveLocked()
}

func (w *window) giveLocked() {
	for delay := time.Nanosecond; len(w.waiters) > 0 && w.inFlight < int(w.limit); delay++ {
		w.waiters[0] <- delay
		w.waiters = slices.Delete(w.waiters, 0, 1)
		w.inFlight++
	}
	w.size.Set(w.limit)
	w.running.Set(float64(w.inFlight))
}
