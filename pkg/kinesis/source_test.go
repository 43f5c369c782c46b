package kinesis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/google/go-cmp/cmp"

	"github.com/shipperd/shipperd/pkg/checkpoint"
	"github.com/shipperd/shipperd/pkg/kinesis/kinesisfake"
	"github.com/shipperd/shipperd/pkg/pipeline"
	"github.com/shipperd/shipperd/pkg/record"
)

func TestEveryShardIsReadInItsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 4)
		for i := range 4 {
			w.put(shardName(i), fmt.Sprintf("%c", 'a'+i), 50)
		}
		w.at(3*time.Second, func() { w.put(shardName(2), "later", 3) })
		w.mustRun(5 * time.Second)
		for i := range 4 {
			prefix := fmt.Sprintf("%c", 'a'+i)
			if diff := cmp.Diff(seq(prefix, 50), of(prefix, w.seen())); diff != "" {
				t.Errorf("records of shard %d (-want +got):\n%s", i, diff)
			}
		}
		if diff := cmp.Diff(seq("later", 3), of("later", w.seen())); diff != "" {
			t.Errorf("records put while running (-want +got):\n%s", diff)
		}
		if !w.source.Ready() {
			t.Error("got not ready after records were read, want ready")
		}
	})
}

// Scenario: Kinesis T3.
//
// A split and a merge while records flow, with start: latest.
func TestReshardFromLatestReadsParentsFirstAndChildrenWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		w.config.Start = startLatest
		w.put(shardName(0), "old", 5)
		pass(t, time.Second)
		w.at(2*time.Second, func() {
			w.put(shardName(0), "parent", 5)
			left, right := w.stream.Split(shardName(0))
			w.put(left, "left", 5)
			child := w.stream.Merge(right, shardName(1))
			w.put(child, "merged", 5)
		})
		w.mustRun(20 * time.Second)
		got := w.seen()
		if old := of("old", got); len(old) > 0 {
			t.Errorf("got %v from before the start, want none", old)
		}
		for _, prefix := range []string{"parent", "left", "merged"} {
			if diff := cmp.Diff(seq(prefix, 5), of(prefix, got)); diff != "" {
				t.Errorf("records of %s (-want +got):\n%s", prefix, diff)
			}
		}
		for _, order := range [][2]string{{"end of 0", "left0"}, {"end of 0", "end of 3"}, {"end of 3", "merged0"}, {"end of 1", "merged0"}} {
			if slices.Index(got, order[0]) > slices.Index(got, order[1]) || !slices.Contains(got, order[0]) {
				t.Errorf("got %q after %q, want it before", order[0], order[1])
			}
		}
	})
}

// Scenario: Kinesis T3.
// Scenario: Kinesis T6.
//
// Children wait for what their parents have in flight, and for both parents of a merge.
func TestChildrenWaitUntilAllParentsHaveSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		w.held = true
		w.put(shardName(0), "a", 3)
		child := w.stream.Merge(shardName(0), shardName(1))
		w.put(child, "child", 3)
		w.at(30*time.Second, func() {
			if got := of("child", w.seen()); len(got) > 0 {
				t.Errorf("got %v while the parents are in flight, want none", got)
			}
			if got := w.value("shipperd_kinesis_shards", shardWaiting); got != 1 {
				t.Errorf("got %v waiting shards, want 1", got)
			}
			if got := w.store.get(shardName(0)).Kind; got != checkpoint.TrimHorizon {
				t.Errorf("got %s stored for a parent in flight, want %s", got, checkpoint.TrimHorizon)
			}
			w.settle() // both sentinels among them
		})
		w.mustRun(time.Minute)
		if diff := cmp.Diff(seq("child", 3), of("child", w.seen())); diff != "" {
			t.Errorf("records of the child (-want +got):\n%s", diff)
		}
	})
}

