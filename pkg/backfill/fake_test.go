package backfill

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"go.uber.org/zap"

	"github.com/shipperd/shipperd/pkg/checkpoint"
	"github.com/shipperd/shipperd/pkg/pipeline"
	"github.com/shipperd/shipperd/pkg/record"
)

const (
	account = "123456789012"
	group   = "AccessLogGroup"
)

var start = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// fakeLogs is the part of CloudWatch Logs that a backfill needs: events in the
// order of time, pages, tokens that expire.
type fakeLogs struct {
	events   []types.FilteredLogEvent
	pageSize int
	tokenAge time.Duration // 0: 24 hours, as the service's

	calls  int
	issued map[string]time.Time
	fault  func(call int) error // nil: none
}

// add puts n events at and after a time, step apart, in turn on the log streams.
func (f *fakeLogs) add(n int, at time.Time, step time.Duration, streams ...string) {
	for i := range n {
		f.events = append(f.events, types.FilteredLogEvent{
			EventId:       aws.String(fmt.Sprintf("%056d", len(f.events))),
			LogStreamName: aws.String(streams[i%len(streams)]),
			Message:       aws.String(fmt.Sprintf("line %d\n", len(f.events))),
			Timestamp:     aws.Int64(at.Add(time.Duration(i) * step).UnixMilli()),
		})
	}
	slices.SortStableFunc(f.events, func(a, b types.FilteredLogEvent) int { return cmp.Compare(*a.Timestamp, *b.Timestamp) })
}

// ids returns the ids of all events with a time in the job.
func (f *fakeLogs) ids(j Job) []string {
	var ids []string
	for _, e := range f.events {
		if at := time.UnixMilli(*e.Timestamp); !at.Before(j.From) && at.Before(j.To) {
			ids = append(ids, *e.EventId)
		}
	}
	return slices.Sorted(slices.Values(ids))
}

func (f *fakeLogs) DescribeLogGroups(context.Context, *cloudwatchlogs.DescribeLogGroupsInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.DescribeLogGroupsOutput, error) {
	named := func(name, account string) types.LogGroup {
		return types.LogGroup{LogGroupName: aws.String(name), Arn: aws.String("arn:aws:logs:us-west-2:" + account + ":log-group:" + name + ":*")}
	}
	return &cloudwatchlogs.DescribeLogGroupsOutput{LogGroups: []types.LogGroup{named(group+"2", "210987654321"), named(group, account)}}, nil
}

func (f *fakeLogs) FilterLogEvents(_ context.Context, in *cloudwatchlogs.FilterLogEventsInput, _ ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.FilterLogEventsOutput, error) {
	f.calls++
	if f.fault != nil {
		if err := f.fault(f.calls); err != nil {
			return nil, err
		}
	}
	offset := 0
	if in.NextToken != nil {
		issued, known := f.issued[*in.NextToken]
		if !known || time.Since(issued) > cmp.Or(f.tokenAge, 24*time.Hour) {
			return nil, &types.InvalidParameterException{Message: aws.String("The specified nextToken is invalid.")}
		}
		_, _ = fmt.Sscanf(*in.NextToken, "%d/", &offset)
	}
	in.NextToken = nil
	var found []types.FilteredLogEvent
	for _, e := range f.events {
		if *e.Timestamp >= *in.StartTime && *e.Timestamp <= *in.EndTime {
			found = append(found, e)
		}
	}
	out := &cloudwatchlogs.FilterLogEventsOutput{}
	end := min(offset+f.pageSize, len(found))
	out.Events = found[offset:end]
	if end < len(found) {
		out.NextToken = aws.String(fmt.Sprintf("%d/%d", end, f.calls))
		if f.issued == nil {
			f.issued = make(map[string]time.Time)
		}
		f.issued[*out.NextToken] = time.Now()
	}
	return out, nil
}

// memory is a checkpoint.Store that refuses to move back.
type memory struct {
	t         *testing.T
	positions map[string]checkpoint.Position
}

func (m *memory) Load(context.Context) (map[string]checkpoint.Position, error) {
	return maps.Clone(m.positions), nil
}

func (m *memory) Save(_ context.Context, positions map[string]checkpoint.Position) error {
	for shard, p := range positions {
		if old := m.positions[shard]; p.Kind == checkpoint.AfterSequence && decimalBefore(p.Sequence, old.Sequence) {
			m.t.Errorf("%s moves back from %s to %s", shard, old.Sequence, p.Sequence)
		}
		m.positions[shard] = p
	}
	return nil
}

func (m *memory) Forget(context.Context, []string) error { return nil }

func decimalBefore(a, b string) bool {
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b)) < 0
}

// rig is a source with all that it needs.
type rig struct {
	logs   *fakeLogs
	store  *memory
	budget *pipeline.Budget
	pool   record.Pool
}

func newRig(t *testing.T) *rig {
	return &rig{
		logs: &fakeLogs{pageSize: 10}, store: &memory{t: t, positions: make(map[string]checkpoint.Position)},
		budget: pipeline.NewBudget(64 << 20),
	}
}

func (r *rig) source(j Job) *Source {
	return NewSource(j, Deps{API: r.logs, Store: r.store, Budget: r.budget, Records: &r.pool, Log: zap.NewNop()})
}

// message is a payload, read by the standard library.
type message struct {
	MessageType, Owner, LogGroup, LogStream string
	SubscriptionFilters                     []string
	LogEvents                               []struct {
		ID        string
		Timestamp int64
		Message   string
	}
}

func decode(t *testing.T, r *record.Record) message {
	t.Helper()
	var m message
	if err := json.Unmarshal(r.Data, &m); err != nil {
		t.Fatalf("record %s is no JSON: %v", r.Sequence, err)
	}
	return m
}

// sink takes records as a pipeline would that settles each at once.
type sink struct {
	t        *testing.T
	rig      *rig
	ids      map[string]int // of settled events, and how often
	records  int
	inFlight bool // something did not settle, and nothing after it is stored
	ended    bool
	last     string
	onRecord func(records int) (settle bool) // nil: settle
}

func (r *rig) sink(t *testing.T) *sink {
	return &sink{t: t, rig: r, ids: make(map[string]int)}
}

func (s *sink) emit(r *record.Record) error {
	if r.Ended != nil {
		if s.ended = !s.inFlight; !s.ended {
			return nil
		}
		return s.rig.store.Save(s.t.Context(), map[string]checkpoint.Position{r.Shard: {Kind: checkpoint.ShardEnd}})
	}
	if s.last != "" && !decimalBefore(s.last, r.Sequence) {
		s.t.Errorf("record %s comes after %s", r.Sequence, s.last)
	}
	s.last = r.Sequence
	s.records++
	defer s.rig.budget.Release(r.Charged)
	if s.onRecord != nil && !s.onRecord(s.records) {
		s.inFlight = true
		return nil
	}
	for _, e := range decode(s.t, r).LogEvents {
		s.ids[e.ID]++
	}
	return s.rig.store.Save(s.t.Context(), map[string]checkpoint.Position{r.Shard: {Kind: checkpoint.AfterSequence, Sequence: r.Sequence}})
}

// missing returns the events of the job that were not settled.
func (s *sink) missing(j Job) []string {
	return slices.DeleteFunc(s.rig.logs.ids(j), func(id string) bool { return s.ids[id] > 0 })
}
