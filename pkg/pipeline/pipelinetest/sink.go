// Package pipelinetest has the contract of every pipeline.Sink as a test.
package pipelinetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/shipperd/shipperd/pkg/pipeline"
	"github.com/shipperd/shipperd/pkg/record"
)

// Record returns a decoded record of shard with one event for each id, all of
// them bound for index.
func Record(shard, sequence, index string, ids ...string) *record.Record {
	r := &record.Record{Shard: shard, Sequence: sequence, Arrival: time.Now()}
	for _, id := range ids {
		e := record.Event{Index: index, Time: time.Now().UnixMilli()}
		e.IDStart = uint32(len(r.Text))
		r.Text = append(r.Text, id...)
		e.IDEnd, e.DocStart = uint32(len(r.Text)), uint32(len(r.Text))
		r.Text = fmt.Appendf(r.Text, `{"@id":"%s","@timestamp":"2026-11-20T10:00:00.000Z","@message":"line %s","@owner":"123456789012","@log_group":"g","@log_stream":"s"}`, id, id)
		e.DocEnd = uint32(len(r.Text))
		r.Events = append(r.Events, e)
	}
	return r
}

// TestSink checks the contract of the sinks that open returns. Each call of open
// gives a sink over an empty store; index is a name that it may be given.
func TestSink(t *testing.T, index string, open func(t *testing.T) pipeline.Sink) {
	t.Run("every pending event gets an outcome", func(t *testing.T) {
		records := []*record.Record{Record("shard-0", "1", index, "a", "b"), Record("shard-1", "1", index, "c")}
		write(t, open(t), records)
		wantOutcomes(t, records, record.Indexed)
	})
	t.Run("a second write is a duplicate", func(t *testing.T) {
		sink := open(t)
		write(t, sink, []*record.Record{Record("shard-0", "1", index, "a", "b")})
		again := []*record.Record{Record("shard-0", "1", index, "a", "b")}
		write(t, sink, again)
		wantOutcomes(t, again, record.Duplicate)
	})
	t.Run("an event that has an outcome is left alone", func(t *testing.T) {
		r := Record("shard-0", "1", index, "a", "b")
		r.Events[0].Outcome, r.Events[0].Filter = record.Filtered, record.FilterDrop
		sink := open(t)
		write(t, sink, []*record.Record{r})
		if got := r.Events[0].Outcome; got != record.Filtered {
			t.Errorf("got outcome %s for a filtered event", got)
		}
		first := []*record.Record{Record("shard-0", "1", index, "a")}
		write(t, sink, first)
		wantOutcomes(t, first, record.Indexed) // it had not been written
	})
	t.Run("records without events are nothing to write", func(t *testing.T) {
		write(t, open(t), []*record.Record{{Shard: "shard-0", Sequence: "1"}})
	})
	t.Run("a context that has ended leaves all pending", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		r := Record("shard-0", "1", index, "a")
		err := open(t).Write(ctx, []*record.Record{r})
		if err == nil && r.Events[0].Outcome == record.Pending {
			t.Error("got no error, and an event without an outcome")
		}
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("got error %v, want one that wraps %v", err, context.Canceled)
		}
	})
}

func write(t *testing.T, sink pipeline.Sink, records []*record.Record) {
	t.Helper()
	if err := sink.Write(t.Context(), records); err != nil {
		t.Fatalf("write: %v", err)
	}
}

func wantOutcomes(t *testing.T, records []*record.Record, want record.Outcome) {
	t.Helper()
	for _, r := range records {
		for i := range r.Events {
			if got := r.Events[i].Outcome; got != want {
				t.Errorf("event %s: got outcome %s, want %s", r.ID(&r.Events[i]), got, want)
			}
		}
	}
}
