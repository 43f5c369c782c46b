package demo

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shipperd/shipperd/pkg/record"
)

var start = time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)

// put is one call of Load's put.
type put struct {
	Key  string
	Data []byte
}

func load(t *testing.T, o Options) []put {
	t.Helper()
	var puts []put
	err := Load(t.Context(), func(_ context.Context, key string, data []byte) error {
		puts = append(puts, put{key, data})
		return nil
	}, o)
	if err != nil {
		t.Fatal(err)
	}
	return puts
}

func gunzip(t *testing.T, data []byte) payload {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	var p payload
	if err := json.Unmarshal(text, &p); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestSameSeedMakesTheSameRecords(t *testing.T) {
	o := Options{Events: 1000, Seed: 7, Start: start}
	if !reflect.DeepEqual(load(t, o), load(t, o)) {
		t.Error("two loads of one seed: got different records")
	}
	other := o
	other.Seed++
	if reflect.DeepEqual(load(t, o), load(t, other)) {
		t.Error("two seeds: got the same records")
	}
}

func TestLoadPutsEveryEventOnceInOrderOfItsStream(t *testing.T) {
	const events = 5000
	ids := make(map[string]bool)
	groups := make(map[string]int)
	last := make(map[string]int64)
	controls := 0
	for _, put := range load(t, Options{Events: events, Start: start}) {
		p := gunzip(t, put.Data)
		if p.MessageType == "CONTROL_MESSAGE" {
			controls++
			continue
		}
		if put.Key != p.LogStream || p.Owner != Account {
			t.Errorf("record of %s: got key %s and owner %s, want %s and %s", p.LogStream, put.Key, p.Owner, p.LogStream, Account)
		}
		for _, e := range p.LogEvents {
			if ids[e.ID] || len(e.ID) != 56 {
				t.Errorf("id %q: want one of 56 digits that is new", e.ID)
			}
			ids[e.ID] = true
			groups[p.LogGroup]++
			if e.Timestamp < last[p.LogStream] {
				t.Errorf("%s: got time %d after %d", p.LogStream, e.Timestamp, last[p.LogStream])
			}
			last[p.LogStream] = e.Timestamp
		}
	}
	if len(ids) != events || controls != 4 {
		t.Errorf("got %d events and %d control messages, want %d and 4", len(ids), controls, events)
	}
	for _, group := range []string{AccessLogGroup, SSHLogGroup, CloudTrailLogGroup, VPCFlowLogGroup} {
		if groups[group] < events/20 {
			t.Errorf("%s: got %d of %d events, want a twentieth at least", group, groups[group], events)
		}
	}
}

func TestLoadReturnsTheErrorOfPut(t *testing.T) {
	full := errors.New("full")
	calls := 0
	err := Load(t.Context(), func(context.Context, string, []byte) error {
		if calls++; calls == 6 {
			return full
		}
		return nil
	}, Options{Events: 1000, Start: start})
	if !errors.Is(err, full) || calls != 6 {
		t.Errorf("got %v after %d calls, want %v after 6", err, calls, full)
	}
}

// Every address must be one that is reserved for documentation.
func TestAddressesAreDocumentations(t *testing.T) {
	var reserved []netip.Prefix
	for _, p := range []string{"192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"} {
		reserved = append(reserved, netip.MustParsePrefix(p))
	}
	address := regexp.MustCompile(`\b\d+\.\d+\.\d+\.\d+\b|\b[0-9a-f]+:[0-9a-f:]*::[0-9a-f]+\b`)
	version := regexp.MustCompile(`\w+/[\d.]+`) // a browser's looks like an address
	site := NewSite(1, start)
	seen := 0
	for range 5000 {
		e := site.Next()
		for _, text := range address.FindAllString(version.ReplaceAllString(e.Message, ""), -1) {
			addr, err := netip.ParseAddr(text)
			if err != nil {
				t.Errorf("%s: %v in %s", text, err, e.Message)
				continue
			}
			seen++
			ok := false
			for _, p := range reserved {
				ok = ok || p.Contains(addr)
			}
			if !ok {
				t.Errorf("%s is no address for documentation: %s", text, e.Message)
			}
		}
	}
	if seen < 5000 {
		t.Errorf("got %d addresses in 5000 events, want one each at least", seen)
	}
}

func TestExtractedFieldsAreThoseOfTheLab(t *testing.T) {
	found := make(map[string]map[string]string)
	for _, put := range load(t, Options{Events: 2000, Start: start, Extracted: true}) {
		p := gunzip(t, put.Data)
		for _, e := range p.LogEvents {
			if strings.HasPrefix(e.ExtractedFields["msg1"], "Connection") || e.ExtractedFields["status"] == "404" {
				found[p.LogGroup] = e.ExtractedFields
			}
			if p.LogGroup == CloudTrailLogGroup && e.ExtractedFields != nil {
				t.Errorf("CloudTrail: got extracted fields %v, want none", e.ExtractedFields)
			}
		}
	}
	if got := found[AccessLogGroup]; len(got) != 9 || got["host"] == "" || got["agent"] == "" {
		t.Errorf("Apache: got %v, want the nine fields of the pattern", got)
	}
	if got := found[SSHLogGroup]; len(got) != 12 || got["srcIp"] == "" {
		t.Errorf("sshd: got %v, want the twelve fields of the pattern", got)
	}
}

// newRecord makes a record of documents, each with its place in the list as its id.
func newRecord(index string, docs ...string) *record.Record {
	r := &record.Record{Arrival: time.Now()}
	for i, doc := range docs {
		e := record.Event{Index: index, IDStart: uint32(len(r.Text))}
		r.Text = append(r.Text, fmt.Sprint(i)...)
		e.IDEnd, e.DocStart = uint32(len(r.Text)), uint32(len(r.Text))
		r.Text = append(r.Text, doc...)
		e.DocEnd = uint32(len(r.Text))
		r.Events = append(r.Events, e)
	}
	return r
}

func TestFilesTakeAnIDOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	files, err := NewFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	first := newRecord("cwl-2026.11.20", `{"n":0}`, `{"n":1}`)
	first.Events[1].Outcome = record.Filtered
	again := newRecord("cwl-2026.11.20", `{"n":0}`, `{"n":1}`)
	other := newRecord("cwl-2026.11.21", `{"n":0}`)
	if err := files.Write(t.Context(), []*record.Record{first, again, other}); err != nil {
		t.Fatal(err)
	}
	var got []record.Outcome
	for _, r := range []*record.Record{first, again, other} {
		for _, e := range r.Events {
			got = append(got, e.Outcome)
		}
	}
	want := []record.Outcome{record.Indexed, record.Filtered, record.Duplicate, record.Indexed, record.Indexed}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	// Written when Write returns, not when the files are closed.
	for name, want := range map[string]string{
		"cwl-2026.11.20.ndjson": "{\"n\":0}\n{\"n\":1}\n",
		"cwl-2026.11.21.ndjson": "{\"n\":0}\n",
	} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || string(text) != want {
			t.Errorf("%s: got %q, %v, want %q", name, text, err, want)
		}
	}
	if err := files.Close(); err != nil {
		t.Error(err)
	}
	if err := files.Write(t.Context(), []*record.Record{newRecord("cwl-2026.11.20", "", "", `{"n":2}`)}); err == nil {
		t.Error("Write to closed files: got nil, want an error")
	}
}

