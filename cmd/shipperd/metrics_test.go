package main

import (
	"path/filepath"
	"testing"

	"github.com/shipperd/shipperd/pkg/checkpoint"
	"github.com/shipperd/shipperd/pkg/pipeline"
)

// A server of Prometheus reads the ones that it understands.
func TestHistogramsHaveClassicAndNativeBuckets(t *testing.T) {
	dir := t.TempDir()
	d := testDaemon(t, "checkpoint: {file: "+filepath.Join(dir, "checkpoint.json")+"}\ndead_letters: {dir: "+filepath.Join(dir, "dead-letters")+"}\n")
	out, err := d.openOutput(t.Context(), checkpoint.Identity{ARN: "arn"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := out.close(); err != nil {
			t.Error(err)
		}
	}()
	budget, records := d.newBudget()
	d.newPipeline(out, pipeline.Deps{Budget: budget, Records: records, Registerer: d.registry})
	families, err := d.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if h := metric.GetHistogram(); h != nil {
				seen[family.GetName()] = true
				if len(h.GetBucket()) == 0 || h.Schema == nil {
					t.Errorf("%s: got %d classic buckets, native: %t, want both", family.GetName(), len(h.GetBucket()), h.Schema != nil)
				}
			}
		}
	}
	for _, name := range []string{
		"shipperd_bulk_request_duration_seconds", "shipperd_bulk_request_bytes", "shipperd_bulk_documents",
		"shipperd_event_latency_seconds", "shipperd_delivery_latency_seconds",
	} {
		if !seen[name] {
			t.Errorf("got no histogram %s", name)
		}
	}
}
