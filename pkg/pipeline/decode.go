package pipeline

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
	"unsafe"

	"go.uber.org/zap"

	"github.com/shipperd/shipperd/pkg/killpoint"
	"github.com/shipperd/shipperd/pkg/progress"
	"github.com/shipperd/shipperd/pkg/record"
)

// decode is one worker: it turns records into events until its input closes.
func (p *Pipeline) decode(ctx context.Context) error {
	task := p.deps.Progress.Begin("decode")
	defer task.End()
	decoder, average := p.deps.NewDecoder(), growth(firstGrowth)
	for {
		task.Wait()
		r, ok := <-p.admitted
		if !ok {
			return nil
		}
		read, expected := r.Charged, average.of(r)
		if err := p.deps.Budget.begin(ctx, expected); err != nil {
			return p.refuse(ctx, r)
		}
		task.Work()
		if !p.decodeOne(decoder, r) {
			decoder = p.deps.NewDecoder() // a panic may have left the old one half changed
		}
		p.deps.Budget.decoded(read, expected, r.Charged)
		average.learn(read, r.Charged)
		if err := p.pass(ctx, r, task); err != nil {
			return err
		}
	}
}

// pass hands a decoded record on: to the batcher, or straight to settle where
// nothing in it has to be written.
func (p *Pipeline) pass(ctx context.Context, r *record.Record, task *progress.Task) error {
	killpoint.Here(killpoint.RecordDecoded)
	p.account.receive(r)
	if r.Letter == nil && !hasPending(r) {
		p.settle(r)
		return nil
	}
	task.Wait()
	select {
	case p.decoded <- r:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func hasPending(r *record.Record) bool {
	for i := range r.Events {
		if r.Events[i].Outcome == record.Pending {
			return true
		}
	}
	return false
}

// growth is how many bytes a byte of a record becomes as documents, on average.
type growth float64

const (
	firstGrowth = 20 // 500 lines of Apache
	// mostGrowth is what counts of a bomb: full-size records of CloudTrail grow to 40
	// times their size.
	mostGrowth = 64
)

// of returns what decoding r is expected to take: its documents, and as much for what
// they are made of, which is inflated and unescaped first.
func (g *growth) of(r *record.Record) int64 { return int64(2 * float64(*g) * float64(r.Charged)) }

// learn moves the average an eighth of the way to what a record has become.
func (g *growth) learn(read, documents int64) {
	*g += (growth(min(float64(documents)/float64(max(read, 1)), mostGrowth)) - *g) / 8
}

// decodeOne fills r and sets what it takes now. What cannot be decoded becomes a
// letter that counts as one event. It returns false after a panic.
func (p *Pipeline) decodeOne(decoder Decoder, r *record.Record) (sound bool) {
	p.deps.Records.Equip(r)
	stack, err := guard(decoder, r)
	if err != nil {
		p.undecodable(r, err, stack)
	} else {
		r.Charged -= int64(len(r.Data))
		r.Data = nil // the documents are all that is needed from here on
	}
	size := int64(cap(r.Text)) + int64(cap(r.Events))*int64(unsafe.Sizeof(record.Event{}))
	p.deps.Heap.decoded(size)
	r.Charged += size
	return stack == nil
}

// undecodable makes the dead letter of what could not be decoded.
func (p *Pipeline) undecodable(r *record.Record, err error, stack []byte) {
	reason := record.ReasonUndecodable
	switch {
	case stack != nil:
		reason = record.ReasonPanic
		r.Events = r.Events[:0] // half-made events cannot be trusted; the letter has the whole record
		p.panicked.Do(func() {
			p.log.Error("decoding a record panicked: please report this stack; the record is a dead letter and reading goes on",
				zap.String("shard", r.Shard), zap.String("sequence", r.Sequence), zap.Error(err), zap.ByteString("stack", stack))
		})
	case errors.Is(err, record.ErrOversize):
		reason = record.ReasonOversize
	}
	p.metrics.decodeFailures.WithLabelValues(reason).Inc()
	r.Letter = &record.Letter{
		Reason: reason, Time: time.Now(), Shard: r.Shard, Sequence: r.Sequence, Arrival: r.Arrival,
		ErrorReason: err.Error(), Data: r.Data,
	}
	arrival := r.Arrival
	if arrival.IsZero() {
		arrival = time.Now()
	}
	r.Events = append(r.Events, record.Event{Time: arrival.UnixMilli(), Outcome: record.DeadLettered})
}

// guard decodes r and turns a panic into an error with its stack. It is the only
// recover in the daemon: one log line must never be a crash loop (rule 4).
func guard(decoder Decoder, r *record.Record) (stack []byte, err error) {
	defer func() {
		if v := recover(); v != nil {
			stack, err = debug.Stack(), fmt.Errorf("decode panicked: %v", v)
		}
	}()
	return nil, decoder.Decode(r)
}
