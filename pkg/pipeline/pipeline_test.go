package pipeline

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/shipperd/shipperd/pkg/checkpoint"
	"github.com/shipperd/shipperd/pkg/record"
)

// Scenario: Kinesis T1.
// Scenario: Elasticsearch 15.
func TestCheckpointNeverPassesTheAcknowledgedPrefix(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig()
		g.config.Batch.MaxDocuments = 6
		var mu sync.Mutex
		acked := map[string]bool{}
		random := rand.New(rand.NewPCG(1, 1))
		g.sink = func(_ context.Context, records []*record.Record) error {
			mu.Lock()
			delay := time.Duration(random.IntN(5000)) * time.Millisecond
			mu.Unlock()
			<-time.After(delay) // batches are acknowledged in any order
			mu.Lock()
			defer mu.Unlock()
			for _, r := range records {
				acked[r.Shard+"/"+r.Sequence] = true
			}
			return nil
		}
		last := map[string]int{}
		g.store.onSave = func(positions map[string]checkpoint.Position) {
			mu.Lock()
			defer mu.Unlock()
			for shard, at := range positions {
				n, _ := strconv.Atoi(at.Sequence)
				for i := range n + 1 {
					if !acked[fmt.Sprintf("%s/%d", shard, i)] {
						t.Errorf("checkpoint of %s at %d, but record %d is not acknowledged", shard, n, i)
					}
				}
				if n < last[shard] {
					t.Errorf("checkpoint of %s went back from %d to %d", shard, last[shard], n)
				}
				last[shard] = n
			}
		}
		g.source = emitter(50, "a", "b", "c")
		if err := runFor(t, g.pipeline(), time.Minute); err != nil {
			t.Fatal(err)
		}
		for _, shard := range []string{"a", "b", "c"} {
			if got := g.store.at(shard); got != "49" {
				t.Errorf("shard %s: got last checkpoint %s, want 49", shard, got)
			}
		}
		if used, _ := g.deps.Budget.Used(); used != 0 {
			t.Errorf("got %d bytes in flight at the end, want 0", used)
		}
	})
}

func TestBatchIsSealedByWhicheverLimitComesFirst(t *testing.T) {
	tests := map[string]struct {
		batch   BatchConfig
		records []string
		want    []int           // records in each batch
		after   []time.Duration // when each was written
	}{
		"age":             {BatchConfig{1 << 20, 100, time.Second}, []string{"a", "b"}, []int{2}, []time.Duration{time.Second}},
		"documents":       {BatchConfig{1 << 20, 4, time.Hour}, []string{"a b", "c d", "e f", "g h"}, []int{2, 2}, []time.Duration{0, 0}},
		"whole records":   {BatchConfig{1 << 20, 3, time.Hour}, []string{"a b", "c d", "e f g"}, []int{1, 1, 1}, []time.Duration{0, 0, 0}},
		"bytes":           {BatchConfig{24, 100, time.Hour}, []string{"a", "b", "c", "d"}, []int{2, 2}, []time.Duration{0, 0}}, // 12 bytes each
		"a giant, alone":  {BatchConfig{30, 100, time.Hour}, []string{"a", "a b c d e"}, []int{1, 1}, []time.Duration{0, 0}},
		"age starts anew": {BatchConfig{1 << 20, 2, time.Second}, []string{"a b", "c"}, []int{1, 1}, []time.Duration{0, time.Second}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newRig()
				g.config.Batch, g.deps.Workers = test.batch, 1 // one worker keeps the order
				start := time.Now()
				var mu sync.Mutex
				var sizes []int
				var after []time.Duration
				g.sink = func(_ context.Context, records []*record.Record) error {
					mu.Lock()
					defer mu.Unlock()
					sizes, after = append(sizes, len(records)), append(after, time.Since(start))
					return nil
				}
				g.source = func(ctx context.Context, emit func(*record.Record) error) error {
					for i, text := range test.records {
						if err := emit(words("s", i, text)); err != nil {
							return err
						}
						synctest.Wait()
					}
					<-ctx.Done()
					return nil
				}
				if err := runFor(t, g.pipeline(), 2*time.Second); err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(sizes, test.want) || !slices.Equal(after, test.after) {
					t.Errorf("got batches of %v records after %v, want %v after %v", sizes, after, test.want, test.after)
				}
			})
		})
	}
}

