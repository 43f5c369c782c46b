package kinesis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/shipperd/shipperd/pkg/checkpoint"
	"github.com/shipperd/shipperd/pkg/kinesis/kinesisfake"
	"github.com/shipperd/shipperd/pkg/record"
)

// Scenario: Kinesis T6.
//
// The last reply of a closed shard has records and no next iterator.
func TestRecordsOfTheLastReplyAreDelivered(t *testing.T) {
	for _, children := range []bool{true, false} { // kinesalite names no children: the listing says that the shard is closed
		t.Run(fmt.Sprintf("children %t", children), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 1)
				w.put(shardName(0), "r", 3)
				left, _ := w.stream.Split(shardName(0))
				w.put(left, "child", 1)
				last := 0
				w.answer(func(call kinesisfake.Call, out *sdk.GetRecordsOutput) {
					if call.Shard == shardName(0) && out.NextShardIterator == nil && len(out.Records) == 3 {
						last++
					}
					if !children {
						out.ChildShards = nil
					}
				})
				w.mustRun(10 * time.Second)
				if last != 1 {
					t.Fatalf("got %d last replies with all records, want 1: the test tests nothing", last)
				}
				if diff := cmp.Diff([]string{"r0", "r1", "r2", "end of 0", "child0"}, w.seen()); diff != "" {
					t.Errorf("emitted (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// Scenario: Kinesis T7.
//
// A reply without next iterator and children of a shard that is open.
func TestReplyWithoutNextIteratorIsNoEndOfAnOpenShard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.put(shardName(0), "r", 3)
		w.answer(func(call kinesisfake.Call, out *sdk.GetRecordsOutput) {
			if call.Number <= 2 {
				out.NextShardIterator = nil
			}
		})
		w.at(5*time.Second, func() { w.put(shardName(0), "later", 2) })
		w.mustRun(10 * time.Second)
		if diff := cmp.Diff([]string{"r0", "r1", "r2", "later0", "later1"}, w.seen()); diff != "" {
			t.Errorf("emitted (-want +got):\n%s", diff)
		}
		if got := w.store.get(shardName(0)).Kind; got == checkpoint.ShardEnd {
			t.Errorf("got %s stored for an open shard, want a sequence number", got)
		}
	})
}

// Scenario: Kinesis T7.
//
// Of a closed shard, what lies behind such a reply must not be taken for read.
func TestReplyWithoutNextIteratorIsNoEndBeforeTheLastRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.put(shardName(0), "r", 20) // more than one reply
		left, _ := w.stream.Split(shardName(0))
		w.put(left, "child", 1)
		w.answer(func(call kinesisfake.Call, out *sdk.GetRecordsOutput) {
			if call.Shard == shardName(0) && call.Number == 1 {
				out.NextShardIterator, out.ChildShards = nil, nil
			}
		})
		w.mustRun(10 * time.Second)
		if diff := cmp.Diff(append(seq("r", 20), "end of 0", "child0"), w.seen()); diff != "" {
			t.Errorf("emitted (-want +got):\n%s", diff)
		}
	})
}

// The listing that has the shard closed may be younger than the reply.
func TestRecordsBetweenAReplyAndTheCloseAreRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.put(shardName(0), "r", 3)
		w.answer(func(call kinesisfake.Call, out *sdk.GetRecordsOutput) {
			if call.Shard == shardName(0) && call.Number == 1 {
				out.NextShardIterator = nil
				w.put(shardName(0), "late", 2)
				w.stream.Split(shardName(0))
			}
			out.ChildShards = nil // as kinesalite
		})
		w.mustRun(10 * time.Second)
		if diff := cmp.Diff([]string{"r0", "r1", "r2", "late0", "late1", "end of 0"}, w.seen()[:min(6, len(w.seen()))]); diff != "" {
			t.Errorf("emitted (-want +got):\n%s", diff)
		}
	})
}

