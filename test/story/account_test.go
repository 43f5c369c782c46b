package story

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	kinesistypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shipperd/shipperd/pkg/demo"
)

const (
	region = "us-west-2" // the lab's
	stream = "lab"
	other  = "other" // somebody else's stream
)

// account is an AWS account of one test. LocalStack takes an access key of 12 digits
// for the account's number, so the log groups can have the lab's own names, which
// its dashboards ask for.
type account struct {
	t    *testing.T
	id   string
	url  string
	logs *cloudwatchlogs.Client
	data *kinesis.Client
}

// newAccount returns an account with the lab's stream and another one.
func newAccount(t *testing.T, endpoint string) *account {
	t.Helper()
	a := &account{t: t, id: fmt.Sprintf("%012d", rand.Int64N(1e12)), url: endpoint}
	keys := credentials.NewStaticCredentialsProvider(a.id, "test", "")
	a.logs = cloudwatchlogs.New(cloudwatchlogs.Options{Region: region, BaseEndpoint: &endpoint, Credentials: keys})
	a.data = kinesis.New(kinesis.Options{Region: region, BaseEndpoint: &endpoint, Credentials: keys})
	a.createStream(stream)
	a.createStream(other)
	return a
}

func (a *account) createStream(name string) {
	a.t.Helper()
	if _, err := a.data.CreateStream(a.t.Context(), &kinesis.CreateStreamInput{StreamName: &name, ShardCount: aws.Int32(2)}); err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() {
		// Where it fails, a shared server keeps a stream.
		_, _ = a.data.DeleteStream(context.WithoutCancel(a.t.Context()), &kinesis.DeleteStreamInput{StreamName: &name})
	})
	exists := kinesis.NewStreamExistsWaiter(a.data, func(o *kinesis.StreamExistsWaiterOptions) { o.MinDelay = 50 * time.Millisecond })
	if err := exists.Wait(a.t.Context(), &kinesis.DescribeStreamInput{StreamName: &name}, patience); err != nil {
		a.t.Fatal(err)
	}
}

func (a *account) flags() []string { return []string{"--region", region, "--endpoint", a.url} }

// destination names the stream and the role that delivers to it.
func (a *account) destination() []string {
	return append(a.flags(), "--stream", stream, "--role", a.role())
}

func (a *account) role() string { return "arn:aws:iam::" + a.id + ":role/CWLtoKinesis" }

func (a *account) createGroup(name string) {
	a.t.Helper()
	if _, err := a.logs.CreateLogGroup(a.t.Context(), &cloudwatchlogs.CreateLogGroupInput{LogGroupName: &name}); err != nil {
		a.t.Fatalf("create log group %s: %v", name, err)
	}
}

// createGroups makes the groups and log streams of events. All log streams come
// before the first filter: LocalStack answers 500 in a subscribed group.
func (a *account) createGroups(events []demo.Event) {
	a.t.Helper()
	for group := range formats() {
		a.createGroup(group)
	}
	made := make(map[[2]string]bool)
	for _, e := range events {
		if made[[2]string{e.Group, e.Stream}] {
			continue
		}
		made[[2]string{e.Group, e.Stream}] = true
		_, err := a.logs.CreateLogStream(a.t.Context(), &cloudwatchlogs.CreateLogStreamInput{LogGroupName: &e.Group, LogStreamName: &e.Stream})
		if err != nil {
			a.t.Fatalf("create log stream %s of %s: %v", e.Stream, e.Group, err)
		}
	}
}

// put puts events, in their order, in calls of one log stream each.
func (a *account) put(events []demo.Event) {
	a.t.Helper()
	streams := make(map[[2]string][]types.InputLogEvent)
	for _, e := range events {
		key := [2]string{e.Group, e.Stream}
		streams[key] = append(streams[key], types.InputLogEvent{Message: &e.Message, Timestamp: aws.Int64(e.Time.UnixMilli())})
	}
	for key, all := range streams {
		for batch := range slices.Chunk(all, 100) {
			got, err := a.logs.PutLogEvents(a.t.Context(), &cloudwatchlogs.PutLogEventsInput{
				LogGroupName: &key[0], LogStreamName: &key[1], LogEvents: batch,
			})
			if err != nil || got.RejectedLogEventsInfo != nil {
				a.t.Fatalf("put events of %s in %s: %v, rejected %+v", key[1], key[0], err, got.RejectedLogEventsInfo)
			}
		}
	}
}

