package template

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.yaml.in/yaml/v3"
	"golang.org/x/tools/txtar"

	"github.com/shipperd/shipperd/deploy/kibana"
	"github.com/shipperd/shipperd/pkg/demo"
	"github.com/shipperd/shipperd/pkg/document"
	"github.com/shipperd/shipperd/pkg/enrich"
	"github.com/shipperd/shipperd/pkg/format"
	"github.com/shipperd/shipperd/pkg/record"
)

// coverage holds documents against the mapping of a configuration.
type coverage struct {
	t          *testing.T
	roots      map[string]document.Kind
	properties object
	complained map[string]bool
	fields     map[string]bool // that were seen
}

func newCoverage(t *testing.T, config document.Config) *coverage {
	c := &coverage{t: t, roots: map[string]document.Kind{}, complained: map[string]bool{}, fields: map[string]bool{}}
	c.properties = mappingOf(config, flatObject)["properties"].(object)
	for _, root := range document.Roots(config.Dialect) {
		c.roots[root.Name] = root.Kind
	}
	return c
}

// document checks every field of a document that the decoder has written.
func (c *coverage) document(text []byte) {
	c.t.Helper()
	var members map[string]any
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&members); err != nil {
		c.t.Fatalf("%v in %s", err, text)
	}
	for name, value := range members {
		kind, known := c.roots[name]
		if !known {
			continue // a message's own: it stays in the document, unmapped
		}
		mayHaveMore := kind == document.Object || kind == document.Objects || name == foreignRoot
		c.value(name, value, c.properties[name], mayHaveMore)
	}
}

func (c *coverage) value(path string, value, mapping any, mayHaveMore bool) {
	c.t.Helper()
	if list, ok := value.([]any); ok {
		for _, element := range list {
			c.value(path, element, mapping, mayHaveMore)
		}
		return
	}
	field, mapped := mapping.(object)
	if !mapped {
		if !mayHaveMore {
			c.complain(path, "is not mapped")
		}
		return
	}
	members, isObject := value.(map[string]any)
	if properties, ok := field["properties"].(object); ok {
		if !isObject {
			c.complain(path, fmt.Sprintf("is an object, got %v", value))
		}
		for name, inner := range members {
			c.value(path+"."+name, inner, properties[name], mayHaveMore)
		}
		return
	}
	c.fields[path] = true
	if value != nil && !fitsType(field["type"].(string), value) {
		c.complain(path, fmt.Sprintf("is a %v, got %v", field["type"], value))
	}
}

func (c *coverage) complain(path, what string) {
	c.t.Helper()
	if !c.complained[path] {
		c.complained[path] = true
		c.t.Errorf("%s %s", path, what)
	}
}

func fitsType(kind string, value any) bool {
	switch v := value.(type) {
	case string:
		switch kind {
		case "ip":
			_, err := netip.ParseAddr(v)
			return err == nil
		case "date":
			_, err := time.Parse(time.RFC3339, v)
			return err == nil
		}
		return kind == "keyword" || kind == "text"
	case json.Number:
		_, err := v.Int64()
		return kind == "long" && err == nil
	case bool:
		return kind == "boolean"
	case map[string]any:
		_, hasLat := v["lat"].(json.Number)
		return kind == flatObject || kind == "geo_point" && hasLat
	}
	return false
}

// TestEveryGoldenFieldIsMapped holds the documents that the decoder's own tests
// expect against the mapping.
func TestEveryGoldenFieldIsMapped(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "document", "testdata", "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("got no golden files: %v", err)
	}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		input := struct {
			Documents document.Config
			Groups    []document.Group
		}{Documents: document.DefaultConfig()}
		for _, section := range archive.Files {
			switch section.Name {
			case "config.yaml":
				if err := yaml.Unmarshal(section.Data, &input); err != nil {
					t.Fatal(err)
				}
				input.Documents.Groups = input.Groups
			case "documents.json":
				c := newCoverage(t, input.Documents)
				for document := range strings.SplitSeq(regexp.MustCompile(`(?m)^#.*$`).ReplaceAllString(string(section.Data), "\x00"), "\x00") {
					if strings.TrimSpace(document) != "" {
						c.document([]byte(document))
					}
				}
			}
		}
	}
}

