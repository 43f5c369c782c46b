package elastic

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func newTestWindow(ceiling int) *window {
	gauge := prometheus.NewGauge(prometheus.GaugeOpts{})
	return newWindow(ceiling, gauge, gauge)
}

func TestWindowGrowsOnlyWhileItHoldsRequestsBack(t *testing.T) {
	w := newTestWindow(8)
	for range 100 {
		if err := w.acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.release(time.Now(), eased)
	}
	want(t, "limit after one at a time", w.limit, firstWindow)
	for range 100 {
		for range int(w.limit) {
			if err := w.acquire(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for w.inFlight > 0 {
			w.release(time.Now(), eased)
		}
	}
	want(t, "limit after full use", w.limit, 8)
}

func TestWindowShrinksOnceARoundTripAndNotBelowOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTestWindow(8)
		w.limit = 8
		for round, limit := range []float64{4, 2, 1, 1} {
			began := time.Now()
			for range 4 {
				w.inFlight++
			}
			<-time.After(time.Second)
			for range 4 {
				w.release(began, pressed)
			}
			if w.limit != limit {
				t.Errorf("round %d: got limit %v, want %v", round, w.limit, limit)
			}
		}
	})
}

func TestWindowGivesPlacesInOrderAndNoneToThoseWhoLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTestWindow(1)
		if err := w.acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, leave := context.WithCancel(t.Context())
		var order []int
		var waiters sync.WaitGroup
		for i := range 3 {
			waiters.Go(func() {
				waiting := t.Context()
				if i == 1 {
					waiting = ctx
				}
				if err := w.acquire(waiting); err != nil {
					want(t, "left", errors.Is(err, context.Canceled), true)
					return
				}
				order = append(order, i)
				w.release(time.Now(), neutral)
			})
			synctest.Wait()
		}
		leave()
		synctest.Wait()
		w.release(time.Now(), neutral)
		waiters.Wait()
		want(t, "order", order, []int{0, 2})
		want(t, "in flight", w.inFlight, 0)
	})
}
