package kinesis

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/shipperd/shipperd/pkg/checkpoint"
	"github.com/shipperd/shipperd/pkg/kinesis/kinesisfake"
	"github.com/shipperd/shipperd/pkg/record"
	"github.com/shipperd/shipperd/test/servers"
)

// The source behind the real SDK, with a split and a restart under way.
func TestSourceReadsThroughTheSDK(t *testing.T) {
	t.Run("our endpoint", func(t *testing.T) {
		// Every seventh call of each kind and shard has its connection cut.
		service := &kinesisfake.Service{Hook: func(_ context.Context, call kinesisfake.Call, next func() (any, error)) (any, error) {
			if call.Number%7 == 0 && call.Op == opRecords {
				return nil, kinesisfake.ErrReset
			}
			return next()
		}}
		server := httptest.NewServer(service)
		defer server.Close()
		testThroughTheSDK(t, server.URL)
	})
	t.Run("kinesis-mock", func(t *testing.T) { testThroughTheSDK(t, servers.Kinesis(t)) })
}

func testThroughTheSDK(t *testing.T, endpoint string) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	api := client(t, endpoint)
	config := DefaultConfig()
	config.Stream = fmt.Sprintf("source-%d", time.Now().UnixNano())
	config.Limits = Limits{Idle: 20 * time.Millisecond, List: time.Second}
	create := &sdk.CreateStreamInput{StreamName: &config.Stream, ShardCount: aws.Int32(2)}
	if _, err := api.CreateStream(ctx, create); err != nil {
		t.Fatal(err)
	}
	defer func() { // the server is shared
		_, _ = api.DeleteStream(context.WithoutCancel(ctx), &sdk.DeleteStreamInput{StreamName: &config.Stream})
	}()
	active(ctx, t, api, &config.Stream)

	store := &store{rows: make(map[string]checkpoint.Position)}
	seen := make(map[string]int)
	put := func(from, to int) {
		for i := from; i < to; i++ {
			in := &sdk.PutRecordInput{StreamName: &config.Stream, PartitionKey: aws.String(strconv.Itoa(i)), Data: []byte(strconv.Itoa(i))}
			if _, err := api.PutRecord(ctx, in); err != nil {
				t.Fatal(err)
			}
		}
	}
	read := func(until int) {
		if err := readUntil(ctx, t, api, config, store, seen, until); err != nil {
			t.Fatal(err)
		}
	}
	put(0, 40)
	read(40)
	split := &sdk.SplitShardInput{StreamName: &config.Stream, ShardToSplit: aws.String(shardName(0)), NewStartingHashKey: aws.String("85070591730234615865843651857942052864")}
	if _, err := api.SplitShard(ctx, split); err != nil {
		t.Fatal(err)
	}
	active(ctx, t, api, &config.Stream)
	put(40, 80)
	read(80)

	for i := range 80 {
		if n := seen[strconv.Itoa(i)]; n != 1 {
			t.Errorf("got record %d %d times, want once", i, n)
		}
	}
	ids := slices.Sorted(maps.Keys(store.rows))
	if diff := cmp.Diff([]string{shardName(0), shardName(1), shardName(2), shardName(3)}, ids); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if got := store.get(shardName(0)).Kind; got != checkpoint.ShardEnd {
		t.Errorf("got %s for the shard that was split, want %s", got, checkpoint.ShardEnd)
	}
}

// A service takes no time that it takes for the future, and what arrives before that
// time would not be read.
func TestLatestIsTheTimeOfTheService(t *testing.T) {
	service := &kinesisfake.Service{}
	service.Create("logs", 1)
	behind := time.Now().Add(-3 * time.Minute)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", behind.UTC().Format(http.TimeFormat))
		service.ServeHTTP(w, r)
	}))
	defer server.Close()
	config := DefaultConfig()
	config.Stream, config.Start = "logs", startLatest
	stream, err := Open(t.Context(), client(t, server.URL), config, nil, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	store := &store{rows: make(map[string]checkpoint.Position), saved: cancel}
	if err := NewSource(stream, store, &budget{total: 64 << 20}, new(record.Pool)).Run(ctx, func(*record.Record) error { return nil }); err != nil {
		t.Fatal(err)
	}
	got := store.get(shardName(0))
	if ahead := got.Time.Sub(behind); got.Kind != checkpoint.AtTimestamp || ahead > time.Second || ahead < -2*time.Second {
		t.Errorf("got %+v, want the time of the service, %s", got, behind)
	}
}

// active waits until the stream can be changed and read.
func active(ctx context.Context, t *testing.T, api *sdk.Client, name *string) {
	t.Helper()
	for {
		out, err := api.DescribeStreamSummary(ctx, &sdk.DescribeStreamSummaryInput{StreamName: name})
		if err != nil {
			t.Fatal(err)
		}
		if out.StreamDescriptionSummary.StreamStatus == types.StreamStatusActive {
			return
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
}

// readUntil runs a source, settling at once, until so many records were seen and
// all that has ended is stored.
func readUntil(ctx context.Context, t *testing.T, api API, config Config, store *store, seen map[string]int, records int) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	stream, err := Open(ctx, api, config, nil, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		return err
	}
	w := &world{T: t, store: store, budget: &budget{total: 64 << 20}}
	w.onRecord = func(r *record.Record) { // under w's lock
		if r.Ended != nil {
			return
		}
		seen[string(r.Data)]++
		if len(seen) == records {
			stop()
		}
	}
	return NewSource(stream, store, w.budget, new(record.Pool)).Run(ctx, w.emit)
}
