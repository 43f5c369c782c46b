package pipeline

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/shipperd/shipperd/pkg/checkpoint"
	"github.com/shipperd/shipperd/pkg/record"
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
		mustReserve(t, b, 20)
		b.Charge(100) // decode does not wait
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := b.Reserve(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v with 120 of 100 bytes in use", err)
		}
		if _, waited := b.Used(); waited != time.Minute {
			t.Errorf("got %s of waiting counted, want 1m", waited)
		}
		b.Release(100)
		mustReserve(t, b, 20)
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

func TestDecodingMakesRoomForReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(80) // 30 for what has been read
		mustReserve(t, b, 30)
		granted := make(chan struct{})
		go func() { mustReserve(t, b, 30); close(granted) }()
		synctest.Wait()
		select {
		case <-granted:
			t.Fatal("got 60 of 80 bytes for what has been read, want 30 at most")
		default:
		}
		b.decoded(30, 0, 30)
		<-granted // or a deadlock: nothing has to settle first
	})
}

func TestAbandonedClaimLetsTheNextOneIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(100)
		mustReserve(t, b, 25)
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan error)
		go func() { gone <- b.Reserve(ctx, 90) }()
		synctest.Wait()
		granted := make(chan struct{})
		go func() { mustReserve(t, b, 15); close(granted) }()
		synctest.Wait()
		cancel()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v for an abandoned claim", err)
		}
		<-granted
		if used, _ := b.Used(); used != 40 {
			t.Errorf("got %d bytes in use, want 40", used)
		}
	})
}

func mustReserve(t *testing.T, b *Budget, bytes int64) {
	t.Helper()
	if err := b.Reserve(context.WithoutCancel(t.Context()), bytes); err != nil {
		t.Errorf("reserve %d: %v", bytes, err)
	}
}

func TestReadingLeavesDocumentsTheirPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(100)
		mustReserve(t, b, 30)
		b.decoded(30, 0, 30)
		mustReserve(t, b, 40) // what has been read has 40
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := b.Reserve(ctx, 10); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v for 10 bytes more, with 40 read and 30 of documents", err)
		}
		b.Release(10)
		mustReserve(t, b, 10)
	})
}

func TestReadingWaitsForDocumentsBeyondTheirPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(100)
		mustReserve(t, b, 30)
		b.decoded(30, 0, 80) // more than was expected
		mustReserve(t, b, 20)
		granted := make(chan struct{})
		go func() { mustReserve(t, b, 1); close(granted) }()
		synctest.Wait()
		if used, _ := b.Used(); used != 100 {
			t.Errorf("got %d bytes in use, want all 100 and a claim that waits", used)
		}
		b.settled(80)
		<-granted
	})
}

func TestDecodedRecordHoldsItsDocumentsAlone(t *testing.T) {
	const overhead = 512
	for text, decodes := range map[string]bool{"one two": true, "one bad": false} {
		g := newRig()
		p := g.pipeline()
		r := words("s", 1, text)
		r.Charged = overhead + int64(len(r.Data))
		p.decodeOne(wordDecoder{}, r)
		want := overhead + int64(cap(r.Text)) + int64(cap(r.Events))*int64(unsafe.Sizeof(record.Event{}))
		if !decodes {
			want += int64(len(text)) // its letter has the data
		}
		if r.Charged != want || (r.Data == nil) != decodes {
			t.Errorf("%s: got %d bytes charged, data %q; want %d", text, r.Charged, r.Data, want)
		}
	}
}

func TestSpanStopsAtBytesOrRecords(t *testing.T) {
	for _, tt := range []struct {
		records int
		bytes   int64 // of each
		want    bool
	}{
		{0, 0, true},
		{1, spanBytes - 1, true},
		{1, spanBytes, false},
		{2, spanBytes / 2, false},
		{spanRecords - 1, 1, true},
		{spanRecords, 1, false},
	} {
		var s shard
		for range tt.records {
			s.tracker.Begin(checkpoint.Position{}, tt.bytes)
		}
		if got := s.hasRoom(); got != tt.want {
			t.Errorf("%d records of %d bytes: got room %t, want %t", tt.records, tt.bytes, got, tt.want)
		}
	}
}