// TestEveryTypedFieldIsMapped does so for the formats' goldens, flow logs with all
// fields that there are among them.
func TestEveryTypedFieldIsMapped(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "format", "testdata", "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("got no golden files: %v", err)
	}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		config := document.DefaultConfig()
		for _, section := range archive.Files {
			if strings.HasSuffix(section.Name, ".fields") {
				config.Groups = append(config.Groups, document.Group{FlowFields: []string{string(section.Data)}})
			}
		}
		c := newCoverage(t, config)
		for _, section := range archive.Files {
			for line := range strings.SplitSeq(string(section.Data), "\n") {
				root, value, ok := strings.Cut(line, " ")
				if ok && strings.HasSuffix(section.Name, ".want") {
					c.document(fmt.Appendf(nil, "{%q:%s}", root, value))
				}
			}
		}
	}
}

// decoded calls each with every document of a record.
func decoded(t *testing.T, d *document.Decoder, data []byte, each func(document []byte)) {
	t.Helper()
	r := &record.Record{Data: data}
	if err := d.Decode(r); err != nil {
		t.Fatal(err)
	}
	for i := range r.Events {
		if r.Events[i].Outcome == record.Pending {
			each(r.Doc(&r.Events[i]))
		}
	}
}

func TestEveryFieldOfTheDemoIsMapped(t *testing.T) {
	t.Parallel()
	config := document.DefaultConfig()
	documents, err := document.New(config, document.Options{Flattened: true})
	if err != nil {
		t.Fatal(err)
	}
	c, decoder := newCoverage(t, config), documents.NewDecoder()
	err = demo.Load(t.Context(), func(_ context.Context, _ string, data []byte) error {
		decoded(t, decoder, data, c.document)
		return nil
	}, demo.Options{Events: 5000, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.fields) < 100 {
		t.Errorf("got %d fields, want more than 100", len(c.fields))
	}
}

// corpora returns the folder of public test data that is not part of the project.
func corpora(t *testing.T) string {
	t.Helper()
	dir := cmp.Or(os.Getenv("SHIPPERD_CORPORA"), filepath.Join("..", "..", "..", "shared", "corpora"))
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no corpora, set SHIPPERD_CORPORA: %v", err)
	}
	return dir
}

