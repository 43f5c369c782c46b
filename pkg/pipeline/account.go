package pipeline

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/shipperd/shipperd/pkg/record"
)

// account books every event in and out. A record's outcomes leave in_flight in
// the same update that counts them, and a scrape reads all in one critical
// section, so that at every scrape
//
//	received = indexed + duplicate + dead_lettered + filtered + in_flight
//
// holds exactly (rule 6).
type account struct {
	groups []string

	mu       sync.Mutex
	received []uint64   // by group
	outcomes [][]uint64 // by group and outcome; Pending is in flight
	filtered []uint64   // by reason
	newest   []int64    // by group: time of the newest settled event, Unix milliseconds
}

func newAccount(groups []string) *account {
	a := &account{
		groups:   groups,
		received: make([]uint64, len(groups)),
		outcomes: make([][]uint64, len(groups)),
		filtered: make([]uint64, len(record.Filters())+1),
		newest:   make([]int64, len(groups)),
	}
	for i := range a.outcomes {
		a.outcomes[i] = make([]uint64, len(record.Outcomes())+1)
	}
	return a
}

// receive books the events of r in.
func (a *account) receive(r *record.Record) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range r.Events {
		g := r.Events[i].Group
		a.received[g]++
		a.outcomes[g][record.Pending]++
	}
}

// settle books the events of r out, each with its outcome. It panics on an event
// without one: the sink has broken its contract, and a checkpoint over that event
// would lose it.
func (a *account) settle(r *record.Record) {
	now := time.Now().UnixMilli()
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range r.Events {
		e := &r.Events[i]
		if e.Outcome == record.Pending {
			panic("pipeline: event " + string(r.ID(e)) + " of record " + r.Sequence + " is settled without an outcome")
		}
		a.outcomes[e.Group][record.Pending]--
		a.outcomes[e.Group][e.Outcome]++
		if e.Outcome == record.Filtered {
			a.filtered[e.Filter]++
		}
		// Whoever writes a log chooses its time: one event of next year must not
		// keep the alert on a silent group from firing.
		a.newest[e.Group] = max(a.newest[e.Group], min(e.Time, now))
	}
}

// accountCollector shows an account to Prometheus.
type accountCollector struct {
	account                                      *account
	received, events, inFlight, filtered, newest *prometheus.Desc
}

func newAccountCollector(a *account) *accountCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &accountCollector{
		account:  a,
		received: desc("shipperd_events_received_total", "Log events received; an undecodable record counts as one.", "group"),
		events:   desc("shipperd_events_total", "Log events that have ended, by how.", "group", "outcome"),
		inFlight: desc("shipperd_events_in_flight", "Log events received that have not ended yet."),
		filtered: desc("shipperd_events_filtered_total", "Log events left out on purpose, by why.", "reason"),
		newest:   desc("shipperd_group_last_event_timestamp_seconds", "Time of the newest event of the group that has ended.", "group"),
	}
}

// Describe implements prometheus.Collector.
func (c *accountCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.received, c.events, c.inFlight, c.filtered, c.newest} {
		ch <- d
	}
}

// Collect implements prometheus.Collector. The values are read under one lock
// and sent after it.
func (c *accountCollector) Collect(ch chan<- prometheus.Metric) {
	for _, m := range c.read() {
		ch <- m
	}
}

func (c *accountCollector) read() (list []prometheus.Metric) {
	add := func(d *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		list = append(list, prometheus.MustNewConstMetric(d, kind, value, labels...))
	}
	a := c.account
	a.mu.Lock()
	defer a.mu.Unlock()
	var inFlight uint64
	for g, name := range a.groups {
		add(c.received, prometheus.CounterValue, float64(a.received[g]), name)
		for _, o := range record.Outcomes() {
			add(c.events, prometheus.CounterValue, float64(a.outcomes[g][o]), name, o.String())
		}
		inFlight += a.outcomes[g][record.Pending]
		if a.newest[g] > 0 {
			add(c.newest, prometheus.GaugeValue, float64(a.newest[g])/1000, name)
		}
	}
	add(c.inFlight, prometheus.GaugeValue, float64(inFlight))
	for _, f := range record.Filters() {
		add(c.filtered, prometheus.CounterValue, float64(a.filtered[f]), f.String())
	}
	return list
}
