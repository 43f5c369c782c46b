package main

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

const streamName = "bench"

// stream is a kinesis.API whose shards serve the same few records again and again
// under new sequence numbers, each shard from another one on. An iterator is the shard
// and how many of its records have been read: `shard-3/120`.
type stream struct {
	records [][]byte
	shards  int
	length  int // records of a shard
	created time.Time
}

// DescribeStreamSummary implements kinesis.API.
func (s *stream) DescribeStreamSummary(context.Context, *sdk.DescribeStreamSummaryInput, ...func(*sdk.Options)) (*sdk.DescribeStreamSummaryOutput, error) {
	return &sdk.DescribeStreamSummaryOutput{StreamDescriptionSummary: &types.StreamDescriptionSummary{
		StreamARN: aws.String("arn:aws:kinesis:eu-west-1:123456789012:stream/" + streamName), StreamCreationTimestamp: &s.created,
	}}, nil
}

// ListShards implements kinesis.API.
func (s *stream) ListShards(context.Context, *sdk.ListShardsInput, ...func(*sdk.Options)) (*sdk.ListShardsOutput, error) {
	out := &sdk.ListShardsOutput{}
	for i := range s.shards {
		out.Shards = append(out.Shards, types.Shard{ShardId: aws.String("shard-" + strconv.Itoa(i))})
	}
	return out, nil
}

// GetShardIterator implements kinesis.API. It is called once for each shard.
func (s *stream) GetShardIterator(_ context.Context, in *sdk.GetShardIteratorInput, _ ...func(*sdk.Options)) (*sdk.GetShardIteratorOutput, error) {
	return &sdk.GetShardIteratorOutput{ShardIterator: aws.String(*in.ShardId + "/0")}, nil
}

// sequences returns the sequence numbers of some records, all parts of one text.
func sequences(first, last int) []string {
	const zeros = "00000000000000000000000000000000000000000000000000000000"
	const length = len(zeros)
	var text, digits []byte
	for i := first; i < last; i++ {
		digits = strconv.AppendInt(digits[:0], int64(i+1), 10)
		text = append(append(text, zeros[len(digits):]...), digits...)
	}
	all, numbers := string(text), make([]string, last-first)
	for i := range numbers {
		numbers[i] = all[i*length : (i+1)*length]
	}
	return numbers
}

// GetRecords implements kinesis.API. Every record's data is a copy, as the SDK's are;
// nothing else is allocated for each record, for that would be counted as the daemon's.
func (s *stream) GetRecords(_ context.Context, in *sdk.GetRecordsInput, _ ...func(*sdk.Options)) (*sdk.GetRecordsOutput, error) {
	var number, first int
	if _, err := fmt.Sscanf(*in.ShardIterator, "shard-%d/%d", &number, &first); err != nil {
		return nil, fmt.Errorf("iterator %q: %w", *in.ShardIterator, err)
	}
	last := min(first+int(*in.Limit), s.length)
	out := &sdk.GetRecordsOutput{
		Records:            make([]types.Record, 0, last-first),
		NextShardIterator:  aws.String(fmt.Sprintf("shard-%d/%d", number, last)),
		MillisBehindLatest: aws.Int64(int64(s.length - last)),
	}
	numbers := sequences(first, last)
	for i := first; i < last; i++ {
		out.Records = append(out.Records, types.Record{
			SequenceNumber:              &numbers[i-first],
			ApproximateArrivalTimestamp: &s.created,
			Data:                        bytes.Clone(s.records[(number+i)%len(s.records)]),
		})
	}
	return out, nil
}
