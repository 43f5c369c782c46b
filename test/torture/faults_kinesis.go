package torture

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"

	"github.com/shipperd/shipperd/pkg/elastic/elasticfake"
	"github.com/shipperd/shipperd/pkg/kinesis/kinesisfake"
)

const (
	describe = "DescribeStreamSummary"
	list     = "ListShards"
	iterator = "GetShardIterator"
	get      = "GetRecords"
)

// answer decides how a call goes.
type answer func(call kinesisfake.Call, next func() (any, error)) (any, error)

// calls has the first calls of an operation, for each shard, go in another way.
func calls(op string, times int, do answer) func(*site) {
	return func(s *site) {
		s.service.Hook = func(_ context.Context, call kinesisfake.Call, next func() (any, error)) (any, error) {
			if call.Op == op && call.Number <= times {
				return do(call, next)
			}
			return next()
		}
	}
}

// fails answers with an error.
func fails(err error) answer {
	return func(kinesisfake.Call, func() (any, error)) (any, error) { return nil, err }
}

// loses carries the call out and cuts the connection.
func loses(_ kinesisfake.Call, next func() (any, error)) (any, error) {
	if _, err := next(); err != nil {
		return nil, err
	}
	return nil, kinesisfake.ErrReset
}

// spoils changes a reply of GetRecords.
func spoils(change func(*sdk.GetRecordsOutput)) answer {
	return func(_ kinesisfake.Call, next func() (any, error)) (any, error) {
		out, err := next()
		if reply, ok := out.(*sdk.GetRecordsOutput); ok && err == nil {
			change(reply)
		}
		return out, err
	}
}

const kinesisRequests = "shipperd_kinesis_requests_total"

func kinesisFaults() []fault {
	api := func(code string) error { return &smithy.GenericAPIError{Code: code, Message: "no"} }
	failing := func(name, op string, err error, code string) fault {
		return fault{name: name, inject: calls(op, 2, fails(err)), metric: kinesisRequests, label: `code="` + code + `"`}
	}
	return append(kinesisHistories(), []fault{
		failing("kinesis: GetRecords throttled", get, &types.ProvisionedThroughputExceededException{}, "throttled"),
		failing("kinesis: ListShards over the account's limit", list, &types.LimitExceededException{}, "throttled"),
		failing("kinesis: the front throttles", iterator, api("ThrottlingException"), "throttled"),
		failing("kinesis: iterator expired", get, &types.ExpiredIteratorException{}, "expired"),
		failing("kinesis: internal failure", get, &types.InternalFailureException{}, "server"),
		failing("kinesis: unavailable", describe, &smithy.GenericAPIError{Code: "ServiceUnavailable", Fault: smithy.FaultServer}, "server"),
		failing("kinesis: connection reset", get, kinesisfake.ErrReset, "network"),
		failing("kinesis: access denied", get, &types.AccessDeniedException{}, "denied"),
		failing("kinesis: credentials expired", list, api("ExpiredTokenException"), "denied"),
		failing("kinesis: key disabled", get, &types.KMSDisabledException{}, "key"),
		failing("kinesis: no such stream yet", describe, &types.ResourceNotFoundException{}, "not_found"),
		failing("kinesis: shard not found although it is listed", iterator, &types.ResourceNotFoundException{}, "not_found"),
		failing("kinesis: invalid iterator", get, &types.InvalidArgumentException{}, "invalid"),
		{
			name: "kinesis: reply lost", inject: calls(get, 2, loses),
			metric: kinesisRequests, label: `code="network"`,
		},
		{
			name: "kinesis: reply never comes", inject: calls(get, 1, func(_ kinesisfake.Call, next func() (any, error)) (any, error) {
				time.Sleep(31 * time.Second) //nolint:forbidigo // the daemon's deadline is 30 s of its own time
				return next()
			}),
			metric: kinesisRequests, label: `code="timeout"`,
		},
		midFlush("kinesis: shard split in mid-flush", func(s *site, shard string) { s.stream.Split(shard) }),
		midFlush("kinesis: shards merged in mid-flush", func(s *site, shard string) { s.stream.Merge(shard, s.stream.Shards()[1]) }),
		{
			name: "kinesis: empty but behind", inject: calls(get, 8, func(call kinesisfake.Call, _ func() (any, error)) (any, error) {
				in, _ := call.In.(*sdk.GetRecordsInput)
				return &sdk.GetRecordsOutput{Records: []types.Record{}, NextShardIterator: in.ShardIterator, MillisBehindLatest: aws.Int64(5000)}, nil
			}),
			metric: "shipperd_kinesis_shard_lag_seconds", above: 4,
		},
		{
			name: "kinesis: no next iterator of an open shard", inject: calls(get, 2, spoils(func(out *sdk.GetRecordsOutput) { out.NextShardIterator = nil })),
			metric: kinesisRequests, label: `op="GetShardIterator"`, above: shards,
		},
		{
			name: "kinesis: record without sequence number", inject: calls(get, 1, spoils(func(out *sdk.GetRecordsOutput) {
				for i := range out.Records {
					out.Records[i].SequenceNumber = nil
				}
			})),
			metric: kinesisRequests, label: `code="malformed"`,
		},
		{
			name: "kinesis: no iterator in the reply", inject: calls(iterator, 1, func(kinesisfake.Call, func() (any, error)) (any, error) {
				return &sdk.GetShardIteratorOutput{}, nil
			}),
			metric: kinesisRequests, label: `code="malformed"`,
		},
		{
			name: "kinesis: the last records come without a next iterator", load: func(s *site) error { return s.putAround(func(shard string) { s.stream.Split(shard) }) },
			metric: kinesisRequests, label: `op="GetShardIterator"`, above: shards,
		},
		{
			name: "kinesis: shards merged before they were read", load: func(s *site) error {
				return s.putAround(func(shard string) { s.stream.Merge(shard, s.stream.Shards()[1]) })
			},
			metric: kinesisRequests, label: `op="GetShardIterator"`, above: shards,
		},
	}...)
}

