// Package backfill reads what a log group holds already, by FilterLogEvents, and
// emits it as the records that a subscription would have put on the stream. The
// same pipeline then makes the same documents under the same ids, so that history
// and stream may overlap: what both bring is a duplicate, which the index refuses.
//
// That rests on one assumption: that the eventId of FilterLogEvents is the id that
// the subscription delivers. Nothing that AWS documents says so, and emulators
// cannot prove it; this package's test against LocalStack prints both. Where it
// does not hold, the overlap is there twice, so compare one event before a long
// backfill.
//
// Subscribe first, then backfill to a moment after that: events of the last
// minutes may not be searchable yet, and they come with the stream.
package backfill

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"github.com/shipperd/shipperd/pkg/checkpoint"
)

// API is what is called of CloudWatch Logs. logsapi.NewClient returns one.
type API interface {
	DescribeLogGroups(context.Context, *cloudwatchlogs.DescribeLogGroupsInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.DescribeLogGroupsOutput, error)
	FilterLogEvents(context.Context, *cloudwatchlogs.FilterLogEventsInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.FilterLogEventsOutput, error)
}

// Budget bounds the bytes in flight. It is the pipeline's.
type Budget interface {
	// Reserve waits until bytes are free and takes them. Its error is that of ctx.
	Reserve(ctx context.Context, bytes int64) error
	// Charge takes bytes without waiting.
	Charge(bytes int64)
	// Release gives bytes back.
	Release(bytes int64)
}

// Job is what one backfill reads: the events of a log group with a time in
// [From, To). A job that was interrupted goes on when the same job is run again
// with the same store.
type Job struct {
	Group    string
	From, To time.Time
}

// Validate checks j. It returns all mistakes at once.
func (j Job) Validate() error {
	var errs []error
	if j.Group == "" {
		errs = append(errs, errors.New("group: name the log group"))
	}
	if j.From.UnixMilli() < 0 || j.From.IsZero() {
		errs = append(errs, fmt.Errorf("from %s: want a time after 1970", j.From.Format(time.RFC3339)))
	}
	if !j.From.Before(j.To) {
		errs = append(errs, fmt.Errorf("to %s: want a time after from, %s", j.To.Format(time.RFC3339), j.From.Format(time.RFC3339)))
	}
	return errors.Join(errs...)
}

// shardPrefix begins the names under which jobs have their positions.
const shardPrefix = "backfill:"

// Shard returns the name under which the job's records are emitted and its position
// is stored.
func (j Job) Shard() string {
	return fmt.Sprintf("%s%s:%s/%s", shardPrefix, j.Group, stamp(j.From), stamp(j.To))
}

// stamp writes t to the millisecond, which is what CloudWatch Logs counts in.
func stamp(t time.Time) string { return t.UTC().Truncate(time.Millisecond).Format(time.RFC3339Nano) }

// Pending returns the jobs that began and did not end, so that a person can resume
// one without its exact times. The positions are those of a checkpoint.Store.
func Pending(positions map[string]checkpoint.Position) []Job {
	var jobs []Job
	for _, shard := range slices.Sorted(maps.Keys(positions)) {
		if j, ok := parseShard(shard); ok && positions[shard].Kind != checkpoint.ShardEnd {
			jobs = append(jobs, j)
		}
	}
	return jobs
}

// parseShard reads what Shard wrote. A log group's name has no colon.
func parseShard(shard string) (Job, bool) {
	rest, ok := strings.CutPrefix(shard, shardPrefix)
	group, times, cut := strings.Cut(rest, ":")
	from, to, both := strings.Cut(times, "/")
	first, errFrom := time.Parse(time.RFC3339Nano, from)
	last, errTo := time.Parse(time.RFC3339Nano, to)
	return Job{Group: group, From: first, To: last}, ok && cut && both && errFrom == nil && errTo == nil
}
