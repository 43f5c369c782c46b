package pipeline

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/shipperd/shipperd/pkg/record"
)

// totals returns the sum of each metric's series; of a histogram it counts the observations.
func totals(t *testing.T, reg prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sums := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			sums[strings.TrimPrefix(f.GetName(), "shipperd_")] += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return sums
}

func TestRecordIsMeasuredWhileItWaitsAndOnceItHasSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig()
		g.source = func(ctx context.Context, emit func(*record.Record) error) error {
			r := words("s", 0, "one drop")
			r.Control = 2
			if err := emit(r); err != nil {
				return err
			}
			<-ctx.Done()
			return nil
		}
		begin := time.Now()
		g.sink = func(context.Context, []*record.Record) error {
			<-time.After(10*time.Second - time.Since(begin))
			got := totals(t, g.registry)
			if got["in_flight_bytes"] <= 0 || got["kinesis_oldest_unacked_age_seconds"] != 10 || got["control_messages_total"] != 0 {
				t.Errorf("got %v after 10s in the sink, want bytes in flight, an age of 10s and nothing settled", got)
			}
			return nil
		}
		if err := runFor(t, g.pipeline(), time.Minute); err != nil {
			t.Fatal(err)
		}
		got := totals(t, g.registry)
		for name, want := range map[string]float64{
			"in_flight_bytes": 0, "kinesis_oldest_unacked_age_seconds": 0, "control_messages_total": 2, "events_filtered_total": 1,
			"event_latency_seconds": 1, "delivery_latency_seconds": 1, "group_last_event_timestamp_seconds": float64(begin.Unix()),
		} {
			if value, found := got[name]; !found || value != want {
				t.Errorf("got %s %v, want %v", name, value, want)
			}
		}
	})
}

func TestOutageOfTheStoreIsCountedAndLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.InfoLevel)
		g := newRig()
		g.deps.Log = zap.New(core)
		g.source = func(_ context.Context, emit func(*record.Record) error) error {
			err := emit(words("s", 0, "x"))
			<-time.After(30 * time.Second) // the store works again by then
			return errors.Join(err, emit(words("s", 1, "x")))
		}
		g.store.fail = errors.New("disk full")
		time.AfterFunc(10*time.Second, func() {
			g.store.mu.Lock()
			defer g.store.mu.Unlock()
			g.store.fail = nil
		})
		if err := runFor(t, g.pipeline(), time.Minute); err != nil {
			t.Fatal(err)
		}
		if got, want := totals(t, g.registry)["checkpoint_errors_total"], float64(len(g.store.saves)-2); got != want || got < 2 {
			t.Errorf("got %v failures counted, want %v", got, want)
		}
		failed := logs.FilterMessageSnippet("checkpoint cannot be stored").Len()
		if recovered := logs.FilterMessageSnippet("checkpoint is stored again").Len(); failed != 1 || recovered != 1 {
			t.Errorf("got %d lines of the failure and %d of the recovery, want one each", failed, recovered)
		}
	})
}

func TestConfigNamesItsMistakes(t *testing.T) {
	if err := DefaultConfig().Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	var got []string
	for line := range strings.Lines(Config{}.Validate().Error()) {
		key, _, _ := strings.Cut(line, ":")
		got = append(got, key)
	}
	want := []string{"pipeline.memory", "pipeline.drain_timeout", "pipeline.batch.max_bytes", "pipeline.batch.max_documents", "pipeline.batch.max_age"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
}