// Scenario: Kinesis T13.
//
// Iterators live for five minutes; here the budget is used up, or calls are throttled, for longer.
func TestExpiredIteratorGoesOnAfterTheLastRecordRead(t *testing.T) {
	for _, throttling := range []bool{false, true} { // else there is no memory, and the iterator is renewed first
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 1)
			w.held = true // nothing is settled
			if !throttling {
				w.budget.total = 1<<20 + 100
			}
			w.hook(opRecords, func(_ context.Context, call kinesisfake.Call, next func() (any, error)) (any, error) {
				if throttling && call.Number > 1 && call.Number < 100 {
					return nil, &types.ProvisionedThroughputExceededException{}
				}
				return next()
			})
			w.put(shardName(0), "r", 20) // more than one reply
			w.at(time.Hour, w.settle)
			w.mustRun(2 * time.Hour)
			if diff := cmp.Diff(seq("r", 20), w.seen()); diff != "" {
				t.Errorf("emitted: each record once (-want +got):\n%s", diff)
			}
			renewed, refused := w.value("shipperd_kinesis_requests_total", opIterator, string(succeeded)), w.value("shipperd_kinesis_requests_total", opRecords, string(expired))
			if renewed != 2 || throttling != (refused == 1) {
				t.Errorf("throttling %v: got %v iterators and %v that had expired, want 2 and the first of them after throttling", throttling, renewed, refused)
			}
			if got := w.value("shipperd_kinesis_gaps_total"); got != 0 {
				t.Errorf("got %v gaps, want 0", got)
			}
		})
	}
}

// Scenario: Kinesis T13.
//
// The record to go on after has been trimmed.
func TestTrimmedCheckpointGoesOnAtTheOldestRecordAndNamesTheGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		settled := time.Now()
		w.put(shardName(0), "settled", 2)
		w.mustRun(2 * time.Second)
		w.put(shardName(0), "lost", 2)
		oldest := pass(t, 30*time.Hour)
		w.put(shardName(0), "kept", 2)
		pass(t, time.Hour)

		w.got = nil
		w.mustRun(10 * time.Second)
		if diff := cmp.Diff(seq("kept", 2), w.seen()); diff != "" {
			t.Errorf("emitted after the gap (-want +got):\n%s", diff)
		}
		if gaps, seconds := w.value("shipperd_kinesis_gaps_total"), w.value("shipperd_kinesis_gap_seconds_total"); gaps != 1 || seconds != oldest.Sub(settled).Seconds() {
			t.Errorf("got %v gaps of %v s, want 1 of %v s", gaps, seconds, oldest.Sub(settled).Seconds())
		}
		lines := w.logs.FilterMessageSnippet("records may be lost").All()
		if len(lines) != 1 {
			t.Fatalf("got %d lines about the gap, want 1", len(lines))
		}
		fields := lines[0].ContextMap()
		if from, to := fields["from"].(time.Time), fields["to"].(time.Time); !from.Equal(settled) || !to.Equal(oldest) {
			t.Errorf("got a gap from %s to %s, want %s to %s", from, to, settled, oldest)
		}
	})
}

// GetRecords skips what has been trimmed since its iterator was made, and an iterator
// after a trimmed record may be one from the oldest that is left.
func TestRecordsThatAreTrimmedBeforeTheyAreReadAreAGap(t *testing.T) {
	for _, closed := range []bool{false, true} {
		testTrimmedUnread(t, closed)
	}
}

func testTrimmedUnread(t *testing.T, closed bool) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		began := time.Now()
		w.hook(opIterator, func(_ context.Context, call kinesisfake.Call, next func() (any, error)) (any, error) {
			if in := call.In.(*sdk.GetShardIteratorInput); time.Since(began) > time.Hour {
				in.ShardIteratorType, in.StartingSequenceNumber = types.ShardIteratorTypeTrimHorizon, nil
			}
			return next()
		})
		w.hook(opRecords, func(_ context.Context, _ kinesisfake.Call, next func() (any, error)) (any, error) {
			if since := time.Since(began); since > 10*time.Second && since < 30*time.Hour {
				return nil, &types.ProvisionedThroughputExceededException{}
			}
			return next()
		})
		w.put(shardName(0), "read", 2)
		w.at(time.Minute, func() { w.put(shardName(0), "lost", 2) })
		var kept []string
		if !closed {
			kept = seq("kept", 2)
			w.at(20*time.Hour, func() { w.put(shardName(0), "kept", 2) })
		} else {
			w.at(10*time.Hour, func() { w.stream.Split(shardName(0)) })
			kept = []string{"end of 0"}
		}
		w.mustRun(31 * time.Hour)
		if diff := cmp.Diff(slices.Concat(seq("read", 2), kept), w.seen()); diff != "" {
			t.Errorf("closed %v: emitted (-want +got):\n%s", closed, diff)
		}
		gaps, hours := w.value("shipperd_kinesis_gaps_total"), w.value("shipperd_kinesis_gap_seconds_total")/3600
		if gaps != 1 || !closed && (hours < 19.9 || hours > 20) {
			t.Errorf("closed %v: got %v gaps of %v h, want 1, of 20 h since the last reply", closed, gaps, hours)
		}
	})
}

