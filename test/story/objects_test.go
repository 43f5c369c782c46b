package story

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/shipperd/shipperd/deploy/kibana"
	"github.com/shipperd/shipperd/pkg/demo"
	"github.com/shipperd/shipperd/test/daemon"
)

// savedObject is a search or a visualization of the dashboards, as far as the engine
// has to do with it.
type savedObject struct {
	ID, Type   string
	Attributes struct {
		VisState              string
		KibanaSavedObjectMeta struct{ SearchSourceJSON string }
	}
}

// savedObjects returns the searches and visualizations by id.
func savedObjects(t *testing.T) map[string]savedObject {
	t.Helper()
	objects := make(map[string]savedObject)
	for line := range bytes.Lines(kibana.Objects()) {
		var o savedObject
		if err := json.Unmarshal(line, &o); err != nil {
			t.Fatalf("%v in %.100s", err, line)
		}
		if o.Type == "search" || o.Type == "visualization" {
			objects[o.ID] = o
		}
	}
	return objects
}

// query returns the documents that o is about: its filters, and its query.
func (o savedObject) query(t *testing.T) object {
	t.Helper()
	var source struct {
		Query  struct{ Query string }
		Filter []struct {
			Meta  struct{ Negate bool }
			Query object
		}
	}
	if err := json.Unmarshal([]byte(o.Attributes.KibanaSavedObjectMeta.SearchSourceJSON), &source); err != nil {
		t.Fatalf("%s: %v", o.ID, err)
	}
	must, mustNot := []object{{"match_all": object{}}}, []object{}
	if source.Query.Query != "" {
		must = append(must, object{"query_string": object{"query": lucene(source.Query.Query)}})
	}
	for _, f := range source.Filter {
		if f.Meta.Negate {
			mustNot = append(mustNot, f.Query)
		} else {
			must = append(must, f.Query)
		}
	}
	return object{"bool": object{"must": must, "must_not": mustNot}}
}

// lucene translates the KQL of the dashboards: words in lower case between values,
// comparisons beside the field, and a slash that is no regular expression's.
func lucene(kql string) string {
	return strings.NewReplacer(" or ", " OR ", " and ", " AND ", " >= ", ":>=", ": ", ":", "/", `\/`).Replace(kql)
}

// aggregation is an entry of visState.aggs.
type aggregation struct {
	ID, Type, Schema string
	Params           struct {
		Field, OrderBy, Order, Interval string
		Size                            int
	}
}

// aggregations returns what o counts: measures first, then buckets, each in the one
// before.
func (o savedObject) aggregations(t *testing.T) (measures, buckets []aggregation) {
	t.Helper()
	var state struct {
		Type   string
		Aggs   []aggregation
		Params struct {
			TimeField string `json:"time_field"`
			Series    []struct {
				TermsField string      `json:"terms_field"`
				TermsSize  json.Number `json:"terms_size"`
			}
		}
	}
	if err := json.Unmarshal([]byte(o.Attributes.VisState), &state); err != nil {
		t.Fatalf("%s: %v", o.ID, err)
	}
	for _, a := range state.Aggs {
		if a.Schema == "metric" {
			measures = append(measures, a)
		} else {
			buckets = append(buckets, a)
		}
	}
	if state.Type != "metrics" {
		return measures, buckets
	}
	// The time series builder has the field of its lines in its parameters.
	for _, s := range state.Params.Series {
		size, err := s.TermsSize.Int64()
		if err != nil {
			t.Fatalf("%s: %v", o.ID, err)
		}
		lines, time := aggregation{ID: "lines", Type: "terms"}, aggregation{ID: "time", Type: "date_histogram"}
		lines.Params.Field, lines.Params.Size = s.TermsField, int(size)
		time.Params.Field, time.Params.Interval = state.Params.TimeField, "auto"
		buckets = append(buckets, lines, time)
	}
	return measures, buckets
}

// aggs writes the aggregations as the engine takes them.
func aggs(measures, buckets []aggregation) object {
	here := object{}
	byID := make(map[string]aggregation)
	for _, m := range measures {
		if byID[m.ID] = m; m.Type != "count" { // which every bucket has by itself
			here[m.ID] = object{m.Type: object{"field": m.Params.Field}}
		}
	}
	if len(buckets) == 0 {
		return here
	}
	b := buckets[0]
	params := object{"field": b.Params.Field}
	switch b.Type {
	case "terms":
		params["size"] = b.Params.Size
		if orderBy, ok := byID[b.Params.OrderBy]; ok && orderBy.Type != "count" {
			params["order"] = object{orderBy.ID: b.Params.Order}
		}
	case "date_histogram":
		params["fixed_interval"], params["min_doc_count"] = b.Params.Interval, 1
		if b.Params.Interval == "auto" {
			params["fixed_interval"] = "1m" // Kibana would choose by the time range
		}
	}
	here[b.ID] = object{b.Type: params, "aggs": aggs(measures, buckets[1:])}
	return here
}