// growingDecoder makes 1 MiB of documents of any record.
type growingDecoder struct{}

func (growingDecoder) Decode(r *record.Record) error {
	r.Text = append(r.Text[:0], make([]byte, 1<<20)...)
	r.Events = append(r.Events[:0], record.Event{})
	return nil
}

func TestDecodeWaitsWhileDocumentsHaveTheirPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig()
		g.deps.NewDecoder = func() Decoder { return growingDecoder{} }
		g.deps.Budget = NewBudget(64 << 20)
		outage := time.NewTimer(time.Minute)
		g.sink = func(ctx context.Context, _ []*record.Record) error {
			select {
			case <-outage.C:
				outage.Reset(0) // for the others
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			return nil
		}
		g.source = emitter(200, "a", "b", "c")
		time.AfterFunc(30*time.Second, func() {
			// 40 MiB for documents, a record for each of two workers, and their events.
			used, waited := g.deps.Budget.Used()
			if used < 40<<20 || used > 43<<20 {
				t.Errorf("got %d MiB in use while nothing can be written, want 40 to 43", used>>20)
			}
			if waited != 2*30*time.Second {
				t.Errorf("got %s of waiting after 30s of two workers", waited)
			}
		})
		if err := runFor(t, g.pipeline(), 2*time.Minute); err != nil {
			t.Fatal(err)
		}
		if used, _ := g.deps.Budget.Used(); used != 0 || len(g.written) != 600 {
			t.Errorf("got %d bytes in use and %d records written at the end, want none and 600", used, len(g.written))
		}
	})
}

func TestLargeRecordsAreDecodedOneAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(80) // 50 for documents, half of that for a batch that waits
		var begun []int64
		begin := func(bytes int64) {
			if err := b.begin(t.Context(), bytes); err != nil {
				t.Error(err)
			}
			begun = append(begun, bytes)
		}
		begin(60) // larger than the part, but alone
		go begin(40)
		synctest.Wait()
		go begin(1) // would fit later, but came after
		synctest.Wait()
		b.decoded(0, 60, 30)
		synctest.Wait()
		if len(begun) != 1 {
			t.Fatalf("got %d begun beside 30 of 50 bytes", begun[1:])
		}
		b.settled(5)
		synctest.Wait()
		if !slices.Equal(begun, []int64{60, 40}) {
			t.Fatalf("got %d begun, want 60 and 40: what is left may be a batch that waits", begun)
		}
		b.decoded(0, 40, 20)
		synctest.Wait()
		if !slices.Equal(begun, []int64{60, 40, 1}) {
			t.Errorf("got %d begun, want all three", begun)
		}
	})
}

// roomyDecoder makes little of any record, in a buffer of 4 MiB.
type roomyDecoder struct{}

func (roomyDecoder) Decode(r *record.Record) error {
	r.Text = append(make([]byte, 0, 4<<20), "{}"...)
	r.Events = append(r.Events[:0], record.Event{})
	return nil
}

// Ten such records are documents' part. A batch that waits to be full would keep decode
// waiting until it is old, and be written with ten records: ten events a second.
func TestDecodeDoesNotWaitForABatchToBeOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig()
		g.deps.NewDecoder = func() Decoder { return roomyDecoder{} }
		g.source = emitter(100, "a", "b")
		time.AfterFunc(time.Millisecond, func() {
			g.mu.Lock()
			defer g.mu.Unlock()
			if len(g.written) < 190 {
				t.Errorf("got %d of 200 records written at once, want all but the last few", len(g.written))
			}
		})
		if err := runFor(t, g.pipeline(), time.Minute); err != nil {
			t.Fatal(err)
		}
	})
}