// A child waits until all of its parent has settled, which an index can hold up for
// longer than the stream keeps the child's first records.
func TestChildThatIsTrimmedBeforeItsFirstReadIsAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.put(shardName(0), "parent", 2)
		w.held = true
		w.at(time.Minute, func() {
			left, _ := w.stream.Split(shardName(0))
			w.put(left, "lost", 2)
			w.at(20*time.Hour, func() { w.put(left, "kept", 2) })
		})
		w.at(30*time.Hour, w.settle)
		w.mustRun(31 * time.Hour)
		if diff := cmp.Diff(slices.Concat(seq("parent", 2), []string{"end of 0"}, seq("kept", 2)), w.seen()); diff != "" {
			t.Errorf("emitted (-want +got):\n%s", diff)
		}
		if got, hours := w.value("shipperd_kinesis_gaps_total"), w.value("shipperd_kinesis_gap_seconds_total")/3600; got != 1 || hours < 19.9 || hours > 20.1 {
			t.Errorf("got %v gaps of %v h, want 1 of 20 h", got, hours)
		}
	})
}

// A shard without records is as well read as any other.
func TestIdleShardsHaveNoGap(t *testing.T) {
	tests := map[string]func(w *world){
		"split": func(w *world) {
			w.at(72*time.Hour, func() {
				left, _ := w.stream.Split(shardName(0))
				w.put(left, "new", 2)
			})
		},
		"a service that says no lag": func(w *world) {
			w.answer(func(_ kinesisfake.Call, out *sdk.GetRecordsOutput) { out.MillisBehindLatest = nil })
			w.at(72*time.Hour, func() { w.put(shardName(0), "new", 2) })
		},
		"restart": func(w *world) {
			w.mustRun(72 * time.Hour)
			w.hook(opIterator, func(_ context.Context, call kinesisfake.Call, next func() (any, error)) (any, error) {
				in := call.In.(*sdk.GetShardIteratorInput)
				in.ShardIteratorType, in.StartingSequenceNumber = types.ShardIteratorTypeTrimHorizon, nil // lenient
				return next()
			})
			w.at(time.Hour, func() { w.put(shardName(0), "new", 2) })
		},
	}
	for name, do := range tests {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 1)
			w.config.Limits.Idle = time.Minute
			w.put(shardName(0), "old", 2)
			do(w)
			w.mustRun(74 * time.Hour)
			if diff := cmp.Diff(seq("new", 2), of("new", w.seen())); diff != "" {
				t.Errorf("%s: new records (-want +got):\n%s", name, diff)
			}
			if got := w.value("shipperd_kinesis_gaps_total"); got != 0 {
				t.Errorf("%s: got %v gaps, want none", name, got)
			}
		})
	}
}

// What came and went while no reply came leaves nothing that could be read.
func TestShardThatIsEmptyAfterAnOutageLongerThanRetentionHasAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		began := time.Now()
		w.hook(opRecords, func(_ context.Context, _ kinesisfake.Call, next func() (any, error)) (any, error) {
			if since := time.Since(began); since > 10*time.Second && since < 30*time.Hour {
				return nil, kinesisfake.ErrReset
			}
			return next()
		})
		w.hook(opIterator, func(_ context.Context, call kinesisfake.Call, next func() (any, error)) (any, error) {
			if in := call.In.(*sdk.GetShardIteratorInput); time.Since(began) > time.Hour {
				in.ShardIteratorType, in.StartingSequenceNumber = types.ShardIteratorTypeTrimHorizon, nil // lenient
			}
			return next()
		})
		w.put(shardName(0), "read", 2)
		w.at(time.Minute, func() { w.put(shardName(0), "lost", 2) })
		w.mustRun(40 * time.Hour)
		if got := w.value("shipperd_kinesis_gaps_total"); got != 1 {
			t.Errorf("got %v gaps, want 1", got)
		}
	})
}

