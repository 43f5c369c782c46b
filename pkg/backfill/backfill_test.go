package backfill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/shipperd/shipperd/pkg/checkpoint"
	"github.com/shipperd/shipperd/pkg/pipeline"
	"github.com/shipperd/shipperd/pkg/progress"
	"github.com/shipperd/shipperd/pkg/record"
)

var day = Job{Group: group, From: start, To: start.Add(24 * time.Hour)}

func TestEachEventOfTheRangeIsEmittedOnceAndThenTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.logs.add(1, start.Add(-time.Millisecond), 0, "s1")                   // before
		r.logs.add(24, start.Add(time.Hour-time.Millisecond), time.Hour, "s1") // on the last moment of windows, and of the day
		r.logs.add(300, start, 5*time.Minute, "s1", "s2")                      // a day and an hour
		r.logs.add(100, start.Add(time.Hour), 0, "s1", "s3")                   // all in one millisecond, on the edge of a window
		s := r.sink(t)
		source := r.source(day)
		if err := source.Run(t.Context(), s.emit); err != nil {
			t.Fatal(err)
		}
		if missing := s.missing(day); len(missing) > 0 {
			t.Errorf("%d events are missing, the first is %s", len(missing), missing[0])
		}
		if got, want := len(s.ids), len(r.logs.ids(day)); got != want {
			t.Errorf("got %d events, want %d", got, want)
		}
		for id, n := range s.ids {
			if n != 1 {
				t.Errorf("event %s came %d times, want once", id, n)
			}
		}
		if !s.ended {
			t.Error("the end was not emitted")
		}
		if used, _ := r.budget.Used(); used != 0 {
			t.Errorf("%d bytes of the budget are still taken, want none", used)
		}
		if p := source.Progress(); !p.Done || p.Events != 412 || p.Fraction() != 1 {
			t.Errorf("got progress %+v, want 412 events and the end", p)
		}

		again := r.sink(t)
		calls := r.logs.calls
		if err := r.source(day).Run(t.Context(), again.emit); err != nil || again.records != 0 || r.logs.calls != calls {
			t.Errorf("a completed job run again: got %v, %d records, want nothing read", err, again.records)
		}
	})
}

func TestRecordsAreThePayloadsOfASubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.logs.add(3, start, time.Second, "s1", "s2")
		r.logs.events[0].Message = aws.String("tab\tquote\" <&> \x01 é\n")
		var got []message
		var raw string
		err := r.source(day).Run(t.Context(), func(rec *record.Record) error {
			if rec.Ended == nil {
				got = append(got, decode(t, rec))
				raw += string(rec.Data)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		type events = []struct {
			ID        string
			Timestamp int64
			Message   string
		}
		want := []message{
			{"DATA_MESSAGE", account, group, "s1", []string{}, events{
				{fmt.Sprintf("%056d", 0), start.UnixMilli(), "tab\tquote\" <&> \x01 é\n"},
				{fmt.Sprintf("%056d", 2), start.UnixMilli() + 2000, "line 2\n"},
			}},
			{"DATA_MESSAGE", account, group, "s2", []string{}, events{{fmt.Sprintf("%056d", 1), start.UnixMilli() + 1000, "line 1\n"}}},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("payloads (-want +got):\n%s", diff)
		}
		if !strings.Contains(raw, "<&>") {
			t.Errorf("got %s, want < & > as they are", raw)
		}
	})
}

// A kill may come after any record, with anything emitted and not yet settled.
func TestKilledAnywhereItGoesOnWithoutLoss(t *testing.T) {
	build := func(t *testing.T) *rig {
		r := newRig(t)
		r.logs.add(60, start.Add(30*time.Minute), 10*time.Minute, "s1", "s2", "s3")
		r.logs.add(40, start.Add(20*time.Hour), time.Second, "s1")
		return r
	}
	for kill := 1; ; kill++ {
		finished := false
		synctest.Test(t, func(t *testing.T) {
			r := build(t)
			s := r.sink(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			s.onRecord = func(n int) bool {
				if n == kill {
					cancel()
				}
				return n < kill-kill/3 // the rest is in flight
			}
			if err := r.source(day).Run(ctx, s.emit); err != nil {
				t.Fatalf("killed after %d records: %v", kill, err)
			}
			if finished = s.records < kill; finished {
				return
			}
			s.onRecord, s.last, s.inFlight = nil, "", false
			if err := r.source(day).Run(t.Context(), s.emit); err != nil {
				t.Fatal(err)
			}
			if missing := s.missing(day); len(missing) > 0 {
				t.Errorf("killed after %d records: %d events are lost, the first is %s", kill, len(missing), missing[0])
			}
			if !s.ended {
				t.Errorf("killed after %d records: the second run did not end", kill)
			}
		})
		if finished {
			if kill < 20 {
				t.Fatalf("only %d places for a kill, want 20 at least", kill)
			}
			return
		}
	}
}

func TestKilledBeforeAnythingHasSettledItIsPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.logs.add(24, start, time.Hour, "s1")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		s := r.sink(t)
		s.onRecord = func(int) bool { cancel(); return false }
		if err := r.source(day).Run(ctx, s.emit); err != nil {
			t.Fatal(err)
		}
		pending := Pending(r.store.positions)
		if diff := cmp.Diff([]Job{day}, pending); diff != "" {
			t.Fatalf("pending jobs (-want +got):\n%s", diff)
		}
		s.onRecord, s.last, s.inFlight = nil, "", false
		if err := r.source(pending[0]).Run(t.Context(), s.emit); err != nil {
			t.Fatal(err)
		}
		if missing := s.missing(day); len(missing) > 0 || !s.ended {
			t.Errorf("got %d events lost and ended %t, want all of them", len(missing), s.ended)
		}
	})
}

