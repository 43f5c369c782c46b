package kinesis

import (
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shipperd/shipperd/pkg/checkpoint"
)

// lineage knows the stream's shards, whose children they are, and which of them
// have ended. It decides what may be read and does nothing itself.
//
// The rules (DESIGN.md, rule 10): a shard is read when all its parents have
// ended. A parent has ended when its end is stored, or when neither the store nor
// a listing knows it: then it expired, and long ago.
type lineage struct {
	parents   map[string][]string            // of every shard in a listing, or among the children of one that was read
	listed    map[string]bool                // whether the latest listing has it; of every shard in the store at the start, or ever listed
	positions map[string]checkpoint.Position // the store's rows; of progress only ends are kept up to date
}

func newLineage(stored map[string]checkpoint.Position) *lineage {
	l := &lineage{
		parents:   make(map[string][]string),
		listed:    make(map[string]bool),
		positions: stored,
	}
	for id := range stored {
		l.listed[id] = false
	}
	return l
}

// list takes a complete listing in and returns the rows to be stored before
// anything is read: start for all at the very first, the oldest record for every
// shard that appears later, because what it holds came after that.
func (l *lineage) list(shards []types.Shard, start checkpoint.Position) map[string]checkpoint.Position {
	if len(l.positions) > 0 {
		start = checkpoint.Position{Kind: checkpoint.TrimHorizon}
	}
	rows := make(map[string]checkpoint.Position)
	for id := range l.listed {
		l.listed[id] = false
	}
	for _, shard := range shards {
		id := aws.ToString(shard.ShardId)
		l.listed[id] = true
		l.parents[id] = nil
		for _, parent := range []*string{shard.ParentShardId, shard.AdjacentParentShardId} {
			if parent != nil {
				l.parents[id] = append(l.parents[id], *parent)
			}
		}
		if _, ok := l.positions[id]; !ok {
			rows[id] = start
		}
	}
	return rows
}

// end takes in that a shard has ended and settled, no earlier than after, and which
// shards its last reply named as children. It returns the rows of those that are new.
// What a child holds arrived after that time: a gap before its first record begins then.
func (l *lineage) end(id string, after time.Time, children []types.ChildShard) map[string]checkpoint.Position {
	l.positions[id] = checkpoint.Position{Kind: checkpoint.ShardEnd}
	rows := make(map[string]checkpoint.Position)
	for _, child := range children {
		name := aws.ToString(child.ShardId)
		if name == "" {
			continue // the next listing names it
		}
		l.parents[name] = child.ParentShards
		if _, ok := l.positions[name]; !ok {
			rows[name] = checkpoint.Position{Kind: checkpoint.TrimHorizon, Arrival: after}
		}
	}
	for name, parents := range l.parents {
		at := l.positions[name]
		if at.Kind == checkpoint.TrimHorizon && after.After(at.Arrival) && slices.Contains(parents, id) {
			at.Arrival = after
			l.positions[name] = at
		}
	}
	return rows
}

// readable returns the shards that have data left and whose parents have all
// ended, in the order of their names; waiting is how many others have data left.
func (l *lineage) readable() (ids []string, waiting int) {
	for id, position := range l.positions {
		switch {
		case position.Kind == checkpoint.ShardEnd:
		case l.eligible(id):
			ids = append(ids, id)
		default:
			waiting++
		}
	}
	slices.Sort(ids)
	return ids, waiting
}

func (l *lineage) eligible(id string) bool {
	for _, parent := range l.parents[id] {
		position, stored := l.positions[parent]
		if stored && position.Kind != checkpoint.ShardEnd {
			return false
		}
		// Only a listing that knows the child is new enough to know its parents. It need
		// not be the latest: a child can expire while it waits, after the first parent's row.
		if _, known := l.listed[id]; !stored && (l.listed[parent] || !known) {
			return false
		}
	}
	return true
}

// expired returns the shards whose rows nobody needs any more: they have ended,
// the stream does not list them any more, and each of their children has a row of
// its own. A shard that is younger than the latest listing is not among them: the
// next one has it, and without its row it would be read again.
func (l *lineage) expired() []string {
	needed := make(map[string]bool)
	for id, parents := range l.parents {
		if _, stored := l.positions[id]; !stored {
			for _, parent := range parents {
				needed[parent] = true
			}
		}
	}
	var ids []string
	for id, position := range l.positions {
		listed, known := l.listed[id]
		if position.Kind == checkpoint.ShardEnd && known && !listed && !needed[id] {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// forget drops shards whose rows have been removed.
func (l *lineage) forget(ids []string) {
	for _, id := range ids {
		delete(l.positions, id)
		delete(l.parents, id)
		delete(l.listed, id)
	}
}
