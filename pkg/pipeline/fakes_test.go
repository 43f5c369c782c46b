package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/shipperd/shipperd/pkg/checkpoint"
	"github.com/shipperd/shipperd/pkg/progress"
	"github.com/shipperd/shipperd/pkg/record"
)

// rig is a pipeline between fakes; a test changes them before run.
type rig struct {
	config   Config
	deps     Deps
	source   func(ctx context.Context, emit func(*record.Record) error) error
	sink     func(ctx context.Context, records []*record.Record) error
	letters  *letterBox
	store    *memoryStore
	registry *prometheus.Registry

	mu      sync.Mutex
	written []string // "shard/sequence" of records in the order they were written
}

func newRig() *rig {
	g := &rig{config: DefaultConfig(), store: &memoryStore{saved: map[string]checkpoint.Position{}}, letters: &letterBox{}, registry: prometheus.NewRegistry()}
	g.deps = Deps{
		NewDecoder: func() Decoder { return wordDecoder{} }, DeadLetters: g.letters, Store: g.store,
		Budget: NewBudget(int64(g.config.Memory)), Records: &record.Pool{}, Progress: &progress.Monitor{},
		Workers: 2, Stream: "stream", Groups: []string{"other"}, Log: zap.NewNop(), Registerer: g.registry,
	}
	g.sink = func(context.Context, []*record.Record) error { return nil }
	return g
}

// Run implements Source.
func (g *rig) Run(ctx context.Context, emit func(*record.Record) error) error {
	return g.source(ctx, emit)
}

// Write implements Sink: it asks g.sink, and indexes what is pending if that says nil.
func (g *rig) Write(ctx context.Context, records []*record.Record) error {
	if err := g.sink(ctx, records); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, r := range records {
		g.written = append(g.written, r.Shard+"/"+r.Sequence)
		for i := range r.Events {
			if r.Events[i].Outcome == record.Pending {
				r.Events[i].Outcome = record.Indexed
			}
		}
	}
	return nil
}

func (g *rig) pipeline() *Pipeline {
	g.deps.Source, g.deps.Sink = g, g
	return New(g.config, g.deps)
}

// emitter returns a source that emits n records of each shard, then waits for
// the end of ctx.
func emitter(n int, shards ...string) func(context.Context, func(*record.Record) error) error {
	return func(ctx context.Context, emit func(*record.Record) error) error {
		var all sync.WaitGroup
		for _, shard := range shards {
			all.Go(func() {
				for i := range n {
					if emit(words(shard, i, "one two")) != nil {
						return
					}
				}
			})
		}
		all.Wait()
		<-ctx.Done()
		return nil
	}
}

// words is a record whose events are the words of text.
func words(shard string, sequence int, text string) *record.Record {
	return &record.Record{Shard: shard, Sequence: strconv.Itoa(sequence), Arrival: time.Now(), Data: []byte(text)}
}

// wordDecoder makes an event of each word. "bad" cannot be decoded, "huge" is
// over the cap, "panic" panics, "drop" is filtered.
type wordDecoder struct{}

func (wordDecoder) Decode(r *record.Record) error {
	for i, word := range bytes.Fields(r.Data) {
		switch string(word) {
		case "bad":
			return errors.New("no payload")
		case "huge":
			return fmt.Errorf("huge: %w", record.ErrOversize)
		case "panic":
			panic("a defect")
		}
		e := record.Event{Index: "cwl-2026.11.20", Time: time.Now().UnixMilli(), IDStart: uint32(len(r.Text))}
		r.Text = fmt.Appendf(r.Text, "%s-%s-%d", r.Shard, r.Sequence, i)
		e.IDEnd, e.DocStart = uint32(len(r.Text)), uint32(len(r.Text))
		r.Text = fmt.Appendf(r.Text, "{%q:1}", word)
		e.DocEnd = uint32(len(r.Text))
		if string(word) == "drop" {
			e.Outcome, e.Filter = record.Filtered, record.FilterDrop
		}
		r.Events = append(r.Events, e)
	}
	return nil
}

type letterBox struct {
	mu      sync.Mutex
	letters []record.Letter
	full    chan struct{} // not nil: Put waits for it
}

func (b *letterBox) Put(ctx context.Context, letters ...record.Letter) error {
	if b.full != nil {
		select {
		case <-b.full:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.letters = append(b.letters, letters...)
	return nil
}

type memoryStore struct {
	mu     sync.Mutex
	saved  map[string]checkpoint.Position
	saves  []time.Time
	fail   error
	onSave func(map[string]checkpoint.Position)
}

func (s *memoryStore) Load(context.Context) (map[string]checkpoint.Position, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.saved), nil
}

func (s *memoryStore) Save(ctx context.Context, positions map[string]checkpoint.Position) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	s.saves = append(s.saves, time.Now())
	if s.fail != nil {
		return s.fail
	}
	if s.onSave != nil {
		s.onSave(positions)
	}
	maps.Copy(s.saved, positions)
	return nil
}

func (s *memoryStore) Forget(context.Context, []string) error { return nil }

func (s *memoryStore) at(shard string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.saved[shard].Sequence
}

// runFor runs the pipeline and ends its context after d, in fake time.
func runFor(t *testing.T, p *Pipeline, d time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	return p.Run(ctx)
}
