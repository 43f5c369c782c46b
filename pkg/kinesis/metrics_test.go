package kinesis

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// The names are an interface of the product.
func TestMetricNames(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := newMetrics(reg, "logs")
	m.lag.set("shardId-000000000000", 0)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string][]string)
	for _, family := range families {
		var labels []string
		for _, l := range family.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		got[family.GetName()] = labels
	}
	want := map[string][]string{
		"shipperd_kinesis_bytes_total":              {"stream"},
		"shipperd_kinesis_gap_seconds_total":        {"stream"},
		"shipperd_kinesis_gaps_total":               {"stream"},
		"shipperd_kinesis_records_total":            {"stream"},
		"shipperd_kinesis_request_duration_seconds": {"op", "stream"},
		"shipperd_kinesis_requests_total":           {"code", "op", "stream"},
		"shipperd_kinesis_retention_seconds":        {"stream"},
		"shipperd_kinesis_shard_lag_seconds":        {"shard", "stream"},
		"shipperd_kinesis_shards":                   {"state", "stream"},
		"shipperd_source_paused":                    {"reason", "stream"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metrics and labels (-want +got):\n%s", diff)
	}
	problems, err := testutil.GatherAndLint(reg)
	if err != nil || len(problems) > 0 {
		t.Errorf("got problems %v, error %v, want none", problems, err)
	}
}
