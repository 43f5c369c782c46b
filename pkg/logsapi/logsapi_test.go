package logsapi

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	kinesistypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

type (
	input  = cloudwatchlogs.DescribeLogGroupsInput
	output = cloudwatchlogs.DescribeLogGroupsOutput
	option = func(*cloudwatchlogs.Options)
)

func status(code int) error {
	return &smithyhttp.ResponseError{Response: &smithyhttp.Response{Response: &http.Response{StatusCode: code}}, Err: errors.New("no body")}
}

func TestOnlyWhatHealsByItselfIsRepeated(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		want bool
	}{
		{"throttled, with a type", &types.ThrottlingException{}, true},
		{"throttled by the front, without a type", &smithy.GenericAPIError{Code: "Throttling"}, true},
		{"calls a second to Kinesis", &kinesistypes.LimitExceededException{}, true},
		{"the third filter", &types.LimitExceededException{}, false},
		{"somebody else changes the group", &types.OperationAbortedException{}, true},
		{"service unavailable", &types.ServiceUnavailableException{}, true},
		{"a proxy's 502", status(502), true},
		{"a reply that was cut off", status(200), true},
		{"forbidden without a body", status(403), false},
		{"no permission", &types.AccessDeniedException{}, false},
		{"no such group", &types.ResourceNotFoundException{}, false},
		{"bad parameter", &types.InvalidParameterException{}, false},
		{"no reply in time", context.DeadlineExceeded, true},
		{"connection refused", &smithyhttp.RequestSendError{Err: &net.OpError{Op: "dial", Err: errors.New("refused")}}, true},
		{"no credentials", errors.New("no credentials"), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wrapped := &smithy.OperationError{ServiceID: "CloudWatch Logs", OperationName: "X", Err: tt.err}
			if got := passing(wrapped); got != tt.want {
				t.Errorf("passing(%v): got %t, want %t", wrapped, got, tt.want)
			}
		})
	}
}

// The SDK wraps a call that got no reply into a reply's error of status 0.
func TestNoConnectionIsRepeated(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	client, err := NewClient(t.Context(), "us-east-1", "http://127.0.0.1:1") // nobody is there
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.DescribeLogGroups(t.Context(), &cloudwatchlogs.DescribeLogGroupsInput{})
	if err == nil || !passing(err) {
		t.Errorf("passing(%v): got false, want true", err)
	}
}

func TestCallsKeepTheAccountsPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewCaller(zap.NewNop())
		start := time.Now()
		for range 51 { // the account's quota is five a second, and the first does not wait
			_, err := Call(t.Context(), c, "op", func(context.Context, *input, ...option) (*output, error) { return &output{}, nil }, &input{})
			if err != nil {
				t.Fatal(err)
			}
		}
		if got, want := time.Since(start), 10*time.Second; got != want {
			t.Errorf("51 calls took %s, want %s", got, want)
		}
	})
}

func TestThrottlingIsWaitedOutHoweverLongAndSaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.InfoLevel)
		c := NewCaller(zap.New(core))
		end, calls := time.Now().Add(3*time.Hour), 0
		_, err := Call(t.Context(), c, "op", func(context.Context, *input, ...option) (*output, error) {
			if calls++; time.Now().Before(end) {
				return nil, &types.ThrottlingException{}
			}
			return &output{}, nil
		}, &input{})
		if err != nil {
			t.Fatalf("got %v, want success after the throttling", err)
		}
		if time.Now().After(end.Add(maxWait)) {
			t.Errorf("the success came %s after the end of the throttling, want %s at most", time.Since(end), maxWait)
		}
		// The mean wait is half of maxWait: about 1,080 calls in three hours.
		if calls < 800 || calls > 1400 {
			t.Errorf("got %d calls in three hours, want about 1,080", calls)
		}
		if logs.Len() != 1 {
			t.Errorf("got %d lines in the log, want 1", logs.Len())
		}
	})
}

func TestCallEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		start := time.Now()
		_, err := Call(ctx, NewCaller(zap.NewNop()), "op", func(context.Context, *input, ...option) (*output, error) {
			return nil, &types.ThrottlingException{}
		}, &input{})
		if got := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || got != time.Hour {
			t.Errorf("got %v after %s, want the end of the context after an hour", err, got)
		}
	})
}

func TestSilentConnectionIsGivenUpAndTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		attempts, start := 0, time.Now()
		_, err := Call(t.Context(), NewCaller(zap.NewNop()), "op", func(ctx context.Context, _ *input, _ ...option) (*output, error) {
			if attempts++; attempts > 1 {
				return &output{}, nil
			}
			<-ctx.Done()
			if got := time.Since(start); got != attemptTimeout {
				t.Errorf("given up after %s, want %s", got, attemptTimeout)
			}
			return nil, ctx.Err()
		}, &input{})
		if err != nil || attempts != 2 {
			t.Errorf("got %v after %d attempts, want success with the second", err, attempts)
		}
	})
}

func TestCeilingDoublesToItsLimit(t *testing.T) {
	for attempt, want := range map[int]time.Duration{1: firstWait, 2: 2 * firstWait, 4: 8 * firstWait, 8: maxWait, 1 << 20: maxWait} {
		if got := ceiling(attempt); got != want {
			t.Errorf("ceiling(%d): got %s, want %s", attempt, got, want)
		}
	}
}

// recordedBody is a request body that says whether it was asked to write itself.
type recordedBody struct {
	*strings.Reader
	written bool
}

func (b *recordedBody) WriteTo(w io.Writer) (int64, error) {
	b.written = true
	return b.Reader.WriteTo(w)
}

func (b *recordedBody) Close() error { return nil }

// One of 600 pages of 1 MB was cut off where the SDK's bodies wrote themselves.
func TestRequestBodiesAreReadSoThatNoReplyIsCutOff(t *testing.T) {
	var got []byte
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got, _ = io.ReadAll(r.Body) }))
	defer server.Close()
	client, err := NewClient(t.Context(), "us-east-1", server.URL)
	if err != nil {
		t.Fatal(err)
	}
	body := &recordedBody{Reader: strings.NewReader("{}")}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, body)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Options().HTTPClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if string(got) != "{}" || body.written {
		t.Errorf("got %q, by WriteTo: %t, want {} by Read", got, body.written)
	}
}
