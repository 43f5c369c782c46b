package subscription

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	kinesistypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"go.uber.org/zap"
)

const (
	account   = "123456789012"
	region    = "us-west-2"
	streamARN = "arn:aws:kinesis:" + region + ":" + account + ":stream/logs"
	role      = "arn:aws:iam::" + account + ":role/CWLtoKinesis"
	pageSize  = 50
)

// fakeLogs is the part of CloudWatch Logs and Kinesis that subscriptions need.
type fakeLogs struct {
	groups       map[string]types.LogGroup
	logStreams   map[string][]string // of a group
	filters      map[string][]types.SubscriptionFilter
	streamStatus kinesistypes.StreamStatus

	calls, writes int
	fault         func(call int, op string) error // nil: none
}

func newFake(groups ...string) *fakeLogs {
	f := &fakeLogs{
		groups:       make(map[string]types.LogGroup),
		logStreams:   make(map[string][]string),
		filters:      make(map[string][]types.SubscriptionFilter),
		streamStatus: kinesistypes.StreamStatusActive,
	}
	for _, name := range groups {
		f.groups[name] = types.LogGroup{
			LogGroupName:  aws.String(name),
			Arn:           aws.String("arn:aws:logs:" + region + ":" + account + ":log-group:" + name + ":*"),
			LogGroupClass: types.LogGroupClassStandard,
		}
	}
	return f
}

// has gives a group a filter of that name that delivers to destination.
func (f *fakeLogs) has(group, name, destination string) {
	f.filters[group] = append(f.filters[group], types.SubscriptionFilter{
		FilterName: aws.String(name), DestinationArn: aws.String(destination), FilterPattern: aws.String(""),
		LogGroupName: aws.String(group), Distribution: types.DistributionByLogStream,
	})
}

func (f *fakeLogs) called(op string) error {
	f.calls++
	if f.fault == nil {
		return nil
	}
	return f.fault(f.calls, op)
}

func (f *fakeLogs) DescribeLogGroups(_ context.Context, in *cloudwatchlogs.DescribeLogGroupsInput, _ ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.DescribeLogGroupsOutput, error) {
	if err := f.called("DescribeLogGroups"); err != nil {
		return nil, err
	}
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(f.groups)), func(name string) bool {
		return !strings.HasPrefix(name, aws.ToString(in.LogGroupNamePrefix))
	})
	page, next := paged(names, in.NextToken)
	out := &cloudwatchlogs.DescribeLogGroupsOutput{NextToken: next}
	for _, name := range page {
		out.LogGroups = append(out.LogGroups, f.groups[name])
	}
	return out, nil
}

func paged[E any](all []E, token *string) (page []E, next *string) {
	start, _ := strconv.Atoi(aws.ToString(token))
	if end := start + pageSize; end < len(all) {
		return all[start:end], aws.String(strconv.Itoa(end))
	}
	return all[start:], nil
}

func (f *fakeLogs) DescribeLogStreams(_ context.Context, in *cloudwatchlogs.DescribeLogStreamsInput, _ ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.DescribeLogStreamsOutput, error) {
	if err := f.called("DescribeLogStreams"); err != nil {
		return nil, err
	}
	out := &cloudwatchlogs.DescribeLogStreamsOutput{}
	for _, name := range f.logStreams[*in.LogGroupName] {
		if strings.HasPrefix(name, *in.LogStreamNamePrefix) {
			out.LogStreams = append(out.LogStreams, types.LogStream{LogStreamName: aws.String(name)})
		}
	}
	return out, nil
}

func (f *fakeLogs) DescribeSubscriptionFilters(_ context.Context, in *cloudwatchlogs.DescribeSubscriptionFiltersInput, _ ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.DescribeSubscriptionFiltersOutput, error) {
	if err := f.called("DescribeSubscriptionFilters"); err != nil {
		return nil, err
	}
	return &cloudwatchlogs.DescribeSubscriptionFiltersOutput{SubscriptionFilters: f.filters[*in.LogGroupName]}, nil
}

func (f *fakeLogs) PutSubscriptionFilter(_ context.Context, in *cloudwatchlogs.PutSubscriptionFilterInput, _ ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.PutSubscriptionFilterOutput, error) {
	if err := f.called("PutSubscriptionFilter"); err != nil {
		return nil, err
	}
	f.writes++
	filters := slices.DeleteFunc(f.filters[*in.LogGroupName], func(s types.SubscriptionFilter) bool { return *s.FilterName == *in.FilterName })
	if len(filters) == maxFilters {
		return nil, &types.LimitExceededException{Message: aws.String("Resource limit exceeded.")}
	}
	f.filters[*in.LogGroupName] = append(filters, types.SubscriptionFilter{
		FilterName: in.FilterName, DestinationArn: in.DestinationArn, FilterPattern: in.FilterPattern,
		RoleArn: in.RoleArn, Distribution: in.Distribution, LogGroupName: in.LogGroupName, CreationTime: aws.Int64(1795392507120),
	})
	return &cloudwatchlogs.PutSubscriptionFilterOutput{}, nil
}

func (f *fakeLogs) DeleteSubscriptionFilter(_ context.Context, in *cloudwatchlogs.DeleteSubscriptionFilterInput, _ ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.DeleteSubscriptionFilterOutput, error) {
	if err := f.called("DeleteSubscriptionFilter"); err != nil {
		return nil, err
	}
	f.writes++
	before := len(f.filters[*in.LogGroupName])
	f.filters[*in.LogGroupName] = slices.DeleteFunc(f.filters[*in.LogGroupName], func(s types.SubscriptionFilter) bool { return *s.FilterName == *in.FilterName })
	if len(f.filters[*in.LogGroupName]) == before {
		return nil, &types.ResourceNotFoundException{Message: aws.String("The specified subscription filter does not exist.")}
	}
	return &cloudwatchlogs.DeleteSubscriptionFilterOutput{}, nil
}

func (f *fakeLogs) DescribeStreamSummary(_ context.Context, in *kinesis.DescribeStreamSummaryInput, _ ...func(*kinesis.Options)) (*kinesis.DescribeStreamSummaryOutput, error) {
	if err := f.called("DescribeStreamSummary"); err != nil {
		return nil, err
	}
	if aws.ToString(in.StreamName) != "logs" && aws.ToString(in.StreamARN) != streamARN {
		return nil, &kinesistypes.ResourceNotFoundException{Message: aws.String("Stream not found.")}
	}
	return &kinesis.DescribeStreamSummaryOutput{StreamDescriptionSummary: &kinesistypes.StreamDescriptionSummary{
		StreamARN: aws.String(streamARN), StreamStatus: f.streamStatus,
	}}, nil
}

func (f *fakeLogs) manager() *Manager { return NewManager(f, f, zap.NewNop()) }

// request asks for the groups with all else as it should be.
func request(groups ...string) Request {
	return Request{Selection: Selection{Groups: groups}, Filter: "shipperd", Stream: "logs", Role: role}
}

func mustPlan(t *testing.T, f *fakeLogs, r Request) Plan {
	t.Helper()
	plan, err := f.manager().Plan(t.Context(), r)
	if err != nil {
		t.Fatalf("Plan: %v", err)
	}
	return plan
}
