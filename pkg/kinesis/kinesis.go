// Package kinesis reads every shard of a Kinesis data stream, each in its order.
//
// Open finds the stream. Source.Run lists its shards, starts one reader for each
// that may be read (lineage.go says which) and hands every record to emit. A
// reader (shard.go) waits for its turn (pace.go) and for memory, asks once, emits
// what came, and so on until its shard ends; then the shards that a split or a
// merge made of it may start.
//
// Where reading goes on is known twice. The reader itself remembers the last
// record that it has read, for iterators that expire. The checkpoint store holds
// the last one that has settled, for restarts; the pipeline moves it. This
// package writes a shard's first position only, and removes rows of shards that
// are gone.
//
// No failure of the service ends a shard or the process: classify.go says what
// each error means, outage.go makes one log line of many failures.
package kinesis

import (
	"context"

	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
)

// API is what shipperd calls of the service. *kinesis.Client of the SDK has it,
// and kinesisfake.Service.
type API interface {
	DescribeStreamSummary(ctx context.Context, in *sdk.DescribeStreamSummaryInput, options ...func(*sdk.Options)) (*sdk.DescribeStreamSummaryOutput, error)
	ListShards(ctx context.Context, in *sdk.ListShardsInput, options ...func(*sdk.Options)) (*sdk.ListShardsOutput, error)
	GetShardIterator(ctx context.Context, in *sdk.GetShardIteratorInput, options ...func(*sdk.Options)) (*sdk.GetShardIteratorOutput, error)
	GetRecords(ctx context.Context, in *sdk.GetRecordsInput, options ...func(*sdk.Options)) (*sdk.GetRecordsOutput, error)
}

// Budget bounds the bytes that have been read and have not settled.
type Budget interface {
	// Reserve waits until bytes are free and takes them. Its error is that of ctx.
	Reserve(ctx context.Context, bytes int64) error
	// Charge takes bytes that are in memory already, without waiting.
	Charge(bytes int64)
	// Release gives bytes back.
	Release(bytes int64)
}
