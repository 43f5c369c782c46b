package kinesis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// maxConnections bounds the connections to the service. Thousands of shards share
// them: reading has 3/8 of pipeline.memory, which are 24 reservations of 1 MiB of
// the usual 64 MiB; with more memory there are more calls at once, up to this.
const maxConnections = 64

// NewClient returns the SDK's client for the stream that config names. Region,
// endpoint and credentials that config leaves out come from the SDK's usual
// places (environment, shared files, the instance or task).
func NewClient(ctx context.Context, config Config) (*sdk.Client, error) {
	region := config.Region
	if a, err := arn.Parse(config.Stream); err == nil {
		region = a.Region
	}
	transport := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.MaxConnsPerHost = maxConnections
		t.MaxIdleConnsPerHost = maxConnections
		t.MaxIdleConns = maxConnections
	})
	loaded, err := awsconfig.LoadDefaultConfig(ctx, awsconfig.WithRegion(region), awsconfig.WithHTTPClient(transport))
	if err != nil {
		return nil, fmt.Errorf("load the AWS configuration: %w", err)
	}
	if loaded.Region == "" {
		return nil, errors.New("kinesis.region: no region is configured; write it, or set AWS_REGION")
	}
	if config.RoleARN != "" {
		loaded.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(sts.NewFromConfig(loaded), config.RoleARN))
	}
	return sdk.NewFromConfig(loaded, func(o *sdk.Options) {
		if config.Endpoint != "" {
			o.BaseEndpoint = aws.String(config.Endpoint)
		}
		o.HTTPClient = httpClient{o.HTTPClient}
		// Every call is repeated here, at a shard's pace; attempts inside the SDK
		// would come on top of the 5 calls a second that a shard takes.
		o.Retryer = aws.NopRetryer{}
	}), nil
}

// httpClient hides all but Read and Close of request bodies. The SDK's bodies have
// a WriteTo that fails with EOF once the SDK has closed them, which it does as soon
// as a reply begins; where that is before net/http has looked for the end of the
// body, net/http cuts the connection in the middle of the reply.
type httpClient struct{ sdk.HTTPClient }

// Do sends the request.
func (c httpClient) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		r.Body = struct{ io.ReadCloser }{r.Body}
	}
	return c.HTTPClient.Do(r)
}
