package operations

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shipperd/shipperd/pkg/elastic/elasticfake"
)

// event is one event of a payload, whose writer chooses all of it.
type event struct {
	ID        string `json:"id"`
	Timestamp int64  `json:"timestamp"`
	Message   string `json:"message"`
}

// forge puts events of a log group and stream of any name on the stream.
func (s *site) forge(t *testing.T, group, stream string, events ...event) {
	t.Helper()
	text, err := json.Marshal(map[string]any{
		"messageType": "DATA_MESSAGE", "owner": "1", "logGroup": group, "logStream": stream, "logEvents": events,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.stream.Put(s.stream.Shards()[0], text)
}

// recorder is an index that keeps what it is sent.
type recorder struct {
	mu   sync.Mutex
	sent []elasticfake.Document
}

func (r *recorder) script(request *elasticfake.Request) elasticfake.Fault {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent = append(r.sent, request.Docs...)
	return elasticfake.Fault{}
}

// indexed waits until n events are in the index and returns them.
func (r *recorder) indexed(p *process, n int) []elasticfake.Document {
	p.t.Helper()
	p.awaitMetric(`shipperd_events_total{group="other",outcome="indexed"}`, strconv.Itoa(n))
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.sent)
}

// peakMiB returns the most memory that the process has had.
func (p *process) peakMiB() int {
	p.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Skipf("the peak of the memory is read from /proc: %v", err)
	}
	m := regexp.MustCompile(`VmHWM:\s*(\d+) kB`).FindSubmatch(status)
	kib, err := strconv.Atoi(string(m[1]))
	if err != nil {
		p.t.Fatal(err)
	}
	return kib >> 10
}

// One record of 1 MiB inflates to 1 GiB, and not even in one gzip member.
func TestThreat1BombsAreDeadLettersAndMemoryStaysBounded(t *testing.T) {
	t.Parallel()
	const bombs, mostMiB = 8, 160 // 16 MiB, what a trailer claims, for each of two workers, and the collector's swing
	var member bytes.Buffer
	w, err := gzip.NewWriterLevel(&member, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 16<<20)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	bomb := bytes.Repeat(member.Bytes(), 64)

	s := newSite(t, nil, nil)
	p := newProcess(t, s, "GOMAXPROCS=2")
	p.start()
	before := p.peakMiB()
	for range bombs {
		s.stream.Put(s.stream.Shards()[0], bomb)
	}
	s.put("after")
	p.awaitMetric(`shipperd_events_total{group="other",outcome="indexed"}`, "1")
	p.awaitMetric(`shipperd_dead_letters_written_total{reason="oversize"}`, strconv.Itoa(bombs))
	if grown := p.peakMiB() - before; grown > mostMiB {
		t.Errorf("got %d MiB more at most, want %d", grown, mostMiB)
	} else {
		t.Logf("%d bombs of %d KiB that inflate to 1 GiB: %d MiB more at most", bombs, len(bomb)>>10, grown)
	}
}

func TestThreat5NamesOfLogGroupsReachNoIndexName(t *testing.T) {
	t.Parallel()
	var index recorder
	s := newSite(t, nil, index.script)
	p := newProcess(t, s)
	p.start()
	names := []string{"../../_all", "cwl-2026.11.20\"}}\n{\"delete\":{}}", "-_+", "A B,C", "%{[@metadata]}", "{{ index }}", strings.Repeat("x", 512), "*", ".kibana"}
	for i, name := range names {
		s.forge(t, name, name, event{fmt.Sprint(i), 1795168872000, name})
	}
	for _, d := range index.indexed(p, len(names)) {
		if d.Index != "cwl-2026.11.20" {
			t.Errorf("got index %q, want cwl-2026.11.20 alone", d.Index)
		}
	}
}

func TestThreat6NewlinesNeverBreakABulkRequest(t *testing.T) {
	t.Parallel()
	var index recorder
	s := newSite(t, nil, index.script)
	p := newProcess(t, s)
	p.start()
	hostile := "\n{\"delete\":{\"_index\":\"cwl-2026.11.20\",\"_id\":\"0\"}}\n\r\u2028\u2029\x00\"\\\xff\xed\xa0\x80"
	s.forge(t, hostile, hostile, event{"0", 1795168872000, hostile}, event{"1" + hostile, 1795168872000, "x"})
	documents := index.indexed(p, 2)
	if len(documents) != 2 {
		t.Fatalf("got %d documents: %q", len(documents), documents)
	}
	want := strings.ToValidUTF8(hostile, "") // what Go's JSON makes of it, the replaced bytes aside
	for _, d := range documents {
		var got map[string]any
		if err := json.Unmarshal(d.Source, &got); err != nil {
			t.Fatalf("%v in %q", err, d.Source)
		}
		for _, field := range []string{"@log_group", "@log_stream"} {
			if text := strings.ReplaceAll(fmt.Sprint(got[field]), "\ufffd", ""); text != want {
				t.Errorf("%s: got %q, want %q", field, text, want)
			}
		}
	}
}

func TestThreat19ForgedTimesMakeNeitherIndicesNorLag(t *testing.T) {
	t.Parallel()
	var index recorder
	s := newSite(t, nil, index.script)
	p := newProcess(t, s)
	p.start()
	times := []int64{0, -1, 1, 253402300800000, 8_640_000_000_000_000, -8_640_000_000_000_000, 4133980800000}
	var events []event
	for i, ms := range times {
		events = append(events, event{fmt.Sprint(i), ms, "x"})
	}
	s.forge(t, "g", "s", events...)
	s.forge(t, "g", "s", event{"future", time.Now().AddDate(10, 0, 0).UnixMilli(), "x"})
	for _, d := range index.indexed(p, len(times)+1) {
		if d.Index != "cwl-undated" && d.ID != "future" {
			t.Errorf("%s: got index %s, want cwl-undated", d.ID, d.Index)
		}
	}
	m := regexp.MustCompile(`(?m)^shipperd_group_last_event_timestamp_seconds\{group="other"\} (\S+)$`).FindSubmatch(p.scrape())
	if m == nil {
		t.Fatal("got no time of the group's last event")
	}
	if last, err := strconv.ParseFloat(string(m[1]), 64); err != nil || last > float64(time.Now().Unix()+1) {
		t.Errorf("got the group's last event at %s, %v: an event of the future keeps the alert on silence from firing", m[1], err)
	}
}