// What a shard that is caught up may have lost begins with the last reply, however
// old its last record is.
func TestGapOfAnIdleShardBeginsWithItsLastReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		began := time.Now()
		w.config.Limits.Idle = time.Minute
		w.hook(opRecords, func(_ context.Context, _ kinesisfake.Call, next func() (any, error)) (any, error) {
			if since := time.Since(began); since > 30*time.Hour && since < 31*time.Hour {
				return nil, &types.ProvisionedThroughputExceededException{}
			}
			return next()
		})
		w.put(shardName(0), "old", 2)
		w.at(32*time.Hour, func() { w.put(shardName(0), "new", 2) })
		w.mustRun(33 * time.Hour)
		if hours := w.value("shipperd_kinesis_gap_seconds_total") / 3600; hours > 2.1 {
			t.Errorf("got a gap of %v h, want two hours at most", hours)
		}
	})
}

// kinesis-mock answers so to a sequence number that it does not know.
func TestPositionThatIsNotFoundInAListedShardIsTrimmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.put(shardName(0), "r", 2)
		w.store.rows[shardName(0)] = checkpoint.Position{Kind: checkpoint.AfterSequence, Sequence: "1"}
		w.hook(opIterator, func(_ context.Context, call kinesisfake.Call, next func() (any, error)) (any, error) {
			if call.In.(*sdk.GetShardIteratorInput).ShardIteratorType == types.ShardIteratorTypeAfterSequenceNumber {
				return nil, &types.ResourceNotFoundException{}
			}
			return next()
		})
		w.mustRun(time.Second)
		if diff := cmp.Diff(seq("r", 2), w.seen()); diff != "" {
			t.Errorf("emitted (-want +got):\n%s", diff)
		}
	})
}

// Scenario: Kinesis T16.
//
// A neighbour takes most of the shard's calls, for a minute.
func TestThrottlingIsWaitedOutWithinTheLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.service.Throttle = true
		w.put(shardName(0), "r", 500)
		w.config.Limits.Idle = 0 // as fast as a shard takes it
		calls := w.calls()
		neighbour(t, w, time.Minute)
		w.mustRun(2 * time.Minute)
		if diff := cmp.Diff(seq("r", 500), w.seen()); diff != "" {
			t.Errorf("emitted (-want +got):\n%s", diff)
		}
		if got := most(*calls, time.Second); got > 5 {
			t.Errorf("got %d calls in a second, want 5 or fewer", got)
		}
		if got := w.value("shipperd_kinesis_requests_total", opRecords, string(throttled)); got == 0 {
			t.Error("got no throttled call: the test tests nothing")
		}
		if lines := w.logs.FilterMessage("kinesis calls fail").Len(); lines != 0 {
			t.Errorf("got %d lines about throttling, want none: a metric counts it", lines)
		}
	})
}

// neighbours is the limit in the calls of another reader, which tells them from ours.
const neighbours = 7

// neighbour is another reader of shard 0 that calls ten times a second for d.
func neighbour(t *testing.T, w *world, d time.Duration) {
	out, err := w.service.GetShardIterator(t.Context(), &sdk.GetShardIteratorInput{
		StreamName: aws.String("logs"), ShardId: aws.String(shardName(0)), ShardIteratorType: types.ShardIteratorTypeLatest,
	})
	if err != nil {
		t.Fatal(err)
	}
	for offset := time.Duration(0); offset < d; offset += 100 * time.Millisecond {
		w.at(offset, func() {
			in := &sdk.GetRecordsInput{ShardIterator: out.ShardIterator, Limit: aws.Int32(neighbours)}
			_, _ = w.service.GetRecords(t.Context(), in) // refused or not
		})
	}
}

// Scenario: Kinesis T16.
//
// Replies of 10 MiB, of which one closes the shard for five seconds.
func TestShardIsReadAtTwoMebibytesASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.service.Throttle = true
		for range 60 {
			w.stream.Put(shardName(0), make([]byte, 1<<20))
		}
		start := time.Now()
		var last time.Duration
		w.onRecord = func(*record.Record) { last = time.Since(start) }
		w.mustRun(time.Minute)
		if got := len(w.seen()); got != 60 {
			t.Fatalf("got %d records, want 60", got)
		}
		if last < 25*time.Second || last > 35*time.Second {
			t.Errorf("got 60 MiB in %s, want about 30s", last)
		}
		if got := w.value("shipperd_kinesis_requests_total", opRecords, string(throttled)); got != 0 {
			t.Errorf("got %v throttled calls, want none by our own pace", got)
		}
	})
}

