package kinesis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"go.uber.org/zap"

	"github.com/shipperd/shipperd/pkg/checkpoint"
	"github.com/shipperd/shipperd/pkg/killpoint"
	"github.com/shipperd/shipperd/pkg/progress"
)

// recordOverhead is what a record takes besides its data: 168 bytes of Record, 64
// of sequence number, 104 in the shard's tracker, 72 in the reply and 96 of what
// that points to.
const recordOverhead = 512

// reader reads one shard. All of it belongs to one goroutine.
type reader struct {
	*run
	id       string
	log      *zap.Logger
	task     *progress.Task
	retry    *retrier
	pacer    pacer
	appetite appetite

	iterator *string             // nil: to be opened
	at       checkpoint.Position // where to open: the last record read, or what the store had
	readTo   time.Time           // what arrived until then has been read, or had settled; zero: not known
	exact    bool                // readTo is not merely when an idle shard had its last record
	gap      bool                // records since gapFrom may be lost; the first one read ends the gap
	gapFrom  time.Time
	children []types.ChildShard // of a closed shard, from its last reply
	known    bool               // the service has had the shard: it is gone when it is not found
	made     time.Time          // when the reader was
	shut     bool               // a listing has the shard closed
}

func newReader(r *run, id string) *reader {
	_, listed := r.lineage.listed[id]
	at := r.lineage.positions[id]
	return &reader{
		run:    r,
		id:     id,
		log:    r.log.With(zap.String("shard", id)),
		retry:  r.newRetrier(id),
		pacer:  pacer{limits: r.config.Limits},
		at:     at,
		readTo: at.Arrival,
		known:  listed,
		made:   time.Now(),
	}
}

// readAll reads the shard to its end, or until ctx ends. Its error ends the source.
func (r *reader) readAll(ctx context.Context, delay time.Duration) error {
	r.task = r.monitor.Begin("kinesis: read " + r.id)
	r.task.Wait()
	defer r.task.End()
	defer r.metrics.lag.end(r.id)
	defer r.retry.left(false)
	if err := sleep(ctx, delay); err != nil {
		return err
	}
	for {
		ended, err := r.step(ctx)
		if ended {
			r.metrics.lag.end(r.id) // nothing is left to read, only to settle
			return r.finish(ctx)
		}
		if err == nil {
			continue
		}
		failure, ok := errors.AsType[*callError](err)
		if !ok {
			return err
		}
		if err := sleep(ctx, r.retry.failed(failure)); err != nil {
			return err
		}
	}
}

// step reads once and delivers what came. It says whether the shard has ended;
// an error that is no *callError ends the source.
func (r *reader) step(ctx context.Context) (ended bool, err error) {
	out, err := r.read(ctx)
	if err != nil {
		return r.repair(ctx, err)
	}
	killpoint.Here(killpoint.ShardRead)
	r.iterator, r.children = out.NextShardIterator, out.ChildShards
	whole := r.iterator != nil || len(r.children) > 0
	if whole {
		r.retry.recovered()
	}
	if err := r.deliver(out.Records); err != nil { // also what comes with the last reply
		return false, err
	}
	killpoint.Here(killpoint.ShardDelivered)
	if whole {
		return r.iterator == nil, nil
	}
	return r.closed(ctx, out)
}

// iteratorAge is how old an iterator may become unused. The service takes it for five
// minutes; the rest is for the waits around the one for memory.
const iteratorAge = 4 * time.Minute

// read waits for the shard's turn and for memory, and asks for records once. The
// budget then holds exactly what the reply's records take.
func (r *reader) read(ctx context.Context) (*sdk.GetRecordsOutput, error) {
	if err := r.pacer.wait(ctx); err != nil {
		return nil, err
	}
	reserved, asked := r.appetite.reserve(), time.Now()
	if err := r.budget.Reserve(ctx, reserved); err != nil {
		return nil, err
	}
	if time.Since(asked) > iteratorAge {
		r.iterator = nil // with an expired one the turn would be lost, and the next one too
	}
	if r.iterator == nil {
		if err := r.open(ctx); err != nil {
			r.budget.Release(reserved)
			return nil, err
		}
	}
	killpoint.Here(killpoint.ShardOpened)
	start := time.Now()
	in := &sdk.GetRecordsInput{ShardIterator: r.iterator, Limit: aws.Int32(r.appetite.limit()), StreamARN: r.resource.arn}
	var out *sdk.GetRecordsOutput
	err := r.call(ctx, r.task, opRecords, func(ctx context.Context) (err error) {
		if out, err = r.api.GetRecords(ctx, in); err != nil {
			return err
		}
		return check(out.Records)
	})
	if err != nil {
		r.budget.Release(reserved)
		r.pacer.read(start, 0, true, r.retry.jitter) // a failed call counts; when to try again is the retrier's matter
		return nil, err
	}
	r.answered.Store(true)
	r.progressed(start, out)
	data, held := sizes(out.Records)
	if held > reserved {
		r.budget.Charge(held - reserved)
	} else {
		r.budget.Release(reserved - held)
	}
	r.appetite.learn(len(out.Records), held)
	r.metrics.records.Add(float64(len(out.Records)))
	r.metrics.bytes.Add(float64(data))
	behind := len(out.Records) > 0 // where the service does not say
	if lag := out.MillisBehindLatest; lag != nil {
		behind = *lag > 0
		r.metrics.lag.set(r.id, time.Duration(*lag)*time.Millisecond)
	}
	r.pacer.read(start, data, behind, r.retry.jitter)
	return out, nil
}

