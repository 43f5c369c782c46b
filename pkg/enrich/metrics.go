package enrich

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	built        *prometheus.GaugeVec
	reloadErrors *prometheus.CounterVec
	unparsed     prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		built: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "shipperd_geo_database_timestamp_seconds", Help: "When the database in use was built; 0 without one.",
		}, []string{"database"}),
		reloadErrors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "shipperd_geo_reload_errors_total", Help: "Changed databases that could not be loaded; the old one stays in use.",
		}, []string{"database"}),
		unparsed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "shipperd_user_agents_unparsed_total", Help: "User agents that were not parsed because too many different ones came at once.",
		}),
	}
	for _, key := range []string{"city", "asn"} {
		m.built.WithLabelValues(key)
		m.reloadErrors.WithLabelValues(key)
	}
	reg.MustRegister(m.built, m.reloadErrors, m.unparsed)
	return m
}
