package pipeline

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/shipperd/shipperd/pkg/killpoint"
	"github.com/shipperd/shipperd/pkg/record"
)

// batch is a number of whole records that go to the sink together.
type batch struct {
	records   []*record.Record
	bytes     int64
	documents int
	charged   int64 // of the budget; buffers have more room than documents take
}

func (b *batch) add(r *record.Record) {
	b.records = append(b.records, r)
	b.bytes += int64(len(r.Text))
	b.documents += len(r.Events)
	b.charged += r.Charged
}

// fits says whether r goes in without passing a limit. An empty batch takes
// anything: a record is never split.
func (b *batch) fits(r *record.Record, c BatchConfig) bool {
	return len(b.records) == 0 ||
		b.bytes+int64(len(r.Text)) <= int64(c.MaxBytes) && b.documents+len(r.Events) <= c.MaxDocuments
}

// full says whether a batch has reached a limit. It must not hold so much of the budget
// that decode waits for it, which would be until it is old.
func (b *batch) full(c BatchConfig, most int64) bool {
	return b.bytes >= int64(c.MaxBytes) || b.documents >= c.MaxDocuments || b.charged >= most
}

// collect fills one batch at a time and starts a writer for each that is sealed.
// It never waits for a writer: how many batches there can be is bounded by the
// budget, how many requests by the sink. When its input closes, it seals what it
// has and returns once every writer has. A writer that fails stops reading, not
// the other writers: what they can still settle before the drain ends is settled.
func (p *Pipeline) collect(ctx context.Context) error {
	var writers errgroup.Group
	var open batch
	age := time.NewTimer(0)
	age.Stop()
	defer age.Stop()
	seal := func() {
		if len(open.records) == 0 {
			return
		}
		sealed := open.records
		open = batch{}
		age.Stop()
		writers.Go(func() error {
			err := p.failed(p.write(ctx, sealed))
			if err != nil {
				p.abandon(sealed)
			}
			return err
		})
	}
	for {
		select {
		case r, ok := <-p.decoded:
			if !ok {
				seal()
				return writers.Wait()
			}
			if !open.fits(r, p.config.Batch) {
				seal()
			}
			if len(open.records) == 0 {
				age.Reset(p.config.Batch.MaxAge)
			}
			open.add(r)
			if open.full(p.config.Batch, p.deps.Budget.openPart()) {
				seal()
			}
		case <-age.C:
			seal()
		}
	}
}

// abandon gives the memory back of what no one tries any more: the drain must not wait
// for it to its end.
func (p *Pipeline) abandon(records []*record.Record) {
	for _, r := range records {
		p.deps.Budget.settled(r.Charged)
	}
}

// write makes one batch durable and settles its records.
func (p *Pipeline) write(ctx context.Context, records []*record.Record) error {
	killpoint.Here(killpoint.BatchSealed)
	var letters []record.Letter
	for _, r := range records {
		if r.Letter != nil {
			letters = append(letters, *r.Letter)
		}
	}
	if len(letters) > 0 {
		if err := p.deps.DeadLetters.Put(ctx, letters...); err != nil {
			return err
		}
		killpoint.Here(killpoint.BatchLettered)
	}
	if err := p.deps.Sink.Write(ctx, records); err != nil {
		return err
	}
	killpoint.Here(killpoint.BatchWritten)
	for _, r := range records {
		p.settle(r)
	}
	killpoint.Here(killpoint.BatchSettled)
	return nil
}
