package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	gocmp "github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/shipperd/shipperd/pkg/cloudwatch"
	"github.com/shipperd/shipperd/pkg/document/documenttest"
	"github.com/shipperd/shipperd/pkg/format"
	"github.com/shipperd/shipperd/pkg/jsonraw"
	"github.com/shipperd/shipperd/pkg/record"
)

func flagged(doc map[string]any) bool {
	own, ok := doc["shipperd"].(map[string]any)
	return ok && own["too_complex"] == true
}

// TestThreat2JSONBombsKeepTheirMessage: depth and width bombs are indexed with
// their raw text, flagged, and no key of theirs reaches the index.
func TestThreat2JSONBombsKeepTheirMessage(t *testing.T) {
	nested := func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }
	d := testDocuments(t, nil).NewDecoder()
	for _, tt := range []struct {
		name, message string
		bomb          bool
	}{
		{"as deep as an index takes", nested(maxDepth), false},
		{"one deeper", nested(maxDepth + 1), true},
		{"arrays count", `{"a":` + strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth) + "}", true},
		{"deeper than the scanner goes", nested(10_000), true},
		{"as many keys as allowed", manyKeys(maxKeys), false},
		{"one more", manyKeys(maxKeys + 1), true},
		{"nested keys count", `{"x":` + manyKeys(maxKeys) + `}`, true},
		{"repeated keys count", `{` + strings.Repeat(`"a":1,`, maxKeys) + `"a":1}`, true},
		{"a long name", `{"` + strings.Repeat("k", maxName+1) + `":1}`, true},
		{"a long name inside", `{"x":{"` + strings.Repeat("k", maxName+1) + `":1}}`, true},
		{"a foreign root before it", `{"source":"x","y":` + nested(maxDepth) + `}`, true},
		{"a string holds any JSON", `{"eventVersion":"1.08","requestParameters":` + nested(100) + `,"responseElements":` + manyKeys(2000) + `}`, false},
		{"not JSON at all", nested(maxDepth+1) + "x", false},
	} {
		doc := only(t, decode(t, d, payload("g", "s", testEvent{id: "1", message: tt.message})))
		if flagged(doc) != tt.bomb {
			t.Errorf("%s: got flagged %v, want %v", tt.name, flagged(doc), tt.bomb)
		}
		if doc["@message"] != tt.message {
			t.Errorf("%s: the message is not what it was", tt.name)
		}
		for _, key := range []string{"a", "x", "y", "k1", "source", "fields"} {
			if _, there := doc[key]; there && tt.bomb {
				t.Errorf("%s: got key %s in the document, want none", tt.name, key)
			}
		}
	}
}

func TestExtractedBombsAreLeftOut(t *testing.T) {
	d := testDocuments(t, nil).NewDecoder()
	for _, bomb := range []string{manyKeys(maxKeys + 1), `{"a":` + strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth) + `}`} {
		doc := only(t, decode(t, d, payload("g", "s", testEvent{id: "1", message: "x", extracted: bomb})))
		if _, there := doc["a"]; there || !flagged(doc) || doc["@message"] != "x" {
			t.Errorf("got %v, want the message and the flag", doc)
		}
	}
}

func TestEmbeddedBombsAreLeftOut(t *testing.T) {
	d := testDocuments(t, nil).NewDecoder()
	deep := strings.Repeat(`{"a":`, maxDepth) + "1" + strings.Repeat("}", maxDepth)
	for text, bomb := range map[string]bool{deep: true, deep[5 : len(deep)-1]: false} {
		doc := only(t, decode(t, d, payload("g", "s", testEvent{id: "1", extracted: `{"x":` + quote(text) + `}`})))
		if _, there := doc["$x"]; there == bomb || flagged(doc) != bomb || doc["x"] != text {
			t.Errorf("got $x %v, flagged %v; want them %v, %v", there, flagged(doc), !bomb, bomb)
		}
	}
}

