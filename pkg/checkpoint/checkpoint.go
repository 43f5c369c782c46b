// Package checkpoint keeps how far each shard of a stream has been delivered.
//
// Tracker orders what is in flight of one shard and knows the contiguous prefix
// that has settled; only that is ever stored. Store keeps positions over
// restarts; File is the one for a single process. What lies between is the
// pipeline's: it moves settled prefixes into the store, at most once a second.
package checkpoint

import (
	"context"
	"time"
)

// Kind says what a Position means.
type Kind string

// The kinds, by their names in the Kinesis API where it has one.
const (
	TrimHorizon   Kind = "TRIM_HORIZON"          // nothing settled; start at the oldest record
	AtTimestamp   Kind = "AT_TIMESTAMP"          // nothing settled; start at Time
	AfterSequence Kind = "AFTER_SEQUENCE_NUMBER" // all up to and including Sequence has settled
	ShardEnd      Kind = "SHARD_END"             // the shard is closed and all of it has settled
)

// Position is where reading of a shard goes on after a restart.
type Position struct {
	Kind     Kind      `json:"kind"`
	Sequence string    `json:"sequence,omitempty"` // of AfterSequence
	Time     time.Time `json:"time,omitzero"`      // of AtTimestamp
	// Arrival is the arrival time of the record at Sequence: the start of the gap
	// when that record has been trimmed before it could be read on from. Of TrimHorizon
	// it is a time when the shard's parents were still open, where that is known.
	Arrival time.Time `json:"arrival,omitzero"`
}

// Store keeps the positions of one stream's shards. It is safe for concurrent
// use; the source saves first positions, the pipeline saves progress.
type Store interface {
	// Load returns the position of every shard that has one. The map is the caller's.
	Load(ctx context.Context) (map[string]Position, error)
	// Save merges positions into what is stored, in one write. It is durable when
	// it returns nil; after an error the old state or the new one is stored.
	Save(ctx context.Context, positions map[string]Position) error
	// Forget removes the positions of shards that the stream does not have any more.
	Forget(ctx context.Context, shards []string) error
}
