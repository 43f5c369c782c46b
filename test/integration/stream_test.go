package integration

import (
	"context"
	"fmt"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shipperd/shipperd/pkg/demo"
	"github.com/shipperd/shipperd/test/daemon"
)

const region = "us-east-1"

func testCredentials() aws.CredentialsProvider {
	return credentials.NewStaticCredentialsProvider("test", "test", "")
}

// stream is a Kinesis stream of one test.
type stream struct {
	t      *testing.T
	client *kinesis.Client
	name   string
	random *rand.Rand
	// onPut is called after each record.
	onPut func()
}

func newStream(t *testing.T, url, name string, shards int32) *stream {
	t.Helper()
	s := &stream{
		t:      t,
		client: kinesis.New(kinesis.Options{Region: region, BaseEndpoint: &url, Credentials: testCredentials()}),
		name:   name,
		random: rand.New(rand.NewPCG(1, 2)),
		onPut:  func() {},
	}
	if _, err := s.client.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: &name, ShardCount: &shards}); err != nil {
		t.Fatalf("create stream %s: %v", name, err)
	}
	s.awaitActive()
	t.Cleanup(func() {
		// Where it fails, a shared server keeps a stream.
		_, _ = s.client.DeleteStream(context.WithoutCancel(t.Context()), &kinesis.DeleteStreamInput{StreamName: &name})
	})
	return s
}

func (s *stream) awaitActive() {
	s.t.Helper()
	daemon.Await(s.t, daemon.Patience, func() error {
		got, err := s.client.DescribeStreamSummary(s.t.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: &s.name})
		if err != nil {
			return err
		}
		if status := got.StreamDescriptionSummary.StreamStatus; status != types.StreamStatusActive {
			return fmt.Errorf("stream %s: got status %s, want ACTIVE", s.name, status)
		}
		return nil
	})
}

// load puts events on all shards and returns their ids.
func (s *stream) load(o demo.Options) map[string]bool {
	s.t.Helper()
	if err := demo.Load(s.t.Context(), s.put, o); err != nil {
		s.t.Fatal(err)
	}
	site := demo.NewSite(o.Seed, o.Start)
	ids := make(map[string]bool, o.Events)
	for range o.Events {
		ids[site.Next().ID] = true
	}
	return ids
}

// put spreads records over all shards: seven log streams would leave some empty.
func (s *stream) put(ctx context.Context, key string, data []byte) error {
	hash := new(big.Int).SetUint64(s.random.Uint64()) // of 128 bits, the upper half
	_, err := s.client.PutRecord(ctx, &kinesis.PutRecordInput{
		StreamName: &s.name, PartitionKey: &key, Data: data,
		ExplicitHashKey: aws.String(hash.Lsh(hash, 64).String()),
	})
	s.onPut()
	return err
}

// open returns the shards that take records, in the order of their hash keys.
func (s *stream) open() []types.Shard {
	s.t.Helper()
	list, err := s.client.ListShards(s.t.Context(), &kinesis.ListShardsInput{
		StreamName: &s.name, ShardFilter: &types.ShardFilter{Type: types.ShardFilterTypeAtLatest},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return list.Shards
}

// split splits the first open shard in the middle of its hash keys.
func (s *stream) split() {
	s.t.Helper()
	shard := s.open()[0]
	low, _ := new(big.Int).SetString(*shard.HashKeyRange.StartingHashKey, 10)
	high, _ := new(big.Int).SetString(*shard.HashKeyRange.EndingHashKey, 10)
	middle := new(big.Int).Add(low, high)
	_, err := s.client.SplitShard(s.t.Context(), &kinesis.SplitShardInput{
		StreamName: &s.name, ShardToSplit: shard.ShardId, NewStartingHashKey: aws.String(middle.Rsh(middle, 1).String()),
	})
	if err != nil {
		s.t.Fatalf("split %s: %v", *shard.ShardId, err)
	}
	s.awaitActive()
}

// merge merges two open shards that are neighbours.
func (s *stream) merge() {
	s.t.Helper()
	shards := s.open()
	for _, a := range shards {
		end, _ := new(big.Int).SetString(*a.HashKeyRange.EndingHashKey, 10)
		next := end.Add(end, big.NewInt(1)).String()
		for _, b := range shards {
			if *b.HashKeyRange.StartingHashKey != next {
				continue
			}
			_, err := s.client.MergeShards(s.t.Context(), &kinesis.MergeShardsInput{
				StreamName: &s.name, ShardToMerge: a.ShardId, AdjacentShardToMerge: b.ShardId,
			})
			if err != nil {
				s.t.Fatalf("merge %s and %s: %v", *a.ShardId, *b.ShardId, err)
			}
			s.awaitActive()
			return
		}
	}
	s.t.Fatal("no two open shards are neighbours")
}

func (s *stream) arn() string {
	s.t.Helper()
	got, err := s.client.DescribeStreamSummary(s.t.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: &s.name})
	if err != nil {
		s.t.Fatal(err)
	}
	return *got.StreamDescriptionSummary.StreamARN
}
