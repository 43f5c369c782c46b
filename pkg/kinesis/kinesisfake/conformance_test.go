package kinesisfake_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/big"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"

	"github.com/shipperd/shipperd/pkg/kinesis"
	"github.com/shipperd/shipperd/pkg/kinesis/kinesisfake"
	"github.com/shipperd/shipperd/test/servers"
)

// service is what the conformance table calls; a Service and the SDK's client have it.
type service interface {
	CreateStream(context.Context, *sdk.CreateStreamInput, ...func(*sdk.Options)) (*sdk.CreateStreamOutput, error)
	DeleteStream(context.Context, *sdk.DeleteStreamInput, ...func(*sdk.Options)) (*sdk.DeleteStreamOutput, error)
	DescribeStreamSummary(context.Context, *sdk.DescribeStreamSummaryInput, ...func(*sdk.Options)) (*sdk.DescribeStreamSummaryOutput, error)
	ListShards(context.Context, *sdk.ListShardsInput, ...func(*sdk.Options)) (*sdk.ListShardsOutput, error)
	GetShardIterator(context.Context, *sdk.GetShardIteratorInput, ...func(*sdk.Options)) (*sdk.GetShardIteratorOutput, error)
	GetRecords(context.Context, *sdk.GetRecordsInput, ...func(*sdk.Options)) (*sdk.GetRecordsOutput, error)
	PutRecord(context.Context, *sdk.PutRecordInput, ...func(*sdk.Options)) (*sdk.PutRecordOutput, error)
	PutRecords(context.Context, *sdk.PutRecordsInput, ...func(*sdk.Options)) (*sdk.PutRecordsOutput, error)
	SplitShard(context.Context, *sdk.SplitShardInput, ...func(*sdk.Options)) (*sdk.SplitShardOutput, error)
	MergeShards(context.Context, *sdk.MergeShardsInput, ...func(*sdk.Options)) (*sdk.MergeShardsOutput, error)
	UpdateShardCount(context.Context, *sdk.UpdateShardCountInput, ...func(*sdk.Options)) (*sdk.UpdateShardCountOutput, error)
}

