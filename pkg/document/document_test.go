package document

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/shipperd/shipperd/pkg/jsonraw"
	"github.com/shipperd/shipperd/pkg/record"
)

func zip(text string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return b.Bytes()
}

func quote(text string) string { return string(jsonraw.AppendString(nil, []byte(text))) }

// testEvent is one event of a test payload.
type testEvent struct {
	id, message string
	time        int64
	extracted   string // JSON, empty: none
}

const testTime = 1_795_169_472_123 // 2026-11-20T10:11:12.123Z

func payload(group, stream string, events ...testEvent) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"messageType":"DATA_MESSAGE","owner":"123456789012","logGroup":%s,"logStream":%s,"subscriptionFilters":["f"],"logEvents":[`, quote(group), quote(stream))
	for i, e := range events {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":%s,"timestamp":%d,"message":%s`, quote(e.id), cmp.Or(e.time, testTime), quote(e.message))
		if e.extracted != "" {
			b.WriteString(`,"extractedFields":` + e.extracted)
		}
		b.WriteByte('}')
	}
	b.WriteString("]}")
	return b.String()
}

func testConfig(change func(*Config)) Config {
	c := DefaultConfig()
	if change != nil {
		change(&c)
	}
	return c
}

func testDocuments(t testing.TB, change func(*Config)) *Documents {
	t.Helper()
	c := testConfig(change)
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	d, err := New(c, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// decode decodes a record of plain text, because making gzip of it would take
// most of a test's time.
func decode(t testing.TB, d *Decoder, text string) *record.Record {
	t.Helper()
	r := &record.Record{Shard: "shardId-000000000000", Sequence: "49590338271490256608559692538361571095921575989136588898", Data: []byte(text)}
	if err := d.Decode(r); err != nil {
		t.Fatalf("decode %.300s: %v", text, err)
	}
	return r
}

// decodeAny decodes data, which may be anything.
func decodeAny(d *Decoder, data []byte) *record.Record {
	r := &record.Record{Data: data}
	_ = d.Decode(r) // what came before an error stays
	return r
}

// strictly reads a document and fails when an object in it has a key twice.
func strictly(t testing.TB, doc []byte) map[string]any {
	t.Helper()
	if bytes.ContainsAny(doc, "\r\n") {
		t.Fatalf("the document has a line break: %q", doc)
	}
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	v, err := strictValue(d)
	if err != nil {
		t.Fatalf("document %s: %v", doc, err)
	}
	if d.More() {
		t.Fatalf("document %s: text after its end", doc)
	}
	return v.(map[string]any)
}

func strictValue(d *json.Decoder) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		m := map[string]any{}
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			if _, twice := m[key.(string)]; twice {
				return nil, fmt.Errorf("key %q is there twice", key)
			}
			if m[key.(string)], err = strictValue(d); err != nil {
				return nil, err
			}
		}
		_, err = d.Token()
		return m, err
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := strictValue(d)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = d.Token()
		return list, err
	}
	return t, nil
}

func only(t testing.TB, r *record.Record) map[string]any {
	t.Helper()
	if len(r.Events) != 1 {
		t.Fatalf("got %d events, want 1", len(r.Events))
	}
	return strictly(t, r.Doc(&r.Events[0]))
}

// vectors reads a file of test data, one JSON object a line.
func vectors[V any](t *testing.T, name string) (list []V) {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		var v V
		if err := json.Unmarshal(s.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		list = append(list, v)
	}
	return list
}

func TestNumbersConvertAsInTheLambda(t *testing.T) {
	list := vectors[struct {
		In      string
		Dropped bool
		Numeric bool
		JSON    string
	}](t, "blueprint-numeric-vectors.jsonl")
	if len(list) != 43 {
		t.Fatalf("got %d vectors, want 43", len(list))
	}
	d := testDocuments(t, nil).NewDecoder()
	for _, v := range list {
		r := decode(t, d, payload("g", "s", testEvent{extracted: `{"field":` + quote(v.In) + `}`}))
		var doc map[string]json.RawMessage
		if err := json.Unmarshal(r.Doc(&r.Events[0]), &doc); err != nil {
			t.Fatal(err)
		}
		got, there := doc["field"]
		if there == v.Dropped || there && string(got) != v.JSON {
			t.Errorf("%q: got %s, want %s (dropped: %v)", v.In, got, v.JSON, v.Dropped)
		}
		if _, isNumber := numeric([]byte(v.In)); isNumber != v.Numeric {
			t.Errorf("%q: got numeric %v, want %v", v.In, isNumber, v.Numeric)
		}
	}
}

