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
	"github.com/shipperd/shipperd/test/servers"
)

// aroundMidnight starts events so that they fall on two days, hence two indices.
var aroundMidnight = time.Date(2026, 11, 19, 23, 55, 0, 0, time.UTC)

// blockWrites lets an index refuse documents, or take them again.
func (x *searchIndex) blockWrites(path string, block bool) {
	x.t.Helper()
	x.ask(http.MethodPut, path+"/_settings", fmt.Sprintf(`{"index.blocks.write":%t}`, block), new(struct{}))
}

// killWithWorkInFlight kills the daemon while events of a blocked index are in
// flight and those after them, of other indices, have been acknowledged: a
// checkpoint beyond the contiguous prefix has been stored by then, and loses them.
func (d *daemon) killWithWorkInFlight() {
	d.t.Helper()
	await(d.t, patience, func() error {
		if d.scrape().sum("shipperd_events_in_flight") == 0 {
			return errors.New("no event is in flight")
		}
		return nil
	})
	watch(d.t, 4*time.Second, func() { d.scrape() }) // a batch is sent, and a checkpoint stored, every second
	d.kill()
}

func TestEveryEventArrivesOnceOverStopsKillsAndResharding(t *testing.T) {
	for _, engine := range []struct {
		name string
		url  func(testing.TB) string
	}{
		{"elasticsearch", servers.Elasticsearch},
		{"opensearch", servers.OpenSearch},
	} {
		t.Run(engine.name, func(t *testing.T) {
			t.Parallel()
			const events = 20000
			name := uniqueName(t)
			kinesisURL, searchURL := servers.Kinesis(t), engine.url(t)
			stream, index := newStream(t, kinesisURL, name, 4), newIndex(t, searchURL, name)
			// SSH records have an index of their own, which can be blocked alone. Batches
			// are small, so that there are some without such records.
			ssh := "/" + name + "-ssh-2026.11.20"
			d := newDaemon(t, kinesisURL, name, searchURL, name,
				"SHIPPERD_GROUPS=[{name: ssh, match: "+demo.SSHLogGroup+", index_prefix: "+name+"-ssh}]",
				"SHIPPERD_PIPELINE_BATCH_MAX_DOCUMENTS=300")

			// About 230 records; what happens to the daemon happens between two of
			// them, while it works on those before.
			put := 0
			steps := map[int]func(){
				40: d.terminate,
				60: d.start,
				80: stream.split,
				90: func() { index.blockWrites(ssh, true) },
				130: func() {
					d.killWithWorkInFlight()
					index.blockWrites(ssh, false)
					d.start()
				},
				140: stream.merge,
				160: d.kill,
				190: d.start,
			}
			stream.onPut = func() {
				if put++; steps[put] != nil {
					steps[put]()
					delete(steps, put)
				}
			}
			d.start()
			index.ask(http.MethodPut, ssh, "", new(struct{})) // now, with the template
			ids := stream.load(demo.Options{Events: events, Start: aroundMidnight})
			if len(steps) > 0 {
				t.Fatalf("got %d records put, want enough for all steps", put)
			}
			index.awaitCount(events, func() { d.scrape() })
			index.wantIDs(ids)
			if dead := d.scrape().outcome("dead_lettered"); dead != 0 {
				t.Errorf("got %d dead letters, want 0", dead)
			}
			d.terminate()
			if _, err := os.Stat(filepath.Join(d.dir, "checkpoint.json")); err != nil {
				t.Error(err)
			}

			// A stream that has been read to its end brings nothing after a restart.
			d.start()
			if got := d.scrape().sum("shipperd_events_received_total"); got != 0 {
				t.Errorf("after a restart with nothing new: got %.0f events, want 0", got)
			}
			d.terminate()
		})
	}
}
