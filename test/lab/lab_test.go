// Package lab puts documents into real engines, through the daemon's own decoder
// and sink: public logs of the lab's four kinds, after what an attacker would
// write first, with the index template and without. It asks for the lab's filters,
// counts fields, and sends again what was refused.
package lab

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/shipperd/shipperd/pkg/deadletter"
	"github.com/shipperd/shipperd/pkg/disk"
	"github.com/shipperd/shipperd/pkg/document"
	"github.com/shipperd/shipperd/pkg/elastic"
	"github.com/shipperd/shipperd/pkg/progress"
	"github.com/shipperd/shipperd/pkg/record"
	"github.com/shipperd/shipperd/pkg/setting"
	"github.com/shipperd/shipperd/pkg/template"
	"github.com/shipperd/shipperd/test/daemon"
	"github.com/shipperd/shipperd/test/servers"
)

// engine is a real server with indices of a test's own.
type engine struct {
	t       *testing.T
	server  *daemon.Index
	config  document.Config
	decoder *document.Decoder
	sink    *elastic.Sink
	letters *deadletter.Store
	dir     string // of the dead letters
	put     int    // events

	flattened bool // the decoder writes aws.cloudtrail.flattened
}

// onEachEngine calls test on both engines. The decoder writes what it writes
// without a template; see install.
func onEachEngine(t *testing.T, test func(t *testing.T, e *engine)) {
	for name, start := range map[string]func(testing.TB) string{"elasticsearch": servers.Elasticsearch, "opensearch": servers.OpenSearch} {
		t.Run(name, func(t *testing.T) { test(t, newEngine(t, start(t))) })
	}
}

// onEachEngineAndMapping calls test on both engines, with and without the template.
func onEachEngineAndMapping(t *testing.T, test func(t *testing.T, e *engine, templated bool)) {
	onEachEngine(t, func(t *testing.T, e *engine) {
		t.Run("dynamic", func(t *testing.T) { test(t, newEngine(t, e.server.URL), false) })
		t.Run("template", func(t *testing.T) {
			e := newEngine(t, e.server.URL)
			e.install()
			test(t, e, true)
		})
	})
}

func newEngine(t *testing.T, url string) *engine {
	t.Helper()
	e := &engine{t: t, config: document.DefaultConfig(), dir: t.TempDir()}
	e.config.IndexPrefix = "lab-" + strings.ToLower(rand.Text()[:10])
	e.server = daemon.NewIndex(t, url, e.config.IndexPrefix)
	e.decode(document.Options{})
	var err error
	e.letters, err = deadletter.Open(t.Context(), disk.OS{}, deadletter.Config{Dir: e.dir, MaxSize: setting.GiB}, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.letters.Close() })
	e.sink = e.newSink(e.letters)
	return e
}

func (e *engine) decode(o document.Options) {
	e.t.Helper()
	documents, err := document.New(e.config, o)
	if err != nil {
		e.t.Fatal(err)
	}
	e.decoder = documents.NewDecoder()
}

func (e *engine) newSink(letters elastic.DeadLetters) *elastic.Sink {
	e.t.Helper()
	c := elastic.DefaultConfig()
	c.Endpoints = []string{e.server.URL}
	sink, err := elastic.New(e.t.Context(), c, elastic.Deps{
		Letters: letters, Progress: &progress.Monitor{}, Draining: make(chan struct{}), Log: zap.NewNop(), Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		e.t.Fatal(err)
	}
	return sink
}

// install puts the template, and lets the decoder write what it takes.
func (e *engine) install() {
	e.t.Helper()
	ctx := e.t.Context()
	cluster, err := template.Open(ctx, e.sink)
	if err != nil {
		e.t.Fatal(err)
	}
	plan, err := cluster.Plan(ctx, e.config, template.Settings{template.Replicas: "0"})
	if err != nil {
		e.t.Fatal(err)
	}
	if err := cluster.Put(ctx, plan.Template); err != nil {
		e.t.Fatal(err)
	}
	effect, err := cluster.Effect(ctx, e.config, time.Now())
	if err != nil || !effect.Ours {
		e.t.Fatalf("got the effect %+v, %v, want ours", effect, err)
	}
	if e.flattened = effect.Flattened; e.flattened != (cluster.Engine.Distribution == "opensearch") {
		e.t.Errorf("got flattened fields: %t on %s", e.flattened, cluster.Engine.Distribution)
	}
	e.decode(document.Options{Flattened: e.flattened})
}

// day is that of all events: they go to one index.
var day = time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)