func TestEveryFieldOfTheCorporaIsMapped(t *testing.T) {
	t.Parallel()
	dir := corpora(t)
	databases := enrich.Config{City: filepath.Join(dir, "maxmind-db-test", "GeoLite2-City-Test.mmdb"), ASN: filepath.Join(dir, "maxmind-db-test", "GeoLite2-ASN-Test.mmdb")}
	enricher, err := enrich.New(databases, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	config := document.DefaultConfig()
	documents, err := document.New(config, document.Options{Enrich: enricher, Flattened: true})
	if err != nil {
		t.Fatal(err)
	}
	c, decoder := newCoverage(t, config), documents.NewDecoder()
	messages := []string{`89.160.20.156 - - [20/Nov/2026:10:11:12 +0000] "GET / HTTP/1.1" 200 1 "-" "-"`}
	for _, pattern := range []string{"elastic-examples/apache_logs", "fail2ban/*.log", "centralized-logging-with-opensearch/*.log", "invictus-ir-aws_dataset/CloudTrail/*.json"} {
		files, err := filepath.Glob(filepath.Join(dir, filepath.FromSlash(pattern)))
		if err != nil || len(files) == 0 {
			t.Fatalf("got no %s: %v", pattern, err)
		}
		for _, file := range files {
			messages = append(messages, corpusMessages(t, file)...)
		}
	}
	for _, message := range messages {
		text, err := json.Marshal(message)
		if err != nil {
			t.Fatal(err)
		}
		decoded(t, decoder, fmt.Appendf(nil, `{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"g","logStream":"s","logEvents":[{"id":"1","timestamp":1763632800000,"message":%s}]}`, text), c.document)
	}
	for _, path := range []string{"source.geo.location", "source.as.organization.name", "userIdentity.sessionContext.attributes.creationDate", "aws.cloudtrail.flattened.request_parameters"} {
		if !c.fields[path] {
			t.Errorf("%s did not occur", path)
		}
	}
}

// corpusMessages returns the lines of a log or the records of a trail's file.
func corpusMessages(t *testing.T, file string) (messages []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(file, ".json") {
		return strings.Split(string(text), "\n")
	}
	var trail struct{ Records []json.RawMessage }
	if err := json.Unmarshal(text, &trail); err != nil {
		t.Fatal(err)
	}
	for _, r := range trail.Records {
		messages = append(messages, string(r))
	}
	return messages
}

// TestEveryFieldOfTheDashboardsIsMapped finds the fields in the saved objects as
// their authors wrote them; what is imported with a field that does not exist draws nothing.
func TestEveryFieldOfTheDashboardsIsMapped(t *testing.T) {
	used := map[string]bool{}
	name := regexp.MustCompile(`\\*"(?:field|terms_field|time_field|key|timeFieldName)\\*":\\*"([^"\\]+)`)
	for _, match := range name.FindAllStringSubmatch(string(kibana.Objects()), -1) {
		used[match[1]] = true
	}
	query := regexp.MustCompile(`\\*"query\\*":\\*"([\w@.]+) ?(?::|>=)`)
	for _, match := range query.FindAllStringSubmatch(string(kibana.Objects()), -1) {
		used[match[1]] = true
	}
	properties := mappingOf(document.DefaultConfig(), "")["properties"].(object)
	for field := range used {
		path, isKeyword := strings.CutSuffix(field, ".keyword")
		mapping := mappingAt(properties, path)
		switch sub, _ := mapping["fields"].(object); {
		case mapping == nil:
			t.Errorf("%s is used by a dashboard and not mapped", field)
		case isKeyword && sub["keyword"] == nil:
			t.Errorf("%s is used by a dashboard and %s has no such sub-field", field, path)
		}
	}
	if len(used) < 30 {
		t.Errorf("got %d fields, want more than 30: %v", len(used), used)
	}
}

func mappingAt(properties object, path string) object {
	name, rest, deeper := strings.Cut(path, ".")
	mapping, _ := properties[name].(object)
	if !deeper || mapping == nil {
		return mapping
	}
	inner, _ := mapping["properties"].(object)
	return mappingAt(inner, rest)
}

// The index pattern of the lab, by the types that its dashboard needs.
func TestFieldsOfTheLabsIndexPatternHaveItsTypes(t *testing.T) {
	properties := mappingOf(document.DefaultConfig(), "")["properties"].(object)
	for kind, names := range map[string]string{
		"long":    "account_id bytes day destPort dstport end packets protocol srcport start status version",
		"date":    "@timestamp eventTime userIdentity.sessionContext.attributes.creationDate",
		"boolean": "readOnly",
		"text": `@id @log_group @log_stream @message @owner action agent apiVersion authuser awsRegion date destIp dstaddr errorCode
			errorMessage eventID eventName eventSource eventType eventVersion host id ident interface_id log_status month msg1 msg2
			msg3 msg5 msg7 recipientAccountId referrer request requestID requestParameters responseElements sharedEventID
			sourceIPAddress srcIp srcaddr timestamp userAgent resources.ARN resources.accountId resources.type
			userIdentity.accessKeyId userIdentity.type userIdentity.arn additionalEventData.MFAUsed`,
	} {
		for name := range strings.FieldsSeq(names) {
			mapping := mappingAt(properties, name)
			sub, _ := mapping["fields"].(object)
			if mapping["type"] != kind || kind == "text" && sub["keyword"] == nil {
				t.Errorf("%s: got %v, want %s", name, mapping, kind)
			}
		}
	}
}

func TestColumnsOfGroupsAreMapped(t *testing.T) {
	config := document.DefaultConfig()
	config.Groups = []document.Group{
		{Columns: "[when, level, user, took_ms, status]"},
		{Format: "vpcflow", FlowFields: []string{"version", "srcaddr", "tcp-flags", "future-field"}},
	}
	mapping := mappingOf(config, "")
	properties := mapping["properties"].(object)
	for path, kind := range map[string]any{
		"when": "text", "took_ms": "text", "status": "long", "fields.user": "keyword", "user.name": "keyword",
		"tcp_flags": "text", "aws.vpcflow.tcp_flags": "long", "aws.vpcflow.future_field": "keyword", "srcaddr": "text",
	} {
		if got := mappingAt(properties, path)["type"]; got != kind {
			t.Errorf("%s: got %v, want %v", path, got, kind)
		}
	}
	if got := countFields(mapping); got >= 500 {
		t.Errorf("got %d fields, want fewer than 500", got)
	}
	if got := format.FlowColumns(nil); got != "[]" {
		t.Errorf("got %s for no flow fields, want no columns", got)
	}
}