func TestEmbeddedJSONIsFoundAsInTheLambda(t *testing.T) {
	list := vectors[struct {
		In        string
		Extracted *string
		Parsed    string
	}](t, "blueprint-extractjson-vectors.jsonl")
	if len(list) != 12 {
		t.Fatalf("got %d vectors, want 12", len(list))
	}
	for _, dialect := range []Dialect{Standard, Lambda} {
		d := testDocuments(t, func(c *Config) { c.Dialect = dialect }).NewDecoder()
		for _, v := range list {
			r := decode(t, d, payload("g", "s", testEvent{extracted: `{"field":` + quote(v.In) + `}`}))
			var doc map[string]json.RawMessage
			if err := json.Unmarshal(r.Doc(&r.Events[0]), &doc); err != nil {
				t.Fatal(err)
			}
			if got, there := doc["$field"]; there != (v.Extracted != nil) || there && string(got) != v.Parsed {
				t.Errorf("%s: %q: got %s, want %s", dialect, v.In, got, v.Parsed)
			}
		}
	}
}

func TestIndexIsAFunctionOfPrefixAndDay(t *testing.T) {
	day := func(text string) int64 {
		when, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			t.Fatal(err)
		}
		return when.UnixMilli()
	}
	x := newIndices("cwl")
	for _, tt := range []struct {
		ms   int64
		want string
	}{
		{day("2026-11-20T00:00:00Z"), "cwl-2026.11.20"},
		{day("2026-11-20T23:59:59.999Z"), "cwl-2026.11.20"},
		{day("2026-11-21T00:00:00Z"), "cwl-2026.11.21"},
		{day("2000-01-01T00:00:00Z"), "cwl-2000.01.01"},
		{day("1999-12-31T23:59:59.999Z"), "cwl-undated"},
		{day("2099-12-31T23:59:59.999Z"), "cwl-2099.12.31"},
		{day("2100-01-01T00:00:00Z"), "cwl-undated"},
		{0, "cwl-undated"},
		{-1, "cwl-undated"},
		{8_640_000_000_000_000, "cwl-undated"},
	} {
		for range 2 {
			if got := x.of(tt.ms); got != tt.want {
				t.Errorf("%d: got %s, want %s", tt.ms, got, tt.want)
			}
		}
	}
}

func TestIndexNamesDoNotAccumulate(t *testing.T) {
	x := newIndices("cwl")
	for day := int64(firstDay); day <= lastDay; day++ {
		x.of(day * dayMs)
	}
	if got := len(x.names); got > keepDays {
		t.Errorf("got %d names, want at most %d", got, keepDays)
	}
}

func TestTimestampsAreThoseOfJavaScript(t *testing.T) {
	var s stamp
	for _, tt := range []struct {
		ms   int64
		want string
	}{
		{testTime, "2026-11-20T10:11:12.123Z"},
		{testTime + 1, "2026-11-20T10:11:12.124Z"},
		{0, "1970-01-01T00:00:00.000Z"},
		{-1, "1969-12-31T23:59:59.999Z"},
		{8_640_000_000_000_000, "+275760-09-13T00:00:00.000Z"},
		{-8_640_000_000_000_000, "-271821-04-20T00:00:00.000Z"},
	} {
		if got := string(s.append(nil, tt.ms)); got != tt.want {
			t.Errorf("%d: got %s, want %s", tt.ms, got, tt.want)
		}
	}
}

func TestIDIsTheEventsOrThatOfItsPosition(t *testing.T) {
	d := testDocuments(t, nil).NewDecoder()
	long := strings.Repeat("x", maxID)
	escaped := strings.Repeat("é\"", maxID/3) // 510 bytes, 680 as JSON
	text := payload("g", "s", testEvent{id: "3195"}, testEvent{}, testEvent{id: long}, testEvent{id: long + "x"}, testEvent{id: escaped}, testEvent{})
	r := decode(t, d, text)
	var ids []string
	for i := range r.Events {
		inside := r.ID(&r.Events[i])
		ids = append(ids, string(jsonraw.Unescape(nil, inside)))
		if doc := strictly(t, r.Doc(&r.Events[i])); i != 1 && i != 3 && i != 5 && doc["@id"] != ids[i] {
			t.Errorf("event %d: got @id %v, want %s", i, doc["@id"], ids[i])
		}
	}
	for i, want := range []string{"3195", "", long, "", escaped, ""} {
		if want != "" && ids[i] != want {
			t.Errorf("event %d: got id %s, want %s", i, ids[i], want)
		}
		if want == "" && len(ids[i]) != 32 {
			t.Errorf("event %d: got id %q, want 32 hexadecimal digits", i, ids[i])
		}
	}
	if ids[1] == ids[5] {
		t.Error("two events without id have the same _id")
	}
	again := decode(t, testDocuments(t, nil).NewDecoder(), text)
	if got := string(again.ID(&again.Events[1])); got != ids[1] {
		t.Errorf("read again: got id %s, want %s", got, ids[1])
	}
	for _, other := range []*record.Record{
		{Shard: r.Shard, Sequence: r.Sequence + "1"},
		{Shard: "shardId-000000000001", Sequence: r.Sequence},
		{Shard: r.Shard + r.Sequence[:1], Sequence: r.Sequence[1:]},
	} {
		other.Data = zip(text)
		if err := d.Decode(other); err != nil {
			t.Fatal(err)
		}
		if got := string(other.ID(&other.Events[1])); got == ids[1] {
			t.Errorf("events of the records %s %s and %s %s have the same _id", r.Shard, r.Sequence, other.Shard, other.Sequence)
		}
	}
}