// check refuses records without a sequence number: there would be no position to go on from.
func check(records []types.Record) error {
	for i := range records {
		if aws.ToString(records[i].SequenceNumber) == "" {
			return fmt.Errorf("%w: record without a sequence number", errMalformed)
		}
	}
	return nil
}

// sizes returns the bytes of data in records, and what they take in memory.
func sizes(records []types.Record) (data, held int64) {
	for i := range records {
		data += int64(len(records[i].Data))
	}
	return data, data + int64(len(records))*recordOverhead
}

// open gets an iterator for the reader's position.
func (r *reader) open(ctx context.Context) error {
	in := &sdk.GetShardIteratorInput{
		StreamName: r.resource.name, StreamARN: r.resource.arn, ShardId: aws.String(r.id),
		ShardIteratorType: types.ShardIteratorType(r.at.Kind), // kinds have the API's names
	}
	if r.at.Kind == checkpoint.AfterSequence {
		in.StartingSequenceNumber = aws.String(r.at.Sequence)
	}
	if r.at.Kind == checkpoint.AtTimestamp {
		in.Timestamp = aws.Time(r.at.Time)
	}
	return r.call(ctx, r.task, opIterator, func(ctx context.Context) error {
		out, err := r.api.GetShardIterator(ctx, in)
		if err != nil {
			return err
		}
		if r.iterator = out.ShardIterator; r.iterator == nil {
			return fmt.Errorf("%w: no iterator", errMalformed)
		}
		r.known = true
		return nil
	})
}

// deliver emits the records with their parts of the budget.
func (r *reader) deliver(records []types.Record) error {
	for i := range records {
		in := &records[i]
		out := r.records.New()
		out.Shard = r.id
		out.Sequence = aws.ToString(in.SequenceNumber)
		out.Arrival = aws.ToTime(in.ApproximateArrivalTimestamp)
		out.Data = in.Data
		_, out.Charged = sizes(records[i : i+1])
		r.at = checkpoint.Position{Kind: checkpoint.AfterSequence, Sequence: out.Sequence, Arrival: out.Arrival}
		if r.gap {
			r.endGap(out.Arrival)
		}
		*in = types.Record{} // the pipeline's now: it must not stay in memory while a later record waits
		if err := r.emit(out); err != nil {
			_, rest := sizes(records[i+1:])
			r.budget.Release(rest)
			return err
		}
	}
	return nil
}

// repair prepares the next attempt after a failed call. It returns err, unless
// there is nothing to wait for.
func (r *reader) repair(ctx context.Context, err error) (ended bool, _ error) {
	failure, ok := errors.AsType[*callError](err)
	if !ok {
		return false, err
	}
	switch failure.reason {
	case expired:
		r.iterator = nil
	case invalid:
		r.iterator = nil
		if r.refused(failure) {
			return false, r.trimmed(ctx)
		}
	case notFound:
		r.iterator = nil
		return r.missing(ctx, failure)
	default: // the iterator is still good
	}
	return false, err
}

// missing finds out what it is that the service has not found.
func (r *reader) missing(ctx context.Context, failure *callError) (ended bool, err error) {
	shard, err := r.findShard(ctx, r.task, r.id)
	switch {
	case err != nil:
		return false, err // the stream itself may be gone
	case shard == nil && (r.known || time.Since(r.made) > time.Duration(r.retention.Load())):
		r.beginGap() // all that the shard held has expired
		return true, nil
	case shard == nil:
		return false, failure // a child from its parent's last reply: not every answer has it yet
	case r.refused(failure):
		return false, r.trimmed(ctx) // the shard is there, so it is the position that is not (kinesis-mock)
	}
	return false, failure
}

