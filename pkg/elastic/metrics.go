package elastic

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// kinds are the types of errors that are counted by name; the rest is "other". A
// type is the server's word, and a bounded label.
var kinds = [...]string{ //nolint:gochecknoglobals // a table
	"action_request_validation_exception", "circuit_breaking_exception", typeClusterBlock,
	"document_parsing_exception", "es_rejected_execution_exception", "illegal_argument_exception",
	"index_closed_exception", typeIndexCreateBlock, "index_not_found_exception",
	"invalid_index_name_exception", "mapper_parsing_exception", "parse_exception",
	"process_cluster_event_timeout_exception", "rejected_execution_exception", "security_exception",
	"strict_dynamic_mapping_exception", "timeout_exception", "unavailable_shards_exception",
	"validation_exception", "version_conflict_engine_exception",
}

const otherKind = "other"

// codes are the statuses whose series are there from the start.
var codes = [...]int{ //nolint:gochecknoglobals // a table
	0, http.StatusOK, http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound,
	http.StatusRequestEntityTooLarge, http.StatusTooManyRequests, http.StatusInternalServerError,
	http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout,
}

type metrics struct {
	requests   *prometheus.CounterVec
	duration   prometheus.Observer
	rawBytes   prometheus.Observer
	wireBytes  prometheus.Observer
	documents  prometheus.Observer
	items      map[class]prometheus.Counter
	itemErrors map[string]prometheus.Counter
	retries    map[class]prometheus.Counter
	reducedBy  map[string]prometheus.Counter
	paused     map[pauseReason]prometheus.Gauge
	collisions prometheus.Counter
	up         prometheus.Gauge
	window     prometheus.Gauge
	inFlight   prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		items: make(map[class]prometheus.Counter), itemErrors: make(map[string]prometheus.Counter),
		retries: make(map[class]prometheus.Counter), reducedBy: make(map[string]prometheus.Counter),
		paused: make(map[pauseReason]prometheus.Gauge),
	}
	m.addRequests(reg)
	m.addItems(reg)
	m.up = gauge(reg, "sink_up", "0 if the last bulk request failed as a whole.").WithLabelValues()
	m.up.Set(1)
	m.window = gauge(reg, "bulk_window", "Bulk requests that may be in flight now.").WithLabelValues()
	m.inFlight = gauge(reg, "bulk_requests_in_flight", "Bulk requests in flight.").WithLabelValues()
	pauses := gauge(reg, "sink_paused", "Indices, or the whole cluster, that wait for a person, by reason.", "reason")
	for _, r := range pauseReasons {
		m.paused[r] = pauses.WithLabelValues(string(r))
	}
	return m
}

func (m *metrics) addRequests(reg prometheus.Registerer) {
	m.requests = counter(reg, "bulk_requests_total", "Bulk requests by HTTP status; 0 without a reply.", "code")
	for _, code := range codes {
		m.requests.WithLabelValues(strconv.Itoa(code))
	}
	m.duration = histogram(reg, "bulk_request_duration_seconds",
		"Time from sending a bulk request to the end of its reply.",
		prometheus.ExponentialBuckets(0.005, 2, 14)).WithLabelValues()
	m.documents = histogram(reg, "bulk_documents", "Documents of bulk requests.",
		prometheus.ExponentialBuckets(1, 4, 8)).WithLabelValues()
	bytes := histogram(reg, "bulk_request_bytes", "Size of bulk requests, before (raw) and after (wire) compression.",
		prometheus.ExponentialBuckets(1<<10, 4, 8), "kind")
	m.rawBytes, m.wireBytes = bytes.WithLabelValues("raw"), bytes.WithLabelValues("wire")
}

func (m *metrics) addItems(reg prometheus.Registerer) {
	items := counter(reg, "bulk_items_total", "Items of bulk replies by class.", "class")
	retries := counter(reg, "retries_total", "Parts of batches that were put back, by reason.", "reason")
	for _, c := range classes {
		m.items[c] = items.WithLabelValues(c.String())
		m.retries[c] = retries.WithLabelValues(c.String())
	}
	itemErrors := counter(reg, "bulk_item_errors_total", "Errors of bulk items by type.", "type")
	reduced := counter(reg, "events_reduced_total",
		"Events that were indexed in reduced form, by the type of error.", "type")
	for _, k := range append(kinds[:], otherKind) {
		m.itemErrors[k] = itemErrors.WithLabelValues(k)
		m.reducedBy[k] = reduced.WithLabelValues(k)
	}
	m.collisions = counter(reg, "bulk_collisions_total",
		"Events whose id another event had, of the duplicates that were compared.").WithLabelValues()
}

func counter(reg prometheus.Registerer, name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "shipperd_" + name, Help: help}, labels)
	reg.MustRegister(v)
	return v
}

func gauge(reg prometheus.Registerer, name, help string, labels ...string) *prometheus.GaugeVec {
	v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "shipperd_" + name, Help: help}, labels)
	reg.MustRegister(v)
	return v
}

// histogram has classic buckets for servers without native ones, which are precise to 10 %.
func histogram(reg prometheus.Registerer, name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "shipperd_" + name, Help: help, Buckets: buckets, NativeHistogramBucketFactor: 1.1,
		NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
	}, labels)
	reg.MustRegister(v)
	return v
}

// request counts one attempt.
func (m *metrics) request(status int, took time.Duration, raw, wire, documents int) {
	m.requests.WithLabelValues(strconv.Itoa(status)).Inc()
	m.duration.Observe(took.Seconds())
	m.rawBytes.Observe(float64(raw))
	m.wireBytes.Observe(float64(wire))
	m.documents.Observe(float64(documents))
}

// itemError counts an error and returns its label.
func (m *metrics) itemError(kind string) string {
	if m.itemErrors[kind] == nil {
		kind = otherKind
	}
	m.itemErrors[kind].Inc()
	return kind
}

// reduced counts an event that was indexed in reduced form.
func (m *metrics) reduced(kind string) {
	if m.reducedBy[kind] == nil {
		kind = otherKind
	}
	m.reducedBy[kind].Inc()
}