// Scenario: Kinesis T4.
//
// Two generations of shards come and go while nobody reads; a closed shard is
// half read, another was never opened.
func TestGenerationsThatPassedWhileStoppedAreRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.put(shardName(0), "first", 4)
		w.mustRun(5 * time.Second)
		w.put(shardName(0), "rest", 4) // the half that was not read
		left, right := w.stream.Split(shardName(0))
		w.put(left, "left", 4)
		w.put(right, "right", 4)
		grandchild := w.stream.Merge(left, right)
		w.put(grandchild, "grand", 4)

		w.mustRun(20 * time.Second)
		got := w.seen()
		for _, prefix := range []string{"first", "rest", "left", "right", "grand"} {
			if diff := cmp.Diff(seq(prefix, 4), of(prefix, got)); diff != "" {
				t.Errorf("records of %s (-want +got):\n%s", prefix, diff)
			}
		}
		for _, end := range []string{"end of 0", "end of 1", "end of 2"} {
			if slices.Index(got, end) > slices.Index(got, "grand0") {
				t.Errorf("got %q after the grandchild, want it before", end)
			}
		}
	})
}

// Scenario: Kinesis T4.
//
// After more than the retention the parents are in no listing any more, one
// of them with data that nobody has read.
func TestShardsThatHaveExpiredDoNotHoldTheirChildren(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.put(shardName(0), "first", 2)
		w.mustRun(2 * time.Second)
		w.put(shardName(0), "lost", 2)
		left, _ := w.stream.Split(shardName(0))
		pass(t, 25*time.Hour)
		w.put(left, "left", 2)

		w.mustRun(3 * time.Minute)
		if diff := cmp.Diff([]string{"first0", "first1", "end of 0", "left0", "left1"}, w.seen()); diff != "" {
			t.Errorf("emitted (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(map[string]checkpoint.Kind{"1": checkpoint.AfterSequence, "2": checkpoint.TrimHorizon}, w.store.kinds()); diff != "" {
			t.Errorf("rows: that of the expired shard goes (-want +got):\n%s", diff)
		}
		if got := w.value("shipperd_kinesis_gaps_total"); got != 1 {
			t.Errorf("got %v gaps, want 1", got)
		}
	})
}

// Rule 10: the row of a shard's end stays while the stream lists the shard.
func TestRowOfAnEndedShardStaysUntilTheShardExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.config.Limits.Idle = time.Minute
		w.stream.Split(shardName(0))
		w.mustRun(23 * time.Hour)
		want := map[string]checkpoint.Kind{"0": checkpoint.ShardEnd, "1": checkpoint.TrimHorizon, "2": checkpoint.TrimHorizon}
		if diff := cmp.Diff(want, w.store.kinds()); diff != "" {
			t.Errorf("rows before the shard expires (-want +got):\n%s", diff)
		}
		w.mustRun(2 * time.Hour)
		delete(want, "0")
		if diff := cmp.Diff(want, w.store.kinds()); diff != "" {
			t.Errorf("rows after the shard has expired (-want +got):\n%s", diff)
		}
	})
}

// Scenario: Kinesis T5.
//
// Three pages of shards, whose token expires between two of them once.
func TestThousandsOfShardsAreAllRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const shards = 2500
		w := newWorld(t, shards)
		for i := range shards {
			w.put(shardName(i), "r", 1)
		}
		pages := 0
		w.hook(opList, func(_ context.Context, _ kinesisfake.Call, next func() (any, error)) (any, error) {
			if pages++; pages == 2 {
				return nil, &types.ExpiredNextTokenException{}
			}
			return next()
		})
		w.mustRun(8 * time.Second)
		if got := len(w.seen()); got != shards {
			t.Errorf("got %d records, want %d", got, shards)
		}
		if pages < 5 { // one, the expired one, and three
			t.Errorf("got %d pages, want 5 or more", pages)
		}
		if w.budget.peak > w.budget.total {
			t.Errorf("got %d bytes at the peak, want %d or less", w.budget.peak, w.budget.total)
		}
		if got := w.value("shipperd_kinesis_shards", shardReading); got != shards {
			t.Errorf("got %v shards with readers, want %d", got, shards)
		}
	})
}

