// Package demo is a synthetic site that is being attacked, and what a security
// engineer wants to see of it.
//
// Site makes the log events of two web servers, their SSH daemons, the account's
// CloudTrail and the VPC's flow logs: ordinary traffic, and in it a scanner, a
// guessed web login, attacks on SSH and the use of a stolen access key. Load puts
// them on a stream as CloudWatch Logs does. Files and Summary take what comes out
// at the other end. All addresses, names and keys are those that the standards
// reserve for documentation.
//
// The same seed and start make the same events, byte for byte.
package demo

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"
)

// Options says what Load puts on the stream.
type Options struct {
	Events int
	Seed   uint64
	Start  time.Time // of the first event; the others follow in steps of about Step
	// Extracted lets the two groups of a space-delimited subscription filter carry
	// extractedFields, where a message fits the filter's pattern.
	Extracted bool
}

// Step is the mean time between two events of a Site.
const Step = 50 * time.Millisecond

// batchEvents is the largest number of events that Load puts into one record:
// with some 100 to 1,000 bytes each they stay below 1 MiB by far.
const batchEvents = 200

// Load puts o.Events events on a stream, in the records that CloudWatch Logs would
// make: at first the control message of each subscription, then gzipped batches,
// each of one log stream, whose name is the partition key. It returns put's first
// error.
func Load(ctx context.Context, put func(ctx context.Context, partitionKey string, data []byte) error, o Options) error {
	site := NewSite(o.Seed, o.Start)
	encode, err := newEncoder(o.Extracted)
	if err != nil {
		return err
	}
	for range Groups() {
		if err := put(ctx, "CloudwatchLogs", encode.control(o.Start)); err != nil {
			return fmt.Errorf("put the control message: %w", err)
		}
	}
	sizes := rand.New(rand.NewPCG(o.Seed, 1))
	streams := make(map[string][]Event)
	flush := func(stream string) error {
		if err := put(ctx, stream, encode.payload(streams[stream])); err != nil {
			return fmt.Errorf("put events of %s: %w", stream, err)
		}
		delete(streams, stream)
		return nil
	}
	for range o.Events {
		e := site.Next()
		streams[e.Stream] = append(streams[e.Stream], e)
		// Records of all sizes, as on a real stream.
		if sizes.IntN(batchEvents/2) > 0 && len(streams[e.Stream]) < batchEvents {
			continue
		}
		if err := flush(e.Stream); err != nil {
			return err
		}
	}
	for _, stream := range slices.Sorted(maps.Keys(streams)) {
		if err := flush(stream); err != nil {
			return err
		}
	}
	return nil
}
