package document

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/shipperd/shipperd/pkg/format"
)

// tally counts, by format.Result, what became of messages since the last record.
type tally [format.Header + 1]uint64

type metrics struct {
	parsed map[string]*[format.Header + 1]prometheus.Counter // by format
}

// newMetrics registers nothing where reg is nil.
func newMetrics(reg prometheus.Registerer) *metrics {
	parsed := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "shipperd_parse_total", Help: "Messages read, by format and by how much of them was understood.",
	}, []string{"format", "result"})
	m := &metrics{parsed: make(map[string]*[format.Header + 1]prometheus.Counter)}
	for _, entry := range format.Table() {
		m.parsed[entry.Name] = new([format.Header + 1]prometheus.Counter)
		for result := range format.Header + 1 {
			m.parsed[entry.Name][result] = parsed.WithLabelValues(entry.Name, result.String())
		}
	}
	if reg != nil {
		reg.MustRegister(parsed)
	}
	return m
}

// add books tallies and clears them: once a record, because the workers share the
// counters.
func (m *metrics) add(tallies map[string]*tally) {
	for name, t := range tallies {
		for result, n := range t {
			if n > 0 {
				m.parsed[name][result].Add(float64(n))
			}
		}
		*t = tally{}
	}
}
