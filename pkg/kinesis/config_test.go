package kinesis

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/google/go-cmp/cmp"

	"github.com/shipperd/shipperd/pkg/checkpoint"
)

const streamARN = "arn:aws:kinesis:eu-west-1:123456789012:stream/logs"

func TestValidateNamesEveryBadKey(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Config)
		want   []string // beginnings of the lines
	}{
		{"name", func(*Config) {}, nil},
		{"ARN", func(c *Config) { c.Stream = streamARN }, nil},
		{"ARN of another partition", func(c *Config) { c.Stream = "arn:aws-cn:kinesis:cn-north-1:123456789012:stream/logs" }, nil},
		{"time", func(c *Config) { c.Start = "2026-01-31T00:00:00Z" }, nil},
		{"no stream", func(c *Config) { c.Stream = "" }, []string{"kinesis.stream"}},
		{"ARN of something else", func(c *Config) { c.Stream = "arn:aws:s3:::logs" }, []string{"kinesis.stream"}},
		{"two regions", func(c *Config) { c.Stream, c.Region = streamARN, "us-east-1" }, []string{"kinesis.region"}},
		{"all at once", func(c *Config) {
			c.Stream, c.Start, c.RoleARN, c.Endpoint = "a b", "yesterday", "me", "localhost:4566"
		}, []string{"kinesis.stream", "kinesis.start", "kinesis.role_arn", "kinesis.endpoint"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := DefaultConfig()
			c.Stream = "logs"
			test.change(&c)
			var got []string
			if err := c.Validate(); err != nil {
				for line := range strings.Lines(err.Error()) {
					got = append(got, line[:strings.Index(line, ": ")])
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("keys (-want +got):\n%s", diff)
			}
		})
	}
}

func TestStartIsAPosition(t *testing.T) {
	opened := time.Date(2026, 1, 2, 3, 4, 5, 6_700_000, time.UTC)
	for start, want := range map[string]checkpoint.Position{
		"trim_horizon":              {Kind: checkpoint.TrimHorizon},
		"latest":                    {Kind: checkpoint.AtTimestamp, Time: opened.Truncate(time.Millisecond)},
		"2026-01-31T01:00:00+01:00": {Kind: checkpoint.AtTimestamp, Time: time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)},
	} {
		got, err := Config{Start: start}.first(opened)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: error %v (-want +got):\n%s", start, err, diff)
		}
	}
}

func TestThreat12EndpointWithAPasswordIsRefusedAndNotQuoted(t *testing.T) {
	for _, endpoint := range []string{"https://user:hunter2@host", "user:hunter2@host", "https://user:hunter2@host:port"} {
		c := DefaultConfig()
		c.Stream, c.Endpoint = "logs", endpoint
		if err := c.Validate(); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, want it refused without its password", endpoint, err)
		}
	}
}

func TestStreamsNameIsFoundInAnARN(t *testing.T) {
	for stream, want := range map[string]string{"logs": "logs", streamARN: "logs"} {
		if got := (Config{Stream: stream}).Name(); got != want {
			t.Errorf("%s: got %q, want %q", stream, got, want)
		}
	}
}

// Without an endpoint in the configuration, the SDK's variable decides; the role
// is assumed before the first call.
func TestClientUsesTheSDKsEnvironmentAndTheRole(t *testing.T) {
	var calls []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if target := r.Header.Get("X-Amz-Target"); target != "" {
			calls = append(calls, target+" by "+signer(r))
			_, _ = w.Write([]byte("{}"))
			return
		}
		calls = append(calls, "sts by "+signer(r))
		_, _ = w.Write([]byte(`<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>` +
			`<AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>` +
			`</Credentials></AssumeRoleResult></AssumeRoleResponse>`))
	}))
	defer server.Close()
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAOWN")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "key")
	t.Setenv("AWS_REGION", "eu-west-1")
	t.Setenv("AWS_ENDPOINT_URL", server.URL)
	c, err := NewClient(t.Context(), Config{Stream: "logs", RoleARN: "arn:aws:iam::123456789012:role/reader"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.ListShards(t.Context(), &sdk.ListShardsInput{StreamName: aws.String("logs")}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"sts by AKIAOWN", "Kinesis_20131202.ListShards by ASIAROLE"}, calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func signer(r *http.Request) string {
	_, credential, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	id, _, _ := strings.Cut(credential, "/")
	return id
}

func TestClientWithoutARegionSaysSo(t *testing.T) {
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONFIG_FILE", "/dev/null")
	if _, err := NewClient(t.Context(), Config{Stream: "logs"}); err == nil || !strings.HasPrefix(err.Error(), "kinesis.region: ") {
		t.Errorf("got error %v, want one that names kinesis.region", err)
	}
	c, err := NewClient(t.Context(), Config{Stream: streamARN})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Options().Region; got != "eu-west-1" {
		t.Errorf("got region %q, want the ARN's", got)
	}
}
