package kinesisfake

import (
	"crypto/md5" // the service's hash of partition keys
	"fmt"
	"math/big"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// shard is a shard of a stream. The service's lock guards it.
type shard struct {
	id      string
	number  int
	keys    keyRange
	parents []string // none, one (of a split) or two (of a merge)
	created time.Time
	closed  time.Time // zero while it is open
	// records holds what has not been trimmed. Positions count the shard's records
	// from 0; the first held one is at position trimmed.
	records  []entry
	trimmed  int
	children []*shard
	throttle throttle
}

type entry struct {
	sequence string
	arrival  time.Time
	key      string
	data     []byte
}

func (sh *shard) open() bool { return sh.closed.IsZero() }

// end is the position after the last record.
func (sh *shard) end() int { return sh.trimmed + len(sh.records) }

// trimLocked drops what is older than the retention.
func (st *Stream) trimLocked(sh *shard) {
	horizon := time.Now().Add(-st.retention)
	n := 0
	for n < len(sh.records) && sh.records[n].arrival.Before(horizon) {
		n++
	}
	clear(sh.records[:n])
	sh.records, sh.trimmed = sh.records[n:], sh.trimmed+n
}

// expired says whether a closed shard is older than the retention: the service
// does not know it any more.
func (st *Stream) expired(sh *shard) bool {
	return !sh.open() && time.Since(sh.closed) > st.retention
}

// addShardLocked adds a shard, and closes its parents.
func (st *Stream) addShardLocked(now time.Time, keys keyRange, parents ...*shard) *shard {
	sh := &shard{
		id:      shardID(len(st.shards)),
		number:  len(st.shards),
		keys:    keys,
		created: now,
	}
	for _, parent := range parents {
		sh.parents = append(sh.parents, parent.id)
		parent.children = append(parent.children, sh)
		parent.closed = now
	}
	st.shards = append(st.shards, sh)
	return sh
}

func (st *Stream) splitLocked(parent *shard, at *big.Int) (left, right string) {
	now, below := time.Now(), new(big.Int).Sub(at, big.NewInt(1))
	l := st.addShardLocked(now, keyRange{parent.keys.from, below}, parent)
	r := st.addShardLocked(now, keyRange{at, parent.keys.to}, parent)
	return l.id, r.id
}

func (st *Stream) mergeLocked(a, b *shard) (child string) {
	keys := keyRange{a.keys.from, b.keys.to}
	if b.keys.from.Cmp(a.keys.from) < 0 {
		keys = keyRange{b.keys.from, a.keys.to}
	}
	return st.addShardLocked(time.Now(), keys, a, b).id
}

func (sh *shard) putLocked(key string, data []byte) (sequence string) {
	now := time.Now()
	sequence = sh.sequence(sh.end()+1, now)
	sh.records = append(sh.records, entry{sequence: sequence, arrival: now.Truncate(time.Millisecond), key: key, data: data})
	return sequence
}

// describe returns the shard as ListShards has it.
func (sh *shard) describe() types.Shard {
	out := types.Shard{
		ShardId:             aws.String(sh.id),
		HashKeyRange:        sh.keys.describe(),
		SequenceNumberRange: &types.SequenceNumberRange{StartingSequenceNumber: aws.String(sh.sequence(0, sh.created))},
	}
	if !sh.open() {
		out.SequenceNumberRange.EndingSequenceNumber = aws.String(sh.sequence(sh.end()+1, sh.closed))
	}
	if len(sh.parents) > 0 {
		out.ParentShardId = aws.String(sh.parents[0])
	}
	if len(sh.parents) > 1 {
		out.AdjacentParentShardId = aws.String(sh.parents[1])
	}
	return out
}

// describeChildren returns the children as the last GetRecords has them.
func (sh *shard) describeChildren() []types.ChildShard {
	var out []types.ChildShard
	for _, child := range sh.children {
		out = append(out, types.ChildShard{ShardId: aws.String(child.id), ParentShards: child.parents, HashKeyRange: child.keys.describe()})
	}
	return out
}

// keyRange is a range of hash keys, both ends included.
type keyRange struct{ from, to *big.Int }

// divide divides all hash keys evenly.
func divide(shards int) []keyRange {
	hashKeys := new(big.Int).Lsh(big.NewInt(1), 128) // how many there are
	ranges := make([]keyRange, shards)
	border := func(i int) *big.Int {
		b := new(big.Int).Mul(hashKeys, big.NewInt(int64(i)))
		return b.Div(b, big.NewInt(int64(shards)))
	}
	for i := range ranges {
		ranges[i] = keyRange{border(i), new(big.Int).Sub(border(i+1), big.NewInt(1))}
	}
	return ranges
}

// middle returns where the upper half begins.
func (r keyRange) middle() *big.Int {
	sum := new(big.Int).Add(r.from, r.to)
	sum.Add(sum, big.NewInt(1))
	return sum.Rsh(sum, 1)
}

func (r keyRange) has(key *big.Int) bool { return r.from.Cmp(key) <= 0 && key.Cmp(r.to) <= 0 }

// adjacent says whether s begins where r ends.
func (r keyRange) adjacent(s keyRange) bool {
	return new(big.Int).Add(r.to, big.NewInt(1)).Cmp(s.from) == 0
}

func (r keyRange) describe() *types.HashKeyRange {
	return &types.HashKeyRange{StartingHashKey: aws.String(r.from.String()), EndingHashKey: aws.String(r.to.String())}
}

func hashKey(partitionKey string) *big.Int {
	sum := md5.Sum([]byte(partitionKey))
	return new(big.Int).SetBytes(sum[:])
}

func shardID(number int) string { return fmt.Sprintf("shardId-%012d", number) }
