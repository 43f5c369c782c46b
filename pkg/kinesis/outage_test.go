package kinesis

import (
	"context"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/shipperd/shipperd/pkg/kinesis/kinesisfake"
	"github.com/shipperd/shipperd/pkg/record"
)

func TestBackoffDoublesUpToItsCeilingWithFullJitter(t *testing.T) {
	s := &Stream{outages: newOutages(zap.NewNop(), newMetrics(prometheus.NewRegistry(), "logs"))}
	const callers = 2000
	retriers := make([]*retrier, callers)
	for i := range retriers {
		retriers[i] = s.newRetrier(shardName(i))
	}
	ceiling := firstBackoff
	for failure := 1; failure <= 12; failure++ {
		var sum, most time.Duration
		for _, r := range retriers {
			wait := r.failed(&callError{op: opRecords, reason: server})
			sum, most = sum+wait, max(most, wait)
		}
		if mean := sum / callers; most > ceiling || mean < ceiling*45/100 || mean > ceiling*55/100 {
			t.Errorf("failure %d: got waits of %s on average and %s at most, want half of %s and no more than it", failure, mean, most, ceiling)
		}
		ceiling = min(2*ceiling, maxBackoff)
	}
}

func TestPauseIsSpreadOverItsSecondHalf(t *testing.T) {
	s := &Stream{outages: newOutages(zap.NewNop(), newMetrics(prometheus.NewRegistry(), "logs"))}
	for i := range 100 {
		wait := s.newRetrier(shardName(i)).failed(&callError{op: opRecords, reason: denied})
		if wait < pause/2 || wait > pause {
			t.Errorf("got a pause of %s, want %s to %s", wait, pause/2, pause)
		}
	}
}

// A service that fails now and then would otherwise write two lines for each failure.
func TestBlipsAreLoggedOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3)
		w.hook(opRecords, func(_ context.Context, call kinesisfake.Call, next func() (any, error)) (any, error) {
			if call.Number%3 == 0 {
				return nil, &types.InternalFailureException{}
			}
			return next()
		})
		w.mustRun(time.Hour)
		if failures := w.value("shipperd_kinesis_requests_total", string(server)); failures < 1000 {
			t.Fatalf("got %v failures, want 1000 or more: the test tests nothing", failures)
		}
		if lines := w.logs.FilterMessageSnippet("kinesis calls").Len(); lines > 120 || lines < 100 {
			t.Errorf("got %d lines in an hour, want about two a minute", lines)
		}
	})
}

// A reply without an end, of a shard that must be looked up, while listing is
// refused: the successful half of each round is no recovery.
func TestHalfARoundIsNoRecovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.stream.Split(shardName(0))
		w.answer(func(_ kinesisfake.Call, out *sdk.GetRecordsOutput) { out.ChildShards = nil })
		w.hook(opList, func(_ context.Context, call kinesisfake.Call, next func() (any, error)) (any, error) {
			if call.Number > 1 {
				return nil, &types.AccessDeniedException{Message: aws.String("no")}
			}
			return next()
		})
		w.mustRun(time.Hour)
		if fail, heal := w.logs.FilterMessage("kinesis calls fail").Len(), w.logs.FilterMessage("kinesis calls succeed again").Len(); fail != 1 || heal != 0 {
			t.Errorf("got %d lines about failures and %d about recoveries, want 1 and 0", fail, heal)
		}
	})
}

// The budget counts a record until it has settled, not until the last of its reply has.
func TestDeliveredRecordsAreNotKeptByTheirReply(t *testing.T) {
	var first weak.Pointer[byte]
	records := new(record.Pool)
	r := &reader{run: &run{Source: &Source{budget: &budget{}, records: records}, emit: func(out *record.Record) error {
		if out.Sequence == "1" {
			first = weak.Make(&out.Data[0])
		} else {
			runtime.GC()
			if first.Value() != nil {
				t.Error("got the first record's data still in memory, want it collected")
			}
		}
		records.Release(out)
		return nil
	}}}
	if err := r.deliver([]types.Record{
		{SequenceNumber: aws.String("1"), Data: make([]byte, 1<<10)},
		{SequenceNumber: aws.String("2"), Data: make([]byte, 1<<10)},
	}); err != nil {
		t.Fatal(err)
	}
}

func TestRequestBodiesCanOnlyBeReadAndClosed(t *testing.T) {
	seen := false
	c := httpClient{doFunc(func(r *http.Request) (*http.Response, error) {
		_, writes := r.Body.(io.WriterTo)
		seen = !writes
		return &http.Response{Body: http.NoBody}, nil
	})}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://127.0.0.1", strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	reply, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	if !seen {
		t.Error("got a body with WriteTo, want one without")
	}
}

type doFunc func(*http.Request) (*http.Response, error)

func (f doFunc) Do(r *http.Request) (*http.Response, error) { return f(r) }
