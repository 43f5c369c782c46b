package kibana_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/shipperd/shipperd/deploy/kibana"
)

type object struct {
	ID               string                     `json:"id"`
	Type             string                     `json:"type"`
	Attributes       map[string]json.RawMessage `json:"attributes"`
	References       []reference                `json:"references"`
	MigrationVersion map[string]string          `json:"migrationVersion"`
}

type reference struct{ Name, Type, ID string }

// aggregation is an entry of visState.aggs.
type aggregation struct {
	ID, Type, Schema string
	Params           struct {
		Field, OrderBy string
		Size           int
	}
}

func read(t *testing.T) map[string]object {
	t.Helper()
	objects := map[string]object{}
	lines := bufio.NewScanner(bytes.NewReader(kibana.Objects()))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		decoder := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		// Kibana's importers refuse keys of later versions, or take them without a word and break.
		decoder.DisallowUnknownFields()
		var o object
		if err := decoder.Decode(&o); err != nil {
			t.Fatalf("%v in %.80s", err, lines.Bytes())
		}
		objects[o.ID] = o
	}
	if len(objects) == 0 {
		t.Fatal("no objects")
	}
	return objects
}

// unpack decodes the JSON text that an attribute holds, and checks what the importers do not: that it is JSON.
func unpack(t *testing.T, o object, attribute string, value any) {
	t.Helper()
	var text string
	if err := json.Unmarshal(o.Attributes[attribute], &text); err != nil {
		t.Fatalf("%s: %s: %v", o.ID, attribute, err)
	}
	if err := json.Unmarshal([]byte(text), value); err != nil {
		t.Errorf("%s: %s is no JSON: %v", o.ID, attribute, err)
	}
}

// A newer version makes both products refuse the whole file; another attribute, this object ("mapping set to strict").
func TestBothProductsKnowEveryTypeVersionAndAttribute(t *testing.T) {
	known := map[string]struct {
		version    string
		attributes []string
	}{
		"index-pattern": {"7.6.0", []string{"title", "timeFieldName"}},
		"search":        {"7.9.3", []string{"title", "description", "hits", "columns", "sort", "version", "kibanaSavedObjectMeta"}},
		"visualization": {"7.10.0", []string{"title", "visState", "uiStateJSON", "description", "version", "kibanaSavedObjectMeta"}},
		"dashboard": {"7.9.3", []string{
			"title", "hits", "description", "panelsJSON", "optionsJSON", "version", "timeRestore", "timeTo", "timeFrom", "refreshInterval",
			"kibanaSavedObjectMeta",
		}},
	}
	for id, o := range read(t) {
		kind, ok := known[o.Type]
		if !ok {
			t.Errorf("%s: type %s", id, o.Type)
		}
		if got := o.MigrationVersion[o.Type]; got != kind.version || len(o.MigrationVersion) != 1 {
			t.Errorf("%s: versions %v, want %s", id, o.MigrationVersion, kind.version)
		}
		for attribute := range o.Attributes {
			if !slices.Contains(kind.attributes, attribute) {
				t.Errorf("%s: attribute %s of a %s", id, attribute, o.Type)
			}
		}
	}
}

func TestEveryReferenceResolves(t *testing.T) {
	objects := read(t)
	for id, o := range objects {
		names := map[string]bool{}
		for _, r := range o.References {
			names[r.Name] = true
			if target, ok := objects[r.ID]; !ok || target.Type != r.Type {
				t.Errorf("%s: no %s %s", id, r.Type, r.ID)
			}
		}
		for _, used := range usedReferences(t, o) {
			if !names[used] {
				t.Errorf("%s: reference %s is used and not declared", id, used)
			}
			delete(names, used)
		}
		for name := range names {
			t.Errorf("%s: reference %s is declared and not used", id, name)
		}
	}
}

// usedReferences lists the names of references in the texts of an object.
func usedReferences(t *testing.T, o object) []string {
	t.Helper()
	if o.Type == "index-pattern" {
		return nil
	}
	var used []string
	source := searchSource(t, o)
	if source.IndexRefName != "" {
		used = append(used, source.IndexRefName)
	}
	for _, f := range source.Filter {
		used = append(used, f.Meta.IndexRefName)
	}
	if o.Type == "dashboard" {
		for _, p := range panels(t, o) {
			used = append(used, p.PanelRefName)
		}
	}
	return used
}

type source struct {
	Query        struct{ Query, Language string }
	IndexRefName string
	Filter       []struct {
		Meta struct {
			Key, IndexRefName string
			Params            struct{ Query any }
		}
		Query struct {
			MatchPhrase map[string]any `json:"match_phrase"`
		}
	}
}

