package integration

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/shipperd/shipperd/pkg/demo"
	"github.com/shipperd/shipperd/test/daemon"
)

// aroundMidnight starts events so that they fall on two days, hence two indices.
var aroundMidnight = time.Date(2026, 11, 19, 23, 55, 0, 0, time.UTC)

// blockWrites lets an index refuse documents, or take them again.
func blockWrites(x *daemon.Index, path string, block bool) {
	x.Ask(http.MethodPut, path+"/_settings", fmt.Sprintf(`{"index.blocks.write":%t}`, block), new(struct{}))
}

// crashWithWorkInFlight kills the daemon while events of a blocked index are in
// flight and those after them, of other indices, have been acknowledged: a
// checkpoint beyond the contiguous prefix has been stored by then, and loses them.
func crashWithWorkInFlight(t *testing.T, d *daemon.Test) {
	t.Helper()
	d.Await(func() error {
		if d.Scrape().Sum("shipperd_events_in_flight") == 0 {
			return errors.New("no event is in flight")
		}
		return nil
	})
	watch(t, 4*time.Second, func() { d.Scrape() }) // a batch is sent, and a checkpoint stored, every second
	d.Crash()
}

func TestEveryEventArrivesOnceOverStopsKillsAndResharding(t *testing.T) {
	eachEngine(t, func(t *testing.T, kinesisURL, searchURL string) {
		const events = 20000
		name := uniqueName(t)
		stream, index := newStream(t, kinesisURL, name, 4), daemon.NewIndex(t, searchURL, name)
		// SSH records have an index of their own, which can be blocked alone. Batches
		// are small, so that there are some without such records.
		ssh := "/" + name + "-ssh-2026.11.20"
		d := prepare(t, kinesisURL, searchURL, name,
			"SHIPPERD_GROUPS=[{name: ssh, match: "+demo.SSHLogGroup+", index_prefix: "+name+"-ssh}]",
			"SHIPPERD_PIPELINE_BATCH_MAX_DOCUMENTS=300")

		// About 230 records; what happens to the daemon happens between two of
		// them, while it works on those before.
		put := 0
		steps := map[int]func(){
			40: d.Terminate,
			60: d.Start,
			80: stream.split,
			90: func() { blockWrites(index, ssh, true) },
			130: func() {
				crashWithWorkInFlight(t, d)
				blockWrites(index, ssh, false)
				d.Start()
			},
			140: stream.merge,
			160: d.Crash,
			190: d.Start,
		}
		stream.onPut = func() {
			if put++; steps[put] != nil {
				steps[put]()
				delete(steps, put)
			}
		}
		d.Start()
		index.Ask(http.MethodPut, ssh, "", new(struct{})) // now, with the template
		ids := stream.load(demo.Options{Events: events, Start: aroundMidnight})
		if len(steps) > 0 {
			t.Fatalf("got %d records put, want enough for all steps", put)
		}
		awaitCount(t, index, events, d)
		wantIDs(t, index, ids)
		if dead := d.Scrape().Outcome("dead_lettered"); dead != 0 {
			t.Errorf("got %d dead letters, want 0", dead)
		}
		d.Terminate()
		if _, err := os.Stat(filepath.Join(d.Dir, "checkpoint.json")); err != nil {
			t.Error(err)
		}

		// A stream that has been read to its end brings nothing after a restart.
		d.Start()
		if got := d.Scrape().Sum("shipperd_events_received_total"); got != 0 {
			t.Errorf("after a restart with nothing new: got %.0f events, want 0", got)
		}
		d.Terminate()
	})
}
