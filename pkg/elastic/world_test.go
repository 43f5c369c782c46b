package elastic

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/shipperd/shipperd/pkg/elastic/elasticfake"
	"github.com/shipperd/shipperd/pkg/progress"
	"github.com/shipperd/shipperd/pkg/record"
)

const today = "cwl-2026.11.22"

// world is a Sink before a fake cluster.
type world struct {
	t        testing.TB
	server   *elasticfake.Server
	sink     *Sink
	letters  *letterBox
	draining chan struct{}
	logs     *observer.ObservedLogs
	registry *prometheus.Registry
	monitor  *progress.Monitor
}

// letterBox keeps dead letters. It blocks while full is not nil.
type letterBox struct {
	mu      sync.Mutex
	letters []record.Letter
	most    int // in one Put
	full    chan struct{}
}

func (b *letterBox) Put(ctx context.Context, letters ...record.Letter) error {
	if b.full != nil {
		select {
		case <-b.full:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.most = max(b.most, len(letters))
	for _, l := range letters {
		l.Document = append([]byte(nil), l.Document...)
		b.letters = append(b.letters, l)
	}
	return nil
}

func (b *letterBox) all() []record.Letter {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]record.Letter(nil), b.letters...)
}

// newWorld returns a Sink before server, over no network. The latency of a request
// is 10 ms and some nanoseconds of its own.
func newWorld(t testing.TB, server *elasticfake.Server, change func(*Config)) *world {
	t.Helper()
	slowed(server)
	w := worldBefore(t, server, change)
	w.server = server
	return w
}

// slowed gives every request its latency.
func slowed(server *elasticfake.Server) {
	script := server.Script
	server.Script = func(r *elasticfake.Request) elasticfake.Fault {
		f := elasticfake.Fault{}
		if script != nil {
			f = script(r)
		}
		f.Delay += 10*time.Millisecond + time.Duration(r.Number)*17
		return f
	}
}

// worldBefore returns a Sink before any cluster.
func worldBefore(t testing.TB, transport http.RoundTripper, change func(*Config)) *world {
	t.Helper()
	c := DefaultConfig()
	c.Endpoints = []string{"http://127.0.0.1:9200"}
	if change != nil {
		change(&c)
	}
	core, logs := observer.New(zapcore.InfoLevel)
	w := &world{
		t: t, letters: &letterBox{}, draining: make(chan struct{}), logs: logs,
		registry: prometheus.NewRegistry(), monitor: &progress.Monitor{},
	}
	var err error
	w.sink, err = New(t.Context(), c, Deps{
		Letters: w.letters, Progress: w.monitor, Draining: w.draining, Log: zap.New(core),
		Registerer: w.registry, Transport: transport, Seed: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// makeRecord returns a record with n events for index, whose ids are name-0 and on.
func makeRecord(name, index string, n int) *record.Record {
	r := &record.Record{Shard: "shardId-000000000000", Sequence: name, Arrival: time.Now().Add(-time.Hour)}
	for i := range n {
		addEvent(r, index, fmt.Sprintf("%s-%d", name, i), fmt.Sprintf(
			`{"status":%d,"host":"192.0.2.%d","@id":"%s-%d","@timestamp":"2026-11-22T10:00:00.000Z",`+
				`"@message":"GET /%d","@owner":"123456789012","@log_group":"AccessLogGroup","@log_stream":"i-0"}`,
			200+i%300, i%256, name, i, i))
	}
	return r
}

func addEvent(r *record.Record, index, id, document string) {
	e := record.Event{Index: index}
	e.IDStart = uint32(len(r.Text))
	r.Text = append(r.Text, id...)
	e.IDEnd = uint32(len(r.Text))
	e.DocStart = e.IDEnd
	r.Text = append(r.Text, document...)
	e.DocEnd = uint32(len(r.Text))
	r.Events = append(r.Events, e)
}

// write delivers records and checks that every event is where its outcome says.
func (w *world) write(records ...*record.Record) {
	w.t.Helper()
	if err := w.sink.Write(w.t.Context(), records); err != nil {
		w.t.Errorf("Write: got %v, want nil", err)
	}
	w.settled(records...)
}

// settled checks that each event is one document or one dead letter.
func (w *world) settled(records ...*record.Record) {
	w.t.Helper()
	buried := make(map[string]int)
	for _, l := range w.letters.all() {
		buried[l.Index+"/"+l.ID]++
	}
	wrong, indices := 0, make(map[string]map[string]json.RawMessage)
	for _, r := range records {
		for i := range r.Events {
			e := &r.Events[i]
			id := string(r.ID(e))
			if indices[e.Index] == nil {
				indices[e.Index] = w.server.Documents(e.Index)
			}
			_, stored := indices[e.Index][id]
			switch {
			case e.Outcome == record.Indexed && stored, e.Outcome == record.Duplicate && stored:
			case e.Outcome == record.DeadLettered && buried[e.Index+"/"+id] == 1:
			case e.Outcome == record.Filtered:
			default:
				if wrong++; wrong <= 3 {
					w.t.Errorf("event %s: got outcome %v, stored %v, %d letters", id, e.Outcome, stored, buried[e.Index+"/"+id])
				}
			}
		}
	}
	if wrong > 3 {
		w.t.Errorf("and %d events more", wrong-3)
	}
}

// outcomes counts the events of records by outcome.
func outcomes(records ...*record.Record) map[string]int {
	counts := make(map[string]int)
	for _, r := range records {
		for i := range r.Events {
			name := r.Events[i].Outcome.String()
			if r.Events[i].Reduced {
				name += " reduced"
			}
			counts[name]++
		}
	}
	return counts
}

// metric returns the sum of a metric's series whose labels contain label.
func (w *world) metric(name, label string) float64 {
	w.t.Helper()
	families, err := w.registry.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	sum, found := 0.0, false
	for _, family := range families {
		if family.GetName() != "shipperd_"+name {
			continue
		}
		for _, m := range family.GetMetric() {
			if label != "" && !strings.Contains(fmt.Sprint(m.GetLabel()), label) {
				continue
			}
			found = true
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	if !found {
		w.t.Errorf("no metric %s with %s", name, label)
	}
	return sum
}

// sum returns the sum of all that a histogram's series with the label value observed.
func (w *world) sum(name, value string) (sum float64) {
	w.t.Helper()
	families, err := w.registry.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == "shipperd_"+name && m.GetLabel()[0].GetValue() == value {
				sum += m.GetHistogram().GetSampleSum()
			}
		}
	}
	return sum
}

// logged returns how many lines have text in their message.
func (w *world) logged(text string) int {
	n := 0
	for _, entry := range w.logs.All() {
		if strings.Contains(entry.Message, text) {
			n++
		}
	}
	return n
}
