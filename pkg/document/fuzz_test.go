package document

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/shipperd/shipperd/pkg/format"
	"github.com/shipperd/shipperd/pkg/jsonraw"
)

// messages that once went wrong somewhere, or were made to.
var hostile = []string{
	``, `plain text`, `{}`, `{"a":1}`, `INFO {"a":1}`, `{"a":1} trailing`, `{"a":1}{"b":2}`, `[{"a":1}]`, `"{"`,
	`{"@id":"x","@timestamp":"y","@message":1,"@owner":{},"@log_group":[],"@log_stream":null}`,
	`{"\u0040id":"x","\u0040timestamp":"y","@\u0074imestamp":"z"}`,
	`{"a":1,"a":2,"\u0061":3}`, `{"a":{"b":1,"b":2,"\u0062":{"c":1,"c":[{"d":1,"d":2}]}}}`,
	`{"source":"x","user":"y","event":"z","http":1}`, `{"userIdentity":"x","eventName":{"a":1},"status":{"b":1}}`,
	`{"source.ip":"x","source":{"ip":"y"},"ecs.version":1,"":2," ":3,".":4,"..":5,"a.":6,".a":7,"a..b":8,"_id":9,"_":10}`,
	`{"_a.b":1,"_\u0061":2,"_a":3,"_a_b.c":{"d.e":1}}`, `{"@aws.account":"1"}`,
	`{"x":{"source.ip":"y","":{"":1},"a.b":2}}`,
	`{"fields":{"a":1},"fields.source":"x","fields_source":"y"}`,
	`{"__proto__":{"x":1},"constructor":1,"_id":"x","_index":"y"}`,
	`{"n":12345678901234567890,"m":1e400,"o":-1e400,"p":1.50,"q":-0,"r":1E-7,"s":[1.0,1e21],"status":1e30,"bytes":1.5,"day":"5","version":9223372036854775808}`,
	`{"a":"\ud83d","\ud83d":1,"b":"\ud83d\ude00","c":"\u2028"}`,
	"{\"a\":\n1,\r\n\"b\":\t[ ]\n}\n", `{"requestParameters":{"a":{"b":[1, 2]}},"responseElements":null,"serviceEventDetails":"x","apiVersion":5}`,
	`{"resources":[{"a":1}],"readOnly":"true","managementEvent":true,"tlsDetails":[],"srcIp":"1.2.3.4"}`,
	`{"resources":["x"],"srcIp":"1.2.3","readOnly":false,"sourceIPAddress":1}`, `{"resources":[{},1]}`,
	`{"id":"x","timestamp":1,"type":"y","account_id":"007"}`,
	strings.Repeat(`{"a":`, 19) + "{}" + strings.Repeat("}", 19), strings.Repeat(`{"a":`, 20) + "[]" + strings.Repeat("}", 20),
	strings.Repeat(`{"a":`, 100) + "1" + strings.Repeat("}", 100), strings.Repeat(`{"a":`, 1000) + "1" + strings.Repeat("}", 1000),
	`{"` + strings.Repeat("k", maxName) + `":1}`, `{"` + strings.Repeat("k", maxName+1) + `":1}`,
	manyKeys(maxKeys), manyKeys(maxKeys + 1), `{"x":` + manyKeys(maxKeys) + `}`,
	`2 123456789010 eni-1235b8ca123456789 172.31.16.139 172.31.16.21 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK`,
	`203.0.113.9 - - [20/Nov/2026:10:11:12 +0000] "GET /{\"a\":1} HTTP/1.1" 200 - "-" "{\"source\":1}"`,
	`Nov 20 10:11:12 ip-10-0-0-5 sshd[123]: Connection closed by 203.0.113.9 port 51123 [preauth]`,
	`Nov 20 10:11:12 ip-10-0-0-5 sshd[123]: Failed password for root from 203.0.113.9 port 51123 ssh2`,
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"k%d":%d`, i, i)
	}
	return "{" + b.String()[1:] + "}"
}

var hostileExtracted = []string{
	``, `{}`, `{"ip":"127.0.0.1","status_code":"200"}`, `{"$ip":"127.0.0.1","$event":"x {\"a\":1}","ip":"2"}`,
	`{"@aws.account":"210987654321","@aws.region":"eu-west-1"}`, `{"@aws.account":"1","a":"0x1F"}`,
	`{"source":"x","user":"{\"a\":1}","status":"abc","bytes":"-","destPort":"22","srcIp":"nobody","day":"007","host":"10","_id":"x"}`,
	`{"x":"{\"a\":1}","$x":"y"}`, `{"a":1,"b":true,"c":null,"d":{"e":1.50},"f":[1],"g":""}`, `{"userIdentity":"x","readOnly":"true","requestParameters":"{}"}`,
	`{"a":" 12 ","b":"\u00a05","c":"1e400","d":"5.","e":".5","f":"0b102","g":"0x","h":"0b` + strings.Repeat("1", 1025) + `","i":"0o17","j":"\ufeff1"}`,
	`{"a":{"$b":{"$c":1}},"$d":[{"$e":"1"}]}`, `{"a":` + strings.Repeat(`{"a":`, 25) + "1" + strings.Repeat("}", 25) + `}`, manyKeys(maxKeys + 1),
	`{"a.b":"1","":"2","$":"3","$$c":"4"}`, `{"x":"` + strings.Repeat(`{\"a\":`, 25) + "1" + strings.Repeat("}", 25) + `"}`,
}

// checkDocument holds the fast path's document of one event against the
// reference, and what must be true of any document.
func checkDocument(t *testing.T, documents *Documents, decoder *Decoder, message, extracted string) {
	t.Helper()
	var fields map[string]any
	if extracted != "" {
		if !json.Valid([]byte(extracted)) || extracted[0] != '{' || deepest(extracted) > jsonraw.MaxDepth-4 {
			return
		}
		fields = decoded(extracted).(map[string]any)
	}
	text := payload("group\"é", "stream", testEvent{id: `id"\`, message: message, extracted: extracted})
	r := decode(t, decoder, text)
	if r.Events[0].Filter != 0 {
		return // a header line
	}
	doc := only(t, r)
	for name, want := range map[string]string{"@message": message, "@owner": "123456789012", "@log_group": "group\"é", "@log_stream": "stream"} {
		if doc[name] != want {
			t.Fatalf("%s: got %q, want %q", name, doc[name], want)
		}
	}
	if got, want := r.Events[0].Index, "cwl-2026.11.20"; got != want {
		t.Fatalf("got index %s, want %s", got, want)
	}
	if decoder.objects.tooComplex {
		return // the limits have tests of their own
	}
	removeTyped(doc)
	ref := reference{dialect: documents.config.Dialect, table: roots(documents.config.Dialect)}
	reader := decoder.sniff(&format.Line{Text: []byte(message)})
	var names, values []string
	if reader.columns != nil {
		split, ok := reader.columns.pattern.Split([]byte(message), nil)
		for i, value := range split {
			if ok {
				names, values = append(names, string(reader.columns.members[i].name)), append(values, string(value))
			}
		}
	}
	want := ref.document(message, testTime, origin{`id"\`, "123456789012", "group\"é", "stream"}, fields, names, values, reader.JSON)
	if ref.ambiguous {
		return
	}
	if diff := gocmp.Diff(want, doc); diff != "" {
		t.Fatalf("%s, message %q, extracted %s (-want +got):\n%s", ref.dialect, message, extracted, diff)
	}
}

// removeTyped removes the typed fields, if they are ours: in the dialect lambda
// a message's own keys may have such names.
func removeTyped(doc map[string]any) {
	if _, ours := doc["ecs"].(map[string]any); ours {
		for _, root := range format.Roots() {
			delete(doc, root.String())
		}
	}
}

func deepest(text string) (deep int) {
	depth, inString := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && inString:
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '[' || c == '{':
			depth++
			deep = max(deep, depth)
		case c == ']' || c == '}':
			depth--
		}
	}
	return deep
}

func TestDocumentsAreThoseOfTheReference(t *testing.T) {
	for _, dialect := range []Dialect{Standard, Lambda, SolutionV4} {
		documents := testDocuments(t, func(c *Config) { c.Dialect = dialect })
		decoder := documents.NewDecoder()
		for _, message := range hostile {
			for _, extracted := range hostileExtracted {
				checkDocument(t, documents, decoder, message, extracted)
			}
		}
	}
}

func FuzzDocument(f *testing.F) {
	for i, message := range hostile {
		f.Add(message, hostileExtracted[i%len(hostileExtracted)], i%2 == 0)
	}
	var documents []*Documents
	var decoders []*Decoder
	for _, dialect := range []Dialect{Standard, Lambda} {
		d := testDocuments(f, func(c *Config) { c.Dialect = dialect })
		documents, decoders = append(documents, d), append(decoders, d.NewDecoder())
	}
	f.Fuzz(func(t *testing.T, message, extracted string, lambda bool) {
		if !utf8.ValidString(message) || !utf8.ValidString(extracted) {
			return
		}
		i := 0
		if lambda {
			i = 1
		}
		checkDocument(t, documents[i], decoders[i], message, extracted)
	})
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(payload("g", "s", testEvent{id: "1", message: `{"a":1}`, extracted: `{"b":"2"}`})))
	decoder := testDocuments(f, nil).NewDecoder()
	f.Fuzz(func(t *testing.T, data []byte) {
		r := decodeAny(decoder, data)
		for i := range r.Events {
			if e := &r.Events[i]; e.Filter == 0 {
				doc := strictly(t, r.Doc(e))
				if !utf8.Valid(r.Doc(e)) {
					t.Fatalf("the document is no UTF-8: %q", r.Doc(e))
				}
				if id := r.ID(e); len(id) == 0 || !json.Valid([]byte(`"`+string(id)+`"`)) {
					t.Fatalf("got id %q, want the inside of a JSON string", id)
				}
				if _, ok := doc["@message"].(string); !ok {
					t.Fatalf("got @message %v, want a string", doc["@message"])
				}
			}
		}
	})
}