// Scenario: Kinesis T25.
func TestDrainFlushesAtOnceAndStoresTheLastCheckpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig()
		g.config.Batch.MaxAge = time.Hour
		g.source = emitter(3, "s")
		start := time.Now()
		if err := runFor(t, g.pipeline(), 10*time.Second); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("got a drain of %s after the end at 10s, want none", took-10*time.Second)
		}
		if got := g.store.at("s"); got != "2" {
			t.Errorf("got checkpoint %q, want 2", got)
		}
	})
}

// What was read and waits for memory gets its turn, and its last attempt, when others
// have had theirs.
func TestDrainEndsEarlyWhereTheSinkGivesUpAndMemoryIsUsedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig()
		g.deps.Budget = NewBudget(4000) // some records
		g.source = emitter(50, "s")
		stopped, attempts := make(chan struct{}), 0
		time.AfterFunc(5*time.Second+time.Millisecond, func() { close(stopped) })
		g.sink = func(ctx context.Context, _ []*record.Record) error {
			select {
			case <-stopped: // given up at once, as package elastic does
				g.mu.Lock()
				defer g.mu.Unlock()
				attempts++
				return errors.New("the index is away")
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		start := time.Now()
		if err := runFor(t, g.pipeline(), 5*time.Second); !errors.Is(err, ErrUnsettled) {
			t.Errorf("got error %v, want %v", err, ErrUnsettled)
		}
		if took := time.Since(start); took > 6*time.Second || attempts < 3 {
			t.Errorf("got a drain of %s and %d attempts, want an early end after all had one", took-5*time.Second, attempts)
		}
		if used, _ := g.deps.Budget.Used(); used != 0 {
			t.Errorf("got %d bytes in use after the end, want 0", used)
		}
	})
}

// Scenario: Kinesis T25.
func TestDrainDeadlineLeavesWhatIsUnacknowledgedUncheckpointed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig()
		g.config.Batch.MaxDocuments, g.deps.Workers = 2, 1
		g.source = emitter(3, "s")
		g.sink = func(ctx context.Context, records []*record.Record) error {
			if records[0].Sequence == "1" { // hangs for ever
				<-ctx.Done()
				return context.Cause(ctx)
			}
			return nil
		}
		start := time.Now()
		err := runFor(t, g.pipeline(), 5*time.Second)
		if !errors.Is(err, ErrUnsettled) {
			t.Errorf("got error %v, want %v", err, ErrUnsettled)
		}
		if took := time.Since(start); took != 5*time.Second+g.config.DrainTimeout {
			t.Errorf("got an end after %s, want %s", took, 5*time.Second+g.config.DrainTimeout)
		}
		if got := g.store.at("s"); got != "0" {
			t.Errorf("got checkpoint %q, want 0: record 1 is not acknowledged", got)
		}
	})
}

func TestFailingSinkStopsReadingAndSettlesTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig()
		g.config.Batch.MaxDocuments, g.deps.Workers = 2, 1
		broken := errors.New("broken")
		g.source = emitter(3, "s")
		g.sink = func(_ context.Context, records []*record.Record) error {
			if records[0].Sequence == "2" {
				return broken
			}
			<-time.After(3 * time.Second)
			return nil
		}
		start := time.Now()
		err := runFor(t, g.pipeline(), time.Hour)
		if !errors.Is(err, broken) || errors.Is(err, ErrUnsettled) {
			t.Errorf("got error %v, want %v alone", err, broken)
		}
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("got an end after %s, want 3s: the other batches may settle", took)
		}
		if got := g.store.at("s"); got != "1" {
			t.Errorf("got checkpoint %q, want 1, stored after the error", got)
		}
	})
}

