package cloudwatch

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/shipperd/shipperd/pkg/jsonraw"
	"github.com/shipperd/shipperd/pkg/record"
)

func zip(members ...string) []byte {
	var b bytes.Buffer
	for _, m := range members {
		w := gzip.NewWriter(&b)
		_, _ = io.WriteString(w, m)
		_ = w.Close()
	}
	return b.Bytes()
}

func TestInflate(t *testing.T) {
	const limit = 1 << 20
	giant := strings.Repeat("x", limit)
	for _, tt := range []struct {
		name string
		data []byte
		want string
		err  error // any, when it is errAny
	}{
		{name: "one member", data: zip(`{"a":1}`), want: `{"a":1}`},
		{name: "two members", data: zip(`{"a":1}`, `{"b":2}`), want: `{"a":1}{"b":2}`},
		{name: "plain", data: []byte(`{"a":1}`), want: `{"a":1}`},
		{name: "empty", data: nil, want: ""},
		{name: "exactly the cap", data: zip(giant), want: giant},
		{name: "one byte above the cap", data: zip(giant, "y"), err: record.ErrOversize},
		{name: "plain above the cap", data: []byte(giant + "y"), err: record.ErrOversize},
		{name: "truncated", data: zip(giant)[:500], err: io.ErrUnexpectedEOF},
		{name: "trailing garbage", data: append(zip(`{"a":1}`), "garbage that is no member"...), err: errAny},
		{name: "bad checksum", data: corrupt(zip(`{"a":1}`), 8), err: errAny},
		{name: "trailer claims 4 GiB", data: claim(zip(`{"a":1}`), 1<<32-1), err: errAny},
		{name: "above the cap once repaired", data: zip(strings.Repeat("\xff", limit/2)), err: record.ErrOversize},
		{name: "bytes that are no UTF-8", data: zip("a\xffb\xe2\x82"), want: "a\ufffdb\ufffd\ufffd"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := NewInflater(limit)
			got, err := f.Inflate(tt.data)
			if errors.Is(tt.err, errAny) && err != nil && !errors.Is(err, record.ErrOversize) {
				return
			}
			if !errors.Is(err, tt.err) {
				t.Fatalf("got error %v, want %v", err, tt.err)
			}
			if string(got) != tt.want {
				t.Fatalf("got %.60q, want %.60q", got, tt.want)
			}
		})
	}
}

var errAny = errors.New("any error but ErrOversize")

func corrupt(b []byte, fromEnd int) []byte {
	b[len(b)-fromEnd] ^= 1
	return b
}

func claim(b []byte, size uint32) []byte {
	binary.LittleEndian.PutUint32(b[len(b)-4:], size)
	return b
}

func TestInflaterBelievesNoTrailer(t *testing.T) {
	f := NewInflater(64 << 20)
	if _, err := f.Inflate(claim(zip(`{"a":1}`), 1<<31)); err == nil {
		t.Error("got no error, want one for a wrong size")
	}
	if got, want := cap(f.buf), 8<<10; got > want {
		t.Errorf("got a buffer of %d bytes for a record of 30, want at most %d", got, want)
	}
}

// Scenario: Kinesis T21.
func TestThreat1BombsAreCountedBeforeTheyAreHeld(t *testing.T) {
	const limit = 8 << 20
	zeros := strings.Repeat("\x00", 4*limit)
	f := NewInflater(limit)
	for name, bomb := range map[string][]byte{
		"its size told": zip(zeros), "its size denied": claim(zip(zeros), 0), "in members": zip(zeros, "small"),
	} {
		f.buf = nil
		if _, err := f.Inflate(bomb); !errors.Is(err, record.ErrOversize) {
			t.Errorf("%s: got %v, want ErrOversize", name, err)
		}
		if got, want := cap(f.buf), 32*len(bomb)+8<<10; got > want {
			t.Errorf("%s: got a buffer of %d bytes, want at most %d", name, got, want)
		}
	}
}

func TestInflaterLetsGiantsGo(t *testing.T) {
	f := NewInflater(64 << 20)
	giant := strings.Repeat("\x00", 4*keepBuffer)
	if got, err := f.Inflate(zip(giant, giant)); err != nil || string(got) != giant+giant {
		t.Errorf("got %d bytes, %v, want %d", len(got), err, 2*len(giant))
	}
	if _, err := f.Inflate(zip("small")); err != nil {
		t.Error(err)
	}
	if got := cap(f.buf); got > keepBuffer {
		t.Errorf("got a buffer of %d bytes after a small record, want at most %d", got, keepBuffer)
	}
}