func (e *engine) index() string { return e.config.IndexPrefix + day.Format("-2006.01.02") }

// records decodes messages of one log stream, 500 in a record.
func (e *engine) records(group, stream string, messages ...string) (records []*record.Record) {
	e.t.Helper()
	type logEvent struct {
		ID        string `json:"id"`
		Timestamp int64  `json:"timestamp"`
		Message   string `json:"message"`
	}
	for chunk := range slices.Chunk(messages, 500) {
		var events []logEvent
		for _, message := range chunk {
			e.put++
			events = append(events, logEvent{fmt.Sprintf("%056d", e.put), day.UnixMilli() + int64(e.put), message})
		}
		data, err := json.Marshal(map[string]any{
			"messageType": "DATA_MESSAGE", "owner": "123456789012", "logGroup": group, "logStream": stream,
			"subscriptionFilters": []string{"shipperd"}, "logEvents": events,
		})
		if err != nil {
			e.t.Fatal(err)
		}
		r := &record.Record{Shard: "shard-0", Sequence: fmt.Sprint(e.put), Arrival: time.Now(), Data: data}
		if err := e.decoder.Decode(r); err != nil {
			e.t.Fatal(err)
		}
		records = append(records, r)
	}
	return records
}

// write delivers messages of one log stream and returns the events as they ended.
func (e *engine) write(group, stream string, messages ...string) (events []record.Event) {
	e.t.Helper()
	records := e.records(group, stream, messages...)
	if err := e.sink.Write(e.t.Context(), records); err != nil {
		e.t.Fatal(err)
	}
	for _, r := range records {
		events = append(events, r.Events...)
	}
	return events
}

// outcomes counts how events ended.
func outcomes(events []record.Event) map[string]int {
	counts := map[string]int{}
	for i := range events {
		name := events[i].Outcome.String()
		if events[i].Reduced {
			name += " reduced"
		}
		counts[name]++
	}
	return counts
}

// wantWhole checks that all events were indexed as they are, but for header lines.
func (e *engine) wantWhole(what string, events []record.Event) (indexed int) {
	e.t.Helper()
	got := outcomes(events)
	if got["indexed"]+got["filtered"] != len(events) {
		e.t.Errorf("%s: got %v, want all %d indexed whole", what, got, len(events))
	}
	return got["indexed"]
}

// count returns how many documents match a query.
func (e *engine) count(query string) int {
	e.t.Helper()
	n, err := e.server.Count(query)
	if err != nil {
		e.t.Fatal(err)
	}
	return n
}

// fields counts the fields of the day's index as the engine does.
func (e *engine) fields() int {
	e.t.Helper()
	var reply map[string]struct {
		Mappings map[string]any `json:"mappings"`
	}
	e.server.Ask(http.MethodGet, "/"+e.index()+"/_mapping", "", &reply)
	return countFields(reply[e.index()].Mappings)
}

func countFields(mapping map[string]any) int {
	n := 0
	for _, key := range []string{"properties", "fields"} {
		children, _ := mapping[key].(map[string]any)
		for _, child := range children {
			n += 1 + countFields(child.(map[string]any))
		}
	}
	return n
}

// corpus returns the lines of a public log, or the events of CloudTrail's files,
// which are no part of the project.
func corpus(t *testing.T, pattern string) (messages []string) {
	t.Helper()
	dir := cmp.Or(os.Getenv("SHIPPERD_CORPORA"), filepath.Join("..", "..", "..", "shared", "corpora"))
	files, err := filepath.Glob(filepath.Join(dir, filepath.FromSlash(pattern)))
	if err != nil || len(files) == 0 {
		t.Skipf("no corpora, set SHIPPERD_CORPORA: %s: %v", pattern, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var trail struct{ Records []json.RawMessage }
		if json.Unmarshal(text, &trail) == nil {
			for _, event := range trail.Records {
				messages = append(messages, string(event))
			}
			continue
		}
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimRight(line, "\n"); line != "" && line[0] != '#' {
				messages = append(messages, line)
			}
		}
	}
	return messages
}
