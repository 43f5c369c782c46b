package kinesisfake

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/google/go-cmp/cmp"
)

const firstShard = "shardId-000000000000"

func open(t *testing.T, s *Service, kind types.ShardIteratorType, sequence string) (string, error) {
	t.Helper()
	in := &sdk.GetShardIteratorInput{StreamName: aws.String("s"), ShardId: aws.String(firstShard), ShardIteratorType: kind}
	if sequence != "" {
		in.StartingSequenceNumber = aws.String(sequence)
	}
	out, err := s.GetShardIterator(t.Context(), in)
	if err != nil {
		return "", err
	}
	return *out.ShardIterator, nil
}

func get(t *testing.T, s *Service, iterator string) (string, error) {
	t.Helper()
	out, err := s.GetRecords(t.Context(), &sdk.GetRecordsInput{ShardIterator: aws.String(iterator)})
	if err != nil {
		return "", err
	}
	var data []string
	for _, r := range out.Records {
		data = append(data, string(r.Data))
	}
	return strings.Join(data, " "), nil
}

func TestIteratorsExpireAfterFiveMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Service{}
		s.Create("s", 1)
		it, err := open(t, s, types.ShardIteratorTypeTrimHorizon, "")
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(5 * time.Minute)
		if _, err := get(t, s, it); err != nil {
			t.Errorf("after five minutes: got %v, want no error", err)
		}
		<-time.After(time.Nanosecond)
		if _, err := get(t, s, it); !errors.As(err, new(*types.ExpiredIteratorException)) {
			t.Errorf("after more than five minutes: got %v, want ExpiredIteratorException", err)
		}
	})
}

func TestPageTokensExpireAfterFiveMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Service{}
		s.Create("s", 3)
		out, err := s.ListShards(t.Context(), &sdk.ListShardsInput{StreamName: aws.String("s"), MaxResults: aws.Int32(1)})
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(5*time.Minute + 1)
		if _, err := s.ListShards(t.Context(), &sdk.ListShardsInput{NextToken: out.NextToken}); !errors.As(err, new(*types.ExpiredNextTokenException)) {
			t.Errorf("got %v, want ExpiredNextTokenException", err)
		}
	})
}

func TestRecordsAreTrimmedAfterTheRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Service{}
		st := s.Create("s", 1)
		old := st.Put(firstShard, []byte("old"))
		<-time.After(time.Hour)
		st.Put(firstShard, []byte("new"))
		<-time.After(23*time.Hour + time.Minute)
		it, err := open(t, s, types.ShardIteratorTypeTrimHorizon, "")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := get(t, s, it); got != "new" || err != nil {
			t.Errorf("got %q, %v, want the record that was kept", got, err)
		}
		if _, err := open(t, s, types.ShardIteratorTypeAfterSequenceNumber, old); !errors.As(err, new(*types.InvalidArgumentException)) {
			t.Errorf("after a trimmed record: got %v, want InvalidArgumentException", err)
		}
	})
}

func TestClosedShardsExpireAfterTheRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Service{}
		st := s.Create("s", 1)
		st.Split(firstShard)
		<-time.After(24*time.Hour + 1)
		out, err := s.ListShards(t.Context(), &sdk.ListShardsInput{StreamName: aws.String("s")})
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Shards) != 2 || *out.Shards[0].ParentShardId != firstShard {
			t.Errorf("got %d shards, want the two children, which still name their parent", len(out.Shards))
		}
		if _, err := open(t, s, types.ShardIteratorTypeTrimHorizon, ""); !errors.As(err, new(*types.ResourceNotFoundException)) {
			t.Errorf("got %v, want ResourceNotFoundException", err)
		}
	})
}

func TestStreamMadeAnewRefusesWhatTheOldOneGave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Service{}
		old := s.Create("s", 1).Put(firstShard, []byte("old"))
		it, err := open(t, s, types.ShardIteratorTypeTrimHorizon, "")
		if err != nil {
			t.Fatal(err)
		}
		s.Delete("s")
		if _, err := get(t, s, it); !errors.As(err, new(*types.ResourceNotFoundException)) {
			t.Errorf("iterator of a deleted stream: got %v, want ResourceNotFoundException", err)
		}
		<-time.After(time.Second)
		s.Create("s", 1).Put(firstShard, []byte("new"))
		if _, err := get(t, s, it); !errors.As(err, new(*types.InvalidArgumentException)) {
			t.Errorf("iterator of the old stream: got %v, want InvalidArgumentException", err)
		}
		if _, err := open(t, s, types.ShardIteratorTypeAfterSequenceNumber, old); !errors.As(err, new(*types.InvalidArgumentException)) {
			t.Errorf("sequence number of the old stream: got %v, want InvalidArgumentException", err)
		}
	})
}

func TestThrottleKeepsToTheShardsLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Service{Throttle: true}
		st := s.Create("s", 1)
		it, err := open(t, s, types.ShardIteratorTypeTrimHorizon, "")
		if err != nil {
			t.Fatal(err)
		}
		allowed := func() bool {
			_, err := get(t, s, it)
			if err != nil && !errors.As(err, new(*types.ProvisionedThroughputExceededException)) {
				t.Fatal(err)
			}
			return err == nil
		}
		for i := range 6 {
			if got, want := allowed(), i < 5; got != want {
				t.Errorf("call %d in one instant: got allowed %t, want %t", i+1, got, want)
			}
		}
		<-time.After(time.Second)
		st.Put(firstShard, make([]byte, 10<<20))
		if !allowed() {
			t.Fatal("got a call refused after a second, want it allowed")
		}
		for second := 1; second <= 6; second++ {
			<-time.After(time.Second - time.Millisecond)
			if got, want := allowed(), second > 5; got != want {
				t.Errorf("%d s after 10 MiB: got allowed %t, want %t", second, got, want)
			}
			<-time.After(time.Millisecond)
		}
	})
}

func TestHookSeesEveryCallAndMayChangeIt(t *testing.T) {
	s := &Service{}
	st := s.Create("s", 1)
	st.Put(firstShard, []byte("a"))
	var seen []string
	s.Hook = func(_ context.Context, call Call, next func() (any, error)) (any, error) {
		seen = append(seen, call.Op+" "+call.Stream+" "+call.Shard+" "+strconv.Itoa(call.Number))
		if call.Op == "GetRecords" && call.Number == 2 {
			return nil, ErrReset
		}
		out, err := next()
		if got, ok := out.(*sdk.GetRecordsOutput); ok {
			got.MillisBehindLatest = aws.Int64(7)
		}
		return out, err
	}
	it, err := open(t, s, types.ShardIteratorTypeTrimHorizon, "")
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.GetRecords(t.Context(), &sdk.GetRecordsInput{ShardIterator: aws.String(it)})
	if err != nil || *out.MillisBehindLatest != 7 {
		t.Errorf("got %v, want the reply as the hook changed it", err)
	}
	if _, err := get(t, s, it); !errors.Is(err, ErrReset) {
		t.Errorf("got %v, want the hook's error", err)
	}
	want := []string{"GetShardIterator s " + firstShard + " 1", "GetRecords s " + firstShard + " 1", "GetRecords s " + firstShard + " 2"}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

// FuzzTokens feeds iterators, page tokens and sequence numbers: strings that
// clients send back, and that anything may have happened to.
func FuzzTokens(f *testing.F) {
	s := &Service{}
	st := s.Create("s", 2)
	f.Add(st.Put(firstShard, []byte("a")))
	f.Add(iterator{Stream: "s", Created: st.created.UnixNano(), Position: 1}.String())
	f.Add(iterator{Stream: "s", Created: st.created.UnixNano(), Shard: -1, Position: -1}.String())
	f.Add(token{Stream: "s", Created: st.created.UnixNano(), Max: 1}.String())
	f.Add(token{Stream: "s", Created: st.created.UnixNano(), After: -9, Max: -1}.String())
	f.Add("")
	f.Add("bnVsbA==")
	f.Fuzz(func(t *testing.T, text string) {
		if out, err := s.GetRecords(t.Context(), &sdk.GetRecordsInput{ShardIterator: &text}); err == nil && len(out.Records) > 1 {
			t.Errorf("got %d records, want at most the one that is there", len(out.Records))
		}
		if out, err := s.ListShards(t.Context(), &sdk.ListShardsInput{NextToken: &text}); err == nil && len(out.Shards) > 2 {
			t.Errorf("got %d shards, want at most 2", len(out.Shards))
		}
		_, _ = open(t, s, types.ShardIteratorTypeAfterSequenceNumber, text) // must not panic
	})
}

// FuzzServeHTTP feeds requests: whatever comes, there is an answer.
func FuzzServeHTTP(f *testing.F) {
	f.Add("GetShardIterator", `{"StreamName":"s","ShardId":"`+firstShard+`","ShardIteratorType":"AT_TIMESTAMP","Timestamp":1.5}`)
	f.Add("ListShards", `{"StreamName":"s","ShardFilter":{"Type":"AT_TIMESTAMP","Timestamp":1e300},"StreamCreationTimestamp":null}`)
	f.Add("PutRecords", `{"StreamName":"s","Records":[{"Data":"YQ==","PartitionKey":"k","ExplicitHashKey":"-1"}]}`)
	f.Add("SplitShard", `{"StreamName":"s","ShardToSplit":"`+firstShard+`","NewStartingHashKey":"9"}`)
	f.Add("UpdateShardCount", `{"StreamName":"s","TargetShardCount":2}`)
	f.Add("Nothing", `[]`)
	f.Fuzz(func(t *testing.T, op, body string) {
		s := &Service{}
		s.Create("s", 1)
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set("X-Amz-Target", "Kinesis_20131202."+op)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != http.StatusOK && w.Code != http.StatusBadRequest {
			t.Errorf("got status %d for %s %s, want 200 or 400: %s", w.Code, op, body, w.Body)
		}
	})
}
