package integration

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/shipperd/shipperd/pkg/demo"
	"github.com/shipperd/shipperd/test/daemon"
	"github.com/shipperd/shipperd/test/servers"
)

// A node with one writer and room for one more shard request in its queue answers
// item by item: some documents of a bulk request are indexed, others get 429.
func TestRejectedItemsAreSentAgainAndNoOthers(t *testing.T) {
	t.Parallel()
	const events, maxRequests = 5000, 8
	name := uniqueName(t)
	kinesisURL := servers.Kinesis(t)
	searchURL := servers.OwnElasticsearch(t, "node.processors=1", "thread_pool.write.size=1", "thread_pool.write.queue_size=1")
	stream, index := newStream(t, kinesisURL, name, 4), daemon.NewIndex(t, searchURL, name)
	d := prepare(t, kinesisURL, searchURL, name,
		"SHIPPERD_PIPELINE_BATCH_MAX_DOCUMENTS=100", fmt.Sprintf("SHIPPERD_ELASTICSEARCH_MAX_REQUESTS=%d", maxRequests))
	d.Start()
	// Several shards, so that a request can be taken in part. Now, with the template.
	for _, day := range []string{"2026.11.19", "2026.11.20"} {
		index.Ask(http.MethodPut, "/"+name+"-"+day, `{"settings":{"number_of_shards":3}}`, new(struct{}))
	}
	stopNoise := makeNoise(t, daemon.NewIndex(t, searchURL, "noise"))
	ids := stream.load(demo.Options{Events: events, Start: aroundMidnight})

	smallest := float64(maxRequests)
	rejected := func(m daemon.Metrics) float64 {
		return m.Sum("shipperd_bulk_item_errors_total", `type="es_rejected_execution_exception"`)
	}
	d.Await(func() error {
		m := d.Scrape()
		smallest = min(smallest, m.Sum("shipperd_bulk_window"))
		if rejected(m) == 0 || smallest == maxRequests {
			return fmt.Errorf("got %.0f rejected items and a window of %.0f, want some and less than %d", rejected(m), smallest, maxRequests)
		}
		return nil
	})
	stopNoise()
	awaitCount(t, index, events, d)
	wantIDs(t, index, ids)
	m := d.Scrape()
	if got := m.Outcome("duplicate"); got != 0 {
		t.Errorf("got %d duplicates, want 0: documents that were indexed have been sent again", got)
	}
	if got := m.Outcome("indexed"); got != events {
		t.Errorf("got %d documents indexed, want %d", got, events)
	}
	t.Logf("%.0f items rejected, smallest window %.0f of %d", rejected(m), smallest, maxRequests)
	d.Terminate()
}

// makeNoise keeps the node's only writer busy until stop is called.
func makeNoise(t *testing.T, x *daemon.Index) (stop func()) {
	t.Helper()
	x.Ask(http.MethodPut, "/"+x.Prefix, `{"settings":{"number_of_shards":4}}`, new(struct{}))
	var body bytes.Buffer
	for range 500 {
		fmt.Fprintf(&body, "{\"index\":{}}\n{\"text\":\"one two three four five six\"}\n")
	}
	ctx, cancel := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	for range 6 {
		writers.Go(func() {
			for ctx.Err() == nil {
				// That most are refused is what they are for.
				_, _ = x.Send(ctx, http.MethodPost, "/"+x.Prefix+"/_bulk", body.Bytes())
			}
		})
	}
	return func() {
		cancel()
		writers.Wait()
	}
}
