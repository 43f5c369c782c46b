package daemon

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestScrapeReadsSeriesAndHoldsTheBalance(t *testing.T) {
	const settled = `# TYPE shipperd_events_total counter
shipperd_events_received_total{group="web"} 5
shipperd_events_total{group="web",outcome="indexed"} 3
shipperd_events_total{group="a } b",outcome="indexed"} 1
shipperd_retries_total 1e+03
`
	page := settled + "shipperd_events_in_flight 1\n"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, page) }))
	defer server.Close()
	d := &Daemon{admin: strings.TrimPrefix(server.URL, "http://")}
	m, err := d.Scrape(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		got, want float64
	}{
		{m["shipperd_retries_total"], 1000},
		{m.Sum("shipperd_events_total"), 4},
		{m.Sum("shipperd_events_total", `group="web"`, `outcome="indexed"`), 3},
		{m.Sum("shipperd_events_total", `group="web"`, `outcome="filtered"`), 0},
		{float64(m.Outcome("indexed")), 4},
	} {
		if c.got != c.want {
			t.Errorf("got %v, want %v in\n%s", c.got, c.want, page)
		}
	}
	page = settled + "shipperd_events_in_flight 0\n"
	if _, err := d.Scrape(t.Context()); !errors.Is(err, ErrUnbalanced) {
		t.Errorf("got %v for an event too few, want ErrUnbalanced", err)
	}
}