func TestResumeReadsOnlyFromTheWindowThatWasOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.logs.add(24, start, time.Hour, "s1")
		r.store.positions[day.Shard()] = checkpoint.Position{
			Kind: checkpoint.AfterSequence, Sequence: fmt.Sprintf("%d000000007", start.Add(20*time.Hour).UnixMilli()),
		}
		s := r.sink(t)
		s.last = fmt.Sprintf("%d000000007", start.Add(20*time.Hour).UnixMilli())
		if err := r.source(day).Run(t.Context(), s.emit); err != nil {
			t.Fatal(err)
		}
		if len(s.ids) != 4 {
			t.Errorf("got %d events, want the last 4 hours' 4", len(s.ids))
		}
	})
}

func TestForeignPositionIsRefused(t *testing.T) {
	for _, position := range []checkpoint.Position{
		{Kind: checkpoint.TrimHorizon},
		{Kind: checkpoint.AfterSequence, Sequence: "000000007"},
		{Kind: checkpoint.AfterSequence, Sequence: "-1x000000007"},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.store.positions[day.Shard()] = position
			if err := r.source(day).Run(t.Context(), r.sink(t).emit); err == nil {
				t.Errorf("%+v: got no error", position)
			}
		})
	}
}

func TestBusyWindowIsCutAndNothingIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.logs.add(2000, start.Add(10*time.Hour), 100*time.Millisecond, "s1", "s2") // 200 pages in 200 seconds
		r.logs.add(400, start.Add(20*time.Hour), 0, "s1")                           // 40 pages in one millisecond
		s := r.sink(t)
		if err := r.source(day).Run(t.Context(), s.emit); err != nil {
			t.Fatal(err)
		}
		if missing := s.missing(day); len(missing) > 0 {
			t.Errorf("%d events are missing", len(missing))
		}
		twice := 0
		for _, n := range s.ids {
			twice = max(twice, n)
		}
		// From nine hours to a second are five cuts.
		if twice > 6 {
			t.Errorf("an event came %d times, want 6 at most", twice)
		}
	})
}

func TestExpiredTokenBeginsTheWindowAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.logs.add(100, start, time.Second, "s1")
		s := r.sink(t)
		s.onRecord = func(n int) bool {
			if n == 3 { // an outage of the index that lasts longer than the token
				<-time.After(25 * time.Hour)
			}
			return true
		}
		if err := r.source(day).Run(t.Context(), s.emit); err != nil {
			t.Fatal(err)
		}
		if missing := s.missing(day); len(missing) > 0 {
			t.Errorf("%d events are missing", len(missing))
		}
	})
}

func TestTokenThatIsNeverTakenEndsTheBackfill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.logs.tokenAge = time.Nanosecond
		r.logs.add(100, start, 0, "s1")
		err := r.source(day).Run(t.Context(), r.sink(t).emit)
		if _, invalid := errors.AsType[*types.InvalidParameterException](err); !invalid {
			t.Errorf("got %v, want the service's refusal", err)
		}
		if r.logs.calls > 20 {
			t.Errorf("got %d calls, want an end after a few", r.logs.calls)
		}
	})
}

func TestRefusalEndsTheBackfillAndThrottlingDoesNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.logs.add(100, start, time.Minute, "s1")
		r.logs.fault = func(call int) error {
			switch {
			case call < 200:
				return &types.ThrottlingException{}
			case call == 203:
				return &types.AccessDeniedException{}
			}
			return nil
		}
		s := r.sink(t)
		err := r.source(day).Run(t.Context(), s.emit)
		if _, denied := errors.AsType[*types.AccessDeniedException](err); !denied {
			t.Errorf("got %v, want the refusal", err)
		}
		if s.ended || s.records != 3 {
			t.Errorf("got %d records, ended %t, want the 3 before the refusal and no end", s.records, s.ended)
		}
		if used, _ := r.budget.Used(); used != 0 {
			t.Errorf("%d bytes of the budget are still taken, want none", used)
		}
	})
}

func TestReadingWaitsForTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.logs.add(100, start, time.Second, "s1")
		r.budget.Charge(64 << 20)
		go func() {
			<-time.After(time.Hour)
			r.budget.Release(64 << 20)
		}()
		begin := time.Now()
		if err := r.source(day).Run(t.Context(), r.sink(t).emit); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took < time.Hour || r.logs.calls == 0 {
			t.Errorf("the backfill took %s, want it to wait for the budget for an hour", took)
		}
	})
}

