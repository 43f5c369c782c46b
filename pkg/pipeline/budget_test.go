package pipeline

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestBudgetIsFirstComeFirstServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(100)
		mustReserve(t, b, 60)
		order := make(chan string, 2)
		go func() { mustReserve(t, b, 95); order <- "large" }()
		synctest.Wait()
		go func() { mustReserve(t, b, 10); order <- "small" }() // would fit, but came later
		synctest.Wait()
		if len(order) != 0 {
			t.Fatalf("got %s granted beside 60 of 100 bytes", <-order)
		}
		b.Release(60)
		if got := <-order; got != "large" {
			t.Errorf("got %s granted first, want large", got)
		}
		b.Release(95)
		<-order
	})
}

func TestBudgetGrantsAGiantWhenNothingElseIsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(100)
		mustReserve(t, b, 1)
		granted := make(chan struct{})
		go func() { mustReserve(t, b, 1000); close(granted) }()
		synctest.Wait()
		select {
		case <-granted:
			t.Fatal("got a giant granted beside another")
		default:
		}
		b.Release(1)
		<-granted
	})
}

func TestReadingWaitsWhileTheBalanceIsNotAboveZero(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(100)
		mustReserve(t, b, 50)
		b.Charge(70) // decode does not wait
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := b.Reserve(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v with 120 of 100 bytes in use", err)
		}
		if _, waited := b.Used(); waited != time.Minute {
			t.Errorf("got %s of waiting counted, want 1m", waited)
		}
		b.Release(70)
		mustReserve(t, b, 50)
	})
}

func TestWaitingIsCountedWhileItLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(100)
		mustReserve(t, b, 100)
		granted := make(chan struct{})
		go func() { mustReserve(t, b, 10); close(granted) }()
		<-time.After(time.Minute)
		if _, waited := b.Used(); waited != time.Minute {
			t.Errorf("got %s while a claim waits, want 1m", waited)
		}
		b.Release(100)
		<-granted
		<-time.After(time.Minute)
		if _, waited := b.Used(); waited != time.Minute {
			t.Errorf("got %s after it was granted, want 1m", waited)
		}
	})
}

func TestAbandonedClaimLetsTheNextOneIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(100)
		mustReserve(t, b, 60)
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan error)
		go func() { gone <- b.Reserve(ctx, 90) }()
		synctest.Wait()
		granted := make(chan struct{})
		go func() { mustReserve(t, b, 40); close(granted) }()
		synctest.Wait()
		cancel()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v for an abandoned claim", err)
		}
		<-granted
		if used, _ := b.Used(); used != 100 {
			t.Errorf("got %d bytes in use, want 100", used)
		}
	})
}

func mustReserve(t *testing.T, b *Budget, bytes int64) {
	t.Helper()
	if err := b.Reserve(context.WithoutCancel(t.Context()), bytes); err != nil {
		t.Errorf("reserve %d: %v", bytes, err)
	}
}
