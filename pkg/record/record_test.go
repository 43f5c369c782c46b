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