func TestPayloadLetsManyEventsGo(t *testing.T) {
	var p Payload
	for _, events := range []int{keepEvents + 1, 1} {
		text := `{"messageType":"DATA_MESSAGE","logEvents":[{"id":"1","timestamp":1,"message":"x"}` + strings.Repeat(`,{"id":"1","timestamp":1,"message":"x"}`, events-1) + "]}"
		if _, err := p.Next([]byte(text)); err != nil || len(p.Events) != events {
			t.Fatalf("got %d events, %v, want %d", len(p.Events), err, events)
		}
	}
	if got := cap(p.Events); got > keepEvents {
		t.Errorf("got room for %d events after a giant payload, want at most %d", got, keepEvents)
	}
}

func TestInflaterIsReusableAfterAnError(t *testing.T) {
	f := NewInflater(1 << 20)
	for _, bad := range [][]byte{zip("abc")[:10], {0x1f, 0x8b}, corrupt(zip("abc"), 8)} {
		if _, err := f.Inflate(bad); err == nil {
			t.Errorf("%x: got no error", bad)
		}
		if got, err := f.Inflate(zip("good")); err != nil || string(got) != "good" {
			t.Errorf("after %x: got %q, %v; want good", bad, got, err)
		}
	}
}

// event and payload are what a plain reader makes of a payload.
type event struct {
	ID, Message, Extracted string
	Time                   int64
}

type payload struct {
	Control              bool
	Owner, Group, Stream string
	Events               []event
}

func read(p *Payload) payload {
	text := func(t Text) string { return string(t.Append(nil)) }
	got := payload{Control: p.Control, Owner: text(p.Owner), Group: text(p.Group), Stream: text(p.Stream)}
	for _, e := range p.Events {
		if string(e.Text) != text(e.Message) {
			got.Events = append(got.Events, event{Message: "two texts: " + string(e.Text) + ", " + text(e.Message)})
		}
		got.Events = append(got.Events, event{text(e.ID), text(e.Message), string(e.Extracted), e.Time})
	}
	return got
}

