package kinesisfake

import (
	"context"
	"math/big"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// The service's limits.
const (
	maxReadRecords  = 10_000
	maxReadBytes    = 10 << 20
	maxPutRecords   = 500
	maxRecordBytes  = 10 << 20
	maxReadCalls    = 5       // a second
	readBytesPerSec = 2 << 20 // after a reply, calls are refused until its bytes are paid
)

// GetShardIterator returns an iterator for one of the five kinds of positions.
func (s *Service) GetShardIterator(ctx context.Context, in *sdk.GetShardIteratorInput, _ ...func(*sdk.Options)) (*sdk.GetShardIteratorOutput, error) {
	call := Call{Op: "GetShardIterator", Stream: streamName(in.StreamName, in.StreamARN), Shard: aws.ToString(in.ShardId)}
	return serve(ctx, s, call, in, s.getShardIteratorLocked)
}

func (s *Service) getShardIteratorLocked(in *sdk.GetShardIteratorInput) (*sdk.GetShardIteratorOutput, error) {
	st, err := s.findLocked(in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	sh, err := st.findLocked(in.ShardId)
	if err != nil {
		return nil, err
	}
	st.trimLocked(sh)
	position, err := sh.start(in)
	if err != nil {
		return nil, err
	}
	it := iterator{Stream: st.name, Created: st.created.UnixNano(), Shard: sh.number, Position: position}
	return &sdk.GetShardIteratorOutput{ShardIterator: aws.String(it.String())}, nil
}

// findLocked returns a shard that the stream still knows.
func (st *Stream) findLocked(id *string) (*shard, error) {
	for _, sh := range st.shards {
		if sh.id == aws.ToString(id) && !st.expired(sh) {
			return sh, nil
		}
	}
	return nil, notFound("shard %s in stream %s under account %s does not exist", aws.ToString(id), st.name, Account)
}

// start returns the position that a GetShardIterator asks for.
func (sh *shard) start(in *sdk.GetShardIteratorInput) (int, error) {
	sequence := aws.ToString(in.StartingSequenceNumber)
	switch in.ShardIteratorType {
	case types.ShardIteratorTypeTrimHorizon:
		return sh.trimmed, nil
	case types.ShardIteratorTypeLatest:
		return sh.end(), nil
	case types.ShardIteratorTypeAtTimestamp:
		if in.Timestamp == nil || in.Timestamp.After(time.Now()) {
			return 0, invalid("AT_TIMESTAMP takes a Timestamp that is not in the future")
		}
		i := 0
		for i < len(sh.records) && sh.records[i].arrival.Before(*in.Timestamp) {
			i++
		}
		return sh.trimmed + i, nil
	case types.ShardIteratorTypeAtSequenceNumber:
		return sh.position(sequence)
	case types.ShardIteratorTypeAfterSequenceNumber:
		position, err := sh.position(sequence)
		if sequence == sh.sequence(0, sh.created) {
			return position, err // no record has the shard's first number
		}
		return position + 1, err
	}
	return 0, invalid("ShardIteratorType %q is unknown", in.ShardIteratorType)
}

// GetRecords returns records from an iterator on, at most 10,000 or 10 MiB. The
// last reply of a closed shard has no next iterator; it may have records.
func (s *Service) GetRecords(ctx context.Context, in *sdk.GetRecordsInput, _ ...func(*sdk.Options)) (*sdk.GetRecordsOutput, error) {
	it, ok := decode[iterator](in.ShardIterator)
	call := Call{Op: "GetRecords", Stream: it.Stream, Shard: shardID(it.Shard)}
	return serve(ctx, s, call, in, func(in *sdk.GetRecordsInput) (*sdk.GetRecordsOutput, error) {
		if !ok {
			return nil, invalid("invalid ShardIterator")
		}
		return s.getRecordsLocked(in, it)
	})
}

func (s *Service) getRecordsLocked(in *sdk.GetRecordsInput, it iterator) (*sdk.GetRecordsOutput, error) {
	st, sh, err := s.resolveLocked(it)
	if err != nil {
		return nil, err
	}
	limit := maxReadRecords
	if in.Limit != nil {
		if limit = int(*in.Limit); limit < 1 || limit > maxReadRecords {
			return nil, invalid("Limit must be from 1 to %d", maxReadRecords)
		}
	}
	now := time.Now()
	if now.UnixNano()-it.Issued > int64(iteratorAge) {
		return nil, &types.ExpiredIteratorException{Message: aws.String("iterator expired: it is older than 5 minutes")}
	}
	if s.Throttle && !sh.throttle.allow(now) {
		return nil, &types.ProvisionedThroughputExceededException{Message: aws.String("rate exceeded for shard " + sh.id)}
	}
	st.trimLocked(sh)
	first := max(it.Position, sh.trimmed) - sh.trimmed
	out := &sdk.GetRecordsOutput{Records: []types.Record{}, MillisBehindLatest: aws.Int64(0)}
	bytes, i := 0, first
	for ; i < len(sh.records) && i-first < limit; i++ {
		e := &sh.records[i]
		if bytes += len(e.data); bytes > maxReadBytes && i > first {
			break
		}
		out.Records = append(out.Records, types.Record{
			SequenceNumber: aws.String(e.sequence), ApproximateArrivalTimestamp: aws.Time(e.arrival),
			PartitionKey: aws.String(e.key), Data: e.data,
		})
	}
	sh.throttle.pay(now, bytes)
	if i < len(sh.records) {
		out.MillisBehindLatest = aws.Int64(max(1, now.Sub(sh.records[i].arrival).Milliseconds()))
	} else if !sh.open() {
		out.ChildShards = sh.describeChildren()
		return out, nil
	}
	it.Position = sh.trimmed + i
	out.NextShardIterator = aws.String(it.String())
	return out, nil
}

// throttle is what a shard's readers have used of its limits.
type throttle struct {
	calls [maxReadCalls]time.Time // the latest, as a ring
	next  int                     // the oldest of them
	paid  time.Time               // when the bytes that were read are paid
}

// allow takes one call, unless five were made in the last second or bytes are owed.
func (t *throttle) allow(now time.Time) bool {
	if now.Sub(t.calls[t.next]) < time.Second || now.Before(t.paid) {
		return false
	}
	t.calls[t.next] = now
	t.next = (t.next + 1) % maxReadCalls
	return true
}

func (t *throttle) pay(now time.Time, bytes int) {
	t.paid = now.Add(time.Duration(bytes) * time.Second / readBytesPerSec)
}

// PutRecord adds a record to the shard that its partition key belongs to.
func (s *Service) PutRecord(ctx context.Context, in *sdk.PutRecordInput, _ ...func(*sdk.Options)) (*sdk.PutRecordOutput, error) {
	return serve(ctx, s, Call{Op: "PutRecord", Stream: streamName(in.StreamName, in.StreamARN)}, in, s.putRecordLocked)
}

func (s *Service) putRecordLocked(in *sdk.PutRecordInput) (*sdk.PutRecordOutput, error) {
	st, err := s.findLocked(in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	sh, err := st.routeLocked(in.PartitionKey, in.ExplicitHashKey, in.Data)
	if err != nil {
		return nil, err
	}
	sequence := sh.putLocked(*in.PartitionKey, in.Data)
	return &sdk.PutRecordOutput{ShardId: aws.String(sh.id), SequenceNumber: aws.String(sequence)}, nil
}

// PutRecords adds up to 500 records of up to 10 MiB together.
func (s *Service) PutRecords(ctx context.Context, in *sdk.PutRecordsInput, _ ...func(*sdk.Options)) (*sdk.PutRecordsOutput, error) {
	return serve(ctx, s, Call{Op: "PutRecords", Stream: streamName(in.StreamName, in.StreamARN)}, in, s.putRecordsLocked)
}

func (s *Service) putRecordsLocked(in *sdk.PutRecordsInput) (*sdk.PutRecordsOutput, error) {
	st, err := s.findLocked(in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	if n := len(in.Records); n < 1 || n > maxPutRecords {
		return nil, invalid("%d records; a request takes 1 to %d", n, maxPutRecords)
	}
	bytes := 0
	shards := make([]*shard, len(in.Records))
	for i, r := range in.Records {
		if shards[i], err = st.routeLocked(r.PartitionKey, r.ExplicitHashKey, r.Data); err != nil {
			return nil, err
		}
		bytes += len(r.Data) + len(*r.PartitionKey)
	}
	if bytes > maxRecordBytes {
		return nil, invalid("%d bytes; a request takes %d", bytes, maxRecordBytes)
	}
	out := &sdk.PutRecordsOutput{FailedRecordCount: aws.Int32(0)}
	for i, r := range in.Records {
		sequence := shards[i].putLocked(*r.PartitionKey, r.Data)
		out.Records = append(out.Records, types.PutRecordsResultEntry{ShardId: aws.String(shards[i].id), SequenceNumber: aws.String(sequence)})
	}
	return out, nil
}

// routeLocked checks a record and returns the open shard that takes it.
func (st *Stream) routeLocked(key, explicit *string, data []byte) (*shard, error) {
	if aws.ToString(key) == "" || len(*key) > 256 {
		return nil, invalid("PartitionKey must have 1 to 256 characters")
	}
	if len(data) > maxRecordBytes {
		return nil, invalid("Data has %d bytes, more than %d", len(data), maxRecordBytes)
	}
	hash := hashKey(*key)
	if explicit != nil {
		var ok bool
		if hash, ok = new(big.Int).SetString(*explicit, 10); !ok {
			return nil, invalid("ExplicitHashKey %q is no number", *explicit)
		}
	}
	for _, sh := range st.shards {
		if sh.open() && sh.keys.has(hash) {
			return sh, nil
		}
	}
	return nil, invalid("ExplicitHashKey %s is outside of all hash keys", hash)
}