func TestRecords(t *testing.T) {
	one := payload("g", "s", testEvent{id: "1", message: "x"})
	control := `{"messageType":"CONTROL_MESSAGE","owner":"CloudwatchLogs","logGroup":"","logStream":"","subscriptionFilters":[],"logEvents":[{"id":"","timestamp":1510943004000,"message":"CWL CONTROL MESSAGE: Checking health of destination Kinesis stream."}]}`
	for _, tt := range []struct {
		name            string
		data            []byte
		events, control int
		fails           bool
		is              error
	}{
		{name: "one payload", data: zip(one), events: 1},
		{name: "plain JSON", data: []byte(one), events: 1},
		{name: "two gzip members", data: append(zip(one), zip(one)...), events: 2},
		{name: "two objects", data: zip(one + one), events: 2},
		{name: "control message", data: zip(control), control: 1},
		{name: "control and data", data: zip(control + "\n" + one), events: 1, control: 1},
		{name: "no messageType", data: zip(`{"owner":"1","logEvents":[]}`), fails: true},
		{name: "invalid JSON", data: zip(`{"messageType":`), fails: true},
		{name: "truncated gzip", data: zip(one)[:30], fails: true},
		{name: "empty", data: nil, fails: true},
		{name: "what came before the bad part stays", data: zip(one + control + `{"messageType":1}`), events: 1, control: 1, fails: true},
		{name: "aggregated by the KPL", data: append([]byte{0xf3, 0x89, 0x9a, 0xc2}, one...), fails: true},
		{name: "bomb", data: zip(strings.Repeat(" ", 2<<20)), fails: true, is: record.ErrOversize},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := testDocuments(t, func(c *Config) { c.MaxInflated = 1 << 20 }).NewDecoder()
			r := &record.Record{Data: tt.data}
			for range 2 { // the second time with used buffers
				err := d.Decode(r)
				if (err != nil) != tt.fails || tt.is != nil && !errors.Is(err, tt.is) {
					t.Fatalf("got error %v, want one: %v %v", err, tt.fails, tt.is)
				}
				if len(r.Events) != tt.events || r.Control != tt.control {
					t.Errorf("got %d events and %d control messages, want %d and %d", len(r.Events), r.Control, tt.events, tt.control)
				}
			}
		})
	}
}

func TestHalvesOfSurrogatePairsAreNotPassedOn(t *testing.T) {
	text := strings.NewReplacer("ID", `\ud83d`, "MESSAGE", `{\"\\ud83d\":\"\\ude00\",\"x\":\"\\ud83d\\ude00\ud83d\"}`, "GROUP", `\ude00`).Replace(
		`{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"GROUP","logStream":"s","logEvents":[{"id":"ID","timestamp":1,"message":"MESSAGE"}]}`)
	r := decode(t, testDocuments(t, nil).NewDecoder(), text)
	doc := only(t, r)
	for name, want := range map[string]string{"@id": "\ufffd", "@log_group": "\ufffd", "\ufffd": "\ufffd", "x": "😀\ufffd", "@message": `{"\ud83d":"\ude00","x":"\ud83d\ude00` + "\ufffd\"}"} {
		if doc[name] != want {
			t.Errorf("%s: got %q, want %q", name, doc[name], want)
		}
	}
	for i, c := range r.Text {
		if c == '\\' && r.Text[i+1] == 'u' && r.Text[i+2] == 'd' && r.Text[i-1] != '\\' {
			t.Errorf("got the escape of a surrogate in %s", r.Text)
		}
	}
}

