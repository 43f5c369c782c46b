package checkpoint

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"testing"
	"time"
)

func at(n int) Position {
	return Position{Kind: AfterSequence, Sequence: strconv.Itoa(n), Arrival: time.Unix(int64(n), 0)}
}

func TestPrefixStopsAtFirstUnsettled(t *testing.T) {
	var tr Tracker
	for n := range 4 {
		tr.Begin(at(n), 10)
	}
	for _, step := range []struct {
		settle  uint64
		want    string
		moved   bool
		records int
	}{
		{settle: 1, want: "", moved: false, records: 4},
		{settle: 3, want: "", moved: false, records: 4},
		{settle: 0, want: "1", moved: true, records: 2},
		{settle: 2, want: "3", moved: true, records: 0},
	} {
		tr.Settle(step.settle)
		got, moved := tr.Advance()
		if got.Sequence != step.want || moved != step.moved {
			t.Errorf("after settling %d: got prefix %q, moved %v, want %q, %v", step.settle, got.Sequence, moved, step.want, step.moved)
		}
		records, bytes := tr.Span()
		if records != step.records || bytes != int64(10*step.records) {
			t.Errorf("after settling %d: got a span of %d records and %d bytes, want %d and %d", step.settle, records, bytes, step.records, 10*step.records)
		}
	}
}

func TestSettlingTwicePanics(t *testing.T) {
	for name, settle := range map[string][]uint64{"held": {1, 1}, "passed": {0, 0}, "never begun": {7}} {
		t.Run(name, func(t *testing.T) {
			var tr Tracker
			tr.Begin(at(0), 1)
			tr.Begin(at(1), 1)
			defer func() {
				if recover() == nil {
					t.Errorf("settling %v: got no panic", settle)
				}
			}()
			for _, ticket := range settle {
				tr.Settle(ticket)
			}
		})
	}
}

func TestOldestIsTheFirstUnsettledArrival(t *testing.T) {
	var tr Tracker
	if _, ok := tr.Oldest(); ok {
		t.Error("an empty tracker has an oldest record")
	}
	tr.Begin(at(5), 1)
	tr.Begin(at(6), 1)
	tr.Settle(1)
	if got, ok := tr.Oldest(); !ok || got.Unix() != 5 {
		t.Errorf("got oldest %v, %v, want second 5", got, ok)
	}
	tr.Settle(0)
	if _, ok := tr.Oldest(); ok {
		t.Error("all has settled, yet there is an oldest record")
	}
}

// A shard that once had a wide span, behind an index that was blocked, must not hold
// megabytes for as long as it lives.
func TestMemoryFollowsTheSpanDown(t *testing.T) {
	var tr Tracker
	const span = 10_000
	for round := range 2 {
		for n := range span {
			tr.Begin(at(round*span+n), 1)
		}
		for n := span - 1; n > 0; n-- { // all but the first, which holds them
			tr.Settle(uint64(round*span + n))
		}
		if got := len(tr.entries); got < span {
			t.Fatalf("got room for %d of %d records", got, span)
		}
		tr.Settle(uint64(round * span))
		if got, _ := tr.Advance(); got != at(round*span+span-1) {
			t.Errorf("got prefix %+v, want the last record", got)
		}
		if got := len(tr.entries); got > keptRing {
			t.Errorf("got a ring of %d for no records, want %d at most", got, keptRing)
		}
	}
	// The same with a span that never becomes empty.
	for n := range span {
		tr.Begin(at(n), 1)
	}
	for n := range uint64(span) - 100 {
		tr.Settle(2*span + n)
	}
	if records, _ := tr.Span(); records != 100 || len(tr.entries) > keptRing {
		t.Errorf("got a ring of %d for %d records, want %d at most for 100", len(tr.entries), records, keptRing)
	}
	if oldest, ok := tr.Oldest(); !ok || !oldest.Equal(at(span-100).Arrival) {
		t.Errorf("got oldest %v, want that of the first unsettled", oldest)
	}
}

// What has settled is in no budget any more: behind one record that an index does not
// take, it must cost next to nothing.
func TestWhatHasSettledBehindAnOpenRecordTakesLittleMemory(t *testing.T) {
	const shards, span = 20, 10_000
	var before, after runtime.MemStats
	trackers := make([]Tracker, shards)
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range trackers {
		for n := range span {
			trackers[i].Begin(Position{Kind: AfterSequence, Sequence: fmt.Sprintf("%056d", n)}, 1)
			if n > 0 {
				trackers[i].Settle(uint64(n))
			}
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if got := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / shards; got > 512<<10 {
		t.Errorf("got %d KB a shard, want 512 at most", got>>10)
	}
	for i := range trackers {
		trackers[i].Settle(0)
		if got, _ := trackers[i].Advance(); got.Sequence != fmt.Sprintf("%056d", span-1) {
			t.Errorf("got prefix %+v, want the last record", got)
		}
	}
}

// FuzzTracker holds the ring against a map: each byte begins or settles.
func FuzzTracker(f *testing.F) {
	f.Add([]byte{0, 0, 0, 3, 1, 2, 0, 9})
	long := make([]byte, 4096)
	for i, r := 0, rand.New(rand.NewPCG(1, 2)); i < len(long); i++ {
		long[i] = byte(r.Uint32())
	}
	f.Add(long)
	f.Fuzz(func(t *testing.T, steps []byte) {
		var tr Tracker
		settled := map[uint64]bool{}
		var begun, prefix uint64
		var open []uint64
		for _, b := range steps {
			if b&1 == 0 || len(open) == 0 {
				if got := tr.Begin(at(int(begun)), int64(b)); got != begun {
					t.Fatalf("got ticket %d, want %d", got, begun)
				}
				open = append(open, begun)
				begun++
			} else {
				i := int(b>>1) % len(open)
				tr.Settle(open[i])
				settled[open[i]] = true
				open = append(open[:i], open[i+1:]...)
			}
			old := prefix
			for settled[prefix] {
				prefix++
			}
			got, moved := tr.Advance()
			if moved != (prefix > old) {
				t.Fatalf("prefix went from %d to %d: got moved %v", old, prefix, moved)
			}
			if prefix > 0 && got.Sequence != strconv.FormatUint(prefix-1, 10) {
				t.Fatalf("got prefix %s, want %d", got.Sequence, prefix-1)
			}
			if records, _ := tr.Span(); records != int(begun-prefix) {
				t.Fatalf("got a span of %d records, want %d", records, begun-prefix)
			}
		}
	})
}

func BenchmarkTracker(b *testing.B) {
	b.ReportAllocs()
	var tr Tracker
	position := at(1)
	for b.Loop() {
		ticket := tr.Begin(position, 1)
		tr.Settle(ticket)
	}
}
