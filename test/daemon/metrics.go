package daemon

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrUnbalanced says that a scrape breaks the promise of all scrapes: every event
// that was received has settled or is in flight.
var ErrUnbalanced = errors.New("not every event is accounted for")

// Metrics is one scrape: values by series, written as `name{label="value"}`.
type Metrics map[string]float64

// Scrape reads the daemon's metrics. Metrics that break the promise are an
// ErrUnbalanced.
func (d *Daemon) Scrape(ctx context.Context) (Metrics, error) {
	page, err := d.Get(ctx, "/metrics")
	if err != nil {
		return nil, err
	}
	m := make(Metrics)
	for lines := bufio.NewScanner(bytes.NewReader(page)); lines.Scan(); {
		line := lines.Text()
		at := strings.LastIndexByte(line, ' ')
		if at < 0 || strings.HasPrefix(line, "#") {
			continue
		}
		if m[line[:at]], err = strconv.ParseFloat(line[at+1:], 64); err != nil {
			return nil, fmt.Errorf("metric %q: %w", line, err)
		}
	}
	received, settled, inFlight := m.Sum("shipperd_events_received_total"), m.Sum("shipperd_events_total"), m.Sum("shipperd_events_in_flight")
	if received != settled+inFlight {
		return nil, fmt.Errorf("%w: %.0f received, %.0f settled, %.0f in flight", ErrUnbalanced, received, settled, inFlight)
	}
	return m, nil
}

// Sum adds up the series of a name that have all of the labels, each as `key="value"`.
func (m Metrics) Sum(name string, labels ...string) float64 {
	total := 0.0
series:
	for series, value := range m {
		base, rest, _ := strings.Cut(series, "{")
		if base != name {
			continue
		}
		for _, label := range labels {
			if !strings.Contains(rest, label) {
				continue series
			}
		}
		total += value
	}
	return total
}

// Outcome returns how many events have ended so.
func (m Metrics) Outcome(name string) int {
	return int(m.Sum("shipperd_events_total", `outcome="`+name+`"`))
}
