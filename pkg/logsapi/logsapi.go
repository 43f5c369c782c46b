// Package logsapi calls the CloudWatch Logs API as an account's quotas want it:
// paced, each call bounded in time, throttling waited out with full jitter and
// without end. What the calls mean is the business of packages subscription and
// backfill.
package logsapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"go.uber.org/zap"
	"golang.org/x/time/rate"
)

const (
	// callsPerSecond is the account's quota of PutSubscriptionFilter and
	// DescribeSubscriptionFilters, and of FilterLogEvents in most regions.
	callsPerSecond = 5
	// attemptTimeout bounds one attempt. A page of FilterLogEvents takes seconds
	// at most; a connection that is silent for longer is broken.
	attemptTimeout = 30 * time.Second
	// Waits are random between 0 and firstWait × 2ⁿ, at most maxWait: 20 s is what
	// the SDK itself waits at most.
	firstWait = 200 * time.Millisecond
	maxWait   = 20 * time.Second
	// warnAfter attempts a person should know why nothing happens: with mean
	// waits that is after about three seconds.
	warnAfter = 5
)

// NewClient returns the SDK's client. Credentials, and the region where it is
// empty, come from the SDK's usual places; endpoint is for emulators, else empty.
func NewClient(ctx context.Context, region, endpoint string) (*cloudwatchlogs.Client, error) {
	config, err := awsconfig.LoadDefaultConfig(ctx, awsconfig.WithRegion(region))
	if err != nil {
		return nil, fmt.Errorf("load the AWS configuration: %w", err)
	}
	if config.Region == "" {
		return nil, errors.New("no region is configured; name one, or set AWS_REGION")
	}
	return cloudwatchlogs.NewFromConfig(config, func(o *cloudwatchlogs.Options) {
		if endpoint != "" {
			o.BaseEndpoint = aws.String(endpoint)
		}
		o.HTTPClient = httpClient{o.HTTPClient}
		// Every call is repeated by a Caller; attempts inside the SDK would come on
		// top of the quota and would not know LimitExceededException from throttling.
		o.Retryer = aws.NopRetryer{}
	}), nil
}

// httpClient hides all but Read and Close of request bodies, as that of package
// kinesis does. The SDK closes a body when its reply begins, and its WriteTo then
// fails; where that is before net/http has looked for the end of the body, net/http
// cuts the connection in the middle of the reply, a page of FilterLogEvents.
type httpClient struct{ cloudwatchlogs.HTTPClient }

// Do sends the request.
func (c httpClient) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		r.Body = struct{ io.ReadCloser }{r.Body}
	}
	return c.HTTPClient.Do(r)
}

// Caller paces calls and repeats those that failed for now. It is safe for
// concurrent use; all its users share one pace.
type Caller struct {
	limiter *rate.Limiter
	log     *zap.Logger
}

// NewCaller returns a Caller with the pace of one account.
func NewCaller(log *zap.Logger) *Caller {
	return &Caller{limiter: rate.NewLimiter(callsPerSecond, 1), log: log}
}

// Call calls f, a method of an SDK client that does not retry by itself, until it
// succeeds, fails for a reason that a repetition does not heal, or ctx ends. op
// names the call in errors and in the log.
func Call[In, Out, Options any](
	ctx context.Context, c *Caller, op string,
	f func(context.Context, *In, ...func(*Options)) (*Out, error), in *In,
) (*Out, error) {
	for attempt := 1; ; attempt++ {
		// Wait of the limiter would fail before the deadline, with an error of its own.
		if err := sleep(ctx, c.limiter.Reserve().Delay()); err != nil {
			return nil, fmt.Errorf("%s: %w", op, err)
		}
		out, err := bounded(ctx, f, in)
		if err == nil {
			return out, nil
		}
		if ctx.Err() != nil || !passing(err) {
			return nil, fmt.Errorf("%s: %w", op, err)
		}
		if attempt == warnAfter {
			c.log.Warn("CloudWatch Logs does not answer as it should; the call is repeated until it does",
				zap.String("op", op), zap.Int("attempts", attempt), zap.Error(err))
		}
		if err := sleep(ctx, rand.N(ceiling(attempt))); err != nil {
			return nil, fmt.Errorf("%s: %w", op, err)
		}
	}
}

func bounded[In, Out, Options any](
	ctx context.Context, f func(context.Context, *In, ...func(*Options)) (*Out, error), in *In,
) (*Out, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	return f(ctx, in)
}

// ceiling returns the longest wait after that many attempts.
func ceiling(attempt int) time.Duration {
	wait := firstWait
	for range attempt - 1 {
		if wait = 2 * wait; wait >= maxWait {
			return maxWait
		}
	}
	return wait
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
