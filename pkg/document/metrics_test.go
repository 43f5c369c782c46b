package document

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/shipperd/shipperd/pkg/format"
)

func TestMessagesAreCountedByFormatAndResult(t *testing.T) {
	registry := prometheus.NewRegistry()
	c := DefaultConfig()
	c.Groups = []Group{{Name: "web", Match: "web", Format: "apache"}}
	documents, err := New(c, Options{Registerer: registry})
	if err != nil {
		t.Fatal(err)
	}
	d := documents.NewDecoder()
	const full = `203.0.113.9 - - [20/Nov/2026:10:11:12 +0000] "GET / HTTP/1.1" 200 2`
	decode(t, d, payload("web", "s", testEvent{id: "1", message: full}, testEvent{id: "2", message: full}, testEvent{id: "3", message: "no request"}))
	decode(t, d, payload("other", "s", testEvent{id: "4", message: "a word"}))
	decode(t, d, payload("other", "eni-0a1b2c-all", testEvent{id: "5", message: "a word"}))
	for _, want := range []struct {
		format string
		result format.Result
		n      float64
	}{{"apache", format.Full, 2}, {"apache", format.None, 1}, {"text", format.Full, 1}, {"vpcflow", format.None, 1}, {"sshd", format.Full, 0}} {
		if got := testutil.ToFloat64(documents.metrics.parsed[want.format][want.result]); got != want.n {
			t.Errorf("%s %s: got %v, want %v", want.format, want.result, got, want.n)
		}
	}
	if n, err := testutil.GatherAndCount(registry); err != nil || n == 0 {
		t.Errorf("got %d series, %v, want them registered", n, err)
	}
}
