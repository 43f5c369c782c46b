package kinesisfake

import (
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

const (
	iteratorAge = 5 * time.Minute
	tokenAge    = 5 * time.Minute
)

// iterator is what an iterator string holds: everything that the next GetRecords
// has to know.
type iterator struct {
	Stream   string
	Created  int64 // of the stream, Unix nanoseconds
	Shard    int   // number
	Position int
	Issued   int64 // Unix nanoseconds
}

func (it iterator) String() string {
	it.Issued = time.Now().UnixNano()
	return encode(it)
}

// token is what the NextToken of a ListShards reply holds: the request, to go on
// after a shard.
type token struct {
	Stream  string
	Created int64
	After   int // number of the last shard of this page
	Max     int
	Filter  types.ShardFilterType
	Time    int64 // of the filter, Unix nanoseconds
	Issued  int64
}

func (t token) String() string {
	t.Issued = time.Now().UnixNano()
	return encode(t)
}

func encode(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic("kinesisfake: " + err.Error()) // strings and numbers always encode
	}
	return base64.StdEncoding.EncodeToString(data)
}

// decode reads what encode has written.
func decode[T any](s *string) (v T, ok bool) {
	data, err := base64.StdEncoding.DecodeString(aws.ToString(s))
	if err != nil || len(data) == 0 {
		return v, false
	}
	return v, json.Unmarshal(data, &v) == nil
}

// resolveLocked finds the stream and the shard of an iterator.
func (s *Service) resolveLocked(it iterator) (*Stream, *shard, error) {
	st, ok := s.streams[it.Stream]
	switch {
	case !ok:
		return nil, nil, notFound("stream %s under account %s not found", it.Stream, Account)
	case st.created.UnixNano() != it.Created, it.Shard < 0, it.Shard >= len(st.shards), it.Position < 0, it.Position > st.shards[it.Shard].end():
		return nil, nil, invalid("invalid ShardIterator")
	}
	return st, st.shards[it.Shard], nil
}
