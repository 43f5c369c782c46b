package backfill

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"go.uber.org/zap"

	"github.com/shipperd/shipperd/pkg/checkpoint"
	"github.com/shipperd/shipperd/pkg/logsapi"
	"github.com/shipperd/shipperd/pkg/record"
)

// pageBytes is reserved before each call: a page has at most 1 MB of messages and
// 10,000 events, each with about 100 bytes of id, time and names.
const pageBytes = 2 << 20

// Deps is what a Source is made of. All of it belongs to the caller.
type Deps struct {
	API     API
	Store   checkpoint.Store // of backfills alone: a stream's store forgets shards that the stream does not have
	Budget  Budget
	Records *record.Pool
	Log     *zap.Logger
}

// Source is a pipeline.Source that reads one job and ends. Run it once.
type Source struct {
	job    Job
	deps   Deps
	log    *zap.Logger
	caller *logsapi.Caller
	meter  meter
}

// NewSource returns a Source for a valid job.
func NewSource(job Job, deps Deps) *Source {
	job.From, job.To = job.From.Truncate(time.Millisecond), job.To.Truncate(time.Millisecond)
	log := deps.Log.Named("backfill")
	return &Source{job: job, deps: deps, log: log, caller: logsapi.NewCaller(log)}
}

// Progress returns how far the job has been read. It may be called at any time.
func (s *Source) Progress() Progress { return s.meter.progress() }

// Run emits the job's events, from where an earlier run had settled, and then the
// end, so that the store knows that the job is done. It returns nil when all is
// emitted, or ctx has ended.
func (s *Source) Run(ctx context.Context, emit func(*record.Record) error) error {
	err := s.run(ctx, emit)
	if ctx.Err() == nil {
		return err
	}
	return nil
}

func (s *Source) run(ctx context.Context, emit func(*record.Record) error) error {
	positions, err := s.deps.Store.Load(ctx)
	if err != nil {
		return fmt.Errorf("load the position of the backfill: %w", err)
	}
	at, done, err := s.job.resume(positions)
	if err != nil {
		return err
	}
	if done {
		s.log.Info("the backfill was completed before; nothing is read", zap.String("job", s.job.Shard()))
		s.meter.end(s.job)
		return nil
	}
	owner, err := s.owner(ctx)
	if err != nil {
		return err
	}
	if _, stored := positions[s.job.Shard()]; !stored {
		if err := s.deps.Store.Save(ctx, map[string]checkpoint.Position{s.job.Shard(): s.job.first()}); err != nil {
			return fmt.Errorf("save the first position of the backfill: %w", err)
		}
	}
	s.log.Info("reading the log group", zap.String("group", s.job.Group), zap.Time("from", at.window), zap.Time("to", s.job.To))
	s.meter.start(s.job, at.window)
	if err := s.read(ctx, &reader{Source: s, owner: owner, at: at, emit: emit}); err != nil {
		return err
	}
	s.meter.end(s.job)
	end := s.deps.Records.New()
	end.Shard, end.Ended = s.job.Shard(), make(chan struct{})
	return emit(end)
}

// read reads window after window.
func (s *Source) read(ctx context.Context, r *reader) error {
	w := windows{length: firstLength}
	for r.at.window.Before(s.job.To) {
		to := w.next(r.at.window, s.job.To)
		pages, err := r.window(ctx, to, w.maxPages())
		switch {
		case errors.Is(err, errTooLong) && w.cut(to):
			continue
		case err != nil:
			return err
		}
		w.finished(to, pages)
		r.at = place{window: to}
		s.meter.reached(to)
	}
	return nil
}

// owner returns the account of the log group, which a subscription's payload
// names. It is in the group's ARN.
func (s *Source) owner(ctx context.Context) (string, error) {
	in := &cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: aws.String(s.job.Group)}
	for {
		page, err := logsapi.Call(ctx, s.caller, "DescribeLogGroups", s.deps.API.DescribeLogGroups, in)
		if err != nil {
			return "", err
		}
		for _, group := range page.LogGroups {
			if aws.ToString(group.LogGroupName) == s.job.Group {
				a, err := arn.Parse(aws.ToString(group.Arn))
				return a.AccountID, err
			}
		}
		if in.NextToken = page.NextToken; in.NextToken == nil {
			return "", fmt.Errorf("there is no log group %q in this account and region", s.job.Group)
		}
	}
}

// errTooLong is wrapped by the error about a window that is to be cut.
var errTooLong = errors.New("the window holds too much for one reading")

// reader is the state of a run.
type reader struct {
	*Source
	owner string
	at    place
	emit  func(*record.Record) error
}

// window emits the events from the window's start up to the time to. It gives up
// with errTooLong when there are more pages than limit, where that is not 0, and
// when its page token has expired; what it has emitted then comes once more.
func (r *reader) window(ctx context.Context, to time.Time, limit int) (pages int, err error) {
	in := &cloudwatchlogs.FilterLogEventsInput{
		LogGroupName: aws.String(r.job.Group),
		StartTime:    aws.Int64(r.at.window.UnixMilli()),
		EndTime:      aws.Int64(to.UnixMilli() - 1), // the API's end is inclusive
	}
	for {
		if limit > 0 && pages == limit {
			return pages, errTooLong
		}
		if err := r.page(ctx, in); err != nil {
			if _, invalid := errors.AsType[*types.InvalidParameterException](err); invalid && in.NextToken != nil {
				// A token lives for 24 hours, which an outage of the index may last.
				return pages, fmt.Errorf("%w: %w", errTooLong, err)
			}
			return pages, err
		}
		pages++
		if in.NextToken == nil {
			return pages, nil
		}
	}
}

// page reads the next page and emits its events, a record for each log stream. It
// leaves the token of the page after it in in.
func (r *reader) page(ctx context.Context, in *cloudwatchlogs.FilterLogEventsInput) error {
	if err := r.deps.Budget.Reserve(ctx, pageBytes); err != nil {
		return err
	}
	page, err := logsapi.Call(ctx, r.caller, "FilterLogEvents", r.deps.API.FilterLogEvents, in)
	if err != nil {
		r.deps.Budget.Release(pageBytes)
		return fmt.Errorf("read log group %q: %w", r.job.Group, err)
	}
	in.NextToken = page.NextToken

	records, bytes := r.records(page.Events)
	r.deps.Budget.Charge(bytes)
	r.deps.Budget.Release(pageBytes)
	r.meter.read(len(page.Events), bytes)
	for i, rec := range records {
		if err := r.emit(rec); err != nil {
			for _, left := range records[i+1:] {
				r.deps.Budget.Release(left.Charged)
				r.deps.Records.Release(left)
			}
			return err
		}
	}
	return nil
}

// records makes a page's records. They have no arrival time: they did not come
// through Kinesis, and their delivery has no latency to be measured.
func (r *reader) records(events []types.FilteredLogEvent) (records []*record.Record, bytes int64) {
	for _, s := range byStream(events) {
		rec := r.deps.Records.New()
		rec.Shard, rec.Sequence = r.job.Shard(), r.at.next()
		rec.Data = payload(r.owner, r.job.Group, s)
		rec.Charged = int64(len(rec.Data))
		bytes += rec.Charged
		records = append(records, rec)
	}
	return records, bytes
}