// Scenario: Kinesis T18.
//
// A hundred shards without a record. The service counts no more than a call a second.
func TestIdleShardsAreAskedOnceASecondAndNothingIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 100)
		calls := make(map[string]int)
		w.answer(func(call kinesisfake.Call, _ *sdk.GetRecordsOutput) { calls[call.Shard]++ })
		w.mustRun(5 * time.Minute)
		for shard, n := range calls {
			if n > 300 || n < 240 {
				t.Errorf("got %d calls of %s in 300 s, want 240 to 300: one a second, less the jitter", n, shard)
			}
		}
		if w.store.saves != 1 {
			t.Errorf("got %d writes of the store, want 1: the first positions", w.store.saves)
		}
	})
}

func TestBehindIsReadFastAlsoThroughEmptyReplies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.answer(func(_ kinesisfake.Call, out *sdk.GetRecordsOutput) {
			out.MillisBehindLatest = aws.Int64(60_000)
		})
		calls := w.calls()
		w.mustRun(10*time.Second - time.Millisecond)
		if got := len(*calls); got != 40 {
			t.Errorf("got %d calls in 10 s, want 40: four a second while behind", got)
		}
	})
}

// Scenario: Kinesis T14.
//
// What is in flight uses the budget up, so nothing is read.
func TestReadingStopsAtTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 4)
		w.budget.total = 8 << 20
		w.held = true
		for i := range 4 {
			for range 20 {
				w.stream.Put(shardName(i), make([]byte, 200<<10))
			}
		}
		calls := w.calls()
		start := time.Now()
		w.at(2*time.Hour, w.settle)
		w.mustRun(3 * time.Hour)
		if got := len(w.seen()); got != 80 {
			t.Errorf("got %d records in the end, want 80", got)
		}
		// A reply may be larger than its reservation, by what one record is larger than the ones before.
		if limit := w.budget.total + 4<<20; w.budget.peak > limit {
			t.Errorf("got %d bytes at the peak, want %d or less", w.budget.peak, limit)
		}
		for _, at := range *calls {
			if after := at.Sub(start); after > time.Minute && after < 2*time.Hour {
				t.Fatalf("got a call after %s, want none while the budget is used up", after)
			}
		}
		if got := w.budget.inUse(); got != 0 {
			t.Errorf("got %d bytes in use in the end, want 0", got)
		}
	})
}

func TestRecordsCarryWhatTheyTakeOfTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.stream.Put(shardName(0), make([]byte, 3<<20)) // more than was reserved
		w.stream.Put(shardName(0), make([]byte, 100))
		w.held = true
		w.at(5*time.Second, func() {
			want := int64(3<<20 + 100 + 2*recordOverhead)
			if got := w.budget.inUse(); got != want {
				t.Errorf("got %d bytes in use, want %d: those of the records and nothing more", got, want)
			}
			w.settle()
		})
		w.mustRun(5*time.Second + 100*time.Millisecond) // ends between two polls
		if got := w.budget.inUse(); got != 0 {
			t.Errorf("got %d bytes in use in the end, want 0", got)
		}
	})
}

// A call that hangs is given up at its deadline; it is the only time at work.
func TestStalledCallIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.put(shardName(0), "r", 2)
		w.hook(opRecords, func(ctx context.Context, call kinesisfake.Call, next func() (any, error)) (any, error) {
			if call.Number == 1 {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return next()
		})
		w.at(29*time.Second, func() {
			if _, age, _ := w.monitor.Stuck(0); age < 28*time.Second {
				t.Errorf("got a task at work for %s, want the call's 29s", age)
			}
		})
		w.at(55*time.Second, func() {
			if name, age, stuck := w.monitor.Stuck(time.Second); stuck {
				t.Errorf("task %q is at work for %s, want it waiting", name, age)
			}
		})
		w.mustRun(time.Minute)
		if diff := cmp.Diff(seq("r", 2), w.seen()); diff != "" {
			t.Errorf("emitted (-want +got):\n%s", diff)
		}
		if got := w.value("shipperd_kinesis_requests_total", opRecords, string(timeout)); got != 1 {
			t.Errorf("got %v timeouts, want 1", got)
		}
	})
}

// Waiting for the pipeline is not being stuck: an outage of the index is no restart loop.
func TestBlockedEmitIsAWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.put(shardName(0), "r", 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := w.open(ctx); err != nil {
			t.Fatal(err)
		}
		w.at(30*time.Minute, func() {
			if name, age, stuck := w.monitor.Stuck(time.Second); stuck {
				t.Errorf("task %q is at work for %s, want it waiting", name, age)
			}
		})
		if err := w.source.Run(ctx, func(*record.Record) error { <-ctx.Done(); return ctx.Err() }); err != nil {
			t.Error(err)
		}
	})
}