// TestThreat3ForeignKindsNeverReachATypedRoot: whatever a JSON line says, every root
// of the table holds its kind, so that no other document is turned away.
func TestThreat3ForeignKindsNeverReachATypedRoot(t *testing.T) {
	values := map[string]string{
		"text": `"x"`, "number": `1`, "fraction": `1.5`, "huge": `1e300`, "bool": `true`, "object": `{"b":1}`,
		"array": `["x"]`, "objects": `[{"b":1}]`, "mixed": `[{"b":1},1]`, "null": `null`, "address": `"203.0.113.9"`,
	}
	right := map[Kind][]string{
		Text: {"text", "address"}, Number: {"number"}, Bool: {"bool"}, Address: {"address"}, Object: {"object"},
		Objects: {"object", "objects"}, Reserved: nil, Metadata: nil,
	}
	d := testDocuments(t, nil).NewDecoder()
	for _, root := range Roots(Standard) {
		for name, value := range values {
			doc := only(t, decode(t, d, payload("g", "s", testEvent{id: "1", message: `{` + quote(root.Name) + `:` + value + `}`})))
			fields, _ := doc["fields"].(map[string]any)
			got, foreign := fields[root.Name]
			_, isText := got.(string)
			want := root.Kind != JSONText && root.Kind != Metadata && name != "null" && !slices.Contains(right[root.Kind], name)
			if foreign != want || foreign && !isText {
				t.Errorf("%s: %s: got it under fields: %v, want %v (%v)", root.Name, value, foreign, want, got)
			}
			if _, isText := doc[root.Name].(string); root.Kind == JSONText && name != "null" && !isText {
				t.Errorf("%s: %s: got %v, want a string", root.Name, value, doc[root.Name])
			}
		}
	}
}

func TestThreat4MetadataIsThePayloads(t *testing.T) {
	for _, dialect := range []Dialect{Standard, Lambda, SolutionV4} {
		d := testDocuments(t, func(c *Config) { c.Dialect = dialect }).NewDecoder()
		for _, message := range hostile {
			for _, extracted := range []string{"", `{"@id":"x","@timestamp":"y","@message":"z","@owner":"1","@log_group":"g2","@log_stream":"s2","id":"x","timestamp":"y","type":"z"}`} {
				r := decode(t, d, payload("group", "stream", testEvent{id: "3195", message: message, extracted: extracted}))
				if r.Events[0].Filter != record.NotFiltered {
					continue
				}
				doc := only(t, r)
				want := map[string]any{"@id": "3195", "@timestamp": "2026-11-20T10:11:12.123Z"}
				if dialect == SolutionV4 {
					want = map[string]any{"id": "3195", "timestamp": "2026-11-20T10:11:12.123Z", "type": "CloudWatchLogs"}
				}
				want["@message"], want["@owner"], want["@log_group"], want["@log_stream"] = message, "123456789012", "group", "stream"
				for name := range want {
					if doc[name] != want[name] {
						t.Errorf("%s: %.80q: got %s %v, want %v", dialect, message, name, doc[name], want[name])
					}
				}
			}
		}
	}
}

func TestTypedFieldsAreOfTheEventsOwnMembers(t *testing.T) {
	trail := func(address string) string {
		return `{"eventVersion":"1.08","eventSource":"s3.amazonaws.com","eventName":"GetObject","sourceIPAddress":"` + address + `"}`
	}
	d := testDocuments(t, nil).NewDecoder()
	r := decode(t, d, payload("g", "s", testEvent{id: "1", message: trail("192.0.2.1")}, testEvent{id: "2", message: trail("198.51.100.22"), extracted: `{"a":"b"}`}))
	source, _ := strictly(t, r.Doc(&r.Events[1]))["source"].(map[string]any)
	if got := source["ip"]; got != "198.51.100.22" {
		t.Errorf("got source.ip %v for the second event, want its own", got)
	}
}

func TestAccountAndRegionOfTheSubscriptionsFieldsStand(t *testing.T) {
	d := testDocuments(t, nil).NewDecoder()
	doc := only(t, decode(t, d, payload("g", "s", testEvent{id: "1", message: "x", extracted: `{"@aws.account":"210987654321","@aws.region":"eu-west-1"}`})))
	want := map[string]any{"account": map[string]any{"id": "210987654321"}, "region": "eu-west-1"}
	if diff := gocmp.Diff(want, doc["cloud"]); diff != "" {
		t.Errorf("cloud (-want +got):\n%s", diff)
	}
}

func TestGiantBuffersAreLetGo(t *testing.T) {
	d := testDocuments(t, nil).NewDecoder()
	decode(t, d, payload("g", "s", testEvent{id: "1", message: `{"a":{ "b":` + quote(strings.Repeat("x", 2*keepBuffer)) + `},"source":` + quote(strings.Repeat(`y`, 2*keepBuffer)) + `}`}))
	if cap(d.objects.copies) <= keepBuffer || cap(d.foreign) <= keepBuffer {
		t.Fatalf("got buffers of %d and %d bytes, want this test to need more", cap(d.objects.copies), cap(d.foreign))
	}
	decode(t, d, payload("g", "s", testEvent{id: "1", message: "small"}))
	if cap(d.objects.copies) > keepBuffer || cap(d.foreign) > keepBuffer {
		t.Errorf("got buffers of %d and %d bytes after a small record, want at most %d", cap(d.objects.copies), cap(d.foreign), keepBuffer)
	}
}

