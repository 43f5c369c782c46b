package kinesis

import (
	"maps"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The operations, as metrics and log lines name them.
const (
	opDescribe = "DescribeStreamSummary"
	opList     = "ListShards"
	opIterator = "GetShardIterator"
	opRecords  = "GetRecords"
)

// The states of a shard that has data left.
const (
	shardReading = "reading" // a reader has it
	shardWaiting = "waiting" // its parents have not settled yet
)

type metrics struct {
	lag        *lags
	records    prometheus.Counter
	bytes      prometheus.Counter
	requests   *prometheus.CounterVec
	duration   *prometheus.HistogramVec
	gaps       prometheus.Counter
	gapSeconds prometheus.Counter
	retention  prometheus.Gauge
	shards     *prometheus.GaugeVec
	paused     *prometheus.GaugeVec
}

// newMetrics registers the metrics of one stream.
func newMetrics(reg prometheus.Registerer, stream string) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	}
	m := &metrics{
		lag:     newLags(),
		records: counter("shipperd_kinesis_records_total", "Kinesis records that were read."),
		bytes:   counter("shipperd_kinesis_bytes_total", "Bytes of data in the Kinesis records that were read."),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "shipperd_kinesis_requests_total", Help: "Calls of the service, by how they ended.",
		}, []string{"op", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "shipperd_kinesis_request_duration_seconds", Help: "How long calls of the service took.",
			Buckets:                     []float64{0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30}, // to the deadline of a call
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100,
		}, []string{"op"}),
		gaps:       counter("shipperd_kinesis_gaps_total", "Times that records may have been lost in the stream before they could be read."),
		gapSeconds: counter("shipperd_kinesis_gap_seconds_total", "Sum of the time ranges whose records may have been lost."),
		retention:  prometheus.NewGauge(prometheus.GaugeOpts{Name: "shipperd_kinesis_retention_seconds", Help: "How long the stream keeps records."}),
		shards:     gauge("shipperd_kinesis_shards", "Shards with data left, by state: reading, or waiting for their parents.", "state"),
		paused:     gauge("shipperd_source_paused", "1 while reading waits for a person to heal something, by reason.", "reason"),
	}
	for _, op := range []string{opDescribe, opList, opIterator, opRecords} {
		m.duration.WithLabelValues(op)
		for _, r := range reasons() {
			m.requests.WithLabelValues(op, string(r))
		}
	}
	for _, r := range reasons() {
		m.pause(r, false)
	}
	m.count(0, 0)
	prometheus.WrapRegistererWith(prometheus.Labels{"stream": stream}, reg).MustRegister(
		m.lag, m.records, m.bytes, m.requests, m.duration, m.gaps, m.gapSeconds, m.retention, m.shards, m.paused)
	return m
}

// called counts a call of op that ended with r.
func (m *metrics) called(op string, r reason, took time.Duration) {
	m.requests.WithLabelValues(op, string(r)).Inc()
	m.duration.WithLabelValues(op).Observe(took.Seconds())
}

// pause shows whether a person is needed for r, if r is of that kind.
func (m *metrics) pause(r reason, paused bool) {
	if !r.pauses() {
		return
	}
	value := 0.0
	if paused {
		value = 1
	}
	m.paused.WithLabelValues(string(r)).Set(value)
}

// lost counts a time range whose records may be lost, where both ends are known.
func (m *metrics) lost(from, to time.Time) {
	if !from.IsZero() && to.After(from) {
		m.gapSeconds.Add(to.Sub(from).Seconds())
	}
}

// count shows how many shards are read and how many wait.
func (m *metrics) count(reading, waiting int) {
	m.shards.WithLabelValues(shardReading).Set(float64(reading))
	m.shards.WithLabelValues(shardWaiting).Set(float64(waiting))
}

// unheard is for how long a shard may be without a reply until that counts as lag: an
// idle one is asked every second or so.
const unheard = time.Minute

// lags shows how far reading is behind, by shard. What the service said last grows
// while it says nothing more, whatever holds reading up.
type lags struct {
	desc *prometheus.Desc

	mu      sync.Mutex
	byShard map[string]lag
}

type lag struct {
	behind time.Duration
	at     time.Time // of the reply
}

func newLags() *lags {
	return &lags{
		desc: prometheus.NewDesc("shipperd_kinesis_shard_lag_seconds",
			"How far reading of the shard is behind its newest record, as the service said last (MillisBehindLatest), and the time since then where that is over a minute.",
			[]string{"shard"}, nil),
		byShard: make(map[string]lag),
	}
}

// set takes what a reply says.
func (l *lags) set(shard string, behind time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.byShard[shard] = lag{behind: behind, at: time.Now()}
}

// end ends the series of a shard that is not read any more.
func (l *lags) end(shard string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.byShard, shard)
}

// Describe implements prometheus.Collector.
func (l *lags) Describe(ch chan<- *prometheus.Desc) { ch <- l.desc }

// Collect implements prometheus.Collector.
func (l *lags) Collect(ch chan<- prometheus.Metric) {
	l.mu.Lock()
	now := maps.Clone(l.byShard)
	l.mu.Unlock()
	for shard, last := range now {
		behind := last.behind
		if since := time.Since(last.at); since > unheard {
			behind += since
		}
		ch <- prometheus.MustNewConstMetric(l.desc, prometheus.GaugeValue, behind.Seconds(), shard)
	}
}
