package subscription

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shipperd/shipperd/pkg/logsapi"
)

// destination returns the ARN of the stream, which exists and takes records. A
// filter on a stream that does not would be disabled and lose logs.
func (m *Manager) destination(ctx context.Context, stream string) (arn.ARN, error) {
	in := &kinesis.DescribeStreamSummaryInput{StreamName: aws.String(stream)}
	if arn.IsARN(stream) {
		in = &kinesis.DescribeStreamSummaryInput{StreamARN: aws.String(stream)}
	}
	out, err := logsapi.Call(ctx, m.caller, "DescribeStreamSummary", m.streams.DescribeStreamSummary, in)
	if err != nil {
		if _, missing := errors.AsType[*types.ResourceNotFoundException](err); missing {
			err = fmt.Errorf("there is no such stream in this account and region: %w", err)
		}
		return arn.ARN{}, fmt.Errorf("stream %q: %w", stream, err)
	}
	summary := out.StreamDescriptionSummary
	if summary.StreamStatus != types.StreamStatusActive {
		return arn.ARN{}, fmt.Errorf("stream %q is %s; CloudWatch Logs can only test its delivery when it is ACTIVE", stream, summary.StreamStatus)
	}
	return arn.Parse(aws.ToString(summary.StreamARN))
}

// checkRole compares the role with the stream. CloudWatch Logs delivers within one
// account only; across accounts it takes a logical destination.
func checkRole(role string, stream arn.ARN) error {
	r, err := arn.Parse(role)
	if err != nil {
		return fmt.Errorf("role %q: %w", role, err)
	}
	if r.AccountID != stream.AccountID || r.Partition != stream.Partition {
		return fmt.Errorf("role %q is in account %s (%s), the stream in %s (%s); both must be in the account of the log groups",
			role, r.AccountID, r.Partition, stream.AccountID, stream.Partition)
	}
	return nil
}
