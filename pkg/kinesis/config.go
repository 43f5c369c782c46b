package kinesis

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"github.com/shipperd/shipperd/pkg/checkpoint"
)

// The words for kinesis.start; an RFC 3339 time is the third way to say it.
const (
	startTrimHorizon = "trim_horizon"
	startLatest      = "latest"
)

// Config is what an operator decides about the stream.
type Config struct {
	// Stream is the name or the ARN of the data stream. Another account's needs the ARN.
	Stream string `yaml:"stream"`
	// Region is that of the stream. Empty: the ARN's, else what the SDK finds.
	Region string `yaml:"region"`
	// Endpoint is the URL of an emulator or a VPC endpoint. Empty: what the SDK finds.
	Endpoint string `yaml:"endpoint"`
	// Start is where reading begins when nothing has been stored: trim_horizon,
	// latest or an RFC 3339 time.
	Start string `yaml:"start"`
	// RoleARN is a role to assume for reading. Empty: none.
	RoleARN string `yaml:"role_arn"`

	// Limits are the service's own and no operator's choice; tests and benchmarks lift them.
	Limits Limits `yaml:"-"`
	// Seed makes the jitter of every wait repeatable. 0 takes a random one.
	Seed uint64 `yaml:"-"`
}

// Limits say how fast one shard is read, and how often its stream is looked at.
type Limits struct {
	CallsPerSecond int           // GetRecords, a shard; 0 is no limit
	BytesPerSecond int64         // a shard; 0 is no limit
	Idle           time.Duration // between two calls to a shard that is caught up; jitter adds up to a quarter
	List           time.Duration // between two listings of the shards
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		Start: startTrimHorizon,
		Limits: Limits{
			CallsPerSecond: 4,       // of the 5 that a shard takes: one is left for another reader
			BytesPerSecond: 2 << 20, // all that a shard gives, to all its readers together
			Idle:           time.Second,
			List:           time.Minute, // children of a shard that is read are known sooner, from its last reply
		},
	}
}

// streamName is what CreateStream accepts.
var streamName = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,128}$`)

// Validate reports every value that cannot work, by its key.
func (c Config) Validate() error {
	var errs []error
	if _, err := c.resource(); err != nil {
		errs = append(errs, err)
	}
	if _, err := c.first(time.Time{}); err != nil {
		errs = append(errs, err)
	}
	if c.RoleARN != "" && !arn.IsARN(c.RoleARN) {
		errs = append(errs, fmt.Errorf("kinesis.role_arn: %q is no ARN; write it as arn:aws:iam::123456789012:role/name", c.RoleARN))
	}
	if c.Endpoint != "" {
		// It is not quoted: somebody may have written a password into it.
		u, err := url.Parse(c.Endpoint)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
			errs = append(errs, errors.New("kinesis.endpoint: is no URL without a user; write it as https://host or http://127.0.0.1:4566"))
		}
	}
	return errors.Join(errs...)
}

// resource names the stream in requests, in the way that the operator named it:
// an ARN makes the SDK call the stream's account, a name the caller's.
type resource struct{ name, arn *string }

func (c Config) resource() (resource, error) {
	if !arn.IsARN(c.Stream) {
		if !streamName.MatchString(c.Stream) {
			return resource{}, fmt.Errorf("kinesis.stream: %q is no stream name; write 1 to 128 of a-z A-Z 0-9 _ . - or an ARN", c.Stream)
		}
		return resource{name: aws.String(c.Stream)}, nil
	}
	a, err := arn.Parse(c.Stream)
	if err != nil || a.Service != "kinesis" || !strings.HasPrefix(a.Resource, "stream/") || a.Region == "" {
		return resource{}, fmt.Errorf("kinesis.stream: %q is no ARN of a stream; write it as arn:aws:kinesis:eu-west-1:123456789012:stream/name", c.Stream)
	}
	if c.Region != "" && c.Region != a.Region {
		return resource{}, fmt.Errorf("kinesis.region: %q is not the region of kinesis.stream, %q; leave it out", c.Region, a.Region)
	}
	return resource{arn: aws.String(c.Stream)}, nil
}

// Name returns the stream's name, also where an ARN is configured: the metrics label.
func (c Config) Name() string {
	return c.Stream[strings.LastIndexByte(c.Stream, '/')+1:]
}

// first returns where every shard that is listed at the first open starts.
// Latest becomes that open's time, so that a crash before the first checkpoint
// does not skip what came in between (rule 10).
func (c Config) first(opened time.Time) (checkpoint.Position, error) {
	switch c.Start {
	case startTrimHorizon:
		return checkpoint.Position{Kind: checkpoint.TrimHorizon}, nil
	case startLatest:
		return checkpoint.Position{Kind: checkpoint.AtTimestamp, Time: opened.UTC().Truncate(time.Millisecond)}, nil
	}
	t, err := time.Parse(time.RFC3339, c.Start)
	if err != nil {
		return checkpoint.Position{}, fmt.Errorf("kinesis.start: %q is no start; write %s, %s or a time such as 2026-01-31T00:00:00Z", c.Start, startTrimHorizon, startLatest)
	}
	return checkpoint.Position{Kind: checkpoint.AtTimestamp, Time: t.UTC()}, nil
}