// Scenario: Kinesis T21.
func TestPayload(t *testing.T) {
	data := func(events string) string {
		return `{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"g","logStream":"s","subscriptionFilters":["f"],"logEvents":[` + events + `]}`
	}
	want := func(events ...event) payload { return payload{Owner: "1", Group: "g", Stream: "s", Events: events} }
	for _, tt := range []struct {
		name, text, rest string
		want             payload
		err              error
	}{
		{name: "usual", text: data(`{"id":"3195","timestamp":1432826855000,"message":"a\"b","extractedFields":{"ip":"1"}}`),
			want: want(event{"3195", `a"b`, `{"ip":"1"}`, 1432826855000})},
		{name: "quoted timestamp, number as id", text: data(`{"id":31953106606966983378809025079804211143289615424298221568,"timestamp":"1432826855000","message":""}`),
			want: want(event{"31953106606966983378809025079804211143289615424298221568", "", "", 1432826855000})},
		{name: "some events with extracted fields", text: data(`{"id":"1","timestamp":1,"message":"x","extractedFields":null},{"id":"2","timestamp":2,"message":"y","extractedFields":{}}`),
			want: want(event{"1", "x", "", 1}, event{"2", "y", "{}", 2})},
		{name: "keys in another order, unknown ones, white space",
			text: " { \"logEvents\" : [ { \"message\" : \"m\" , \"new\" : [ { } ] , \"timestamp\" : -5 } ] , \"policyLevel\" : { \"a\" : 1 } ,\n\"logStream\":\"s\",\"logGroup\":\"g\",\"owner\":\"1\",\"messageType\":\"DATA_MESSAGE\"}\n",
			want: want(event{Message: "m", Time: -5})},
		{name: "no events", text: data(""), want: want()},
		{name: "another type is data", text: strings.Replace(data(""), "DATA_", "NEW_", 1), want: want()},
		{name: "two objects", text: data("") + "\n" + data(""), rest: data(""), want: want()},
		{name: "repeated and escaped keys", text: `{"logEvents":[{"id":"1","timestamp":1,"message":"x"}],"messageType":"DATA_MESSAGE","owner":"2","\u006fwner":"1","logGroup":"g","logStream":"s","logEvents":[{"message":"a","timestamp":1,"message":"b","timestamp":2,"id":null}]}`,
			want: want(event{Message: "b", Time: 2})},
		{name: "control", text: `{"messageType":"CONTROL_MESSAGE","owner":"CloudwatchLogs","logGroup":"","logStream":"","subscriptionFilters":[],"logEvents":[{"id":"","timestamp":1510943004000,"message":"CWL CONTROL MESSAGE: Checking health of destination Kinesis stream."}]}`,
			want: payload{Control: true, Owner: "CloudwatchLogs", Events: []event{{"", "CWL CONTROL MESSAGE: Checking health of destination Kinesis stream.", "", 1510943004000}}}},

		{name: "no messageType", text: `{"owner":"1","logEvents":[]}`, err: errMessageType},
		{name: "no logEvents", text: `{"messageType":"DATA_MESSAGE"}`, err: errShape},
		{name: "empty object", text: `{}`, err: errMessageType},
		{name: "plain text", text: `hello`, err: errSyntax},
		{name: "array", text: `[{}]`, err: errSyntax},
		{name: "events no array", text: `{"messageType":"DATA_MESSAGE","logEvents":{}}`, err: errSyntax},
		{name: "event no object", text: data(`"x"`), err: errSyntax},
		{name: "message no string", text: data(`{"timestamp":1,"message":{"a":1}}`), err: errShape},
		{name: "no message", text: data(`{"timestamp":1}`), err: errShape},
		{name: "no timestamp", text: data(`{"message":"x"}`), err: errShape},
		{name: "timestamp a word", text: data(`{"timestamp":"now","message":"x"}`), err: errShape},
		{name: "timestamp a fraction", text: data(`{"timestamp":1.5,"message":"x"}`), err: errShape},
		{name: "timestamp beyond all dates", text: data(`{"timestamp":8640000000000001,"message":"x"}`), err: errShape},
		{name: "id an object", text: data(`{"id":{},"timestamp":1,"message":"x"}`), err: errShape},
		{name: "extracted fields an array", text: data(`{"timestamp":1,"message":"x","extractedFields":[]}`), err: errShape},
		{name: "owner a number", text: `{"messageType":"DATA_MESSAGE","owner":1,"logEvents":[]}`, err: errShape},
		{name: "cut short", text: data(`{"timestamp":1,"message":"x`), err: errSyntax},
		{name: "unknown key nested too deep", text: strings.Replace(data(""), `["f"]`, strings.Repeat("[", 1000)+strings.Repeat("]", 1000), 1), err: errSyntax},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var p Payload
			rest, err := p.Next([]byte(tt.text))
			if !errors.Is(err, tt.err) {
				t.Fatalf("got error %v, want %v", err, tt.err)
			}
			if err != nil {
				return
			}
			if diff := cmp.Diff(tt.want, read(&p)); diff != "" {
				t.Errorf("payload (-want +got):\n%s", diff)
			}
			if string(rest) != tt.rest {
				t.Errorf("got rest %q, want %q", rest, tt.rest)
			}
		})
	}
}

// plainPayload reads a payload as encoding/json does.
func plainPayload(text []byte) (payload, error) {
	var top map[string]json.RawMessage
	if err := json.Unmarshal(text, &top); err != nil {
		return payload{}, err
	}
	str := func(raw json.RawMessage, known bool) string {
		var s *string
		if known {
			if json.Unmarshal(raw, &s) != nil || s == nil {
				panic(errShape)
			}
			return *s
		}
		return ""
	}
	get := func(m map[string]json.RawMessage, key string) string { raw, ok := m[key]; return str(raw, ok) }
	if top["messageType"] == nil {
		return payload{}, errMessageType
	}
	p := payload{Control: get(top, "messageType") == "CONTROL_MESSAGE", Owner: get(top, "owner"), Group: get(top, "logGroup"), Stream: get(top, "logStream")}
	var events []json.RawMessage
	if err := json.Unmarshal(top["logEvents"], &events); err != nil || events == nil {
		return payload{}, errShape
	}
	for _, raw := range events {
		var m map[string]json.RawMessage
		if err := json.Unmarshal(raw, &m); err != nil || m == nil {
			return payload{}, errShape
		}
		e := event{Message: get(m, "message")}
		if id := m["id"]; len(id) > 0 && id[0] == '"' {
			e.ID = get(m, "id")
		} else if len(id) > 0 && (id[0] == '-' || id[0]-'0' <= 9) {
			e.ID = string(id)
		}
		if x := m["extractedFields"]; len(x) > 0 && x[0] == '{' {
			e.Extracted = string(x)
		}
		if _, err := fmt.Sscan(strings.Trim(string(m["timestamp"]), `"`), &e.Time); err != nil {
			return payload{}, errShape
		}
		p.Events = append(p.Events, e)
	}
	return p, nil
}

