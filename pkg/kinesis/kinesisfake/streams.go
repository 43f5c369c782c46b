package kinesisfake

import (
	"context"
	"math/big"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

const (
	maxListShards = 1000   // a page
	maxShards     = 20_000 // a stream
)

// CreateStream makes a stream, active at once.
func (s *Service) CreateStream(ctx context.Context, in *sdk.CreateStreamInput, _ ...func(*sdk.Options)) (*sdk.CreateStreamOutput, error) {
	return serve(ctx, s, Call{Op: "CreateStream", Stream: aws.ToString(in.StreamName)}, in, func(in *sdk.CreateStreamInput) (*sdk.CreateStreamOutput, error) {
		name, shards := aws.ToString(in.StreamName), int(aws.ToInt32(in.ShardCount))
		if name == "" || shards < 1 || shards > maxShards {
			return nil, invalid("StreamName and a ShardCount from 1 to %d are required", maxShards)
		}
		if _, ok := s.streams[name]; ok {
			return nil, &types.ResourceInUseException{Message: aws.String("stream " + name + " already exists")}
		}
		s.createLocked(name, shards)
		return &sdk.CreateStreamOutput{}, nil
	})
}

// DeleteStream removes a stream at once.
func (s *Service) DeleteStream(ctx context.Context, in *sdk.DeleteStreamInput, _ ...func(*sdk.Options)) (*sdk.DeleteStreamOutput, error) {
	return serve(ctx, s, Call{Op: "DeleteStream", Stream: streamName(in.StreamName, in.StreamARN)}, in, func(in *sdk.DeleteStreamInput) (*sdk.DeleteStreamOutput, error) {
		st, err := s.findLocked(in.StreamName, in.StreamARN)
		if err != nil {
			return nil, err
		}
		delete(s.streams, st.name)
		return &sdk.DeleteStreamOutput{}, nil
	})
}

// DescribeStreamSummary tells what a stream is.
func (s *Service) DescribeStreamSummary(ctx context.Context, in *sdk.DescribeStreamSummaryInput, _ ...func(*sdk.Options)) (*sdk.DescribeStreamSummaryOutput, error) {
	return serve(ctx, s, Call{Op: "DescribeStreamSummary", Stream: streamName(in.StreamName, in.StreamARN)}, in, s.describeLocked)
}

func (s *Service) describeLocked(in *sdk.DescribeStreamSummaryInput) (*sdk.DescribeStreamSummaryOutput, error) {
	st, err := s.findLocked(in.StreamName, in.StreamARN)
	if err != nil {
		return nil, err
	}
	return &sdk.DescribeStreamSummaryOutput{StreamDescriptionSummary: &types.StreamDescriptionSummary{
		EnhancedMonitoring:      []types.EnhancedMetrics{{}},
		OpenShardCount:          aws.Int32(int32(len(st.openLocked()))),
		RetentionPeriodHours:    aws.Int32(int32(st.retention.Hours())),
		StreamARN:               aws.String(st.ARN()),
		StreamCreationTimestamp: aws.Time(st.created.Truncate(time.Second)),
		StreamName:              aws.String(st.name),
		StreamStatus:            types.StreamStatusActive,
		StreamModeDetails:       &types.StreamModeDetails{StreamMode: types.StreamModeProvisioned},
		EncryptionType:          types.EncryptionTypeNone,
	}}, nil
}

// ListShards lists the shards that a filter lets through, up to 1,000 a page.
func (s *Service) ListShards(ctx context.Context, in *sdk.ListShardsInput, _ ...func(*sdk.Options)) (*sdk.ListShardsOutput, error) {
	call := Call{Op: "ListShards", Stream: streamName(in.StreamName, in.StreamARN)}
	if t, ok := decode[token](in.NextToken); ok {
		call.Stream = t.Stream
	}
	return serve(ctx, s, call, in, func(in *sdk.ListShardsInput) (*sdk.ListShardsOutput, error) {
		st, page, err := s.pageLocked(in)
		if err != nil {
			return nil, err
		}
		out := &sdk.ListShardsOutput{Shards: []types.Shard{}}
		for _, sh := range st.shards[page.After+1:] {
			if st.expired(sh) || !st.matches(sh, page) {
				continue
			}
			if len(out.Shards) == page.Max {
				out.NextToken = aws.String(page.String())
				break
			}
			out.Shards = append(out.Shards, sh.describe())
			page.After = sh.number
		}
		return out, nil
	})
}

// pageLocked returns the stream that a ListShards asks for, and the page as the
// token that leads to it.
func (s *Service) pageLocked(in *sdk.ListShardsInput) (*Stream, token, error) {
	if in.NextToken != nil {
		return s.nextPageLocked(in)
	}
	st, err := s.findLocked(in.StreamName, in.StreamARN)
	if err != nil {
		return nil, token{}, err
	}
	page := token{Stream: st.name, Created: st.created.UnixNano(), After: -1, Max: maxListShards}
	if in.StreamCreationTimestamp != nil && in.StreamCreationTimestamp.Unix() != st.created.Unix() {
		return nil, token{}, notFound("stream %s of that creation time not found", st.name)
	}
	if in.MaxResults != nil {
		if *in.MaxResults < 1 {
			return nil, token{}, invalid("MaxResults must be positive")
		}
		page.Max = min(int(*in.MaxResults), maxListShards)
	}
	after := in.ExclusiveStartShardId
	if f := in.ShardFilter; f != nil {
		page.Filter = f.Type
		switch f.Type {
		case types.ShardFilterTypeAtTimestamp, types.ShardFilterTypeFromTimestamp:
			if f.Timestamp == nil {
				return nil, token{}, invalid("ShardFilter %s needs a Timestamp", f.Type)
			}
			page.Time = f.Timestamp.UnixNano()
		case types.ShardFilterTypeAfterShardId:
			if f.ShardId == nil {
				return nil, token{}, invalid("ShardFilter %s needs a ShardId", f.Type)
			}
			after = f.ShardId
		default:
			if !slices.Contains(f.Type.Values(), f.Type) {
				return nil, token{}, invalid("ShardFilter %q is unknown", f.Type)
			}
		}
	}
	for _, sh := range st.shards {
		if after != nil && sh.id <= *after {
			page.After = sh.number
		}
	}
	return st, page, nil
}

func (s *Service) nextPageLocked(in *sdk.ListShardsInput) (*Stream, token, error) {
	page, ok := decode[token](in.NextToken)
	st := s.streams[page.Stream]
	switch {
	case in.StreamName != nil || in.StreamCreationTimestamp != nil || in.ExclusiveStartShardId != nil:
		return nil, page, invalid("NextToken and StreamName, StreamCreationTimestamp or ExclusiveStartShardId cannot be given together")
	case !ok || st == nil || st.created.UnixNano() != page.Created || page.After < -1 || page.After >= len(st.shards) || page.Max < 1:
		return nil, page, invalid("NextToken is invalid")
	case time.Now().UnixNano()-page.Issued > int64(tokenAge):
		return nil, page, &types.ExpiredNextTokenException{Message: aws.String("NextToken is older than 5 minutes")}
	}
	if in.MaxResults != nil {
		page.Max = min(max(int(*in.MaxResults), 1), maxListShards)
	}
	return st, page, nil
}

// matches says whether the page's filter lets the shard through.
func (st *Stream) matches(sh *shard, page token) bool {
	openAt := func(t time.Time) bool { return !sh.created.After(t) && (sh.open() || sh.closed.After(t)) }
	at := time.Unix(0, page.Time)
	switch page.Filter {
	case types.ShardFilterTypeAtLatest:
		return sh.open()
	case types.ShardFilterTypeAtTrimHorizon:
		horizon := time.Now().Add(-st.retention)
		if horizon.Before(st.created) {
			horizon = st.created
		}
		return openAt(horizon)
	case types.ShardFilterTypeAtTimestamp:
		return openAt(at)
	case types.ShardFilterTypeFromTimestamp:
		return sh.open() || !sh.closed.Before(at)
	default: // from the trim horizon, or after a shard: all that are left
		return true
	}
}

// SplitShard divides a shard's hash keys at NewStartingHashKey.
func (s *Service) SplitShard(ctx context.Context, in *sdk.SplitShardInput, _ ...func(*sdk.Options)) (*sdk.SplitShardOutput, error) {
	call := Call{Op: "SplitShard", Stream: streamName(in.StreamName, in.StreamARN), Shard: aws.ToString(in.ShardToSplit)}
	return serve(ctx, s, call, in, func(in *sdk.SplitShardInput) (*sdk.SplitShardOutput, error) {
		st, sh, err := s.openShardLocked(in.StreamName, in.StreamARN, in.ShardToSplit)
		if err != nil {
			return nil, err
		}
		at, ok := new(big.Int).SetString(aws.ToString(in.NewStartingHashKey), 10)
		if !ok || !sh.keys.has(at) || at.Cmp(sh.keys.from) == 0 {
			return nil, invalid("NewStartingHashKey %s used in SplitShard() on shard %s is not both greater than one plus the shard's StartingHashKey and less than the EndingHashKey", aws.ToString(in.NewStartingHashKey), sh.id)
		}
		st.splitLocked(sh, at)
		return &sdk.SplitShardOutput{}, nil
	})
}

// MergeShards makes one shard of two whose hash keys are adjacent.
func (s *Service) MergeShards(ctx context.Context, in *sdk.MergeShardsInput, _ ...func(*sdk.Options)) (*sdk.MergeShardsOutput, error) {
	call := Call{Op: "MergeShards", Stream: streamName(in.StreamName, in.StreamARN), Shard: aws.ToString(in.ShardToMerge)}
	return serve(ctx, s, call, in, func(in *sdk.MergeShardsInput) (*sdk.MergeShardsOutput, error) {
		st, a, err := s.openShardLocked(in.StreamName, in.StreamARN, in.ShardToMerge)
		if err != nil {
			return nil, err
		}
		_, b, err := s.openShardLocked(in.StreamName, in.StreamARN, in.AdjacentShardToMerge)
		if err != nil {
			return nil, err
		}
		if !a.keys.adjacent(b.keys) && !b.keys.adjacent(a.keys) {
			return nil, invalid("shards %s and %s are not adjacent", a.id, b.id)
		}
		st.mergeLocked(a, b)
		return &sdk.MergeShardsOutput{}, nil
	})
}

// UpdateShardCount doubles or halves the open shards; the service takes any
// number in between, in several steps.
func (s *Service) UpdateShardCount(ctx context.Context, in *sdk.UpdateShardCountInput, _ ...func(*sdk.Options)) (*sdk.UpdateShardCountOutput, error) {
	call := Call{Op: "UpdateShardCount", Stream: streamName(in.StreamName, in.StreamARN)}
	return serve(ctx, s, call, in, func(in *sdk.UpdateShardCountInput) (*sdk.UpdateShardCountOutput, error) {
		st, err := s.findLocked(in.StreamName, in.StreamARN)
		if err != nil {
			return nil, err
		}
		open, target := st.openLocked(), int(aws.ToInt32(in.TargetShardCount))
		slices.SortFunc(open, func(a, b *shard) int { return a.keys.from.Cmp(b.keys.from) })
		switch {
		case target == 2*len(open):
			for _, sh := range open {
				st.splitLocked(sh, sh.keys.middle())
			}
		case target > 0 && 2*target == len(open):
			for pair := range slices.Chunk(open, 2) {
				st.mergeLocked(pair[0], pair[1])
			}
		default:
			return nil, invalid("TargetShardCount %d: this endpoint doubles or halves %d shards", target, len(open))
		}
		return &sdk.UpdateShardCountOutput{
			StreamName: aws.String(st.name), StreamARN: aws.String(st.ARN()),
			CurrentShardCount: aws.Int32(int32(len(open))), TargetShardCount: in.TargetShardCount,
		}, nil
	})
}

// openLocked returns the open shards, oldest first.
func (st *Stream) openLocked() []*shard {
	return slices.DeleteFunc(slices.Clone(st.shards), func(sh *shard) bool { return !sh.open() })
}

// openShardLocked returns a shard that may be split or merged.
func (s *Service) openShardLocked(name, arn, id *string) (*Stream, *shard, error) {
	st, err := s.findLocked(name, arn)
	if err != nil {
		return nil, nil, err
	}
	sh, err := st.findLocked(id)
	if err != nil {
		return nil, nil, err
	}
	if !sh.open() {
		return nil, nil, invalid("shard %s is closed", sh.id)
	}
	return st, sh, nil
}
