package main

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// The index pattern that everything reads, and the field of its time. The lab's objects use the same.
const (
	indexPattern   = "cwl-*"
	indexPatternID = "shipperd-cwl"
	timeField      = "@timestamp"
)

// The newest version of each type that Kibana 7.10 and all OpenSearch Dashboards know. They refuse a whole file for one newer.
const (
	indexPatternVersion  = "7.6.0"
	searchVersion        = "7.9.3"
	visualizationVersion = "7.10.0"
	dashboardVersion     = "7.9.3"
	panelVersion         = "7.10.2"
)

// tree is a JSON object. encoding/json sorts its keys, so equal input gives equal files.
type tree = map[string]any

// object is one line of the file.
type object struct {
	ID               string            `json:"id"`
	Type             string            `json:"type"`
	Attributes       tree              `json:"attributes"`
	References       []reference       `json:"references"`
	MigrationVersion map[string]string `json:"migrationVersion"`
}

type reference struct {
	Name string `json:"name"`
	Type string `json:"type"`
	ID   string `json:"id"`
}

// A view is a search or a visualization: what one panel shows.
type view interface {
	object() (object, error)
}

// A search is a saved search: single documents, newest first.
type search struct {
	id, title string
	scope
	columns []string
}

// A dashboard is a page of panels, two abreast from the top left; the last one takes the whole width.
type dashboard struct {
	id, title, description string
	refreshSeconds         int
	panels                 []panel
}

// A panel places a view. The question is its title where the view has another name.
type panel struct {
	view
	question string
}

// A scope says which documents a view looks at.
type scope struct {
	query   string // in KQL
	filters []filter
}

// A filter keeps the documents whose field is the value, or those whose field is not.
type filter struct {
	field  string
	value  any
	negate bool
}

func is(field string, value any) filter    { return filter{field: field, value: value} }
func isNot(field string, value any) filter { return filter{field: field, value: value, negate: true} }

// ndjson returns the index pattern, the dashboards and what they show, and the extras, each once.
func ndjson(pages []*dashboard, extras []view) ([]byte, error) {
	objects := []object{{
		ID: indexPatternID, Type: "index-pattern",
		Attributes:       tree{"title": indexPattern, "timeFieldName": timeField},
		References:       []reference{},
		MigrationVersion: map[string]string{"index-pattern": indexPatternVersion},
	}}
	views := extras
	for _, page := range pages {
		for _, panel := range page.panels {
			views = append(views, panel.view)
		}
	}
	for _, view := range views {
		o, err := view.object()
		if err != nil {
			return nil, err
		}
		objects = append(objects, o)
	}
	for _, page := range pages {
		o, err := page.object()
		if err != nil {
			return nil, err
		}
		objects = append(objects, o)
	}
	return lines(objects)
}

func lines(objects []object) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	ids := map[string]bool{}
	for _, o := range objects {
		if ids[o.ID] {
			return nil, fmt.Errorf("id %s stands twice", o.ID)
		}
		ids[o.ID] = true
		if err := encoder.Encode(o); err != nil {
			return nil, fmt.Errorf("%s: %w", o.ID, err)
		}
	}
	return text.Bytes(), nil
}

// text encodes the JSON that Kibana keeps as a string inside JSON.
func text(value any) (string, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return "", err
	}
	return string(bytes.TrimSpace(b.Bytes())), nil
}

func (s search) object() (object, error) {
	source, references, err := s.searchSource()
	return object{
		ID: s.id, Type: "search",
		Attributes: tree{
			"title": s.title, "description": "", "hits": 0, "version": 1,
			"columns": s.columns, "sort": [][]string{{timeField, "desc"}},
			"kibanaSavedObjectMeta": tree{"searchSourceJSON": source},
		},
		References:       references,
		MigrationVersion: map[string]string{"search": searchVersion},
	}, err
}

// searchSource writes the scope as Kibana keeps it, and the references in it. Index patterns are named by reference only.
func (s scope) searchSource() (string, []reference, error) {
	const index = "kibanaSavedObjectMeta.searchSourceJSON.index"
	references := []reference{{index, "index-pattern", indexPatternID}}
	filters := []tree{}
	for i, f := range s.filters {
		name := fmt.Sprintf("kibanaSavedObjectMeta.searchSourceJSON.filter[%d].meta.index", i)
		references = append(references, reference{name, "index-pattern", indexPatternID})
		filters = append(filters, tree{
			"meta": tree{
				"alias": nil, "disabled": false, "negate": f.negate, "type": "phrase",
				"key": f.field, "params": tree{"query": f.value}, "indexRefName": name,
			},
			"query":  tree{"match_phrase": tree{f.field: f.value}},
			"$state": tree{"store": "appState"},
		})
	}
	source, err := text(tree{
		"query":  tree{"query": s.query, "language": "kuery"},
		"filter": filters, "indexRefName": index,
	})
	return source, references, err
}

// The grid is 48 wide; a panel is half of it.
const (
	gridWidth   = 48
	panelHeight = 14
)

func (d *dashboard) object() (object, error) {
	var panels []tree
	var references []reference
	x, y := 0, 0
	for i, p := range d.panels {
		shown, err := p.object()
		if err != nil {
			return object{}, err
		}
		width := gridWidth / 2
		if i == len(d.panels)-1 {
			width = gridWidth
		}
		if x+width > gridWidth {
			x, y = 0, y+panelHeight
		}
		// Names such as panel_0: Dashboards does not find those that newer Kibanas write.
		name := fmt.Sprintf("panel_%d", i)
		placed := tree{
			"version": panelVersion, "panelIndex": fmt.Sprint(i + 1), "panelRefName": name, "embeddableConfig": tree{},
			"gridData": tree{"x": x, "y": y, "w": width, "h": panelHeight, "i": fmt.Sprint(i + 1)},
		}
		if p.question != "" {
			placed["title"] = p.question
		}
		panels = append(panels, placed)
		references = append(references, reference{name, shown.Type, shown.ID})
		x += width
	}
	placed, err := text(panels)
	if err != nil {
		return object{}, err
	}
	options, err := text(tree{"useMargins": true, "hidePanelTitles": false})
	if err != nil {
		return object{}, err
	}
	source, err := text(tree{"query": tree{"query": "", "language": "kuery"}, "filter": []tree{}})
	return object{
		ID: d.id, Type: "dashboard",
		Attributes: tree{
			"title": d.title, "description": d.description, "hits": 0, "version": 1,
			"panelsJSON": placed, "optionsJSON": options,
			"timeRestore": true, "timeFrom": "now-24h", "timeTo": "now",
			"refreshInterval":       tree{"pause": d.refreshSeconds == 0, "value": d.refreshSeconds * 1000},
			"kibanaSavedObjectMeta": tree{"searchSourceJSON": source},
		},
		References:       references,
		MigrationVersion: map[string]string{"dashboard": dashboardVersion},
	}, err
}
