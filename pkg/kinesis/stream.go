package kinesis

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/shipperd/shipperd/pkg/progress"
)

// ErrMadeAnew ends Run: the stream was deleted and another was made under its
// name. The stored positions mean nothing there; a restart opens the store anew.
var ErrMadeAnew = errors.New("the stream was deleted and made again")

// callTimeout is the deadline of one call: a reply of 10 MiB through 3 Mbit/s.
const callTimeout = 30 * time.Second

// Stream is a data stream that was found. It makes the calls of the service,
// each under its own deadline, counted and classified.
type Stream struct {
	ARN     string
	Created time.Time // tells it from an earlier stream of the same ARN; whole seconds

	// ahead is how far this machine's clock is before the service's, and the part of a
	// second that the service leaves out. 0 where it says no time, or a later one.
	ahead time.Duration

	api       API
	config    Config
	resource  resource
	monitor   *progress.Monitor
	log       *zap.Logger
	metrics   *metrics
	outages   *outages
	seed      uint64
	retention atomic.Int64 // nanoseconds
	answered  atomic.Bool  // a GetRecords has succeeded
}

// Open describes the stream that config names and registers the metrics. While
// the service refuses, or the stream is not there, it says so once and waits. Its
// error is that of ctx or a value that the service does not accept.
func Open(ctx context.Context, api API, config Config, monitor *progress.Monitor, log *zap.Logger, reg prometheus.Registerer) (*Stream, error) {
	resource, err := config.resource()
	if err != nil {
		return nil, err
	}
	s := &Stream{
		api: api, config: config, resource: resource, monitor: monitor,
		log:     log.Named("kinesis"),
		metrics: newMetrics(reg, config.Name()),
		seed:    config.Seed,
	}
	if s.seed == 0 {
		s.seed = rand.Uint64()
	}
	s.outages = newOutages(s.log, s.metrics)
	task := monitor.Begin("kinesis: find the stream")
	defer task.End()
	return s, s.insist(ctx, s.newRetrier(opDescribe), func() error {
		err := s.describe(ctx, task)
		if failure, ok := errors.AsType[*callError](err); ok && failure.reason == invalid {
			return fmt.Errorf("kinesis.stream: %q: %w", config.Stream, failure.err)
		}
		return err
	})
}

// describe takes in what the service says of the stream, and makes sure that it
// is still the same one.
func (s *Stream) describe(ctx context.Context, task *progress.Task) error {
	return s.call(ctx, task, opDescribe, func(ctx context.Context) error {
		out, err := s.api.DescribeStreamSummary(ctx, &sdk.DescribeStreamSummaryInput{StreamName: s.resource.name, StreamARN: s.resource.arn})
		if err != nil {
			return err
		}
		summary := out.StreamDescriptionSummary
		if summary == nil {
			return fmt.Errorf("%w: no description", errMalformed)
		}
		created := aws.ToTime(summary.StreamCreationTimestamp).UTC().Truncate(time.Second)
		if s.ARN == "" {
			s.ARN, s.Created = aws.ToString(summary.StreamARN), created
			if now, ok := awsmiddleware.GetServerTime(out.ResultMetadata); ok {
				s.ahead = max(0, time.Since(now))
			}
		}
		if !created.Equal(s.Created) {
			return ErrMadeAnew
		}
		retention := time.Duration(aws.ToInt32(summary.RetentionPeriodHours)) * time.Hour
		s.retention.Store(int64(retention))
		s.metrics.retention.Set(retention.Seconds())
		return nil
	})
}

// listShards lists the stream's shards, page after page.
func (s *Stream) listShards(ctx context.Context, task *progress.Task) ([]types.Shard, error) {
	var shards []types.Shard
	in := &sdk.ListShardsInput{StreamName: s.resource.name, StreamARN: s.resource.arn}
	for {
		var out *sdk.ListShardsOutput
		err := s.call(ctx, task, opList, func(ctx context.Context) (err error) {
			out, err = s.api.ListShards(ctx, in)
			return err
		})
		if err != nil {
			return nil, err // of an expired token too: the caller lists from the start
		}
		shards = append(shards, out.Shards...)
		if aws.ToString(out.NextToken) == "" {
			return shards, nil
		}
		in = &sdk.ListShardsInput{NextToken: out.NextToken, StreamARN: s.resource.arn}
	}
}

// findShard returns what the stream lists of one shard now; nil if it does not.
func (s *Stream) findShard(ctx context.Context, task *progress.Task, id string) (*types.Shard, error) {
	shards, err := s.listShards(ctx, task)
	if err != nil {
		return nil, err
	}
	for i := range shards {
		if aws.ToString(shards[i].ShardId) == id {
			return &shards[i], nil
		}
	}
	return nil, nil
}

// call makes one call under its own deadline. The task is at work meanwhile, and
// waits afterwards. Its error is a *callError, ErrMadeAnew or that of ctx.
func (s *Stream) call(ctx context.Context, task *progress.Task, op string, f func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	task.Work()
	defer task.Wait()
	start := time.Now()
	err := f(limited)
	switch {
	case err != nil && ctx.Err() != nil:
		return ctx.Err() // given up by us: says nothing about the service
	case errors.Is(err, ErrMadeAnew):
		return err
	}
	failure := classify(err)
	s.metrics.called(op, failure, time.Since(start))
	if err != nil {
		return &callError{op: op, reason: failure, err: err}
	}
	return nil
}

// insist repeats f, with growing waits, while calls in it fail. Its error is that
// of ctx, or f's where it is no failed call.
func (s *Stream) insist(ctx context.Context, retry *retrier, f func() error) error {
	defer retry.left(false)
	for {
		err := f()
		if err == nil {
			retry.recovered()
			return nil
		}
		failure, ok := errors.AsType[*callError](err)
		if !ok {
			return err
		}
		if err := sleep(ctx, retry.failed(failure)); err != nil {
			return err
		}
	}
}

// newRetrier returns the patience of one caller. Its jitter depends on the seed
// and the caller's name alone, so that a simulation can be repeated.
func (s *Stream) newRetrier(caller string) *retrier {
	name := fnv.New64a()
	_, _ = name.Write([]byte(caller)) // never fails
	return &retrier{outages: s.outages, random: rand.New(rand.NewPCG(s.seed, name.Sum64()))}
}
