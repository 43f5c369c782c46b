// Package pipeline carries records from a source to a sink and settles what the
// sink has made durable:
//
//	Source ─▶ admit ─▶ decode ×N ─▶ batch ─▶ write ─▶ settle ─▶ commit
//
// It knows neither Kinesis nor Elasticsearch. Memory is bounded by a byte budget
// that the source reserves from before it reads; a shard's checkpoint only ever
// covers the contiguous prefix of what has settled.
package pipeline

import (
	"context"

	"github.com/shipperd/shipperd/pkg/record"
)

// Source reads records.
type Source interface {
	// Run emits the records of each shard in order until ctx ends; then it returns
	// nil. emit may be called from many goroutines, one per shard at a time; it
	// blocks while the shard's span is used up and fails only when the pipeline
	// has ended. The record and its reservation belong to the pipeline after emit,
	// also after an error.
	Run(ctx context.Context, emit func(*record.Record) error) error
}

// Decoder turns a record's bytes into events. One goroutine uses it at a time.
type Decoder interface {
	// Decode fills r.Text, r.Events and r.Control from r.Data. It uses CPU only. An
	// error wraps record.ErrOversize or means "never decodable": what was decoded so far
	// stays, the rest of the record becomes one dead letter.
	Decode(r *record.Record) error
}

// Sink makes events durable.
type Sink interface {
	// Write sets the Outcome of every Pending event of the records and returns nil,
	// retrying inside for as long as it takes, or returns an error and stops the
	// daemon with those records unsettled. It does not keep the records.
	Write(ctx context.Context, records []*record.Record) error
}

// DeadLetters stores what can never be delivered.
type DeadLetters interface {
	// Put returns nil when the letters are durable, all of them. It blocks while
	// the store is full or cannot be written; its error is that of ctx.
	Put(ctx context.Context, letters ...record.Letter) error
}