// subscribeOther subscribes the group to the other stream, without shipperd.
func (a *account) subscribeOther(group, name string) {
	a.t.Helper()
	_, err := a.logs.PutSubscriptionFilter(a.t.Context(), &cloudwatchlogs.PutSubscriptionFilterInput{
		LogGroupName: &group, FilterName: &name, FilterPattern: aws.String(""), RoleArn: aws.String(a.role()),
		DestinationArn: aws.String("arn:aws:kinesis:" + region + ":" + a.id + ":stream/" + other),
	})
	if err != nil {
		a.t.Fatalf("put filter %s of %s: %v", name, group, err)
	}
}

// filters returns the names of the group's filters.
func (a *account) filters(group string) (names []string) {
	a.t.Helper()
	got, err := a.logs.DescribeSubscriptionFilters(a.t.Context(), &cloudwatchlogs.DescribeSubscriptionFiltersInput{LogGroupName: &group})
	if err != nil {
		a.t.Fatal(err)
	}
	for _, f := range got.SubscriptionFilters {
		names = append(names, *f.FilterName)
	}
	slices.Sort(names)
	return names
}

// behind returns the URL of a proxy that asks before it passes on a call of
// FilterLogEvents, the nth from 1. What is not passed on gets no answer.
func (a *account) behind(t *testing.T, passes func(n int) bool) string {
	t.Helper()
	target, err := url.Parse(a.url)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	calls := 0 // a backfill makes one at a time
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".FilterLogEvents") {
			if calls++; !passes(calls) {
				_, _ = io.Copy(io.Discard, r.Body) // the server notices the caller's end only after it
				<-r.Context().Done()
				return
			}
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// found returns the ids that FilterLogEvents has of a group, by identity.
func (a *account) found(group string) map[string][]string {
	a.t.Helper()
	ids := make(map[string][]string)
	pages := cloudwatchlogs.NewFilterLogEventsPaginator(a.logs, &cloudwatchlogs.FilterLogEventsInput{LogGroupName: &group})
	for pages.HasMorePages() {
		page, err := pages.NextPage(a.t.Context())
		if err != nil {
			a.t.Fatal(err)
		}
		for _, e := range page.Events {
			id := identity(demo.Event{Group: group, Stream: *e.LogStreamName, Time: time.UnixMilli(*e.Timestamp), Message: *e.Message})
			ids[id] = append(ids[id], *e.EventId)
		}
	}
	return ids
}

// delivered returns the ids that the subscriptions have put on the stream, by
// identity.
func (a *account) delivered() map[string][]string {
	a.t.Helper()
	ids := make(map[string][]string)
	shards, err := a.data.ListShards(a.t.Context(), &kinesis.ListShardsInput{StreamName: aws.String(stream)})
	if err != nil {
		a.t.Fatal(err)
	}
	for _, shard := range shards.Shards {
		iterator, err := a.data.GetShardIterator(a.t.Context(), &kinesis.GetShardIteratorInput{
			StreamName: aws.String(stream), ShardId: shard.ShardId, ShardIteratorType: kinesistypes.ShardIteratorTypeTrimHorizon,
		})
		if err != nil {
			a.t.Fatal(err)
		}
		for at := iterator.ShardIterator; at != nil; {
			page, err := a.data.GetRecords(a.t.Context(), &kinesis.GetRecordsInput{ShardIterator: at})
			if err != nil {
				a.t.Fatal(err)
			}
			for _, r := range page.Records {
				a.addDelivered(ids, r.Data)
			}
			if at = page.NextShardIterator; aws.ToInt64(page.MillisBehindLatest) == 0 && len(page.Records) == 0 {
				break
			}
		}
	}
	return ids
}

func (a *account) addDelivered(ids map[string][]string, data []byte) {
	a.t.Helper()
	var payload struct {
		LogGroup, LogStream string
		LogEvents           []struct {
			ID, Message string
			Timestamp   int64
		}
	}
	text, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		a.t.Fatal(err)
	}
	if err := json.NewDecoder(text).Decode(&payload); err != nil {
		a.t.Fatal(err)
	}
	for _, e := range payload.LogEvents {
		id := identity(demo.Event{Group: payload.LogGroup, Stream: payload.LogStream, Time: time.UnixMilli(e.Timestamp), Message: e.Message})
		ids[id] = append(ids[id], e.ID)
	}
}