// bucket is a bucket of a reply; what it holds is in its raw members.
type bucket struct {
	Key      json.RawMessage
	DocCount int `json:"doc_count"`
	members  json.RawMessage
}

// bucketsIn returns the buckets of the aggregation of that id.
func bucketsIn(t *testing.T, members json.RawMessage, id string) (list []bucket) {
	t.Helper()
	var all map[string]json.RawMessage
	if err := json.Unmarshal(members, &all); err != nil {
		t.Fatalf("%v in %.1000s", err, members)
	}
	var found struct{ Buckets []json.RawMessage }
	if err := json.Unmarshal(all[id], &found); err != nil {
		t.Fatalf("%v in aggregation %s of %.1000s", err, id, members)
	}
	for _, raw := range found.Buckets {
		b := bucket{members: raw}
		if err := json.Unmarshal(raw, &b); err != nil {
			t.Fatalf("%v in %.1000s", err, raw)
		}
		list = append(list, b)
	}
	return list
}

// depth returns how many of the nested buckets have documents somewhere.
func depth(t *testing.T, members json.RawMessage, buckets []aggregation) int {
	t.Helper()
	if len(buckets) == 0 {
		return 0
	}
	deepest := 0
	for _, b := range bucketsIn(t, members, buckets[0].ID) {
		deepest = max(deepest, 1+depth(t, b.members, buckets[1:]))
	}
	return deepest
}

// wantDrawn runs every search and every visualization. The lab's events fill all of
// them, but for places and networks where there is no database of addresses.
func wantDrawn(t *testing.T, lab *daemon.Index) {
	t.Helper()
	for id, o := range savedObjects(t) {
		if o.Type == "search" {
			if search(t, lab, object{"query": o.query(t), "size": 0}).Hits.Total.Value == 0 {
				t.Errorf("%s: got no document, want some", id)
			}
			continue
		}
		measures, buckets := o.aggregations(t)
		want := len(buckets)
		if len(databases()) == 0 {
			if i := slices.IndexFunc(buckets, ofDatabase); i >= 0 {
				want = i
			}
		}
		r := search(t, lab, object{"query": o.query(t), "size": 0, "aggs": aggs(measures, buckets)})
		if got := depth(t, r.Aggregations, buckets); got < want || r.Hits.Total.Value == 0 {
			t.Errorf("%s: got %d documents and %d of %d levels of buckets, want all", id, r.Hits.Total.Value, got, want)
		}
	}
}

func ofDatabase(a aggregation) bool {
	return strings.HasPrefix(a.Params.Field, "source.geo.") || strings.HasPrefix(a.Params.Field, "source.as.")
}

// wantAnalyses compares the lab's three analyses, and its two panels about the same
// lines, with what a direct count over the lines says.
func wantAnalyses(t *testing.T, lab *daemon.Index, put []demo.Event) {
	t.Helper()
	objects := savedObjects(t)
	direct := countDirectly(t, put)
	for id, want := range map[string]int{
		"shipperd-lab-brute-force": direct.notOK,
		"shipperd-lab-ssh-attacks": direct.connections,
		"shipperd-lab-aws-attacks": direct.ssmByCLI,
		"shipperd-lab-rejects":     direct.rejects,
		"shipperd-lab-everything":  len(put),
	} {
		got := search(t, lab, object{"query": objects[id].query(t), "size": 0}).Hits.Total.Value
		t.Logf("%s: %d", id, got)
		if got != want || got == 0 {
			t.Errorf("%s: got %d documents, want %d and not none", id, got, want)
		}
	}
	if got := search(t, lab, object{"query": object{"term": object{"user.name": journaled}}, "size": 0}).Hits.Total.Value; got != 1 {
		t.Errorf("got %d documents of the journal's user, want 1", got)
	}
	for id, want := range map[string]map[string]int{
		"shipperd-lab-response-codes": direct.statuses,
		"shipperd-lab-ssh":            direct.attackers,
	} {
		measures, buckets := objects[id].aggregations(t)
		r := search(t, lab, object{"query": objects[id].query(t), "size": 0, "aggs": aggs(measures, buckets)})
		got := bucketsIn(t, r.Aggregations, buckets[0].ID)
		if len(got) != min(len(want), buckets[0].Params.Size) {
			t.Errorf("%s: got %d buckets, want %d of %v", id, len(got), buckets[0].Params.Size, want)
		}
		for _, b := range got {
			key := strings.Trim(string(b.Key), `"`)
			if b.DocCount != want[key] {
				t.Errorf("%s: got %d documents of %s, want %d", id, b.DocCount, key, want[key])
			}
		}
	}
}