func searchSource(t *testing.T, o object) source {
	t.Helper()
	var meta struct{ SearchSourceJSON string }
	if err := json.Unmarshal(o.Attributes["kibanaSavedObjectMeta"], &meta); err != nil {
		t.Fatalf("%s: %v", o.ID, err)
	}
	var s source
	if err := json.Unmarshal([]byte(meta.SearchSourceJSON), &s); err != nil {
		t.Errorf("%s: searchSourceJSON is no JSON: %v", o.ID, err)
	}
	return s
}

type panel struct {
	PanelIndex, PanelRefName, Title string
	GridData                        struct{ X, Y, W, H int }
}

func panels(t *testing.T, o object) []panel {
	t.Helper()
	var list []panel
	unpack(t, o, "panelsJSON", &list)
	return list
}

func TestEveryPanelIsAQuestionAndOverlapsNone(t *testing.T) {
	objects := read(t)
	dashboards := 0
	for id, o := range objects {
		if o.Type != "dashboard" {
			continue
		}
		dashboards++
		unpack(t, o, "optionsJSON", new(map[string]any))
		var taken [200][48]bool
		for i, p := range panels(t, o) {
			title := p.Title
			if title == "" {
				unquote(t, objects[o.References[i].ID].Attributes["title"], &title)
			}
			if !strings.HasSuffix(title, "?") {
				t.Errorf("%s: panel %q asks nothing", id, title)
			}
			for y := p.GridData.Y; y < p.GridData.Y+p.GridData.H; y++ {
				for x := p.GridData.X; x < p.GridData.X+p.GridData.W; x++ {
					if taken[y][x] {
						t.Fatalf("%s: panel %q lies over another", id, title)
					}
					taken[y][x] = true
				}
			}
		}
	}
	if dashboards != 6 {
		t.Errorf("got %d dashboards, want the lab's and five more", dashboards)
	}
}

func unquote(t *testing.T, text json.RawMessage, value *string) {
	t.Helper()
	if err := json.Unmarshal(text, value); err != nil {
		t.Fatal(err)
	}
}

// A field that does not exist is imported without a word, and the panel is empty.
func TestEveryFieldExists(t *testing.T) {
	for id, o := range read(t) {
		for _, field := range fields(t, o) {
			if !exists(field) {
				t.Errorf("%s: no field %s", id, field)
			}
		}
	}
}

// Text is aggregated by its keyword sub-field only; the typed fields are keywords, numbers and addresses themselves.
func TestNothingAggregatesText(t *testing.T) {
	for id, o := range read(t) {
		if o.Type != "visualization" {
			continue
		}
		for _, agg := range aggregations(t, o) {
			if slices.Contains(textFields(), agg.Params.Field) {
				t.Errorf("%s: aggregates %s, want its keyword", id, agg.Params.Field)
			}
		}
	}
}

func aggregations(t *testing.T, o object) []aggregation {
	t.Helper()
	var state struct {
		Title, Type string
		Aggs        []aggregation
	}
	unpack(t, o, "visState", &state)
	return state.Aggs
}

// What visState may hold: the kinds of visualization that both products draw, and where each puts its aggregations. Both import
// any other without a word, and draw nothing.
func TestBothProductsDrawEveryVisualization(t *testing.T) {
	schemas := map[string][]string{
		"gauge":     {"metric", "group"},
		"histogram": {"metric", "segment", "group"},
		"metric":    {"metric", "group"},
		"metrics":   {}, // the time series builder has them in its params
		"pie":       {"metric", "segment"},
		"table":     {"metric", "bucket"},
	}
	kinds := []string{"avg", "cardinality", "count", "date_histogram", "max", "min", "sum", "terms"}
	for id, o := range read(t) {
		if o.Type != "visualization" {
			continue
		}
		var state struct {
			Title, Type string
			Params      struct{ Type string }
		}
		unpack(t, o, "visState", &state)
		unpack(t, o, "uiStateJSON", new(map[string]any))
		allowed, known := schemas[state.Type]
		if !known {
			t.Errorf("%s: a visualization of kind %q", id, state.Type)
		}
		var title string
		if unquote(t, o.Attributes["title"], &title); title != state.Title {
			t.Errorf("%s: is called %q and, in visState, %q", id, title, state.Title)
		}
		// Tables have no kind among their params, and the builder has kinds of its own.
		if kind := state.Params.Type; state.Type != "table" && state.Type != "metrics" && kind != state.Type {
			t.Errorf("%s: is a %s with the params of a %q", id, state.Type, kind)
		}
		for _, agg := range aggregations(t, o) {
			if !slices.Contains(allowed, agg.Schema) || !slices.Contains(kinds, agg.Type) {
				t.Errorf("%s: a %s as %q in a %s", id, agg.Type, agg.Schema, state.Type)
			}
		}
	}
}

