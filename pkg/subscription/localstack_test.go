package subscription

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	sdkkinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"go.uber.org/zap/zaptest"

	"github.com/shipperd/shipperd/pkg/kinesis"
	"github.com/shipperd/shipperd/pkg/logsapi"
	"github.com/shipperd/shipperd/test/servers"
)

func TestLocalStackTakesWhatWasPlannedAndNoThirdFilter(t *testing.T) {
	endpoint := servers.LocalStack(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	ctx := t.Context()
	logs, err := logsapi.NewClient(ctx, "us-east-1", endpoint)
	if err != nil {
		t.Fatal(err)
	}
	unique := fmt.Sprintf("subscription-%d", time.Now().UnixNano())
	config := kinesis.DefaultConfig()
	config.Stream, config.Region, config.Endpoint = unique, "us-east-1", endpoint
	streams, err := kinesis.NewClient(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := streams.CreateStream(ctx, &sdkkinesis.CreateStreamInput{StreamName: aws.String(unique), ShardCount: aws.Int32(1)}); err != nil {
		t.Fatal(err)
	}
	wait := sdkkinesis.NewStreamExistsWaiter(streams, func(o *sdkkinesis.StreamExistsWaiterOptions) { o.MinDelay = 50 * time.Millisecond })
	if err := wait.Wait(ctx, &sdkkinesis.DescribeStreamInput{StreamName: aws.String(unique)}, time.Minute); err != nil {
		t.Fatal(err)
	}
	groups := []string{unique + "/access", unique + "/ssh"}
	for _, group := range groups {
		if _, err := logs.CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: aws.String(group)}); err != nil {
			t.Fatal(err)
		}
	}

	m := NewManager(logs, streams, zaptest.NewLogger(t))
	request := Request{
		Selection: Selection{Groups: []string{unique + "/*"}}, Filter: "shipperd", Stream: unique,
		Role: "arn:aws:iam::000000000000:role/CWLtoKinesis",
	}
	for _, want := range []Action{Create, Keep} {
		plan, err := m.Plan(ctx, request)
		if err != nil {
			t.Fatal(err)
		}
		if got := plan.Count(want); got != len(groups) {
			t.Fatalf("got %+v, want every group to %s", plan.Rows, want)
		}
		if err := m.Apply(ctx, plan, func(Row) {}); err != nil {
			t.Fatal(err)
		}
	}

	status, err := m.Status(ctx, request.Selection)
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range status {
		if len(group.Filters) != 1 || group.Filters[0].Name != "shipperd" || !strings.HasSuffix(group.Filters[0].Destination, ":stream/"+unique) {
			t.Errorf("got %+v, want the one filter that was put", group)
		}
	}

	thirdIsRefused(t, m, logs, request, groups[0])

	removal, err := m.PlanRemoval(ctx, request.Selection, "shipperd", unique)
	if err == nil {
		err = m.Apply(ctx, removal, func(Row) {})
	}
	if err != nil || removal.Count(Remove) != len(groups) {
		t.Errorf("got %+v and %v, want both filters removed", removal.Rows, err)
	}
}

// thirdIsRefused fills the group up, and lets both the plan and the service refuse.
func thirdIsRefused(t *testing.T, m *Manager, logs *cloudwatchlogs.Client, request Request, group string) {
	t.Helper()
	ctx := t.Context()
	status, err := m.Status(ctx, Selection{Groups: []string{group}})
	if err != nil {
		t.Fatal(err)
	}
	put := &cloudwatchlogs.PutSubscriptionFilterInput{
		LogGroupName: aws.String(group), FilterName: aws.String("second"), FilterPattern: aws.String(""),
		DestinationArn: aws.String(status[0].Filters[0].Destination), RoleArn: aws.String(request.Role),
	}
	if _, err := logs.PutSubscriptionFilter(ctx, put); err != nil {
		t.Fatal(err)
	}
	request.Filter = "third"
	plan, err := m.Plan(ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Apply(ctx, plan, func(Row) {}); !errors.Is(err, ErrRefused) {
		t.Errorf("got %v, want %v", err, ErrRefused)
	}
	plan.Rows = []Row{{Group: group, Action: Create}} // as if the second had come after the plan
	if err := m.Apply(ctx, plan, func(Row) {}); !is[*types.LimitExceededException](err) {
		t.Errorf("got %v, want the service's own refusal", err)
	}
}
