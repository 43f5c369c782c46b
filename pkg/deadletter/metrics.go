package deadletter

import (
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/shipperd/shipperd/pkg/record"
)

type metrics struct {
	store *Store

	written *prometheus.CounterVec
	blocked prometheus.Gauge

	documents, bytes, limit, oldest *prometheus.Desc
}

func newMetrics(reg prometheus.Registerer, s *Store) *metrics {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("shipperd_dead_letters_"+name, help, nil, nil)
	}
	m := &metrics{
		store: s,
		written: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "shipperd_dead_letters_written_total",
			Help: "Dead letters written, by reason. A record that is read again after a crash brings its letters again.",
		}, []string{"reason"}),
		blocked: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "shipperd_dead_letters_blocked",
			Help: "1 while dead letters cannot be stored, because the quota is used up or the disk fails; reading then stops.",
		}),
		documents: desc("documents", "Events and records in the dead letters, each identity once."),
		bytes:     desc("bytes", "Size of the dead letters on disk."),
		limit:     desc("limit_bytes", "dead_letters.max_size."),
		oldest:    desc("oldest_timestamp_seconds", "When the oldest dead letter was given up; 0 when there is none."),
	}
	for _, reason := range record.Reasons() {
		m.written.WithLabelValues(reason)
	}
	reg.MustRegister(m, m.written, m.blocked)
	return m
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(m, ch) }

// Collect implements prometheus.Collector. It looks at the folder, so that a
// replay in another process shows.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	documents, bytes, oldest := m.store.count()
	gauge := func(d *prometheus.Desc, value float64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value)
	}
	gauge(m.documents, float64(documents))
	gauge(m.bytes, float64(bytes))
	gauge(m.limit, float64(m.store.maxBytes))
	gauge(m.oldest, oldest)
}

func (s *Store) count() (documents int, bytes int64, oldestSeconds float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.table.refresh(s.folder); err != nil {
		s.log.Debug("the folder of dead letters cannot be listed; the metrics are as before", zap.Error(err))
	}
	if oldest := s.table.oldest(); !oldest.IsZero() {
		oldestSeconds = float64(oldest.UnixMilli()) / 1000
	}
	return s.table.documents(), s.table.bytes, oldestSeconds
}
