package record

import "testing"

func TestOnlyDecodedRecordsHoldBuffers(t *testing.T) {
	var pool Pool
	r := pool.New()
	pool.Equip(r)
	r.Text, r.Events = append(r.Text, "document"...), append(r.Events, Event{Index: "cwl-2026.11.20"})
	pool.Release(r)
	waiting := pool.New()
	if cap(waiting.Text) != 0 || cap(waiting.Events) != 0 {
		t.Errorf("got buffers of %d bytes and %d events, want none before Equip", cap(waiting.Text), cap(waiting.Events))
	}
	if pool.Equip(waiting); len(waiting.Text) != 0 || len(waiting.Events) != 0 {
		t.Errorf("got %d bytes and %d events, want none", len(waiting.Text), len(waiting.Events))
	}
	for _, e := range waiting.Events[:cap(waiting.Events)] {
		if e.Index != "" {
			t.Errorf("got index %q of an earlier record, want none kept", e.Index)
		}
	}
}

func TestSmallRecordsDoNotHoldTheBuffersOfLargeOnes(t *testing.T) {
	var pool Pool
	large := pool.New()
	large.Data = make([]byte, 100_000)
	pool.Equip(large)
	large.Data, large.Text = nil, make([]byte, 4<<20)
	pool.Release(large)
	small := pool.New()
	small.Data = make([]byte, 100)
	if pool.Equip(small); cap(small.Text) != 0 {
		t.Errorf("got a buffer of %d bytes for a record of 100, want none", cap(small.Text))
	}
}

func TestWhatABombLeavesIsNotKept(t *testing.T) {
	var pool Pool
	for _, bomb := range []bool{false, true} {
		for range 2 {
			r := pool.New()
			r.Data = make([]byte, 1000)
			pool.Equip(r)
			if got := cap(r.Text); got > 64<<10 {
				t.Errorf("got a buffer of %d bytes for a record of 1000, want 64 times as much at most", got)
			}
			if r.Text = make([]byte, 60<<10); bomb {
				r.Text = make([]byte, 1<<20)
			}
			pool.Release(r)
		}
	}
}