// refused says whether failure is about the sequence number to read on from.
func (r *reader) refused(failure *callError) bool {
	return failure.op == opIterator && r.at.Kind == checkpoint.AfterSequence
}

// trimmed goes on at the oldest record when the one to read on from is gone.
func (r *reader) trimmed(ctx context.Context) error {
	// An earlier stream's sequence numbers are refused as well: that is no gap of this one.
	if err := r.describe(ctx, r.task); err != nil {
		return err
	}
	r.beginGap()
	r.at = checkpoint.Position{Kind: checkpoint.TrimHorizon}
	return nil
}

// clockSkew is how far this machine's clock may be from the service's, which signs
// no request beyond it.
const clockSkew = 5 * time.Minute

// progressed notes up to when the shard has been read. Where the stream has dropped
// records before they were read, GetRecords goes on at the oldest and says nothing.
func (r *reader) progressed(now time.Time, out *sdk.GetRecordsOutput) {
	retention := time.Duration(r.retention.Load())
	oldest := now.Add(-retention)
	overdue := retention > 0 && !r.readTo.IsZero() && r.readTo.Before(oldest)
	closed := out.NextShardIterator == nil
	if n := len(out.Records); n > 0 {
		// A first record that is older still is of a service that drops none (emulators).
		first := aws.ToTime(out.Records[0].ApproximateArrivalTimestamp)
		if overdue && first.After(oldest.Add(-clockSkew)) {
			r.beginGap()
		}
		r.readTo = aws.ToTime(out.Records[n-1].ApproximateArrivalTimestamp)
	} else if overdue && (closed || r.exact) {
		r.beginGap() // nothing is left of what may have come
	}
	lag := out.MillisBehindLatest
	if closed || lag == nil && len(out.Records) > 0 {
		return // of a closed shard it says nothing of its children
	}
	behind := time.Duration(aws.ToInt64(lag)) * time.Millisecond
	if at := now.Add(-behind); at.After(r.readTo) {
		r.readTo = at
	}
	r.exact = r.exact || behind == 0
}

// beginGap notes that records which have not been read may be lost.
func (r *reader) beginGap() {
	if !r.gap {
		r.gap, r.gapFrom = true, r.readTo
		r.metrics.gaps.Inc()
	}
}

// endGap names the time range that may be lost; to is zero where nothing is left to say.
func (r *reader) endGap(to time.Time) {
	r.gap = false
	r.metrics.lost(r.gapFrom, to)
	r.log.Warn("records may be lost: the stream has dropped those after the last position",
		zap.Time("from", r.gapFrom), zap.Time("to", to))
}

// closed says whether the shard has ended, after a reply with neither a next
// iterator nor children. That is believed when the reply is empty and was asked for
// after a listing had the shard closed: else there may be records behind it.
func (r *reader) closed(ctx context.Context, out *sdk.GetRecordsOutput) (ended bool, err error) {
	if r.shut && len(out.Records) == 0 && aws.ToInt64(out.MillisBehindLatest) == 0 {
		return true, nil
	}
	shard, err := r.findShard(ctx, r.task, r.id)
	switch {
	case err != nil:
		return false, err // read again after the last record, to the same end
	case shard == nil:
		return true, nil
	}
	if r.shut = shard.SequenceNumberRange != nil && shard.SequenceNumberRange.EndingSequenceNumber != nil; r.shut {
		return false, nil
	}
	return false, &callError{op: opRecords, reason: malformed, err: fmt.Errorf("%w: no next iterator for an open shard", errMalformed)}
}

// finish puts the sentinel behind the shard's last record, waits until its end is
// stored, and reports it, so that its children may start.
func (r *reader) finish(ctx context.Context) error {
	if r.gap {
		r.endGap(time.Time{})
	}
	killpoint.Here(killpoint.ShardEnding)
	stored := make(chan struct{})
	sentinel := r.records.New()
	sentinel.Shard, sentinel.Ended = r.id, stored
	if err := r.emit(sentinel); err != nil {
		return err
	}
	select {
	case <-stored:
	case <-ctx.Done():
		return ctx.Err()
	}
	killpoint.Here(killpoint.ShardEnded)
	over := &end{shard: r.id, children: r.children}
	if r.exact {
		over.after = r.readTo
	}
	select {
	case r.news <- news{ended: over}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