func TestNamesOfMegabytesDoNotMultiply(t *testing.T) {
	d := testDocuments(t, func(c *Config) { c.MaxInflated = 1 << 20 }).NewDecoder()
	events := make([]testEvent, 1000)
	r := &record.Record{Data: zip(payload(strings.Repeat("g", 1<<19), "s", events...))}
	err := d.Decode(r)
	if !errors.Is(err, record.ErrOversize) {
		t.Errorf("got %v, want ErrOversize", err)
	}
	if got, want := len(r.Text), encodedPerInflated<<20; got > want || len(r.Events) == 0 {
		t.Errorf("got %d events with %d bytes, want some with at most %d", len(r.Events), got, want)
	}
}

func TestEventsOfOtherAccountsAreFiltered(t *testing.T) {
	events := payload("g", "s", testEvent{id: "1"})
	for account, want := range map[string]record.Outcome{"123456789012": record.Pending, "210987654321": record.Filtered} {
		d := testDocuments(t, func(c *Config) { c.Accounts = []string{"000000000000", account} }).NewDecoder()
		r := decode(t, d, events)
		if got := r.Events[0].Outcome; got != want {
			t.Errorf("accounts %s: got %s, want %s", account, got, want)
		}
	}
}

func TestGroupsChooseByFirstMatch(t *testing.T) {
	documents := testDocuments(t, func(c *Config) {
		c.Groups = []Group{
			{Name: "health", Match: "/shop/*/access", Drop: []string{`GET "/health"`, `"kube-probe"`}, IndexPrefix: "cwl-shop"},
			{Name: "shop", Match: "/shop/*"},
		}
	})
	if diff := gocmp.Diff([]string{"other", "health", "shop"}, documents.config.GroupNames()); diff != "" {
		t.Error(diff)
	}
	d := documents.NewDecoder()
	for _, tt := range []struct {
		group, message string
		want           uint16
		index          string
		filter         record.Filter
	}{
		{"/shop/a/b/access", "GET /x", 1, "cwl-shop-2026.11.20", 0},
		{"/shop/a/access", "GET /health", 1, "", record.FilterDrop},
		{"/shop/a/error", "GET /health", 2, "cwl-2026.11.20", 0},
		{"/other", "x", 0, "cwl-2026.11.20", 0},
	} {
		r := decode(t, d, payload(tt.group, "s", testEvent{id: "1", message: tt.message}))
		e := r.Events[0]
		if e.Group != tt.want || e.Index != tt.index || e.Filter != tt.filter {
			t.Errorf("%s: got group %d, index %s, filter %s; want %d, %s, %s", tt.group, e.Group, e.Index, e.Filter, tt.want, tt.index, tt.filter)
		}
	}
}

func TestRoutesDoNotAccumulate(t *testing.T) {
	d := testDocuments(t, nil).NewDecoder()
	for i := range keepGroups + 10 {
		d.routeOf(fmt.Append(nil, "group", i))
	}
	d.routeOf(bytes.Repeat([]byte("g"), maxGroupName+1))
	if got := len(d.routed); got != 10 {
		t.Errorf("got %d groups, want the last 10", got)
	}
}

func TestStreamsChooseTheFormatBeforeTheContent(t *testing.T) {
	d := testDocuments(t, func(c *Config) { c.Groups = []Group{{Name: "own", Match: "own", Format: "text"}} }).NewDecoder()
	for _, tt := range []struct{ group, stream, want string }{
		{"g", "eni-0a1b2c-all", "vpcflow"}, {"g", "123456789012_CloudTrail_eu-west-1", "cloudtrail"}, {"g", "i-0abc", ""}, {"own", "eni-0a1b2c-all", "text"},
	} {
		got := ""
		if r := d.readerOf(d.routeOf([]byte(tt.group)), []byte(tt.stream)); r != nil {
			got = r.Name
		}
		if got != tt.want {
			t.Errorf("%s, %s: got %q, want %q", tt.group, tt.stream, got, tt.want)
		}
	}
}

func TestGlob(t *testing.T) {
	for _, tt := range []struct {
		pattern, name string
		want          bool
	}{
		{"", "", true}, {"", "a", false}, {"a", "a", true}, {"a", "ab", false}, {"*", "", true}, {"*", "/a/b", true},
		{"a*", "a", true}, {"a*", "ba", false}, {"*a", "ba", true}, {"*a", "ab", false}, {"a*b*c", "axbxxbc", true},
		{"a*b*c", "axc", false}, {"*aba", "ababa", true}, {"a*a", "a", false}, {"**", "x", true}, {"*_CloudTrail_*", "1_CloudTrail_eu", true},
		{"*ab*ab", "abab", true}, {"*ab*ab", "xab", false},
	} {
		if got := glob(tt.pattern, tt.name); got != tt.want {
			t.Errorf("glob(%q, %q): got %v, want %v", tt.pattern, tt.name, got, tt.want)
		}
	}
}
