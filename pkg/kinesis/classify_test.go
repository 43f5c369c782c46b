package kinesis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"

	"github.com/shipperd/shipperd/pkg/kinesis/kinesisfake"
)

// failures are errors as they come from the API, and what they mean.
var failures = []struct {
	err  error
	want reason
}{
	{&types.ProvisionedThroughputExceededException{}, throttled},
	{&types.LimitExceededException{}, throttled},
	{&types.KMSThrottlingException{}, throttled},
	{&smithy.GenericAPIError{Code: "ThrottlingException"}, throttled},
	{&smithy.GenericAPIError{Code: "RequestLimitExceeded"}, throttled},
	{&types.ExpiredIteratorException{}, expired},
	{&types.ExpiredNextTokenException{}, expired},
	{&types.InvalidArgumentException{}, invalid},
	{&types.ValidationException{}, invalid},
	{&types.ResourceNotFoundException{}, notFound},
	{&types.AccessDeniedException{}, denied},
	{&smithy.GenericAPIError{Code: "UnrecognizedClientException"}, denied},
	{&smithy.GenericAPIError{Code: "ExpiredTokenException"}, denied},
	{&smithy.GenericAPIError{Code: "InvalidSignatureException"}, denied},
	{&types.KMSAccessDeniedException{}, key},
	{&types.KMSDisabledException{}, key},
	{&types.KMSInvalidStateException{}, key},
	{&types.KMSNotFoundException{}, key},
	{&types.KMSOptInRequired{}, key},
	{&types.InternalFailureException{}, server},
	{&smithy.GenericAPIError{Code: "ServiceUnavailable", Fault: smithy.FaultServer}, server},
	{kinesisfake.ErrReset, network},
}

func TestErrorsAreClassifiedTheSameWithAndWithoutHTTP(t *testing.T) {
	for _, test := range failures {
		t.Run(fmt.Sprintf("%T %v", test.err, test.err), func(t *testing.T) {
			if got := classify(fmt.Errorf("wrapped: %w", test.err)); got != test.want {
				t.Errorf("in process: got %s, want %s", got, test.want)
			}
			service := &kinesisfake.Service{Hook: func(context.Context, kinesisfake.Call, func() (any, error)) (any, error) {
				return nil, test.err
			}}
			err := call(t.Context(), t, service)
			if got := classify(err); got != test.want {
				t.Errorf("over HTTP: got %s for %v, want %s", got, err, test.want)
			}
		})
	}
}

func TestRepliesThatAreNotTheServicesAreClassified(t *testing.T) {
	tests := []struct {
		name  string
		reply http.HandlerFunc
		want  reason
	}{
		{"error page of a proxy", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
			_, _ = io.WriteString(w, "<html><body>bad gateway</body></html>")
		}, server},
		{"forbidden by a proxy", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, "<html>no</html>")
		}, denied},
		{"page in place of a reply", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "<html><body>welcome</body></html>")
		}, network},
		{"reply that was cut", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, `{"Records":[{"Data":"`)
		}, network},
		{"reply of half a document", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"Records":[{"Data":"`)
		}, network},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := call(t.Context(), t, test.reply)
			if got := classify(err); got != test.want {
				t.Errorf("got %s for %v, want %s", got, err, test.want)
			}
		})
	}
}

func TestPeersThatAreNotThereAreClassified(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	for _, endpoint := range []string{"http://" + address, "http://name.invalid"} {
		_, err := client(t, endpoint).GetRecords(t.Context(), &sdk.GetRecordsInput{ShardIterator: aws.String("x")})
		if got := classify(err); got != network {
			t.Errorf("got %s for %v, want %s", got, err, network)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	if err := call(ctx, t, http.NotFoundHandler()); classify(err) != timeout {
		t.Errorf("got %s for %v, want %s", classify(err), err, timeout)
	}
	if got := classify(errors.New("no credentials")); got != other {
		t.Errorf("got %s for an unknown error, want %s", got, other)
	}
}

// call makes a GetRecords of the SDK's client to a handler.
func call(ctx context.Context, t *testing.T, handler http.Handler) error {
	t.Helper()
	server := httptest.NewServer(handler)
	defer server.Close()
	_, err := client(t, server.URL).GetRecords(ctx, &sdk.GetRecordsInput{ShardIterator: aws.String("x")})
	return err
}

func client(t *testing.T, endpoint string) *sdk.Client {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "key")
	c, err := NewClient(t.Context(), Config{Stream: "logs", Region: kinesisfake.Region, Endpoint: endpoint})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
