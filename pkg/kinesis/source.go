package kinesis

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/shipperd/shipperd/pkg/checkpoint"
	"github.com/shipperd/shipperd/pkg/killpoint"
	"github.com/shipperd/shipperd/pkg/record"
)

const (
	// listSpacing is the least time between two listings: when a thousand shards
	// end in a reshard, each asks for one.
	listSpacing = time.Second
	// saveSpacing is the time between two attempts to write the store.
	saveSpacing = time.Second
	// startSpacing is the mean time between the starts of readers, so that thousands
	// do not make their first call in one instant.
	startSpacing = time.Millisecond
)

// Source reads a stream. It is a pipeline.Source.
type Source struct {
	*Stream
	store   checkpoint.Store
	budget  Budget
	records *record.Pool
}

// NewSource returns a Source of stream, whose positions are in store. Everything
// it is given may be used by others too.
func NewSource(stream *Stream, store checkpoint.Store, budget Budget, records *record.Pool) *Source {
	return &Source{Stream: stream, store: store, budget: budget, records: records}
}

// StartOver makes Run begin at the oldest record, whatever kinesis.start says, and
// counts the gap: for a stream that was made anew since positions were stored.
// What the earlier stream got after from, until to, may be lost.
func (s *Source) StartOver(from, to time.Time) {
	s.config.Start = startTrimHorizon
	s.metrics.gaps.Inc()
	s.metrics.lost(from, to)
}

// Ready says whether records could be read at least once, if only none.
func (s *Source) Ready() bool { return s.answered.Load() }

// Run emits the records of every shard, each shard in its order, until ctx ends;
// then it returns nil. Its error is emit's, that of the first Load of the store,
// or ErrMadeAnew. emit is called by one goroutine for each shard that is read.
func (s *Source) Run(ctx context.Context, emit func(*record.Record) error) error {
	stored, err := s.store.Load(ctx)
	if err != nil {
		return fmt.Errorf("load the positions of the shards: %w", err)
	}
	group, running := errgroup.WithContext(ctx)
	r := &run{
		Source:  s,
		emit:    emit,
		group:   group,
		lineage: newLineage(stored),
		opened:  time.Now().Add(-s.ahead), // the service refuses a time of its future
		reading: make(map[string]bool),
		news:    make(chan news),
		relist:  make(chan struct{}, 1),
	}
	group.Go(func() error { return r.watch(running) })
	group.Go(func() error { return r.coordinate(running) })
	if err := group.Wait(); ctx.Err() == nil {
		return err
	}
	return nil
}

// run is one Run of a Source. Only coordinate's goroutine uses lineage and reading.
type run struct {
	*Source
	emit    func(*record.Record) error
	group   *errgroup.Group
	lineage *lineage
	opened  time.Time
	reading map[string]bool
	news    chan news     // from watch and the readers
	relist  chan struct{} // to watch; capacity 1: one request stands for all
}

// news is a listing of the shards or the end of one. Both come through one
// channel, in the order of their sending: a select on two would choose by chance.
type news struct {
	listed []types.Shard
	ended  *end
}

// end says that a shard has ended and that its end is stored.
type end struct {
	shard    string
	after    time.Time // it was open then; zero: not known
	children []types.ChildShard
}

// watch lists the shards, at once, then every Limits.List and when it is asked to.
func (r *run) watch(ctx context.Context) error {
	task := r.monitor.Begin("kinesis: list the shards")
	defer task.End()
	retry := r.newRetrier(opList)
	for {
		task.Wait()
		var shards []types.Shard
		err := r.insist(ctx, retry, func() (err error) {
			if err = r.describe(ctx, task); err == nil {
				shards, err = r.listShards(ctx, task)
			}
			return err
		})
		if err != nil {
			return err
		}
		select {
		case r.news <- news{listed: shards}:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := r.untilNextListing(ctx); err != nil {
			return err
		}
	}
}

func (r *run) untilNextListing(ctx context.Context) error {
	if err := sleep(ctx, listSpacing); err != nil {
		return err
	}
	interval := time.NewTimer(max(0, r.config.Limits.List-listSpacing))
	defer interval.Stop()
	select {
	case <-interval.C:
	case <-r.relist:
	case <-ctx.Done():
	}
	return ctx.Err()
}

// coordinate takes in what is known of the shards and starts readers for those
// that may be read.
func (r *run) coordinate(ctx context.Context) error {
	start, err := r.config.first(r.opened)
	if err != nil {
		return err
	}
	for {
		var rows map[string]checkpoint.Position
		select {
		case n := <-r.news:
			if n.ended == nil {
				rows = r.lineage.list(n.listed, start)
			} else {
				rows = r.over(n.ended)
			}
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := r.keep(ctx, rows); err != nil {
			return err
		}
		r.start(ctx)
	}
}

// over takes in the end of a shard and has the shards listed again.
func (r *run) over(e *end) map[string]checkpoint.Position {
	delete(r.reading, e.shard)
	select {
	case r.relist <- struct{}{}:
	default: // asked already
	}
	return r.lineage.end(e.shard, e.after, e.children)
}

// keep stores first positions before anything is delivered from them, and
// removes the rows of shards that are over.
func (r *run) keep(ctx context.Context, rows map[string]checkpoint.Position) error {
	if len(rows) > 0 {
		killpoint.Here(killpoint.PositionsSave)
		if err := r.persist(ctx, func() error { return r.store.Save(ctx, rows) }); err != nil {
			return err
		}
		killpoint.Here(killpoint.PositionsSaved)
		maps.Copy(r.lineage.positions, rows)
		r.log.Info("new shards were found", zap.Int("shards", len(rows)))
	}
	if ids := r.lineage.expired(); len(ids) > 0 {
		if err := r.persist(ctx, func() error { return r.store.Forget(ctx, ids) }); err != nil {
			return err
		}
		r.lineage.forget(ids)
	}
	return nil
}

// persist repeats a write of the store until it succeeds: shards that are read
// already go on meanwhile. Its error is that of ctx.
func (r *run) persist(ctx context.Context, write func() error) error {
	for failures := 0; ; failures++ {
		err := write()
		if err == nil {
			if failures > 0 {
				r.log.Info("the positions of shards are stored again", zap.Int("failures", failures))
			}
			return nil
		}
		if failures == 0 {
			r.log.Warn("the positions of shards cannot be stored; new shards wait", zap.Error(err))
		}
		if err := sleep(ctx, saveSpacing); err != nil {
			return err
		}
	}
}

// start starts a reader for every shard that may be read and has none.
func (r *run) start(ctx context.Context) {
	ids, waiting := r.lineage.readable()
	for _, id := range ids {
		if r.reading[id] {
			continue
		}
		r.reading[id] = true
		reader := newReader(r, id)
		// Not by the shard's place among those that start: when parents end in one
		// instant, who is first is chance.
		delay := reader.retry.jitter(time.Duration(len(r.lineage.listed)) * startSpacing)
		r.group.Go(func() error { return reader.readAll(ctx, delay) })
	}
	r.metrics.count(len(ids), waiting)
}