// Scenario: Kinesis T16.
//
// Whatever the service does, every record comes once and in order, and nothing ends.
func TestFaultsLoseAndDoubleNothing(t *testing.T) {
	faults := map[string]error{
		"throttled":  &types.ProvisionedThroughputExceededException{},
		"limit":      &types.LimitExceededException{},
		"key":        &types.KMSThrottlingException{},
		"expired":    &types.ExpiredIteratorException{},
		"invalid":    &types.InvalidArgumentException{},
		"server":     &types.InternalFailureException{},
		"503":        &smithy.GenericAPIError{Code: "ServiceUnavailable", Fault: smithy.FaultServer},
		"reset":      kinesisfake.ErrReset,
		"denied":     &types.AccessDeniedException{},
		"not found":  &types.ResourceNotFoundException{},
		"unknown":    errors.New("something else"),
		"cut reply":  &smithy.DeserializationError{Err: errors.New("unexpected end")},
		"throttling": &smithy.GenericAPIError{Code: "ThrottlingException"},
	}
	for name, fault := range faults {
		for _, op := range []string{opRecords, opIterator, opList, opDescribe} {
			if op == opDescribe && name == "invalid" {
				continue // a name that is not accepted ends Open, in a test of its own
			}
			t.Run(name+" "+op, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, 2)
					w.put(shardName(0), "a", 30)
					w.put(shardName(1), "b", 30)
					w.hook(op, func(_ context.Context, call kinesisfake.Call, next func() (any, error)) (any, error) {
						if call.Number%2 == 1 {
							return nil, fault
						}
						return next()
					})
					w.at(time.Minute, func() {
						child := w.stream.Merge(shardName(0), shardName(1))
						w.put(child, "c", 30)
					})
					w.mustRun(10 * time.Minute)
					for _, prefix := range []string{"a", "b", "c"} {
						if diff := cmp.Diff(seq(prefix, 30), of(prefix, w.seen())); diff != "" {
							t.Errorf("records %s (-want +got):\n%s", prefix, diff)
						}
					}
				})
			})
		}
	}
}

// Scenario: Kinesis T21.
//
// A reply is material to judge: fields that may be nil are, and what must be there is not.
func TestRepliesWithHolesAreReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.put(shardName(0), "r", 3)
		w.answer(func(call kinesisfake.Call, out *sdk.GetRecordsOutput) {
			out.MillisBehindLatest = nil
			for i := range out.Records {
				out.Records[i].PartitionKey, out.Records[i].ApproximateArrivalTimestamp = nil, nil
			}
			if call.Number == 1 {
				out.Records = slices.Clone(out.Records)
				out.Records[1].SequenceNumber = nil // no position to go on from
			}
		})
		w.hook(opIterator, func(_ context.Context, call kinesisfake.Call, next func() (any, error)) (any, error) {
			if call.Number == 1 {
				return &sdk.GetShardIteratorOutput{}, nil
			}
			return next()
		})
		w.hook(opDescribe, func(_ context.Context, call kinesisfake.Call, next func() (any, error)) (any, error) {
			if call.Number == 1 {
				return &sdk.DescribeStreamSummaryOutput{}, nil
			}
			return next()
		})
		w.mustRun(10 * time.Second)
		if diff := cmp.Diff(seq("r", 3), w.seen()); diff != "" {
			t.Errorf("emitted (-want +got):\n%s", diff)
		}
		if got := w.value("shipperd_kinesis_requests_total", string(malformed)); got != 3 {
			t.Errorf("got %v malformed replies, want 3", got)
		}
	})
}

// calls notes the time of every GetRecords of the run that follows.
func (w *world) calls() *[]time.Time {
	var all []time.Time
	w.hook(opRecords, func(_ context.Context, call kinesisfake.Call, next func() (any, error)) (any, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if *call.In.(*sdk.GetRecordsInput).Limit != neighbours {
			all = append(all, time.Now())
		}
		return next()
	})
	return &all
}

// most returns the most of times in any window of d.
func most(times []time.Time, d time.Duration) (n int) {
	slices.SortFunc(times, time.Time.Compare)
	first := 0
	for i, at := range times {
		for at.Sub(times[first]) >= d {
			first++
		}
		n = max(n, i-first+1)
	}
	return n
}