// sinkFunc is a sink made of a function.
type sinkFunc func([]*record.Record) error

func (f sinkFunc) Write(_ context.Context, records []*record.Record) error { return f(records) }

func TestSummaryNamesTheSuspects(t *testing.T) {
	s := NewSummary()
	sink := s.Watch(sinkFunc(func(records []*record.Record) error {
		for i := range records[0].Events {
			records[0].Events[i].Outcome = record.Indexed
		}
		records[0].Events[1].Outcome = record.Duplicate
		return nil
	}))
	err := sink.Write(t.Context(), []*record.Record{newRecord("cwl-2026.11.20",
		`{"@log_group":"AccessLogGroup","host":"203.0.113.66","status":404}`,
		`{"@log_group":"AccessLogGroup","host":"203.0.113.67","status":404}`,
		`{"@log_group":"AccessLogGroup","host":"198.51.100.1","status":200}`,
		`{"@log_group":"SSHLogGroup","msg1":"Connection","srcIp":"203.0.113.100"}`,
		`{"@log_group":"SSHLogGroup","msg1":"Failed","srcIp":"root"}`,
		`{"@log_group":"CloudTrailLogGroup","userAgent":"aws-cli/2","eventSource":"ssm.amazonaws.com","sourceIPAddress":"203.0.113.66"}`,
		`{"@log_group":"VPCFlowLogGroup","action":"REJECT","srcaddr":"203.0.113.9\u001b[2J"}`,
		`{"@log_group":"VPCFlowLogGroup","status":"a word","action":"ACCEPT","srcaddr":"198.51.100.1"}`,
	)})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.Documents(), 7; got != want {
		t.Errorf("Documents: got %d, want %d", got, want)
	}
	var out strings.Builder
	if _, err := s.WriteTo(&out); err != nil {
		t.Fatal(err)
	}
	_, tables, _ := strings.Cut(out.String(), "\n")
	want := `
Documents by log group
       2 AccessLogGroup
       2 SSHLogGroup
       2 VPCFlowLogGroup
       1 CloudTrailLogGroup

Web clients with the most failures (host, status of 400 and more)
       1 203.0.113.66

SSH attackers (srcIp, msg1 is Connection)
       1 203.0.113.100

AWS services called with aws-cli (sourceIPAddress, eventSource)
       1 203.0.113.66  ssm.amazonaws.com

Addresses that the network turned away (srcaddr, action is REJECT)
       1 203.0.113.9?[2J
`
	if diff := cmp.Diff(want, tables); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	if !strings.HasPrefix(out.String(), "7 documents in ") || !strings.Contains(out.String(), "1 duplicates") {
		t.Errorf("first line: got %s", out.String())
	}
}

func TestSummaryCountsNothingOfAFailedWrite(t *testing.T) {
	s := NewSummary()
	broken := errors.New("broken")
	sink := s.Watch(sinkFunc(func([]*record.Record) error { return broken }))
	r := newRecord("i", `{}`)
	r.Events[0].Outcome = record.Indexed
	if err := sink.Write(t.Context(), []*record.Record{r}); !errors.Is(err, broken) {
		t.Errorf("Write: got %v, want %v", err, broken)
	}
	if got := s.Documents(); got != 0 {
		t.Errorf("Documents: got %d, want 0", got)
	}
}

func BenchmarkLoad(b *testing.B) {
	b.ReportAllocs()
	var size int64
	for b.Loop() {
		size = 0
		err := Load(b.Context(), func(_ context.Context, _ string, data []byte) error {
			size += int64(len(data))
			return nil
		}, Options{Events: 1000, Start: start})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(size)
}