func TestAggregationsAreNumberedAndOrderedByOne(t *testing.T) {
	for id, o := range read(t) {
		if o.Type != "visualization" {
			continue
		}
		seen := map[string]string{}
		for _, agg := range aggregations(t, o) {
			if _, twice := seen[agg.ID]; twice {
				t.Errorf("%s: aggregation %s twice", id, agg.ID)
			}
			if agg.Type == "terms" && (seen[agg.Params.OrderBy] != "metric" || agg.Params.Size == 0) {
				t.Errorf("%s: terms of %s ordered by %q, size %d", id, agg.Params.Field, agg.Params.OrderBy, agg.Params.Size)
			}
			seen[agg.ID] = agg.Schema
		}
	}
}

// kqlField finds the fields of the queries used here: name: value, name >= value.
var kqlField = regexp.MustCompile(`([\w@.]+)\s*(?::|>=)`)

// fields lists every field that an object names.
func fields(t *testing.T, o object) []string {
	t.Helper()
	var used []string
	switch o.Type {
	case "index-pattern":
		var name string
		unquote(t, o.Attributes["timeFieldName"], &name)
		return []string{name}
	case "search":
		var columns []string
		if err := json.Unmarshal(o.Attributes["columns"], &columns); err != nil {
			t.Fatalf("%s: %v", o.ID, err)
		}
		used = columns
	case "visualization":
		for _, agg := range aggregations(t, o) {
			if agg.Type != "count" {
				used = append(used, agg.Params.Field)
			}
		}
		used = append(used, seriesFields(t, o)...)
	}
	s := searchSource(t, o)
	for _, match := range kqlField.FindAllStringSubmatch(s.Query.Query, -1) {
		used = append(used, match[1])
	}
	for _, f := range s.Filter {
		used = append(used, f.Meta.Key)
		if got := f.Query.MatchPhrase[f.Meta.Key]; fmt.Sprint(got) != fmt.Sprint(f.Meta.Params.Query) {
			t.Errorf("%s: filter on %s shows %v and asks %v", o.ID, f.Meta.Key, f.Meta.Params.Query, got)
		}
	}
	return used
}

// seriesFields lists the fields of a visualization of the time series builder, which keeps them in its params.
func seriesFields(t *testing.T, o object) []string {
	t.Helper()
	var state struct {
		Type   string
		Params struct {
			TimeField string `json:"time_field"`
			Series    []struct {
				TermsField string `json:"terms_field"`
			}
		}
	}
	unpack(t, o, "visState", &state)
	if state.Type != "metrics" {
		return nil
	}
	used := []string{state.Params.TimeField}
	for _, series := range state.Params.Series {
		used = append(used, series.TermsField)
	}
	return used
}

// exists says whether documents have the field: a text field, its keyword, or a field that is one value by itself.
func exists(field string) bool {
	text, isKeyword := strings.CutSuffix(field, ".keyword")
	if slices.Contains(textFields(), text) {
		return true
	}
	return !isKeyword && slices.Contains(exactFields(), field)
}

// textFields are the fields of the lab that are text with a keyword sub-field.
func textFields() []string {
	return []string{
		"@id", "@message", "@owner", "@log_group", "@log_stream",
		"host", "ident", "authuser", "date", "request", "referrer", "agent",
		"month", "timestamp", "destIp", "id", "msg1", "msg2", "msg3", "srcIp", "msg5", "msg7",
		"interface_id", "srcaddr", "dstaddr", "action", "log_status",
		"eventVersion", "eventSource", "eventName", "awsRegion", "sourceIPAddress", "userAgent", "errorCode", "errorMessage",
		"requestParameters", "responseElements", "requestID", "eventID", "eventType", "recipientAccountId",
		"userIdentity.type", "userIdentity.arn", "userIdentity.accessKeyId",
	}
}

// exactFields are the lab's numbers and dates, and the typed fields.
func exactFields() []string {
	return []string{
		"@timestamp", "eventTime", "status", "bytes", "day", "destPort", "version", "account_id", "srcport", "dstport", "protocol", "packets",
		"start", "end", "readOnly",
		"source.ip", "source.port", "source.scope", "source.as.organization.name", "source.geo.country_iso_code",
		"destination.ip", "destination.port", "destination.scope",
		"user.name", "user_agent.original",
		"http.request.method", "http.response.status_code", "url.original", "url.path",
		"network.transport", "network.bytes",
		"event.dataset", "event.action", "event.outcome",
		"observer.hostname",
		"aws.cloudtrail.console_login.result", "aws.cloudtrail.console_login.mfa_used",
		"shipperd.rejected.type",
	}
}