func FuzzPayload(f *testing.F) {
	f.Add([]byte(`{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"g","logStream":"s","logEvents":[{"id":"3","timestamp":1,"message":"\u00e9\ud83d\ude00\"","extractedFields":{"a":"b"}},{"id":5,"timestamp":"2","message":""}]} x`))
	// Nearly the usual event.
	for _, event := range []string{
		`"id":"3","timestamp":01,"message":"m"`, `"id":"3","timestamp":1.5,"message":"m"`, `"id":"3","timestamp":,"message":"m"`, `"id":"3","timestamp":0,"message":"m"`,
		`"id":"3","timestamp":8640000000000000,"message":"m"`, `"id":"3","timestamp":8640000000000001,"message":"m"`, `"id":"\u0033","timestamp":1,"message":"m","message":"n","id":"4"`,
		`"id":"3","timestamp":1,"message":5`, `"id":"3","timestamp":1,"message":"m"x`, `"id":"3","timestamp":1,"message":"\x"`, `"id":"3`, `"id":"3","timestamp":1`,
	} {
		f.Add([]byte(`{"messageType":"DATA_MESSAGE","logEvents":[{` + event + `}]}`))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var p Payload
		rest, err := p.Next(text)
		if err != nil || !utf8.Valid(text) {
			return
		}
		want, err := plainPayload(text[:len(text)-len(rest)])
		if err != nil {
			t.Fatalf("%q: got a payload, want %v", text, err)
		}
		if diff := cmp.Diff(want, read(&p)); diff != "" {
			t.Fatalf("%q (-want +got):\n%s", text, diff)
		}
	})
}

func FuzzInflate(f *testing.F) {
	f.Add(zip("one", "two"))
	f.Add([]byte("plain"))
	f.Fuzz(func(t *testing.T, data []byte) {
		const limit = 1 << 16
		text, err := NewInflater(limit).Inflate(data)
		if err == nil && (len(text) > limit || !utf8.Valid(text)) {
			t.Fatalf("got %d bytes, valid UTF-8 %v", len(text), utf8.Valid(text))
		}
	})
}

func benchmarkPayload() []byte {
	var b bytes.Buffer
	b.WriteString(`{"messageType":"DATA_MESSAGE","owner":"123456789012","logGroup":"AccessLogGroup","logStream":"i-0abc","subscriptionFilters":["f"],"logEvents":[`)
	for i := range 500 {
		if i > 0 {
			b.WriteByte(',')
		}
		line := fmt.Sprintf(`203.0.113.%d - - [20/Nov/2026:10:11:%02d +0000] "GET /shop/item/%d HTTP/1.1" %d %d "https://shop.example/" "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"`, i%250, i%60, i*7919%1000, 200+i%3*100, i*31337%9999)
		fmt.Fprintf(&b, `{"id":"3195310660696698337880902507980421114328961542429%07d","timestamp":%d,"message":%s}`, i, 1795169471000+i, jsonraw.AppendString(nil, []byte(line)))
	}
	b.WriteString(`]}`)
	return b.Bytes()
}

func BenchmarkInflate(b *testing.B) {
	text := benchmarkPayload()
	data := zip(string(text))
	f := NewInflater(64 << 20)
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := f.Inflate(data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPayload(b *testing.B) {
	text := benchmarkPayload()
	var p Payload
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := p.Next(text); err != nil {
			b.Fatal(err)
		}
	}
}
