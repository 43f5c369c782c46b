package pipeline

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/shipperd/shipperd/pkg/checkpoint"
	"github.com/shipperd/shipperd/pkg/record"
)

// metrics is what the pipeline shows besides the account.
type metrics struct {
	decodeFailures  *prometheus.CounterVec
	controlMessages prometheus.Counter
	eventLatency    prometheus.Histogram
	deliveryLatency prometheus.Histogram
	commitErrors    *prometheus.CounterVec

	failingSince time.Time // of the store; zero while it works. The committer's alone.
}

func newMetrics(reg prometheus.Registerer, p *Pipeline) *metrics {
	m := &metrics{
		decodeFailures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "shipperd_decode_failures_total", Help: "Records that could not be decoded to their end, by why.",
		}, []string{"reason"}),
		controlMessages: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "shipperd_control_messages_total", Help: "CONTROL_MESSAGE payloads, which CloudWatch Logs sends to test the stream.",
		}),
		eventLatency: prometheus.NewHistogram(latency("shipperd_event_latency_seconds",
			"From the time of a record's oldest event to its acknowledgement; one observation a record.")),
		deliveryLatency: prometheus.NewHistogram(latency("shipperd_delivery_latency_seconds",
			"From a record's arrival in Kinesis to its acknowledgement; one observation a record.")),
		commitErrors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "shipperd_checkpoint_errors_total", Help: "Checkpoint writes that failed, by why; they are tried again.",
		}, []string{"reason"}),
	}
	for _, reason := range []string{record.ReasonUndecodable, record.ReasonOversize, record.ReasonPanic} {
		m.decodeFailures.WithLabelValues(reason)
	}
	for _, reason := range checkpoint.Reasons() {
		m.commitErrors.WithLabelValues(reason)
	}
	reg.MustRegister(m.decodeFailures, m.controlMessages, m.eventLatency, m.deliveryLatency, m.commitErrors,
		newAccountCollector(p.account), newStateCollector(p))
	return m
}

// latency buckets reach from a fast batch to a backlog of a day, a factor of about four apart.
func latency(name, help string) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{
		Name: name, Help: help,
		Buckets:                     []float64{0.1, 0.5, 1, 2, 5, 15, 60, 300, 900, 3600, 4 * 3600, 24 * 3600},
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100,
	}
}

func (m *metrics) settled(r *record.Record) {
	m.controlMessages.Add(float64(r.Control))
	if len(r.Events) == 0 {
		return
	}
	oldest := r.Events[0].Time
	for i := range r.Events {
		oldest = min(oldest, r.Events[i].Time)
	}
	// Clocks differ: an event or arrival of the future has waited for no time.
	m.eventLatency.Observe(max(0, time.Since(time.UnixMilli(oldest)).Seconds()))
	if !r.Arrival.IsZero() {
		m.deliveryLatency.Observe(max(0, time.Since(r.Arrival).Seconds()))
	}
}

func (m *metrics) commitFailed(log *zap.Logger, err error) {
	m.commitErrors.WithLabelValues(checkpoint.Reason(err)).Inc()
	if m.failingSince.IsZero() {
		m.failingSince = time.Now()
		log.Error("the checkpoint cannot be stored: delivery goes on, a restart would read again from the last one that was", zap.Error(err))
	}
}

func (m *metrics) commitSucceeded(log *zap.Logger) {
	if !m.failingSince.IsZero() {
		log.Info("the checkpoint is stored again", zap.Duration("after", time.Since(m.failingSince)))
		m.failingSince = time.Time{}
	}
}

// stateCollector reads shards and budget when it is asked, so that a shard's
// series end with the shard.
type stateCollector struct {
	p                                   *Pipeline
	oldest, committed                   *prometheus.Desc
	inFlightBytes, limitBytes, pressure *prometheus.Desc
}

func newStateCollector(p *Pipeline) *stateCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &stateCollector{
		p: p,
		oldest: desc("shipperd_kinesis_oldest_unacked_age_seconds",
			"Age of the shard's oldest record that is read and not acknowledged; 0 when there is none.", "stream", "shard"),
		committed:     desc("shipperd_checkpoint_timestamp_seconds", "When the shard's position was last stored; idle shards store none.", "stream", "shard"),
		inFlightBytes: desc("shipperd_in_flight_bytes", "Bytes of the memory budget in use."),
		limitBytes:    desc("shipperd_memory_limit_bytes", "Size of the memory budget (pipeline.memory)."),
		pressure:      desc("shipperd_backpressure_seconds_total", "Time that shards have waited for memory to read, and workers for memory to decode, in all."),
	}
}

// Describe implements prometheus.Collector.
func (c *stateCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.oldest, c.committed, c.inFlightBytes, c.limitBytes, c.pressure} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *stateCollector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	for _, s := range c.p.shards.all() {
		s.mu.Lock()
		arrival, waiting := s.tracker.Oldest()
		committed := s.committed
		s.mu.Unlock()
		age := 0.0
		if waiting && !arrival.IsZero() {
			age = max(0, time.Since(arrival).Seconds())
		}
		gauge(c.oldest, age, c.p.deps.Stream, s.name)
		if !committed.IsZero() {
			gauge(c.committed, float64(committed.UnixMilli())/1000, c.p.deps.Stream, s.name)
		}
	}
	used, waited := c.p.deps.Budget.Used()
	gauge(c.inFlightBytes, float64(used))
	gauge(c.limitBytes, float64(c.p.deps.Budget.Total()))
	ch <- prometheus.MustNewConstMetric(c.pressure, prometheus.CounterValue, waited.Seconds())
}
