package operations

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/shipperd/shipperd/pkg/elastic/elasticfake"
	"github.com/shipperd/shipperd/test/daemon"
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

// startRecorded starts a shipperd before a recorder.
func startRecorded(t *testing.T) (*site, *daemon.Test, *recorder) {
	t.Helper()
	index := &recorder{}
	s := newSite(t, nil, index.script)
	p := s.daemon(t)
	p.Start()
	return s, p, index
}

// indexed waits until n events are in the index and returns them.
func (r *recorder) indexed(p *daemon.Test, n int) []elasticfake.Document {
	p.AwaitMetric(`shipperd_events_total{group="other",outcome="indexed"}`, float64(n))
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.sent)
}

// peakMiB returns the most memory that the daemon has had.
func peakMiB(t *testing.T, p *daemon.Test) int64 {
	t.Helper()
	peak, err := p.PeakBytes()
	if err != nil {
		t.Skip(err)
	}
	return peak >> 20
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
	p := s.daemon(t, "GOMAXPROCS=2")
	p.Start()
	before := peakMiB(t, p)
	for range bombs {
		s.stream.Put(s.stream.Shards()[0], bomb)
	}
	s.put("after")
	p.AwaitMetric(`shipperd_events_total{group="other",outcome="indexed"}`, 1)
	p.AwaitMetric(`shipperd_dead_letters_written_total{reason="oversize"}`, bombs)
	if grown := peakMiB(t, p) - before; grown > mostMiB {
		t.Errorf("got %d MiB more at most, want %d", grown, mostMiB)
	} else {
		t.Logf("%d bombs of %d KiB that inflate to 1 GiB: %d MiB more at most", bombs, len(bomb)>>10, grown)
	}
}

func TestThreat5NamesOfLogGroupsReachNoIndexName(t *testing.T) {
	t.Parallel()
	s, p, index := startRecorded(t)
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
	s, p, index := startRecorded(t)
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
	s, p, index := startRecorded(t)
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
	m := regexp.MustCompile(`(?m)^shipperd_group_last_event_timestamp_seconds\{group="other"\} (\S+)$`).FindSubmatch(p.Get("/metrics"))
	if m == nil {
		t.Fatal("got no time of the group's last event")
	}
	if last, err := strconv.ParseFloat(string(m[1]), 64); err != nil || last > float64(time.Now().Unix()+1) {
		t.Errorf("got the group's last event at %s, %v: an event of the future keeps the alert on silence from firing", m[1], err)
	}
}

// A line with the escapes that name a terminal's window, clear it or move in it, in
// one byte and in two, is shown by every command that prints lines.
func TestThreat7LinesPrintedToATerminalDoNotCommandIt(t *testing.T) {
	t.Parallel()
	script, err := exec.LookPath("script")
	if err != nil {
		t.Skip("script is not there to make a terminal (Debian package bsdutils)")
	}
	s := newSite(t, nil, nil)
	const escapes = "\x1b]0;owned\x07 \x1b[2J \u009b2J \u202e"
	s.forge(t, "g", "s", event{"1", 1795168872000, escapes})
	lines := filepath.Join(t.TempDir(), "lines")
	if err := os.WriteFile(lines, []byte(escapes+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"parse <" + lines, "run --dry-run"} {
		shown := onTerminal(t, script, s.daemon(t).Env, command, "@message")
		for _, control := range []string{"\x1b", "\x07", "\u009b", "\u202e"} {
			if bytes.Contains(shown, []byte(control)) {
				t.Errorf("%s: got the control character %q on the terminal: %q", command, control, shown)
			}
		}
	}
}

// onTerminal returns what a command shows on a terminal. When it has shown want, or
// after a time, it gets SIGTERM.
func onTerminal(t *testing.T, script string, env []string, command, want string) (shown []byte) {
	t.Helper()
	pid := filepath.Join(t.TempDir(), "pid")
	cmd := exec.CommandContext(t.Context(), script, "--quiet", "--command", binary+" "+command+" & echo $! >"+pid+"; wait", "/dev/null")
	cmd.Env = append(env, "PATH="+os.Getenv("PATH"), "SHELL=/bin/sh")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	terminate := sync.OnceFunc(func() {
		text, err := os.ReadFile(pid)
		if err != nil {
			t.Error(err)
		}
		if id, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
			_ = syscall.Kill(id, syscall.SIGTERM) // it may have ended
		}
	})
	timer := time.AfterFunc(daemon.Patience, terminate)
	defer timer.Stop()
	for buf := make([]byte, 4096); ; {
		n, err := out.Read(buf)
		shown = append(shown, buf[:n]...)
		if bytes.Contains(shown, []byte(want)) {
			terminate()
		}
		if err != nil {
			break
		}
	}
	if err := cmd.Wait(); err != nil || !bytes.Contains(shown, []byte(want)) {
		t.Fatalf("%s: %v, got %q, want %q in it", command, err, shown, want)
	}
	return shown
}