// conformance says what the service does, and where kinesis-mock 0.6.2 differs.
// Each case has a stream of its own and tells what it saw in one line.
var conformance = []struct {
	name   string
	shards int
	see    func(p *probe) string
	want   string
	mock   string // kinesis-mock's known defects; empty: as the service
}{
	{"trim horizon reads all", 1, func(p *probe) string {
		p.put("a", "b", "c")
		return p.read(p.iterator(0, types.ShardIteratorTypeTrimHorizon))
	}, "a b c", ""},
	{"latest reads what comes later", 1, func(p *probe) string {
		p.put("a", "b")
		it := p.iterator(0, types.ShardIteratorTypeLatest)
		p.put("c")
		return p.read(it)
	}, "c", ""},
	{"at sequence number includes it", 1, func(p *probe) string {
		numbers := p.put("a", "b", "c")
		return p.read(p.iteratorFrom(0, types.ShardIteratorTypeAtSequenceNumber, numbers[1]))
	}, "b c", ""},
	{"after sequence number leaves it out", 1, func(p *probe) string {
		numbers := p.put("a", "b", "c")
		return p.read(p.iteratorFrom(0, types.ShardIteratorTypeAfterSequenceNumber, numbers[1]))
	}, "c", ""},
	{"at timestamp begins with the first later record", 1, func(p *probe) string {
		p.put("a", "b")
		out := must(p.records(p.iterator(0, types.ShardIteratorTypeTrimHorizon), nil))
		first := *out.Records[0].ApproximateArrivalTimestamp
		return p.read(p.iteratorAt(0, first)) + "; " + p.until("", func() string { return p.read(p.iteratorAt(0, time.Now())) })
	}, "a b; ", ""},
	{"timestamp of the future", 1, func(p *probe) string {
		_, err := p.api.GetShardIterator(p.ctx, &sdk.GetShardIteratorInput{
			StreamName: p.stream, ShardId: p.shard(0), ShardIteratorType: types.ShardIteratorTypeAtTimestamp, Timestamp: aws.Time(time.Now().Add(time.Hour)),
		})
		return code(err)
	}, "InvalidArgumentException", "none"},
	{"sequence number that was never given", 1, func(p *probe) string {
		number := p.put("a")[0]
		_, err := p.api.GetShardIterator(p.ctx, &sdk.GetShardIteratorInput{
			StreamName: p.stream, ShardId: p.shard(0), ShardIteratorType: types.ShardIteratorTypeAfterSequenceNumber,
			StartingSequenceNumber: aws.String(strings.Replace(number, "9", "8", 1)),
		})
		return code(err)
	}, "InvalidArgumentException", "ResourceNotFoundException"},
	{"sequence number of another shard", 2, func(p *probe) string {
		out := must(p.api.PutRecord(p.ctx, &sdk.PutRecordInput{
			StreamName: p.stream, PartitionKey: aws.String("key"), ExplicitHashKey: aws.String("0"), Data: []byte("a"),
		}))
		_, err := p.api.GetShardIterator(p.ctx, &sdk.GetShardIteratorInput{
			StreamName: p.stream, ShardId: p.shard(1), ShardIteratorType: types.ShardIteratorTypeAfterSequenceNumber,
			StartingSequenceNumber: out.SequenceNumber,
		})
		return code(err)
	}, "InvalidArgumentException", "none"},
	{"iterator that is none", 1, func(p *probe) string {
		_, err := p.records("AAAA", nil)
		return code(err)
	}, "InvalidArgumentException", "UnknownError"},
	{"sequence numbers have 56 digits and grow", 1, func(p *probe) string {
		numbers := p.put("a", "b")
		return fmt.Sprint(len(numbers[0]), len(numbers[1]), numbers[0] < numbers[1])
	}, "56 56 true", ""},
	{"limit cuts the reply", 1, func(p *probe) string {
		p.put("a", "b", "c")
		out := must(p.records(p.iterator(0, types.ShardIteratorTypeTrimHorizon), aws.Int32(2)))
		return text(out.Records) + "; " + p.read(*out.NextShardIterator)
	}, "a b; c", ""},
	{"behind until the last record", 1, func(p *probe) string {
		p.put("a", "b")
		out := must(p.records(p.iterator(0, types.ShardIteratorTypeTrimHorizon), aws.Int32(1)))
		first := *out.MillisBehindLatest > 0
		out = must(p.records(*out.NextShardIterator, nil))
		return fmt.Sprint(first, *out.MillisBehindLatest > 0)
	}, "true false", ""},
	{"reply of at most 10 MiB", 1, func(p *probe) string {
		p.put(slices.Repeat([]string{strings.Repeat("x", 1<<20)}, 12)...)
		it, sizes := p.iterator(0, types.ShardIteratorTypeTrimHorizon), []int{}
		for range 2 {
			out := must(p.records(it, nil))
			it, sizes = *out.NextShardIterator, append(sizes, len(out.Records))
		}
		return fmt.Sprint(sizes)
	}, "[10 2]", "[9 3]"},
	{"five calls a second", 1, func(p *probe) string {
		it, refused := p.iterator(0, types.ShardIteratorTypeTrimHorizon), "none"
		for range 20 {
			if _, err := p.records(it, nil); err != nil {
				refused = code(err)
			}
		}
		return refused
	}, "ProvisionedThroughputExceededException", "none"},

	{"missing stream", 1, func(p *probe) string {
		missing := aws.String("no-" + *p.stream)
		_, describe := p.api.DescribeStreamSummary(p.ctx, &sdk.DescribeStreamSummaryInput{StreamName: missing})
		_, list := p.api.ListShards(p.ctx, &sdk.ListShardsInput{StreamName: missing})
		_, get := p.api.GetShardIterator(p.ctx, &sdk.GetShardIteratorInput{StreamName: missing, ShardId: aws.String("shardId-000000000000"), ShardIteratorType: types.ShardIteratorTypeLatest})
		return strings.Join([]string{code(describe), code(list), code(get)}, " ")
	}, "ResourceNotFoundException ResourceNotFoundException ResourceNotFoundException", ""},
	{"missing shard", 1, func(p *probe) string {
		_, err := p.api.GetShardIterator(p.ctx, &sdk.GetShardIteratorInput{StreamName: p.stream, ShardId: aws.String("shardId-000000000077"), ShardIteratorType: types.ShardIteratorTypeLatest})
		return code(err)
	}, "ResourceNotFoundException", ""},
	{"stream that exists already", 1, func(p *probe) string {
		_, err := p.api.CreateStream(p.ctx, &sdk.CreateStreamInput{StreamName: p.stream, ShardCount: aws.Int32(1)})
		return code(err)
	}, "ResourceInUseException", ""},
	{"deleted stream", 1, func(p *probe) string {
		must(p.api.DeleteStream(p.ctx, &sdk.DeleteStreamInput{StreamName: p.stream}))
		return p.until("ResourceNotFoundException", func() string {
			_, err := p.api.DescribeStreamSummary(p.ctx, &sdk.DescribeStreamSummaryInput{StreamName: p.stream})
			return code(err)
		})
	}, "ResourceNotFoundException", ""},

	{"split: the parent ends with its children's names", 1, func(p *probe) string {
		p.put("a", "b")
		p.split()
		p.put("c")
		return p.toEnd(0)
	}, "a b, then 1<0 2<0", ""},
	{"merge: both parents end with the child's name", 2, func(p *probe) string {
		p.merge(0, 1)
		return p.toEnd(0) + "; " + p.toEnd(1)
	}, ", then 2<0+1; , then 2<0+1", ""},
	{"latest of a closed shard ends at once", 1, func(p *probe) string {
		p.put("a")
		p.split()
		return p.toEndFrom(p.iterator(0, types.ShardIteratorTypeLatest))
	}, ", then 1<0 2<0", ""},
	{"listing after a split and a merge", 2, func(p *probe) string {
		p.split()
		p.merge(2, 3)
		return p.list(&sdk.ListShardsInput{StreamName: p.stream})
	}, "0(closed) 1 2<0(closed) 3<0(closed) 4<2+3", ""},
	{"hash keys without holes", 2, func(p *probe) string {
		out := must(p.api.ListShards(p.ctx, &sdk.ListShardsInput{StreamName: p.stream}))
		next, seen := new(big.Int), ""
		for _, s := range out.Shards {
			from, _ := new(big.Int).SetString(*s.HashKeyRange.StartingHashKey, 10)
			to, _ := new(big.Int).SetString(*s.HashKeyRange.EndingHashKey, 10)
			seen += map[int]string{-1: "overlap ", 0: "joined ", 1: "hole "}[from.Cmp(next)]
			next = to.Add(to, big.NewInt(1))
		}
		return seen + fmt.Sprint(next.BitLen())
	}, "joined joined 129", ""},
	{"explicit hash keys choose the shard", 2, func(p *probe) string {
		var ids []string
		for _, k := range []string{"0", new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 128), big.NewInt(1)).String()} {
			out := must(p.api.PutRecord(p.ctx, &sdk.PutRecordInput{StreamName: p.stream, PartitionKey: aws.String("k"), ExplicitHashKey: aws.String(k), Data: []byte("x")}))
			ids = append(ids, number(*out.ShardId))
		}
		return strings.Join(ids, " ")
	}, "0 1", ""},
	{"twice as many shards", 2, func(p *probe) string {
		must(p.api.UpdateShardCount(p.ctx, &sdk.UpdateShardCountInput{StreamName: p.stream, TargetShardCount: aws.Int32(4), ScalingType: types.ScalingTypeUniformScaling}))
		p.active()
		return p.list(&sdk.ListShardsInput{StreamName: p.stream})
	}, "0(closed) 1(closed) 2<0 3<0 4<1 5<1", ""},
	{"split outside of the hash keys", 2, func(p *probe) string {
		_, err := p.api.SplitShard(p.ctx, &sdk.SplitShardInput{StreamName: p.stream, ShardToSplit: p.shard(1), NewStartingHashKey: aws.String("7")})
		return code(err)
	}, "InvalidArgumentException", ""},
	{"merge of shards that are not adjacent", 3, func(p *probe) string {
		_, err := p.api.MergeShards(p.ctx, &sdk.MergeShardsInput{StreamName: p.stream, ShardToMerge: p.shard(0), AdjacentShardToMerge: p.shard(2)})
		return code(err)
	}, "InvalidArgumentException", ""},

	{"pages of a listing", 5, func(p *probe) string {
		out := must(p.api.ListShards(p.ctx, &sdk.ListShardsInput{StreamName: p.stream, MaxResults: aws.Int32(2)}))
		pages := []string{describe(out.Shards)}
		for out.NextToken != nil {
			out = must(p.api.ListShards(p.ctx, &sdk.ListShardsInput{NextToken: out.NextToken, MaxResults: aws.Int32(2)}))
			pages = append(pages, describe(out.Shards))
		}
		return strings.Join(pages, " | ")
	}, "0 1 | 2 3 | 4", ""},
	{"page token together with a stream name", 3, func(p *probe) string {
		out := must(p.api.ListShards(p.ctx, &sdk.ListShardsInput{StreamName: p.stream, MaxResults: aws.Int32(1)}))
		_, err := p.api.ListShards(p.ctx, &sdk.ListShardsInput{StreamName: p.stream, NextToken: out.NextToken})
		return code(err)
	}, "InvalidArgumentException", ""},
	{"page token that is none", 1, func(p *probe) string {
		_, err := p.api.ListShards(p.ctx, &sdk.ListShardsInput{NextToken: aws.String("AAAA")})
		return code(err)
	}, "InvalidArgumentException", ""},
	{"listing after a shard", 3, func(p *probe) string {
		return p.list(&sdk.ListShardsInput{StreamName: p.stream, ExclusiveStartShardId: p.shard(0)}) + "; " +
			p.list(&sdk.ListShardsInput{StreamName: p.stream, ShardFilter: &types.ShardFilter{Type: types.ShardFilterTypeAfterShardId, ShardId: p.shard(1)}})
	}, "1 2; 2", ""},
	{"open shards", 1, func(p *probe) string {
		p.split()
		return p.filter(types.ShardFilterTypeAtLatest)
	}, "1<0 2<0", ""},
	{"shards that were open at the trim horizon", 1, func(p *probe) string {
		p.split()
		return p.filter(types.ShardFilterTypeAtTrimHorizon)
	}, "0(closed)", "0(closed) 1<0 2<0"},
	{"shards from the trim horizon on", 1, func(p *probe) string {
		p.split()
		return p.filter(types.ShardFilterTypeFromTrimHorizon)
	}, "0(closed) 1<0 2<0", ""},
	{"shards that are open at a time", 1, func(p *probe) string {
		p.split()
		return p.until("1<0 2<0", func() string {
			return p.list(&sdk.ListShardsInput{StreamName: p.stream, ShardFilter: &types.ShardFilter{Type: types.ShardFilterTypeAtTimestamp, Timestamp: aws.Time(time.Now())}})
		})
	}, "1<0 2<0", ""},

	{"500 records in a request", 1, func(p *probe) string {
		return p.putRecords(500)
	}, "none", ""},
	{"501 records in a request", 1, func(p *probe) string {
		return p.putRecords(501)
	}, "InvalidArgumentException", "none"},
}