func TestExplain(t *testing.T) {
	documents := testDocuments(t, func(c *Config) {
		c.Accounts = []string{"123456789012"}
		c.Groups = []Group{
			{Name: "access", Match: "Access*", Format: "apache", Drop: []string{`"never"`, `"/health"`}},
			{Name: "flows", Match: "flows", Format: "vpcflow", FlowFields: []string{"version", "srcaddr"}},
		}
	})
	apache := `203.0.113.9 - - [20/Nov/2026:10:11:12 +0000] "GET /x HTTP/1.1" 404 - "-" "curl/8.5.0"`
	for _, tt := range []struct {
		line Line
		want Explanation
	}{
		{Line{Text: []byte(apache), Owner: "123456789012", Group: "AccessLogGroup"}, Explanation{Group: "access", Index: "cwl-2026.11.20", LeftOut: []string{"bytes"}}},
		{Line{Text: []byte(strings.Replace(apache, "/x", "/health", 1)), Owner: "123456789012", Group: "AccessLogGroup"},
			Explanation{Group: "access", Filter: record.FilterDrop, Rule: `groups[0].drop[1]: "/health"`}},
		{Line{Text: []byte(apache), Owner: "210987654321", Group: "x"}, Explanation{Group: "other", Filter: record.FilterAccount, Rule: "documents.accounts"}},
		{Line{Text: []byte("version srcaddr"), Owner: "123456789012", Group: "flows"}, Explanation{Group: "flows", Filter: record.FilterHeader, Rule: "header line"}},
		{Line{Text: []byte(apache), Owner: "123456789012", Group: "flows", Format: "apache"}, Explanation{Group: "flows", Index: "cwl-2026.11.20", LeftOut: []string{"bytes"}}},
	} {
		tt.line.Time = time.UnixMilli(testTime)
		got, err := documents.Explain(tt.line)
		if err != nil {
			t.Fatal(err)
		}
		if got.Index != "" {
			if doc := strictly(t, got.Document); doc["@message"] != string(tt.line.Text) || doc["status"] == nil {
				t.Errorf("got document %s, want that of the line", got.Document)
			}
		}
		got.Document = nil
		if diff := gocmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.line.Text, diff)
		}
	}
	broken := Line{Text: []byte("{\"a\":\"\xe9\"}"), Owner: "123456789012"}
	if got, err := documents.Explain(broken); err != nil || !utf8.Valid(got.Document) {
		t.Errorf("got %v and %q, want UTF-8, as the index does", err, got.Document)
	}
	if _, err := documents.Explain(Line{Format: "nginx"}); err == nil {
		t.Error("got no error for an unknown format")
	}
}

func TestConfigReportsAllMistakesByKey(t *testing.T) {
	c := Config{
		IndexPrefix: "Cwl", Dialect: "v5", Accounts: []string{"123456789012", "12345", "12345678901x"}, MaxInflated: 1,
		Groups: []Group{
			{Name: "a", Match: "a", IndexPrefix: "logs", Format: "nginx", Columns: "[host", Drop: []string{"ok", "[", ""}},
			{Name: "a", FlowFields: FlowFields{"version"}},
			{Name: "other", Match: "x", Format: "pattern"},
			{Name: "c", Match: "x", Columns: "[a, b, a]"},
			{Name: "d", Match: "x", Columns: "ERROR"},
			{Match: "x", IndexPrefix: "Cwl/x"},
			{Name: "f", Match: "x", Format: "vpcflow", FlowFields: FlowFields{"version", "version"}},
			{Name: "g", Match: "x", Columns: "[a.b, a_b]"}, // dots become underscores
		},
	}
	var list []error
	joined, ok := c.Validate().(interface{ Unwrap() []error })
	if ok {
		list = joined.Unwrap()
	}
	var got []string
	for _, err := range list {
		key, _, _ := strings.Cut(err.Error(), ":")
		got = append(got, key)
	}
	want := []string{
		"documents.index_prefix", "documents.dialect", "documents.accounts[1]", "documents.accounts[2]", "documents.max_inflated",
		"groups[0].index_prefix", "groups[0].columns", "groups[0].drop[1]", "groups[0].drop[2]", "groups[0].format",
		"groups[1].match", "groups[1].flow_fields", "groups[1].name", "groups[2].name", "groups[2].columns",
		"groups[3].columns", "groups[4].columns", "groups[5].name", "groups[5].index_prefix", "groups[6].flow_fields", "groups[7].columns",
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("keys (-want +got):\n%s\n%v", diff, errors.Join(list...))
	}
	if err := DefaultConfig().Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
}

func TestGroupsAreBounded(t *testing.T) {
	c := DefaultConfig()
	for i := range maxGroups + 1 {
		c.Groups = append(c.Groups, Group{Name: fmt.Sprint("g", i), Match: "x"})
	}
	if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), "groups: ") {
		t.Errorf("got %v, want an error for too many groups", err)
	}
}

