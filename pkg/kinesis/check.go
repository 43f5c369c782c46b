package kinesis

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// Check makes each call that reading the stream takes, once, and says what it
// found. Its error names the call that fails and what to do about it.
func Check(ctx context.Context, api API, config Config) (string, error) {
	resource, err := config.resource()
	if err != nil {
		return "", err
	}
	described, err := api.DescribeStreamSummary(ctx, &sdk.DescribeStreamSummaryInput{StreamName: resource.name, StreamARN: resource.arn})
	if err != nil {
		return "", advise(opDescribe, err)
	}
	listed, err := api.ListShards(ctx, &sdk.ListShardsInput{StreamName: resource.name, StreamARN: resource.arn})
	if err != nil {
		return "", advise(opList, err)
	}
	if len(listed.Shards) == 0 {
		return "", fmt.Errorf("%s: the stream has no shards", opList)
	}
	iterator, err := api.GetShardIterator(ctx, &sdk.GetShardIteratorInput{
		StreamName: resource.name, StreamARN: resource.arn,
		ShardId: listed.Shards[0].ShardId, ShardIteratorType: types.ShardIteratorTypeLatest,
	})
	if err != nil {
		return "", advise(opIterator, err)
	}
	in := &sdk.GetRecordsInput{ShardIterator: iterator.ShardIterator, StreamARN: resource.arn, Limit: aws.Int32(1)}
	if _, err := api.GetRecords(ctx, in); err != nil {
		return "", advise(opRecords, err)
	}
	summary := described.StreamDescriptionSummary
	return fmt.Sprintf("%s, %d open shards, retention %d h", summary.StreamStatus,
		aws.ToInt32(summary.OpenShardCount), aws.ToInt32(summary.RetentionPeriodHours)), nil
}

func advise(op string, err error) error {
	return fmt.Errorf("%w; %s", &callError{op: op, reason: classify(err), err: err}, advice(classify(err), op))
}
