package pipeline

import (
	"context"
	"maps"
	"time"

	"go.uber.org/zap"

	"github.com/shipperd/shipperd/pkg/checkpoint"
	"github.com/shipperd/shipperd/pkg/killpoint"
	"github.com/shipperd/shipperd/pkg/record"
)

const (
	// commitInterval is the least time between two writes of the store (rule 9), and
	// the longest that a settled record waits for one: what a crash reads again is at
	// most this and what is in flight.
	commitInterval = time.Second
	// lastCommitTimeout bounds the write after the drain, which has no other deadline.
	lastCommitTimeout = 5 * time.Second
)

// settle books the outcomes of r, gives its memory back and takes it out of its
// shard's order. Every record comes here exactly once; r is gone afterwards.
func (p *Pipeline) settle(r *record.Record) {
	p.account.settle(r)
	p.metrics.settled(r)
	moved := p.shards.get(r.Shard).settle(r.Ticket)
	if r.Ended == nil {
		p.deps.Budget.settled(r.Charged) // it was decoded
	}
	p.deps.Records.Release(r)
	if moved {
		select {
		case p.moved <- struct{}{}:
		default:
		}
	}
}

// commit stores prefixes, a commitInterval after the first of them has moved, until
// collected closes; then once more, so that what has settled is settled, also after
// an error.
func (p *Pipeline) commit(collected <-chan struct{}) {
	task := p.deps.Progress.Begin("checkpoint")
	defer task.End()
	interval := time.NewTimer(0)
	defer interval.Stop()
	for {
		task.Wait()
		select {
		case <-p.moved:
			interval.Reset(commitInterval)
		case <-collected:
			p.lastCommit()
			return
		}
		select {
		case <-interval.C:
		case <-collected:
			p.lastCommit()
			return
		}
		task.Work()
		killpoint.Here(killpoint.CheckpointSave)
		p.save(context.Background())
	}
}

func (p *Pipeline) lastCommit() {
	ctx, cancel := context.WithTimeout(context.Background(), lastCommitTimeout)
	defer cancel()
	killpoint.Here(killpoint.CheckpointLastSave)
	p.save(ctx)
	killpoint.Here(killpoint.CheckpointLastSaved)
}

// save stores every prefix that has moved since the last success. A failure is
// tried again with the next commit; the first is logged, and the recovery.
func (p *Pipeline) save(ctx context.Context) {
	for _, s := range p.shards.all() {
		s.mu.Lock()
		if position, moved := s.tracker.Advance(); moved {
			p.unsaved[s.name] = position
		}
		s.mu.Unlock()
	}
	if len(p.unsaved) == 0 {
		return
	}
	if err := p.deps.Store.Save(ctx, maps.Clone(p.unsaved)); err != nil {
		p.metrics.commitFailed(p.log, err)
		select {
		case p.moved <- struct{}{}: // try again, though nothing new may settle
		default:
		}
		return
	}
	killpoint.Here(killpoint.CheckpointSaved)
	p.metrics.commitSucceeded(p.log)
	for name, position := range p.unsaved {
		p.committed(name, position)
	}
	clear(p.unsaved)
}

// committed lets a stored shard end: its children may start, its metrics are over.
func (p *Pipeline) committed(name string, position checkpoint.Position) {
	s := p.shards.get(name)
	s.mu.Lock()
	s.committed = time.Now()
	ended := s.ended
	s.mu.Unlock()
	if position.Kind != checkpoint.ShardEnd {
		return
	}
	p.shards.remove(name)
	p.log.Info("shard has ended and all of it has settled", zap.String("shard", name))
	close(ended)
}
