// Package subscription attaches CloudWatch Logs groups to the stream that shipperd
// reads: it plans, applies, shows and removes subscription filters, and tries
// filter patterns on lines without any service.
//
// Nothing is written that was not planned and shown before, and nothing at all of
// a plan with a refused row. Much of what goes wrong here loses data before
// shipperd could see it: a log group takes two filters and no third; a filter
// whose delivery is refused is disabled for up to ten minutes, and the logs of
// that time are skipped; a pattern that does not fit a line keeps that line back.
// See https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/Subscriptions.html.
//
// The role that CloudWatch Logs assumes is checked by its shape only, because
// that needs no IAM permission. CloudWatch Logs sends a test record when a filter
// is put, and Apply explains its failure.
package subscription

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"go.uber.org/zap"

	"github.com/shipperd/shipperd/pkg/format/pattern"
	"github.com/shipperd/shipperd/pkg/logsapi"
)

// API is what is called of CloudWatch Logs. logsapi.NewClient returns one.
type API interface {
	DescribeLogGroups(context.Context, *cloudwatchlogs.DescribeLogGroupsInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.DescribeLogGroupsOutput, error)
	DescribeLogStreams(context.Context, *cloudwatchlogs.DescribeLogStreamsInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.DescribeLogStreamsOutput, error)
	DescribeSubscriptionFilters(context.Context, *cloudwatchlogs.DescribeSubscriptionFiltersInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.DescribeSubscriptionFiltersOutput, error)
	PutSubscriptionFilter(context.Context, *cloudwatchlogs.PutSubscriptionFilterInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.PutSubscriptionFilterOutput, error)
	DeleteSubscriptionFilter(context.Context, *cloudwatchlogs.DeleteSubscriptionFilterInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.DeleteSubscriptionFilterOutput, error)
}

// Streams is what is called of Kinesis. kinesis.NewClient of this module returns one.
type Streams interface {
	DescribeStreamSummary(context.Context, *kinesis.DescribeStreamSummaryInput, ...func(*kinesis.Options)) (*kinesis.DescribeStreamSummaryOutput, error)
}

// Selection names log groups.
type Selection struct {
	// Groups are names and globs, in which * stands for any text, / included. A
	// name that does not exist is an error, and so is a glob that finds nothing.
	Groups []string
	// Except takes names and globs out again.
	Except []string
}

// Request is what a person asks for.
type Request struct {
	Selection
	Filter  string // name of the subscription filter, "shipperd" by convention
	Stream  string // name or ARN of the stream
	Role    string // ARN of the role that CloudWatch Logs assumes to write to it
	Pattern string // filter pattern; empty delivers every line
	// Random spreads a log stream over all shards. Otherwise one busy log stream
	// is one hot shard, and its order is kept.
	Random bool

	// OwnGroups are names and globs of the groups that shipperd itself logs to:
	// each delivered line of theirs would make another one.
	OwnGroups []string
	// OwnInterfaces are the ids (eni-…) of the network interfaces that shipperd
	// sends through: each delivered flow log of theirs is traffic of its own.
	OwnInterfaces []string
}

var (
	// filterName is the API's own rule for names.
	filterName = regexp.MustCompile(`^[^:*]{1,512}$`)
	roleARN    = regexp.MustCompile(`^arn:(aws[a-z-]*):iam::(\d{12}):role/[\w+=,.@/-]+$`)
)

// Validate checks what needs no service. It returns all mistakes at once.
func (r *Request) Validate() error {
	var errs []error
	if !filterName.MatchString(r.Filter) {
		errs = append(errs, fmt.Errorf("filter name %q: 1 to 512 characters without : and *", r.Filter))
	}
	if r.Stream == "" {
		errs = append(errs, errors.New("stream: name the Kinesis stream"))
	}
	if !roleARN.MatchString(r.Role) {
		errs = append(errs, fmt.Errorf("role %q: want the ARN of the role that CloudWatch Logs assumes, as arn:aws:iam::123456789012:role/NAME", r.Role))
	}
	if _, err := pattern.Parse(r.Pattern); err != nil {
		errs = append(errs, fmt.Errorf("pattern: %w", err))
	}
	return errors.Join(append(errs, r.validate())...)
}

func (s *Selection) validate() error {
	if len(s.Groups) == 0 {
		return errors.New("groups: name at least one log group, or a glob such as /aws/lambda/*")
	}
	return nil
}

// Manager does what the subscribe commands do. One goroutine uses it at a time.
type Manager struct {
	api     API
	streams Streams
	caller  *logsapi.Caller
}

// NewManager returns a Manager. Both clients must not retry by themselves.
func NewManager(api API, streams Streams, log *zap.Logger) *Manager {
	return &Manager{api: api, streams: streams, caller: logsapi.NewCaller(log.Named("subscription"))}
}
