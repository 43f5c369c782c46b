package kinesis

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/google/go-cmp/cmp"

	"github.com/shipperd/shipperd/pkg/checkpoint"
)

// TestLineage writes shards as "child<parent+parent", rows as "shard=KIND".
func TestLineage(t *testing.T) {
	tests := []struct {
		name     string
		stored   string
		listed   string
		ended    string   // a shard that ends after the listing, as "shard" or "shard:child<parent …"
		rows     []string // that are to be stored
		readable []string
		waiting  int
		expired  []string
	}{
		{name: "first open", listed: "a b", rows: []string{"a=AT_TIMESTAMP", "b=AT_TIMESTAMP"}, readable: []string{"a", "b"}},
		{name: "first open of a stream that was split: all start at one time", listed: "a b<a c<a",
			rows: []string{"a=AT_TIMESTAMP", "b=AT_TIMESTAMP", "c=AT_TIMESTAMP"}, readable: []string{"a"}, waiting: 2},
		{name: "shards found later start at their beginning", stored: "a=AFTER_SEQUENCE_NUMBER", listed: "a b",
			rows: []string{"b=TRIM_HORIZON"}, readable: []string{"a", "b"}},
		{name: "child of an ended shard", stored: "a=SHARD_END b=TRIM_HORIZON", listed: "a b<a", readable: []string{"b"}},
		{name: "merge with one parent ended", stored: "a=SHARD_END b=TRIM_HORIZON c=TRIM_HORIZON", listed: "a b c<a+b", readable: []string{"b"}, waiting: 1},
		{name: "merge with both parents ended", stored: "a=SHARD_END b=SHARD_END c=TRIM_HORIZON", listed: "a b c<a+b", readable: []string{"c"}},
		{name: "parent that nobody knows has ended", stored: "b=TRIM_HORIZON", listed: "b<a", readable: []string{"b"}},
		{name: "parent with a row and in no listing is read first", stored: "a=AFTER_SEQUENCE_NUMBER b=TRIM_HORIZON", listed: "b<a",
			readable: []string{"a"}, waiting: 1},
		{name: "row of an end goes when the shard is not listed", stored: "a=SHARD_END b=TRIM_HORIZON", listed: "b<a",
			readable: []string{"b"}, expired: []string{"a"}},
		{name: "children in the last reply", stored: "a=TRIM_HORIZON", listed: "a", ended: "a:b<a c<a",
			rows: []string{"b=TRIM_HORIZON", "c=TRIM_HORIZON"}, readable: []string{"b", "c"}},
		{name: "child in a last reply that knew its parents", stored: "a=TRIM_HORIZON b=TRIM_HORIZON", listed: "a b", ended: "a:c<a+b",
			rows: []string{"c=TRIM_HORIZON"}, readable: []string{"b"}, waiting: 1},
		{name: "child in a last reply whose other parent is newer than the listing", stored: "a=TRIM_HORIZON", listed: "a", ended: "a:c<a+x",
			rows: []string{"c=TRIM_HORIZON"}, waiting: 1},
		{name: "end without children", stored: "a=TRIM_HORIZON", listed: "a", ended: "a"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			stored := make(map[string]checkpoint.Position)
			for row := range strings.FieldsSeq(test.stored) {
				id, kind, _ := strings.Cut(row, "=")
				stored[id] = checkpoint.Position{Kind: checkpoint.Kind(kind)}
			}
			l := newLineage(stored)
			rows := l.list(parseShards(test.listed), checkpoint.Position{Kind: checkpoint.AtTimestamp})
			maps.Copy(l.positions, rows)
			if test.ended != "" {
				id, children, _ := strings.Cut(test.ended, ":")
				var named []types.ChildShard
				for _, child := range parseShards(children) {
					parents := []string{*child.ParentShardId}
					if child.AdjacentParentShardId != nil {
						parents = append(parents, *child.AdjacentParentShardId)
					}
					named = append(named, types.ChildShard{ShardId: child.ShardId, ParentShards: parents})
				}
				rows = l.end(id, time.Time{}, named)
				maps.Copy(l.positions, rows)
			}
			var got []string
			for id, p := range rows {
				got = append(got, id+"="+string(p.Kind))
			}
			slices.Sort(got)
			if diff := cmp.Diff(test.rows, got); diff != "" {
				t.Errorf("rows to store (-want +got):\n%s", diff)
			}
			readable, waiting := l.readable()
			if diff := cmp.Diff(test.readable, readable); diff != "" || waiting != test.waiting {
				t.Errorf("%d waiting, want %d; readable (-want +got):\n%s", waiting, test.waiting, diff)
			}
			if diff := cmp.Diff(test.expired, l.expired()); diff != "" {
				t.Errorf("expired rows (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRowOfAParentStaysWhileAChildHasNone(t *testing.T) {
	l := newLineage(map[string]checkpoint.Position{"a": {Kind: checkpoint.ShardEnd}})
	rows := l.list(parseShards("b<a"), checkpoint.Position{})
	if got := l.expired(); len(got) > 0 {
		t.Errorf("got %v before the child's row is stored, want none", got)
	}
	maps.Copy(l.positions, rows)
	if diff := cmp.Diff([]string{"a"}, l.expired()); diff != "" {
		t.Errorf("expired after the child's row is stored (-want +got):\n%s", diff)
	}
}

// A merge's child waits for a slow parent until the stream has dropped all of them:
// first the quick parent, whose row goes, then the child itself.
func TestChildThatExpiresWhileItWaitsIsReadWhenItsLastParentEnds(t *testing.T) {
	l := newLineage(map[string]checkpoint.Position{"a": {Kind: checkpoint.AfterSequence}, "b": {Kind: checkpoint.AfterSequence}})
	maps.Copy(l.positions, l.list(parseShards("a b c<a+b"), checkpoint.Position{}))
	l.end("a", time.Time{}, nil)
	for _, listed := range []string{"c<a+b d<c", "d<c"} {
		maps.Copy(l.positions, l.list(parseShards(listed), checkpoint.Position{}))
		l.forget(l.expired())
	}
	if _, stored := l.positions["a"]; stored {
		t.Fatal("got a row of a, want it gone")
	}
	l.end("b", time.Time{}, nil)
	if readable, waiting := l.readable(); !slices.Equal(readable, []string{"c"}) || waiting != 1 {
		t.Errorf("got %v readable and %d waiting, want c readable and its child waiting", readable, waiting)
	}
}

func parseShards(text string) (shards []types.Shard) {
	for one := range strings.FieldsSeq(text) {
		id, parents, _ := strings.Cut(one, "<")
		shard := types.Shard{ShardId: aws.String(id)}
		if parent, adjacent, two := strings.Cut(parents, "+"); parents != "" {
			shard.ParentShardId = aws.String(parent)
			if two {
				shard.AdjacentParentShardId = aws.String(adjacent)
			}
		}
		shards = append(shards, shard)
	}
	return shards
}
