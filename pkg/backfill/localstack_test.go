package backfill

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	sdkkinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"
	kinesistypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"go.uber.org/zap/zaptest"

	"github.com/shipperd/shipperd/pkg/cloudwatch"
	"github.com/shipperd/shipperd/pkg/kinesis"
	"github.com/shipperd/shipperd/pkg/logsapi"
	"github.com/shipperd/shipperd/pkg/record"
	"github.com/shipperd/shipperd/test/servers"
)

// The ids are printed, not compared: LocalStack numbers events as it likes, and
// what it does says nothing about AWS.
func TestLocalStackGivesTheSameEventsByBackfillAndBySubscription(t *testing.T) {
	endpoint := servers.LocalStack(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	name := fmt.Sprintf("backfill-%d", time.Now().UnixNano())
	logs, streams := clients(t, endpoint, name)
	subscribed(t, logs, streams, name)

	// The second event lies on the job's end, which is exclusive.
	first := time.Now().Truncate(time.Second).Add(-time.Hour)
	put := []types.InputLogEvent{
		{Timestamp: aws.Int64(first.UnixMilli()), Message: aws.String(`one "quoted" line`)},
		{Timestamp: aws.Int64(first.Add(time.Minute).UnixMilli()), Message: aws.String("on the end")},
	}
	if _, err := logs.PutLogEvents(t.Context(), &cloudwatchlogs.PutLogEventsInput{
		LogGroupName: aws.String(name), LogStreamName: aws.String("s1"), LogEvents: put,
	}); err != nil {
		t.Fatal(err)
	}

	r := newRig(t)
	job := Job{Group: name, From: first, To: first.Add(time.Minute)}
	source := NewSource(job, Deps{API: logs, Store: r.store, Budget: r.budget, Records: &r.pool, Log: zaptest.NewLogger(t)})
	var history [][]byte
	ended := false
	if err := source.Run(t.Context(), func(rec *record.Record) error {
		ended = rec.Ended != nil
		if !ended {
			history = append(history, rec.Data)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if len(history) != 1 || !ended {
		t.Fatalf("got %d records, ended %t, want one and the end", len(history), ended)
	}
	past, live := read(t, history[0]), read(t, fromStream(t, streams, name))
	if len(past.Events) != 1 || len(live.Events) != 2 {
		t.Fatalf("got %d events by backfill and %d by subscription, want 1 and 2", len(past.Events), len(live.Events))
	}
	for what, pair := range map[string][2]cloudwatch.Text{
		"owner": {past.Owner, live.Owner}, "group": {past.Group, live.Group}, "stream": {past.Stream, live.Stream},
		"message": {past.Events[0].Message, live.Events[0].Message},
	} {
		if got, want := string(pair[0].Append(nil)), string(pair[1].Append(nil)); got != want {
			t.Errorf("%s: got %q by backfill, want %q as by subscription", what, got, want)
		}
	}
	if past.Events[0].Time != live.Events[0].Time {
		t.Errorf("time: got %d by backfill, want %d as by subscription", past.Events[0].Time, live.Events[0].Time)
	}
	t.Logf("one event has the id %q by FilterLogEvents and %q by the subscription",
		past.Events[0].ID.Inside, live.Events[0].ID.Inside)
}

func clients(t *testing.T, endpoint, stream string) (*cloudwatchlogs.Client, *sdkkinesis.Client) {
	t.Helper()
	logs, err := logsapi.NewClient(t.Context(), "us-east-1", endpoint)
	if err != nil {
		t.Fatal(err)
	}
	config := kinesis.DefaultConfig()
	config.Stream, config.Region, config.Endpoint = stream, "us-east-1", endpoint
	streams, err := kinesis.NewClient(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	return logs, streams
}

// subscribed makes a stream, and a log group with one log stream that delivers to
// it. The log stream comes first: LocalStack fails to make one in a group that has
// a filter.
func subscribed(t *testing.T, logs *cloudwatchlogs.Client, streams *sdkkinesis.Client, name string) {
	t.Helper()
	ctx := t.Context()
	if _, err := streams.CreateStream(ctx, &sdkkinesis.CreateStreamInput{StreamName: aws.String(name), ShardCount: aws.Int32(1)}); err != nil {
		t.Fatal(err)
	}
	wait := sdkkinesis.NewStreamExistsWaiter(streams, func(o *sdkkinesis.StreamExistsWaiterOptions) { o.MinDelay = 50 * time.Millisecond })
	described, err := wait.WaitForOutput(ctx, &sdkkinesis.DescribeStreamInput{StreamName: aws.String(name)}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := logs.CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: aws.String(name)}); err != nil {
		t.Fatal(err)
	}
	if _, err := logs.CreateLogStream(ctx, &cloudwatchlogs.CreateLogStreamInput{LogGroupName: aws.String(name), LogStreamName: aws.String("s1")}); err != nil {
		t.Fatal(err)
	}
	if _, err := logs.PutSubscriptionFilter(ctx, &cloudwatchlogs.PutSubscriptionFilterInput{
		LogGroupName: aws.String(name), FilterName: aws.String("shipperd"), FilterPattern: aws.String(""),
		DestinationArn: described.StreamDescription.StreamARN, RoleArn: aws.String("arn:aws:iam::000000000000:role/CWLtoKinesis"),
	}); err != nil {
		t.Fatal(err)
	}
}

// fromStream returns the first record of the stream.
func fromStream(t *testing.T, streams *sdkkinesis.Client, name string) []byte {
	t.Helper()
	ctx := t.Context()
	shards, err := streams.ListShards(ctx, &sdkkinesis.ListShardsInput{StreamName: aws.String(name)})
	if err != nil {
		t.Fatal(err)
	}
	iterator, err := streams.GetShardIterator(ctx, &sdkkinesis.GetShardIteratorInput{
		StreamName: aws.String(name), ShardId: shards.Shards[0].ShardId, ShardIteratorType: kinesistypes.ShardIteratorTypeTrimHorizon,
	})
	if err != nil {
		t.Fatal(err)
	}
	next := iterator.ShardIterator
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		page, err := streams.GetRecords(ctx, &sdkkinesis.GetRecordsInput{ShardIterator: next})
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Records) > 0 {
			return page.Records[0].Data
		}
		next = page.NextShardIterator
	}
	t.Fatal("the subscription has delivered nothing for a minute")
	return nil
}

func read(t *testing.T, data []byte) cloudwatch.Payload {
	t.Helper()
	text, err := cloudwatch.NewInflater(1 << 20).Inflate(data)
	if err != nil {
		t.Fatal(err)
	}
	var p cloudwatch.Payload
	if _, err := p.Next(text); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return p
}