func TestFlowFieldsReadListsAndPastedText(t *testing.T) {
	want := FlowFields{"version", "account-id", "srcaddr"}
	for _, text := range []string{`[version, account-id, srcaddr]`, `${version} ${account-id} ${srcaddr}`, `"version account-id  srcaddr"`, `["${version} ${account-id} ${srcaddr}"]`, "- ${version}\n- account-id\n- srcaddr"} {
		var got FlowFields
		if err := yaml.Unmarshal([]byte(text), &got); err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

// A format that is handed the members that have been read finds what it would find
// in the text, repeated and escaped names included.
func TestFormatsFindTheSameInMembersAsInText(t *testing.T) {
	d := testDocuments(t, nil).NewDecoder()
	messages := append([]string{
		`{"eventVersion":"1.08","eventSource":"a","eventSource":"b","userAgent":"x","eventName":"n","userIdentity":{"type":"Root","type":"y"}}`,
		` {"eventVersion":"1.08", "\u0065ventSource":"a","eventSource":"\u0062","errorCode":"c"} `,
		`{"eventVersion":"1.08","eventSource":"a"} x`, `x {"eventVersion":"1.08","eventSource":"a"}`,
	}, hostile...)
	var random struct{ LogEvents []struct{ Message string } }
	if err := json.Unmarshal([]byte(documenttest.Payload(formatCloudTrail, 20, 1)), &random); err != nil {
		t.Fatal(err)
	}
	for _, e := range random.LogEvents {
		messages = append(messages, e.Message)
	}
	reader := d.readerNamed(formatCloudTrail)
	for _, message := range messages {
		text := []byte(message)
		d.objects.reset()
		d.readMessage(&cloudwatch.Event{Text: text})
		var found [2]string
		for i, members := range [][]jsonraw.Member{nil, d.whole} {
			d.typed.Reset()
			result := reader.format.Parse(&format.Line{Text: text, Members: members}, d.typed)
			found[i] = fmt.Sprint(result, " ", string(d.typed.AppendTo(nil)))
		}
		if found[1] != found[0] {
			t.Errorf("%.80q: got %s from its members, want %s", message, found[1], found[0])
		}
	}
}

func TestObjectThatAnIndexRefusesIsNotWrittenFlattened(t *testing.T) {
	documents := testDocuments(t, nil)
	documents.options.Flattened = true
	decoder := documents.NewDecoder()
	for parameters, want := range map[string]bool{
		`{"items":[{"a":1},{"a":2}]}`:                               true,
		`{"a":1,"b":{"c":1,"c":2}}`:                                 false,
		`{"a":1,"\u0061":2}`:                                        false,
		strings.Repeat(`{"a":`, 20) + "1" + strings.Repeat("}", 20): true,
		strings.Repeat(`{"a":`, 21) + "1" + strings.Repeat("}", 21): false,
	} {
		message := `{"eventVersion":"1.08","eventSource":"a","requestParameters":` + parameters + `}`
		r := decode(t, decoder, payload("g", "s", testEvent{id: "1", message: message}))
		if got := bytes.Contains(r.Doc(&r.Events[0]), []byte(`"flattened":{"request_parameters":`+parameters)); got != want {
			t.Errorf("%s: got flattened %v, want %v, in %s", parameters, got, want, r.Doc(&r.Events[0]))
		}
	}
}

// However the payload escapes a message, its text is the same.
func TestJSONTextIsThatOfTheMessageHoweverItIsEscaped(t *testing.T) {
	const message = `{"a\\":"\n/é","requestParameters":{"b":"x\\y\"/","c":["é\t",1.50]},"apiVersion":[1],"d":"\""}`
	usual := quote(message)
	decoder := testDocuments(t, nil).NewDecoder()
	for _, escaped := range []string{
		usual, strings.ReplaceAll(usual, "/", `\/`), strings.ReplaceAll(usual, `\"`, `\u0022`), strings.ReplaceAll(usual, "é", `\u00e9`),
		strings.Replace(usual, "a", `\u0061`, 1), strings.Replace(usual, "x", `\u0078`, 1), strings.ReplaceAll(usual, `\\`, `\u005c`),
	} {
		text := strings.Replace(payload("g", "s", testEvent{id: "1", message: "message"}), `"message":"message"`, `"message":`+escaped, 1)
		doc := only(t, decode(t, decoder, text))
		for name, want := range map[string]string{"requestParameters": `{"b":"x\\y\"/","c":["é\t",1.50]}`, "apiVersion": "[1]", "@message": message} {
			if doc[name] != want {
				t.Errorf("%s of %s: got %v, want %s", name, escaped, doc[name], want)
			}
		}
	}
}
