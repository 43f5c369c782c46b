package elastic

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/shipperd/shipperd/pkg/checkpoint"
	"github.com/shipperd/shipperd/pkg/elastic/elasticfake"
	"github.com/shipperd/shipperd/pkg/pipeline"
	"github.com/shipperd/shipperd/pkg/progress"
	"github.com/shipperd/shipperd/pkg/record"
	"github.com/shipperd/shipperd/pkg/setting"
)

// traffic is a source of five records a second, which go to two indices in turn, and
// their decoder.
type traffic struct {
	budget  *pipeline.Budget
	records *record.Pool
}

const trafficBytes = 50 << 10 // a document

func (s *traffic) Run(ctx context.Context, emit func(*record.Record) error) error {
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(200 * time.Millisecond):
		}
		if err := s.budget.Reserve(ctx, trafficBytes); err != nil {
			return err
		}
		r := s.records.New()
		r.Shard, r.Sequence, r.Arrival, r.Charged = "shardId-000000000000", fmt.Sprint(n), time.Now().Add(-time.Hour), trafficBytes
		r.Data = make([]byte, trafficBytes)
		if err := emit(r); err != nil {
			return err
		}
	}
}

func (s *traffic) Decode(r *record.Record) error {
	index := "cwl-blocked-2026.11.23"
	if r.Sequence[len(r.Sequence)-1]%2 == 0 {
		index = "cwl-2026.11.23"
	}
	addEvent(r, index, r.Sequence, `{"@message":"`+strings.Repeat("x", trafficBytes)+`"}`)
	return nil
}

// The blocked index's documents use the memory up long before they are dead letters, and
// then no other index can accept anything either.
func TestBlockedIndexThatUsesMemoryUpDoesNotStopTheOthersForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, &elasticfake.Server{Script: blocking("cwl-blocked-2026.11.23")}, func(c *Config) { c.BlockedAfter = 5 * time.Minute })
		config := pipeline.DefaultConfig()
		config.Memory = 16 * setting.MiB
		source := &traffic{budget: pipeline.NewBudget(int64(config.Memory)), records: &record.Pool{}}
		p := pipeline.New(config, pipeline.Deps{
			Source: source, NewDecoder: func() pipeline.Decoder { return source }, Sink: w.sink, DeadLetters: w.letters,
			Store: &checkpoint.Memory{}, Budget: source.budget, Records: source.records, Progress: &progress.Monitor{},
			Workers: 2, Stream: "logs", Groups: []string{"other"}, Log: zap.NewNop(), Registerer: prometheus.NewRegistry(),
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		var run sync.WaitGroup
		run.Go(func() { _ = p.Run(ctx) })
		<-time.After(6 * time.Minute)
		before := len(w.server.Documents("cwl-2026.11.23"))
		<-time.After(4 * time.Minute)
		if got := len(w.server.Documents("cwl-2026.11.23")) - before; got < 500 {
			t.Errorf("got %d documents of the other index in four minutes after blocked_after, want most of 600", got)
		}
		if len(w.letters.all()) == 0 {
			t.Error("got no dead letters")
		}
		cancel()
		close(w.draining)
		run.Wait()
	})
}

// A request that was under way when all indices were blocked proves nothing, however
// late its reply is: what waits is not given up, and without end.
func TestSlowReplyFromBeforeTheBlockIsNoWitness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const other = "cwl-2026.11.21"
		w := newWorld(t, &elasticfake.Server{Script: func(r *elasticfake.Request) elasticfake.Fault {
			f := elasticfake.Fault{Item: func(_ int, d elasticfake.Document) *elasticfake.ItemError {
				if d.Index != other {
					return rejectAs(403, typeClusterBlock)
				}
				return nil
			}}
			if r.Number == 1 {
				f.Delay = 10 * time.Second
			}
			return f
		}}, nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		var writes sync.WaitGroup
		writes.Go(func() { w.write(makeRecord("other", other, 1)) })
		<-time.After(time.Second)
		if err := w.sink.Write(ctx, []*record.Record{makeRecord("a", today, 3)}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got error %v, want that of the deadline", err)
		}
		want(t, "dead letters", len(w.letters.all()), 0)
		writes.Wait()
	})
}

// A full store makes batches wait with their documents, which are in the budget; their
// letters are not.
func TestLettersAreMadeAFewAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, &elasticfake.Server{Script: blocking(today)}, nil)
		var writes sync.WaitGroup
		r := makeRecord("a", today, 1000)
		writes.Go(func() { w.write(r) })
		for i := range 17 {
			<-time.After(time.Minute)
			w.write(makeRecord(fmt.Sprint("other", i), "cwl-2026.11.21", 1))
		}
		writes.Wait()
		want(t, "outcomes", outcomes(r), map[string]int{"dead_lettered": 1000})
		if w.letters.most > 100 {
			t.Errorf("got %d letters at once, want 100 at most", w.letters.most)
		}
	})
}
