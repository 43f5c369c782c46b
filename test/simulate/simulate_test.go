// Package simulate runs the real source, pipeline, decoder, sink, checkpoint file
// and dead letters through weeks of bad days in seconds: in fake time, between
// endpoints and a disk in memory that fail, stall and lie, killed and started
// again at any moment, while the stream's shards split and merge.
//
// A seed decides everything: what is put on the stream, how long each call takes,
// which fails and how, where the process is killed and what a power cut leaves of
// the disk, whether the stream is made again, whether nobody is there for longer
// than it keeps records. Each decision is drawn from the seed, the peer and the
// number of the call, never from a generator that is shared, and latencies have
// nanoseconds, so that no two goroutines wake in one instant: a seed that fails
// fails again.
//
//	SHIPPERD_SEEDS=10000 go test ./test/simulate           that many seeds
//	SHIPPERD_SEED=4711 go test -v ./test/simulate          one, with what happened
//
// What must hold is in truth_test.go; what can happen in plan_test.go.
package simulate

import (
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

// usualSeeds take a few seconds.
const usualSeeds = 200

// TestNothingIsLostOrDoubled is the promise, under as many seeds as it is given.
//
// Scenario: Kinesis T1.
// Scenario: Kinesis T2.
// Scenario: Kinesis T3.
// Scenario: Kinesis T4.
// Scenario: Kinesis T6.
// Scenario: Kinesis T13.
// Scenario: Elasticsearch 7.
// Scenario: Elasticsearch 8.
// Scenario: Elasticsearch 14.
// Scenario: Elasticsearch 15.
func TestNothingIsLostOrDoubled(t *testing.T) {
	usual := debug.SetGCPercent(400) // worlds are many and short
	t.Cleanup(func() { debug.SetGCPercent(usual) })
	if seed, ok := number(t, "SHIPPERD_SEED"); ok {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, uint64(seed))
			w.verbose = true
			w.run()
			t.Log(w.summary())
		})
		return
	}
	seeds, ok := number(t, "SHIPPERD_SEEDS")
	if !ok {
		seeds = usualSeeds
	}
	for seed := range seeds {
		t.Run(fmt.Sprintf("seed %d", seed+1), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { newWorld(t, uint64(seed+1)).run() })
		})
	}
}

// TestASeedReplaysIdentically runs seeds twice and compares all that was asked of
// every peer, and when.
func TestASeedReplaysIdentically(t *testing.T) {
	for seed := range 50 {
		t.Run(fmt.Sprintf("seed %d", seed+1), func(t *testing.T) {
			t.Parallel()
			var traces [2][]string
			for i := range traces {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, uint64(seed+1))
					w.run()
					traces[i] = w.sortedTrace()
				})
			}
			if diff := cmp.Diff(traces[0], traces[1]); diff != "" {
				t.Errorf("the second run differs from the first:\n%.3000s", diff)
			}
		})
	}
}

// number reads a variable of the environment.
func number(t *testing.T, name string) (int, bool) {
	t.Helper()
	text := strings.TrimSpace(os.Getenv(name))
	if text == "" {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s=%q is no number", name, text)
	}
	return n, true
}