func TestPipelineThatHasEndedGetsNoMoreAndLeavesNoBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.logs.add(10, start, time.Second, "s1", "s2", "s3")
		ended := errors.New("the pipeline has ended")
		err := r.source(day).Run(t.Context(), func(rec *record.Record) error {
			r.budget.Release(rec.Charged) // it belongs to the pipeline, also after an error
			return ended
		})
		if used, _ := r.budget.Used(); !errors.Is(err, ended) || used != 0 {
			t.Errorf("got %v with %d bytes of the budget taken, want the pipeline's error and none", err, used)
		}
	})
}

func TestProgressGuessesTheEndFromThePace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.logs.add(24, start, time.Hour, "s1")
		source := r.source(day)
		if p := source.Progress(); p.Left != 0 || p.Done {
			t.Errorf("before the start: got %+v, want nothing known", p)
		}
		s := r.sink(t)
		var left []time.Duration
		s.onRecord = func(int) bool {
			<-time.After(time.Minute)
			left = append(left, source.Progress().Left)
			return true
		}
		if err := source.Run(t.Context(), s.emit); err != nil {
			t.Fatal(err)
		}
		// Windows of 1, 2, 4 and 8 hours hold a record of a minute each; while the
		// fourth is read, 7 of 24 hours took 4 minutes.
		if len(left) < 4 || left[0] != 0 || left[3].Round(time.Minute) != 10*time.Minute {
			t.Errorf("got %v left, want nothing known at first and 10 minutes at the fourth record", left)
		}
	})
}

func TestJobIsFoundByItsName(t *testing.T) {
	odd := Job{Group: "/aws/lambda/a.b_c-d#e", From: start.Add(123 * time.Millisecond), To: start.Add(time.Hour)}
	got := Pending(map[string]checkpoint.Position{
		odd.Shard():                 {Kind: checkpoint.AfterSequence, Sequence: "1"},
		day.Shard():                 {Kind: checkpoint.ShardEnd},
		"shardId-000000000000":      {Kind: checkpoint.TrimHorizon},
		"backfill:g:now/2026-11-01": {Kind: checkpoint.TrimHorizon},
	})
	if diff := cmp.Diff([]Job{odd}, got); diff != "" {
		t.Errorf("pending jobs (-want +got):\n%s", diff)
	}
}

func TestInvalidJobsNameTheirMistakes(t *testing.T) {
	if err := day.Validate(); err != nil {
		t.Errorf("%+v: got %v, want no error", day, err)
	}
	err := Job{From: start, To: start}.Validate()
	if err == nil || !strings.Contains(err.Error(), "group: ") || !strings.Contains(err.Error(), "to 2026-11-01") {
		t.Errorf("got %v, want group and to named", err)
	}
	if err := (Job{Group: group, To: start}).Validate(); err == nil {
		t.Error("a job without its beginning: got no error")
	}
}

func TestUnknownGroupIsSaidBeforeAnythingIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		j := day
		j.Group = "AccessLogGrup"
		if err := r.source(j).Run(t.Context(), r.sink(t).emit); err == nil || r.logs.calls != 0 {
			t.Errorf("got %v and %d calls, want an error and none", err, r.logs.calls)
		}
	})
}

// decoder makes events of nothing but their ids.
type decoder struct{}

func (decoder) Decode(r *record.Record) error {
	var m message
	if err := json.Unmarshal(r.Data, &m); err != nil {
		return err
	}
	for _, e := range m.LogEvents {
		start := uint32(len(r.Text))
		r.Text = append(r.Text, e.ID...)
		r.Events = append(r.Events, record.Event{Time: e.Timestamp, IDStart: start, IDEnd: uint32(len(r.Text))})
	}
	return nil
}

// index is a pipeline.Sink that knows the ids it has.
type index struct {
	mu  sync.Mutex
	ids map[string]bool
}

func (x *index) Write(_ context.Context, records []*record.Record) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, r := range records {
		for i := range r.Events {
			e := &r.Events[i]
			x.ids[string(r.ID(e))] = true
			e.Outcome = record.Indexed
		}
	}
	return nil
}

func TestPipelineEndsByItselfWithTheCompletionStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.logs.add(500, start, time.Minute, "s1", "s2")
		indexed := &index{ids: make(map[string]bool)}
		p := pipeline.New(pipeline.DefaultConfig(), pipeline.Deps{
			Source: r.source(day), NewDecoder: func() pipeline.Decoder { return decoder{} }, Sink: indexed,
			Store: r.store, Budget: r.budget, Records: &r.pool, Progress: &progress.Monitor{},
			Workers: 1, Groups: []string{"other"}, Log: zap.NewNop(), Registerer: prometheus.NewRegistry(),
		})
		if err := p.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := len(indexed.ids); got != 500 {
			t.Errorf("got %d events, want 500", got)
		}
		if got := r.store.positions[day.Shard()].Kind; got != checkpoint.ShardEnd {
			t.Errorf("got position %s, want %s", got, checkpoint.ShardEnd)
		}
		if used, _ := r.budget.Used(); used != 0 {
			t.Errorf("%d bytes of the budget are still taken, want none", used)
		}
	})
}