// midFlush changes the shards while the first request with their records is under way;
// children have records when it is answered.
func midFlush(name string, change func(s *site, shard string)) fault {
	return fault{
		name: name, metric: kinesisRequests, label: `op="GetShardIterator"`, above: shards,
		inject: func(s *site) {
			s.search.Script = func(r *elasticfake.Request) elasticfake.Fault {
				if r.Number != 1 {
					return elasticfake.Fault{}
				}
				change(s, s.stream.Shards()[0])
				open := s.stream.Shards()
				if err := s.putEvents(9, open[len(open)-1], "good", 20, ""); err != nil {
					panic(err) // of gzip into memory
				}
				return elasticfake.Fault{Delay: 2 * time.Second}
			}
		},
	}
}

// putAround puts records on a shard, changes the shards, and puts some on the youngest one.
func (s *site) putAround(change func(shard string)) error {
	first := s.stream.Shards()[0]
	if err := s.putEvents(0, first, "good", 20, ""); err != nil {
		return err
	}
	change(first)
	open := s.stream.Shards()
	return s.putEvents(1, open[len(open)-1], "good", 20, "")
}

// kinesisHistories are what can happen to a stream while shipperd is down.
func kinesisHistories() []fault {
	return []fault{
		{
			name: "kinesis: the stored position was trimmed",
			inject: func(s *site) {
				s.service.Hook = func(_ context.Context, call kinesisfake.Call, next func() (any, error)) (any, error) {
					if call.Op == iterator && call.Number == 2 { // of each shard; the first is the first daemon's
						s.stream.SetRetention(0)
						defer s.stream.SetRetention(24 * time.Hour)
					}
					return next()
				}
			},
			then:   func(*site) error { return nil },
			metric: "shipperd_kinesis_gaps_total",
		},
		{
			name: "kinesis: the stream was deleted and made anew",
			then: func(s *site) error {
				s.service.Delete(streamName)
				time.Sleep(time.Second) //nolint:forbidigo // streams are told apart by the second of their creation
				s.stream = s.service.Create(streamName, 2)
				return s.putEvents(7, s.stream.Shards()[1], "good", 20, "")
			},
			metric: "shipperd_kinesis_gaps_total",
		},
	}
}