// Scenario: Kinesis T12.
//
// A crash between the first open and the first checkpoint, with start: latest.
func TestLatestIsTheTimeOfTheFirstOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.config.Start = startLatest
		w.put(shardName(0), "old", 3)
		w.held = true
		opened := pass(t, time.Second)
		w.mustRun(time.Second)
		want := map[string]checkpoint.Position{shardName(0): {Kind: checkpoint.AtTimestamp, Time: opened.UTC()}}
		if diff := cmp.Diff(want, w.store.rows); diff != "" {
			t.Fatalf("rows after the first open (-want +got):\n%s", diff)
		}
		w.crash()
		w.put(shardName(0), "between", 3)
		left, _ := w.stream.Split(shardName(0)) // found later: from its beginning
		w.put(left, "child", 3)
		w.mustRun(time.Minute)
		if diff := cmp.Diff(slices.Concat(seq("between", 3), []string{"end of 0"}, seq("child", 3)), w.seen()); diff != "" {
			t.Errorf("emitted (-want +got):\n%s", diff)
		}
	})
}

func TestStartAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.put(shardName(0), "old", 3)
		w.config.Start = pass(t, time.Hour).Format(time.RFC3339)
		w.put(shardName(0), "new", 3)
		w.mustRun(time.Second)
		if diff := cmp.Diff(seq("new", 3), w.seen()); diff != "" {
			t.Errorf("emitted (-want +got):\n%s", diff)
		}
	})
}

func TestNothingIsDeliveredBeforeTheFirstPositionIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.put(shardName(0), "r", 2)
		w.store.fail = errRefused
		w.at(10*time.Second, func() {
			if got := w.seen(); len(got) > 0 {
				t.Errorf("got %v while the store fails, want nothing", got)
			}
			w.store.mu.Lock()
			defer w.store.mu.Unlock()
			w.store.fail = nil
		})
		w.mustRun(20 * time.Second)
		if diff := cmp.Diff(seq("r", 2), w.seen()); diff != "" {
			t.Errorf("emitted (-want +got):\n%s", diff)
		}
		want := []string{"the positions of shards cannot be stored; new shards wait", "the positions of shards are stored again", "new shards were found"}
		if diff := cmp.Diff(want, w.lines()); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
	})
}

// Scenario: Kinesis T13.
//
// The stream is deleted and another is made under its name, while running.
func TestStreamMadeAnewEndsTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.put(shardName(0), "old", 3)
		w.at(10*time.Second, func() { w.service.Delete("logs") })
		w.at(5*time.Minute, func() {
			if got := w.value("shipperd_source_paused", string(notFound)); got != 1 {
				t.Errorf("got paused = %v while the stream is not there, want 1", got)
			}
			w.service.Create("logs", 1).Put(shardName(0), []byte("new"))
		})
		if err := w.run(time.Hour); !errors.Is(err, ErrMadeAnew) {
			t.Errorf("got error %v, want %v", err, ErrMadeAnew)
		}
		if diff := cmp.Diff(seq("old", 3), w.seen()); diff != "" {
			t.Errorf("emitted: nothing of the new stream, whose positions would be stored with the old one's (-want +got):\n%s", diff)
		}
	})
}

// Scenario: Kinesis T13.
//
// The same between two listings, so that the readers notice it first.
func TestStreamMadeAnewIsNoGapOfTheOldOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.put(shardName(0), "old", 3)
		w.at(10*time.Second, func() {
			w.service.Delete("logs")
			w.service.Create("logs", 1).Put(shardName(0), []byte("new"))
		})
		if err := w.run(time.Minute - time.Second); !errors.Is(err, ErrMadeAnew) {
			t.Errorf("got error %v, want %v", err, ErrMadeAnew)
		}
		if diff := cmp.Diff(seq("old", 3), w.seen()); diff != "" {
			t.Errorf("emitted (-want +got):\n%s", diff)
		}
	})
}

// Scenario: Kinesis T13.
func TestStartOverBeginsAtTheOldestRecordAndCountsTheGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.config.Start = startLatest
		w.put(shardName(0), "r", 2)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := w.open(ctx); err != nil {
			t.Fatal(err)
		}
		w.source.StartOver(time.Now().Add(-time.Minute), time.Now())
		if err := w.source.Run(ctx, w.emit); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(seq("r", 2), w.seen()); diff != "" {
			t.Errorf("emitted (-want +got):\n%s", diff)
		}
		if gaps, seconds := w.value("shipperd_kinesis_gaps_total"), w.value("shipperd_kinesis_gap_seconds_total"); gaps != 1 || seconds != 60 {
			t.Errorf("got %v gaps of %v s, want 1 of 60 s", gaps, seconds)
		}
	})
}

func TestEndOfTheContextEndsTheRunAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3)
		w.hook(opRecords, func(ctx context.Context, _ kinesisfake.Call, _ func() (any, error)) (any, error) {
			<-ctx.Done() // a call that hangs
			return nil, ctx.Err()
		})
		start := time.Now()
		w.mustRun(5 * time.Second)
		if got := time.Since(start); got != 5*time.Second {
			t.Errorf("got an end after %s, want 5s", got)
		}
		if got := w.budget.inUse(); got != 0 {
			t.Errorf("got %d bytes still reserved, want 0", got)
		}
		if lines := w.logs.FilterMessage("kinesis calls fail").Len(); lines != 0 {
			t.Errorf("got %d lines about failures, want none for calls that we gave up", lines)
		}
	})
}

func TestErrorOfThePipelineEndsTheRunAndGivesTheBudgetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		w.put(shardName(0), "r", 10)
		w.onRecord = func(r *record.Record) {
			if string(r.Data) == "r4" {
				w.refuse = errRefused
			}
		}
		if err := w.run(time.Minute); !errors.Is(err, errRefused) {
			t.Errorf("got error %v, want %v", err, errRefused)
		}
		if got := w.budget.inUse(); got != 0 {
			t.Errorf("got %d bytes still reserved, want 0", got)
		}
	})
}

func TestSeriesOfAShardEndWithTheShard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		series := func() (names []string) {
			families, err := w.reg.Gather()
			if err != nil {
				t.Fatal(err)
			}
			for _, family := range families {
				if family.GetName() != "shipperd_kinesis_shard_lag_seconds" {
					continue
				}
				for _, m := range family.GetMetric() {
					names = append(names, m.GetLabel()[0].GetValue())
				}
			}
			return names
		}
		w.at(5*time.Second, func() {
			if diff := cmp.Diff([]string{shardName(0)}, series()); diff != "" {
				t.Errorf("series before the split (-want +got):\n%s", diff)
			}
			w.stream.Split(shardName(0))
		})
		w.at(20*time.Second, func() {
			if diff := cmp.Diff([]string{shardName(1), shardName(2)}, series()); diff != "" {
				t.Errorf("series after the split (-want +got):\n%s", diff)
			}
		})
		w.mustRun(30 * time.Second)
	})
}

// The alerts on lag must fire also while there is no reply to say it: in an outage of
// the service, and in one of the index, when no memory is left to read into.
func TestLagGrowsWhileThereIsNoReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		began := time.Now()
		w.hook(opRecords, func(_ context.Context, call kinesisfake.Call, next func() (any, error)) (any, error) {
			if since := time.Since(began); call.Shard == shardName(0) && since > time.Minute && since < 2*time.Hour {
				return nil, kinesisfake.ErrReset
			}
			return next()
		})
		lag := func(shard int) float64 { return w.value("shipperd_kinesis_shard_lag_seconds", shardName(shard)) }
		w.at(time.Hour, func() {
			if failing, other := lag(0), lag(1); failing < 58*60 || failing > 3600 || other != 0 {
				t.Errorf("got lags of %v s and %v s, want an hour since the last reply, and none", failing, other)
			}
		})
		w.at(3*time.Hour, func() {
			if got := lag(0); got != 0 {
				t.Errorf("got a lag of %v s after the outage, want none", got)
			}
		})
		w.mustRun(4 * time.Hour)
	})
}

