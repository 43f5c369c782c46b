// Package pipeline carries records from a source to a sink and settles what the
// sink has made durable:
//
//	Source ─▶ admit ─▶ decode ×N ─▶ batch ─▶ write ─▶ settle ─▶ commit
//
// It knows neither Kinesis nor Elasticsearch. Memory is bounded by a byte budget
// that the source reserves from before it reads; a shard's checkpoint only ever
// covers the contiguous prefix of what has settled.
package pipeline

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/shipperd/shipperd/pkg/checkpoint"
	"github.com/shipperd/shipperd/pkg/killpoint"
	"github.com/shipperd/shipperd/pkg/progress"
	"github.com/shipperd/shipperd/pkg/record"
)

// ErrUnsettled is wrapped by Run's error when the drain ended with work in
// flight. None of it is checkpointed: it is read again after the restart.
var ErrUnsettled = errors.New("the drain ended with unacknowledged work, which is read again after the restart")

// Source reads records.
type Source interface {
	// Run emits the records of each shard in order until ctx ends; then it returns
	// nil. emit may be called from many goroutines, one per shard at a time; it
	// blocks while the shard's span is used up and fails only when the pipeline
	// has ended. The record and its reservation belong to the pipeline after emit,
	// also after an error.
	Run(ctx context.Context, emit func(*record.Record) error) error
}

// Decoder turns a record's bytes into events. One goroutine uses it at a time.
type Decoder interface {
	// Decode fills r.Text, r.Events and r.Control from r.Data. It uses CPU only. An
	// error wraps record.ErrOversize or means "never decodable": what was decoded so far
	// stays, the rest of the record becomes one dead letter.
	Decode(r *record.Record) error
}

// Sink makes events durable.
type Sink interface {
	// Write sets the Outcome of every Pending event of the records and returns nil,
	// retrying inside for as long as it takes, or returns an error and stops the
	// daemon with those records unsettled. It does not keep the records.
	Write(ctx context.Context, records []*record.Record) error
}

// DeadLetters stores what can never be delivered.
type DeadLetters interface {
	// Put returns nil when the letters are durable, all of them. It blocks while
	// the store is full or cannot be written; its error is that of ctx.
	Put(ctx context.Context, letters ...record.Letter) error
}

// Deps is what a Pipeline is made of. All of it belongs to the caller.
type Deps struct {
	Source      Source
	NewDecoder  func() Decoder // called once for each worker
	Sink        Sink
	DeadLetters DeadLetters
	Store       checkpoint.Store
	Budget      *Budget
	Heap        *Heap // nil: the garbage collector's own measure
	Records     *record.Pool
	Progress    *progress.Monitor
	Workers     int      // decode workers; GOMAXPROCS
	Stream      string   // the metrics label of everything per shard
	Groups      []string // names of the configured groups; index 0 is "other"
	Log         *zap.Logger
	Registerer  prometheus.Registerer
}

// Pipeline carries records from the source to the sink. Run it once.
type Pipeline struct {
	config   Config
	deps     Deps
	log      *zap.Logger
	metrics  *metrics
	account  *account
	shards   shards
	admitted chan *record.Record // closed when the source has ended
	decoded  chan *record.Record // closed when the last worker has ended
	moved    chan struct{}       // capacity 1: some shard's prefix has moved
	unsaved  map[string]checkpoint.Position
	panicked sync.Once
	stop     context.CancelCauseFunc // stops reading; set by Run
	draining <-chan struct{}         // closed when reading has stopped; set by Run
}

// New returns a Pipeline and registers its metrics.
func New(config Config, deps Deps) *Pipeline {
	p := &Pipeline{
		config:   config,
		deps:     deps,
		log:      deps.Log.Named("pipeline"),
		account:  newAccount(deps.Groups),
		admitted: make(chan *record.Record),
		decoded:  make(chan *record.Record),
		moved:    make(chan struct{}, 1),
		unsaved:  make(map[string]checkpoint.Position),
	}
	p.metrics = newMetrics(deps.Registerer, p)
	return p
}

// Run carries records until ctx ends, then drains: it stops reading, writes what
// is in flight and stores the last checkpoint, for drain_timeout at most. It
// returns nil when all that was read has settled. A stage that fails stops
// reading and drains in the same way; Run returns its error.
func (p *Pipeline) Run(ctx context.Context) error {
	reading, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	p.stop, p.draining = stop, reading.Done()
	work, abandon := context.WithCancelCause(context.WithoutCancel(ctx))
	defer abandon(nil)
	defer context.AfterFunc(reading, func() {
		timeout := time.AfterFunc(p.config.DrainTimeout, func() {
			abandon(fmt.Errorf("pipeline.drain_timeout of %s has passed", p.config.DrainTimeout))
		})
		context.AfterFunc(work, func() { timeout.Stop() })
	})()

	var stages errgroup.Group
	stages.Go(func() error {
		defer close(p.admitted)
		return p.failed(p.deps.Source.Run(reading, func(r *record.Record) error { return p.failed(p.admit(work, r)) }))
	})
	stages.Go(func() error {
		defer close(p.decoded)
		var workers errgroup.Group
		for range p.deps.Workers {
			workers.Go(func() error { return p.failed(p.decode(work)) })
		}
		return workers.Wait()
	})
	collected := make(chan struct{})
	stages.Go(func() error {
		defer close(collected)
		return p.collect(work)
	})
	stages.Go(func() error {
		p.commit(collected)
		return nil
	})
	return stages.Wait()
}

// failed stops reading for err. During the drain an error means that work was
// given up, whatever its cause: the daemon ends, and a restart reads it again.
func (p *Pipeline) failed(err error) error {
	if err == nil {
		return nil
	}
	select {
	case <-p.draining:
		return fmt.Errorf("%w: %w", ErrUnsettled, err)
	default:
		p.stop(err)
		return err
	}
}

// admit takes r into its shard's order and hands it to the workers. It waits
// while the shard's span is used up (rule 3).
func (p *Pipeline) admit(ctx context.Context, r *record.Record) error {
	s := p.shards.get(r.Shard)
	for !s.hasRoom() {
		select {
		case <-s.room:
		case <-ctx.Done():
			return p.refuse(ctx, r)
		}
	}
	at := checkpoint.Position{Kind: checkpoint.AfterSequence, Sequence: r.Sequence, Arrival: r.Arrival}
	if r.Ended != nil {
		at = checkpoint.Position{Kind: checkpoint.ShardEnd}
	}
	s.mu.Lock()
	r.Ticket = s.tracker.Begin(at, int64(len(r.Data)))
	if r.Ended != nil {
		s.ended = r.Ended
	}
	s.mu.Unlock()
	if r.Ended != nil {
		p.settle(r)
		return nil
	}
	killpoint.Here(killpoint.RecordAdmitted)
	select {
	case p.admitted <- r:
		return nil
	case <-ctx.Done():
		return p.refuse(ctx, r)
	}
}

func (p *Pipeline) refuse(ctx context.Context, r *record.Record) error {
	p.deps.Budget.Release(r.Charged)
	p.deps.Records.Release(r)
	return context.Cause(ctx)
}