// Scenario: Kinesis T21.
func TestUndecodableRecordIsOneDeadLetterAndTheShardGoesOn(t *testing.T) {
	for text, want := range map[string]struct {
		reason  string
		indexed float64
	}{
		"one bad":     {record.ReasonUndecodable, 3}, // what was decoded before stays
		"one huge":    {record.ReasonOversize, 3},
		"one panic x": {record.ReasonPanic, 2}, // nothing of it can be trusted
	} {
		t.Run(want.reason, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				core, logs := observer.New(zap.ErrorLevel)
				g := newRig()
				g.deps.Log, g.deps.Workers = zap.New(core), 1 // one worker keeps the order
				var decoders atomic.Int64
				g.deps.NewDecoder = func() Decoder { decoders.Add(1); return wordDecoder{} }
				g.source = func(ctx context.Context, emit func(*record.Record) error) error {
					for i, s := range []string{"first", text, text, "last"} {
						if i == 2 && want.reason != record.ReasonPanic {
							continue
						}
						if err := emit(words("s", i, s)); err != nil {
							return err
						}
					}
					<-ctx.Done()
					return nil
				}
				if err := runFor(t, g.pipeline(), 5*time.Second); err != nil {
					t.Fatal(err)
				}
				letters := g.letters.letters
				wantLetters, panics := 1, 0
				if want.reason == record.ReasonPanic {
					wantLetters, panics = 2, 2
				}
				if len(letters) != wantLetters || letters[0].Reason != want.reason || string(letters[0].Data) != text || letters[0].Sequence != "1" {
					t.Errorf("got letters %+v, want %d of reason %s with the raw record", letters, wantLetters, want.reason)
				}
				if got := g.store.at("s"); got != "3" {
					t.Errorf("got checkpoint %q, want 3", got)
				}
				if got := metric(t, g.registry, "shipperd_events_total", "outcome", "indexed"); got != want.indexed {
					t.Errorf("got %v events indexed, want %v", got, want.indexed)
				}
				if got := metric(t, g.registry, "shipperd_events_total", "outcome", "dead_lettered"); got != float64(wantLetters) {
					t.Errorf("got %v events dead-lettered, want %d", got, wantLetters)
				}
				if got, want := decoders.Load(), int64(g.deps.Workers+panics); got != want {
					t.Errorf("got %d decoders made, want %d: one a worker, and a new one after each panic", got, want)
				}
				if got, want := logs.FilterMessageSnippet("panicked").Len(), wantLetters-1; got != want {
					t.Errorf("got %d lines with a stack, want %d", got, want)
				}
			})
		})
	}
}

// Scenario: Elasticsearch 22.
func TestFullDeadLettersHoldTheCheckpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig()
		g.letters.full = make(chan struct{})
		g.source = func(ctx context.Context, emit func(*record.Record) error) error {
			if err := emit(words("s", 0, "bad")); err != nil {
				return err
			}
			<-ctx.Done()
			return nil
		}
		p := g.pipeline()
		done := make(chan error)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { done <- p.Run(ctx) }()
		<-time.After(time.Hour)
		if len(g.store.saves) != 0 {
			t.Error("got a checkpoint over a record whose dead letter is not durable")
		}
		close(g.letters.full)
		<-time.After(time.Minute)
		if got := g.store.at("s"); got != "0" {
			t.Errorf("got checkpoint %q once there was room, want 0", got)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestSpanStopsAShardAndNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig()
		g.config.Batch.MaxDocuments = 1
		release := make(chan struct{})
		g.sink = func(_ context.Context, records []*record.Record) error {
			if records[0].Shard == "slow" && records[0].Sequence == "0" {
				<-release
			}
			return nil
		}
		emitted := map[string]int{}
		var mu sync.Mutex
		g.source = func(ctx context.Context, emit func(*record.Record) error) error {
			var all sync.WaitGroup
			for shard, n := range map[string]int{"slow": spanRecords + 5, "fast": 3 * spanRecords} {
				all.Go(func() {
					for i := range n {
						if emit(words(shard, i, "x")) != nil {
							return
						}
						mu.Lock()
						emitted[shard]++
						mu.Unlock()
					}
				})
			}
			all.Wait()
			<-ctx.Done()
			return nil
		}
		p := g.pipeline()
		done := make(chan error)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { done <- p.Run(ctx) }()
		<-time.After(time.Minute)
		mu.Lock()
		if emitted["slow"] != spanRecords || emitted["fast"] != 3*spanRecords {
			t.Errorf("got %v records admitted, want %d of the blocked shard and all of the other", emitted, spanRecords)
		}
		mu.Unlock()
		close(release)
		<-time.After(time.Minute)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if got, want := g.store.at("slow"), strconv.Itoa(spanRecords+4); got != want {
			t.Errorf("got checkpoint %s, want %s", got, want)
		}
	})
}