// Missing permissions, an unusable key, a missing stream: only a person can heal them.
func TestPauseSaysWhatIsMissingOnceAndHeals(t *testing.T) {
	tests := []struct {
		name   string
		op     string
		err    error
		reason reason
		advice string
	}{
		{"get records", opRecords, &types.AccessDeniedException{Message: aws.String("no")}, denied, "kinesis:GetRecords"},
		{"list shards", opList, &types.AccessDeniedException{Message: aws.String("no")}, denied, "kinesis:ListShards"},
		{"describe", opDescribe, &types.AccessDeniedException{Message: aws.String("no")}, denied, "kinesis:DescribeStreamSummary"},
		{"key", opRecords, &types.KMSDisabledException{Message: aws.String("no")}, key, "kms:Decrypt"},
		{"stream", opDescribe, &types.ResourceNotFoundException{Message: aws.String("no")}, notFound, "kinesis.stream"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 3)
				w.config.Limits.Idle = 10 * time.Second
				w.put(shardName(0), "r", 2)
				start, calls := time.Now(), 0
				w.hook(test.op, func(_ context.Context, _ kinesisfake.Call, next func() (any, error)) (any, error) {
					if time.Since(start) < time.Hour {
						calls++
						return nil, test.err
					}
					return next()
				})
				w.at(30*time.Minute, func() {
					if got := w.value("shipperd_source_paused", string(test.reason)); got != 1 {
						t.Errorf("got paused = %v, want 1", got)
					}
				})
				w.mustRun(2 * time.Hour)
				if diff := cmp.Diff(seq("r", 2), w.seen()); diff != "" {
					t.Errorf("emitted (-want +got):\n%s", diff)
				}
				if got := w.value("shipperd_source_paused"); got != 0 {
					t.Errorf("got paused = %v after an hour, want 0", got)
				}
				if limit := 3 * 60 * 4; calls > limit {
					t.Errorf("got %d calls in the hour that fails, want %d or fewer", calls, limit)
				}
				fails := w.logs.FilterMessage("kinesis calls fail").All()
				heals := w.logs.FilterMessage("kinesis calls succeed again").All()
				if len(fails) != 1 || len(heals) != 1 {
					t.Fatalf("got %d lines about the failure and %d about the recovery, want 1 of each", len(fails), len(heals))
				}
				if got := fails[0].ContextMap()["advice"].(string); !strings.Contains(got, test.advice) {
					t.Errorf("got advice %q, want one that names %q", got, test.advice)
				}
				if got := heals[0].ContextMap()["failures"].(int64); got != int64(calls) {
					t.Errorf("got %d failures in the line about the recovery, want %d", got, calls)
				}
			})
		})
	}
}

func TestOpenRefusesANameThatTheServiceDoesNotAccept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.hook(opDescribe, func(context.Context, kinesisfake.Call, func() (any, error)) (any, error) {
			return nil, &types.InvalidArgumentException{Message: aws.String("no such thing")}
		})
		err := w.run(time.Hour)
		if err == nil || !strings.HasPrefix(err.Error(), `kinesis.stream: "logs"`) {
			t.Errorf("got error %v, want one that names kinesis.stream", err)
		}
	})
}

// A listing that fails for long must not stop the shards that are read, nor their children.
func TestChildrenStartFromTheLastReplyWhileListingFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.hook(opList, func(_ context.Context, call kinesisfake.Call, next func() (any, error)) (any, error) {
			if call.Number > 1 {
				return nil, &types.LimitExceededException{}
			}
			return next()
		})
		w.at(2*time.Second, func() {
			left, _ := w.stream.Split(shardName(0))
			w.put(left, "child", 3)
		})
		w.mustRun(10 * time.Second)
		if diff := cmp.Diff(seq("child", 3), of("child", w.seen())); diff != "" {
			t.Errorf("records of the child (-want +got):\n%s", diff)
		}
	})
}

// What the service answers from may be older than the last reply of the parent.
func TestChildThatTheServiceDoesNotKnowYetHasNotExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		began := time.Now()
		stale := func() bool { return time.Since(began) < 7*time.Second }
		w.hook(opIterator, func(_ context.Context, call kinesisfake.Call, next func() (any, error)) (any, error) {
			if stale() && call.Shard != shardName(0) {
				return nil, &types.ResourceNotFoundException{}
			}
			return next()
		})
		w.hook(opList, func(_ context.Context, _ kinesisfake.Call, next func() (any, error)) (any, error) {
			out, err := next()
			if stale() {
				list := out.(*sdk.ListShardsOutput)
				list.Shards = list.Shards[:1]
			}
			return out, err
		})
		w.at(2*time.Second, func() {
			left, _ := w.stream.Split(shardName(0))
			w.put(left, "child", 3)
		})
		w.mustRun(3 * time.Minute)
		if diff := cmp.Diff(seq("child", 3), of("child", w.seen())); diff != "" {
			t.Errorf("records of the child (-want +got):\n%s", diff)
		}
		if got := w.value("shipperd_kinesis_gaps_total"); got != 0 {
			t.Errorf("got %v gaps, want none", got)
		}
	})
}