func TestServiceConforms(t *testing.T) {
	t.Run("in process", func(t *testing.T) {
		testConformance(t, &kinesisfake.Service{}, &kinesisfake.Service{Throttle: true}, false)
	})
	t.Run("over HTTP", func(t *testing.T) {
		testConformance(t, newClient(t, serveHTTP(t, &kinesisfake.Service{})), newClient(t, serveHTTP(t, &kinesisfake.Service{Throttle: true})), false)
	})
	t.Run("kinesis-mock", func(t *testing.T) {
		client := newClient(t, servers.Kinesis(t))
		testConformance(t, client, client, true)
	})
}

func testConformance(t *testing.T, api, throttling service, mock bool) {
	for i, test := range conformance {
		t.Run(test.name, func(t *testing.T) {
			p := &probe{T: t, ctx: t.Context(), api: api, stream: aws.String(fmt.Sprintf("conformance-%d-%d", i, time.Now().UnixNano()))}
			if strings.Contains(test.want, "ThroughputExceeded") {
				p.api = throttling
			}
			if _, err := p.api.CreateStream(p.ctx, &sdk.CreateStreamInput{StreamName: p.stream, ShardCount: aws.Int32(int32(test.shards))}); err != nil {
				t.Fatalf("create stream: %v", err)
			}
			t.Cleanup(func() {
				_, _ = p.api.DeleteStream(context.WithoutCancel(p.ctx), &sdk.DeleteStreamInput{StreamName: p.stream}) // may be gone already
			})
			p.active()
			defer func() {
				if failed := recover(); failed != nil {
					t.Fatal(failed)
				}
			}()
			want := test.want
			if mock {
				want = cmp.Or(test.mock, test.want)
			}
			if got := test.see(p); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func serveHTTP(t *testing.T, s *kinesisfake.Service) (url string) {
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return server.URL
}

func newClient(t *testing.T, url string) *sdk.Client {
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "key")
	client, err := kinesis.NewClient(t.Context(), kinesis.Config{Stream: "any", Region: kinesisfake.Region, Endpoint: url})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// probe looks at one stream.
type probe struct {
	*testing.T
	ctx    context.Context //nolint:containedctx // the cases call in one context each
	api    service
	stream *string
}

// must is for calls that a case only prepares with; the panic ends the case.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// until polls see, for a service that takes its time, and returns what it saw last.
func (p *probe) until(want string, see func() string) string {
	deadline := time.After(10 * time.Second)
	for {
		got := see()
		if got == want {
			return got
		}
		select {
		case <-deadline:
			return got
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (p *probe) active() {
	p.Helper()
	status := p.until(string(types.StreamStatusActive), func() string {
		out, err := p.api.DescribeStreamSummary(p.ctx, &sdk.DescribeStreamSummaryInput{StreamName: p.stream})
		if err != nil {
			return err.Error()
		}
		return string(out.StreamDescriptionSummary.StreamStatus)
	})
	if status != string(types.StreamStatusActive) {
		p.Fatalf("the stream is %s", status)
	}
}

func (p *probe) shard(n int) *string { return aws.String(fmt.Sprintf("shardId-%012d", n)) }

// put puts records one by one and returns their sequence numbers.
func (p *probe) put(data ...string) (numbers []string) {
	for _, d := range data {
		out := must(p.api.PutRecord(p.ctx, &sdk.PutRecordInput{StreamName: p.stream, PartitionKey: aws.String("key"), Data: []byte(d)}))
		numbers = append(numbers, *out.SequenceNumber)
	}
	return numbers
}

// putRecords puts n records in one request.
func (p *probe) putRecords(n int) string {
	in := &sdk.PutRecordsInput{StreamName: p.stream}
	for range n {
		in.Records = append(in.Records, types.PutRecordsRequestEntry{PartitionKey: aws.String("key"), Data: []byte("x")})
	}
	_, err := p.api.PutRecords(p.ctx, in)
	return code(err)
}

// split splits shard 0.
func (p *probe) split() {
	for _, s := range must(p.api.ListShards(p.ctx, &sdk.ListShardsInput{StreamName: p.stream})).Shards {
		if *s.ShardId != *p.shard(0) {
			continue
		}
		from, _ := new(big.Int).SetString(*s.HashKeyRange.StartingHashKey, 10)
		to, _ := new(big.Int).SetString(*s.HashKeyRange.EndingHashKey, 10)
		middle := from.Add(from, to)
		must(p.api.SplitShard(p.ctx, &sdk.SplitShardInput{StreamName: p.stream, ShardToSplit: s.ShardId, NewStartingHashKey: aws.String(middle.Rsh(middle, 1).String())}))
	}
	p.active()
}

func (p *probe) merge(a, b int) {
	must(p.api.MergeShards(p.ctx, &sdk.MergeShardsInput{StreamName: p.stream, ShardToMerge: p.shard(a), AdjacentShardToMerge: p.shard(b)}))
	p.active()
}

func (p *probe) iterator(shard int, kind types.ShardIteratorType) string {
	return p.open(&sdk.GetShardIteratorInput{ShardId: p.shard(shard), ShardIteratorType: kind})
}

func (p *probe) iteratorFrom(shard int, kind types.ShardIteratorType, sequence string) string {
	return p.open(&sdk.GetShardIteratorInput{ShardId: p.shard(shard), ShardIteratorType: kind, StartingSequenceNumber: aws.String(sequence)})
}

func (p *probe) iteratorAt(shard int, t time.Time) string {
	return p.open(&sdk.GetShardIteratorInput{ShardId: p.shard(shard), ShardIteratorType: types.ShardIteratorTypeAtTimestamp, Timestamp: aws.Time(t)})
}

func (p *probe) open(in *sdk.GetShardIteratorInput) string {
	in.StreamName = p.stream
	return *must(p.api.GetShardIterator(p.ctx, in)).ShardIterator
}

func (p *probe) records(iterator string, limit *int32) (*sdk.GetRecordsOutput, error) {
	return p.api.GetRecords(p.ctx, &sdk.GetRecordsInput{ShardIterator: aws.String(iterator), Limit: limit})
}

// read returns the data of one reply.
func (p *probe) read(iterator string) string {
	return text(must(p.records(iterator, nil)).Records)
}

// toEnd reads a closed shard to its end and returns its data and its children.
func (p *probe) toEnd(shard int) string {
	return p.toEndFrom(p.iterator(shard, types.ShardIteratorTypeTrimHorizon))
}

func (p *probe) toEndFrom(iterator string) string {
	var records []types.Record
	for range 10 {
		out := must(p.records(iterator, nil))
		records = append(records, out.Records...)
		if out.NextShardIterator != nil {
			iterator = *out.NextShardIterator
			continue
		}
		var children []string
		for _, c := range out.ChildShards {
			slices.Sort(c.ParentShards)
			children = append(children, number(*c.ShardId)+"<"+numbers(c.ParentShards))
		}
		slices.Sort(children)
		return text(records) + ", then " + strings.Join(children, " ")
	}
	return text(records) + ", then no end"
}

func (p *probe) list(in *sdk.ListShardsInput) string {
	return describe(must(p.api.ListShards(p.ctx, in)).Shards)
}

func (p *probe) filter(kind types.ShardFilterType) string {
	return p.list(&sdk.ListShardsInput{StreamName: p.stream, ShardFilter: &types.ShardFilter{Type: kind}})
}

// describe writes shards as numbers with those of their parents: "0(closed) 1<0".
func describe(shards []types.Shard) string {
	var all []string
	for _, s := range shards {
		one := number(*s.ShardId)
		if s.ParentShardId != nil {
			one += "<" + number(*s.ParentShardId)
		}
		if s.AdjacentParentShardId != nil {
			one += "+" + number(*s.AdjacentParentShardId)
		}
		if s.SequenceNumberRange.EndingSequenceNumber != nil {
			one += "(closed)"
		}
		all = append(all, one)
	}
	return strings.Join(all, " ")
}

func number(shard string) string {
	if n := strings.TrimLeft(strings.TrimPrefix(shard, "shardId-"), "0"); n != "" {
		return n
	}
	return "0"
}

func numbers(shards []string) string {
	var all []string
	for _, s := range shards {
		all = append(all, number(s))
	}
	return strings.Join(all, "+")
}

func text(records []types.Record) string {
	var all [][]byte
	for _, r := range records {
		all = append(all, r.Data)
	}
	return string(bytes.Join(all, []byte(" ")))
}

// code is how a call ended.
func code(err error) string {
	var api smithy.APIError
	switch {
	case err == nil:
		return "none"
	case errors.As(err, &api):
		return api.ErrorCode()
	}
	return err.Error()
}