// Scenario: Kinesis T6.
func TestShardEndsOnlyWhenAllBeforeItIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig()
		g.sink = func(context.Context, []*record.Record) error {
			<-time.After(30 * time.Second)
			return nil
		}
		g.store.fail = errors.New("disk full")
		var endedAfter time.Duration
		g.source = func(ctx context.Context, emit func(*record.Record) error) error {
			start := time.Now()
			ended := make(chan struct{})
			if err := errors.Join(emit(words("s", 0, "x")), emit(&record.Record{Shard: "s", Ended: ended})); err != nil {
				return err
			}
			time.AfterFunc(time.Minute-time.Second/2, func() {
				g.store.mu.Lock()
				defer g.store.mu.Unlock()
				g.store.fail = nil
			})
			<-ended
			endedAfter = time.Since(start)
			<-ctx.Done()
			return nil
		}
		if err := runFor(t, g.pipeline(), time.Hour); err != nil {
			t.Fatal(err)
		}
		if endedAfter != time.Minute {
			t.Errorf("got the end after %s, want 1m: settled at 31s, stored when the disk had room", endedAfter)
		}
		if got := g.store.saved["s"].Kind; got != checkpoint.ShardEnd {
			t.Errorf("got %s stored, want %s", got, checkpoint.ShardEnd)
		}
		if got := metric(t, g.registry, "shipperd_kinesis_oldest_unacked_age_seconds", "shard", "s"); got != -1 {
			t.Errorf("got a series of the ended shard, with value %v", got)
		}
	})
}

// Scenario: Kinesis T18.
func TestCheckpointsAreCoalescedAndIdleShardsWriteNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig()
		g.config.Batch.MaxDocuments = 1
		g.source = func(ctx context.Context, emit func(*record.Record) error) error {
			for i := range 100 {
				if err := emit(words("s", i, "x")); err != nil {
					return err
				}
				<-time.After(50 * time.Millisecond)
			}
			<-ctx.Done()
			return nil
		}
		if err := runFor(t, g.pipeline(), time.Hour); err != nil {
			t.Fatal(err)
		}
		if got := len(g.store.saves); got != 5 {
			t.Errorf("got %d writes for 5 seconds of records and an idle hour, want 5", got)
		}
		for i := 1; i < len(g.store.saves); i++ {
			if gap := g.store.saves[i].Sub(g.store.saves[i-1]); gap < commitInterval {
				t.Errorf("got two writes %s apart, want %s or more", gap, commitInterval)
			}
		}
	})
}

func TestEveryScrapeBalances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig()
		g.config.Batch.MaxDocuments = 7
		g.sink = func(context.Context, []*record.Record) error {
			<-time.After(17 * time.Millisecond)
			return nil
		}
		g.source = func(ctx context.Context, emit func(*record.Record) error) error {
			for i := 0; ctx.Err() == nil; i++ {
				text := []string{"a b", "drop", "bad", "drop c", ""}[i%5]
				if err := emit(words("s", i, text)); err != nil {
					return err
				}
				<-time.After(time.Millisecond)
			}
			return nil
		}
		p := g.pipeline()
		done := make(chan error)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { done <- p.Run(ctx) }()
		busy := false
		for range 500 {
			<-time.After(3 * time.Millisecond)
			busy = balances(t, g.registry) || busy
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if inFlight := balances(t, g.registry); inFlight || !busy {
			t.Errorf("got events in flight at the end: %v, on the way: %v, want false and true", inFlight, busy)
		}
	})
}

// balances checks the law at one scrape and says whether anything was in flight.
func balances(t *testing.T, reg prometheus.Gatherer) (inFlight bool) {
	t.Helper()
	sums := totals(t, reg)
	received, ended, open := sums["events_received_total"], sums["events_total"], sums["events_in_flight"]
	if received != ended+open {
		t.Errorf("got %v received, %v ended and %v in flight", received, ended, open)
	}
	return open > 0
}

// metric returns the sum of a metric's series with that label, -1 when there is none.
func metric(t *testing.T, reg prometheus.Gatherer, name, label, value string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum, found := 0.0, false
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if f.GetName() == name && l.GetName() == label && l.GetValue() == value {
					sum, found = sum+m.GetCounter().GetValue()+m.GetGauge().GetValue(), true
				}
			}
		}
	}
	if !found {
		return -1
	}
	return sum
}

func TestSettlingWithoutAnOutcomePanics(t *testing.T) {
	a := newAccount([]string{"other"})
	r := &record.Record{Events: make([]record.Event, 1)}
	a.receive(r)
	defer func() {
		if recover() == nil {
			t.Error("got no panic for an event that the sink has left pending")
		}
	}()
	a.settle(r)
}