// A child that no answer has had may be gone for good when an outage ends.
func TestChildThatExpiredBeforeTheServiceWasHeardAgainHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		var outage atomic.Bool
		for _, op := range []string{opIterator, opRecords, opList, opDescribe} {
			w.hook(op, func(_ context.Context, _ kinesisfake.Call, next func() (any, error)) (any, error) {
				if outage.Load() {
					return nil, kinesisfake.ErrReset
				}
				out, err := next()
				if records, ok := out.(*sdk.GetRecordsOutput); ok && len(records.ChildShards) > 0 {
					outage.Store(true)
				}
				return out, err
			})
		}
		w.at(2*time.Second, func() {
			left, _ := w.stream.Split(shardName(0))
			w.at(time.Hour, func() {
				left, _ := w.stream.Split(left)
				w.at(59*time.Hour, func() { w.put(left, "grandchild", 3) })
			})
		})
		w.at(60*time.Hour, func() { outage.Store(false) })
		w.mustRun(61 * time.Hour)
		if diff := cmp.Diff(seq("grandchild", 3), of("grandchild", w.seen())); diff != "" {
			t.Errorf("records of the grandchild (-want +got):\n%s", diff)
		}
	})
}

// A shard that was made and has ended while listing failed is in the next listing.
//
// Scenario: Kinesis T4.
func TestShardThatEndsBeforeItIsListedIsReadOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.hook(opList, func(_ context.Context, call kinesisfake.Call, next func() (any, error)) (any, error) {
			if call.Number > 1 && call.Number < 5 {
				return nil, &types.InternalFailureException{}
			}
			return next()
		})
		w.at(time.Second, func() {
			left, right := w.stream.Split(shardName(0))
			w.put(left, "left", 3)
			child := w.stream.Merge(left, right)
			w.put(child, "child", 3)
		})
		w.mustRun(10 * time.Minute)
		if diff := cmp.Diff(slices.Concat(seq("left", 3), seq("child", 3)), slices.Concat(of("left", w.seen()), of("child", w.seen()))); diff != "" {
			t.Errorf("emitted: each record once (-want +got):\n%s", diff)
		}
		want := map[string]checkpoint.Kind{"0": checkpoint.ShardEnd, "1": checkpoint.ShardEnd, "2": checkpoint.ShardEnd, "3": checkpoint.AfterSequence}
		if diff := cmp.Diff(want, w.store.kinds()); diff != "" {
			t.Errorf("rows (-want +got):\n%s", diff)
		}
	})
}

// pass lets d of fake time pass and returns the time after it.
func pass(t *testing.T, d time.Duration) time.Time {
	t.Helper()
	<-time.After(d)
	return time.Now()
}

// With more shards than memory has room for in five minutes, each finds its iterator
// expired when it is its turn.
func TestShardsThatWaitLongForMemoryAreAllRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 8)
		large := make([]byte, 60<<10) // 17 are a reply, and take more than two minutes
		for shard := range 8 {
			for range 200 {
				w.stream.Put(shardName(shard), large)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
		defer cancel()
		if err := w.open(ctx); err != nil {
			t.Fatal(err)
		}
		memory := pipeline.NewBudget(1 << 20) // for one reply
		var mu sync.Mutex
		read := make(map[string]int)
		err := NewSource(w.source.Stream, w.store, memory, new(record.Pool)).Run(ctx, func(r *record.Record) error {
			<-time.After(8 * time.Second)
			mu.Lock()
			defer mu.Unlock()
			read[short(r.Shard)]++
			memory.Release(r.Charged)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for shard := range 8 {
			if n := read[strconv.Itoa(shard)]; n < 80 {
				t.Errorf("got %d records of shard %d, want a fair part of %v", n, shard, read)
			}
		}
	})
}
