package main

import (
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/shipperd/shipperd/pkg/config"
)

// TestDaemonPutsTheTemplateBeforeTheFirstDocument holds each value of
// elasticsearch.template to what it does at start.
func TestDaemonPutsTheTemplateBeforeTheFirstDocument(t *testing.T) {
	for mode, want := range map[string]int{"ensure": 1, "check": 0, "off": 0} {
		cluster := &fakeCluster{stored: map[string]map[string]any{}}
		server := httptest.NewServer(cluster)
		loaded, err := config.Load(writeFile(t, "kinesis: {stream: logs}\nelasticsearch: {endpoints: ['"+server.URL+"'], template: "+mode+"}\n"))
		if err != nil {
			t.Fatal(err)
		}
		d := newDaemon(loaded, t.Output())
		if _, err := d.startTemplate(t.Context()); err != nil {
			t.Fatal(err)
		}
		server.Close()
		if len(cluster.puts) != want || d.flattened != (want == 1) {
			t.Errorf("%s: got %v put, flattened %t, want %d put", mode, cluster.puts, d.flattened, want)
		}
		if got, err := testutil.GatherAndCount(d.registry, "shipperd_template_installed"); err != nil || (got == 1) != (mode != "off") {
			t.Errorf("%s: got %d series of the metric, %v", mode, got, err)
		}
	}
}
