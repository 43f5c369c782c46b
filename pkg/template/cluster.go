package template

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shipperd/shipperd/pkg/document"
	"github.com/shipperd/shipperd/pkg/elastic"
)

// The types for whole objects: Elasticsearch has one from 7.3 in its default
// distribution; OpenSearch from 2.7, which took null for a mistake before 2.18.
const (
	flattened  = "flattened"
	flatObject = "flat_object"
)

// Cluster is where templates go.
type Cluster struct {
	Engine elastic.Engine
	// Flattened is the engine's type for whole objects, or empty.
	Flattened string

	sink *elastic.Sink
}

// Open asks the cluster what it is and has.
func Open(ctx context.Context, sink *elastic.Sink) (*Cluster, error) {
	engine, err := sink.Engine(ctx)
	if err != nil {
		return nil, err
	}
	c := &Cluster{Engine: engine, sink: sink}
	candidate := flattened
	if engine.Distribution == "opensearch" {
		candidate = flatObject
		if !c.since(2, 18) {
			return c, nil
		}
	}
	probe := object{
		"index_patterns": []any{"shipperd-probe-*"}, "priority": priority,
		"template": object{"mappings": object{"properties": object{"probe": object{"type": candidate}}}},
	}
	// Only an answer of 200 says yes; engines before 7.9 cannot be asked.
	if err := c.do(ctx, http.MethodPost, "/_index_template/_simulate", probe, nil); err == nil {
		c.Flattened = candidate
	}
	return c, nil
}

// since says whether the engine has at least this version. One that does not tell
// is taken for Amazon's newest Elasticsearch, which is the oldest that is kept.
func (c *Cluster) since(major, minor int) bool {
	first, rest, _ := strings.Cut(c.Engine.Version, ".")
	second, _, _ := strings.Cut(rest, ".")
	x, err := strconv.Atoi(first)
	if err != nil {
		x, second = 7, "10"
	}
	y, _ := strconv.Atoi(second)
	return x > major || x == major && y >= minor
}

// legacy says whether the engine has only the templates of before 7.8.
func (c *Cluster) legacy() bool { return c.Engine.Distribution != "opensearch" && !c.since(7, 8) }

// do sends body as JSON and reads the reply into v, unless it is nil.
func (c *Cluster) do(ctx context.Context, method, target string, body, v any) error {
	call := elastic.Call{Method: method, Path: target}
	if body != nil {
		var err error
		if call.Body, err = json.Marshal(body); err != nil {
			return err
		}
	}
	reply, err := c.sink.Call(ctx, call)
	if err != nil || v == nil {
		return err
	}
	if err := json.Unmarshal(reply, v); err != nil {
		return fmt.Errorf("read the reply to %s %s: %w", method, target, err)
	}
	return nil
}

// refused says whether err is an answer with one of these statuses.
func refused(err error, statuses ...int) bool {
	var refusal *elastic.RefusedError
	return errors.As(err, &refusal) && slices.Contains(statuses, refusal.Status)
}

func denied(err error) bool { return refused(err, http.StatusUnauthorized, http.StatusForbidden) }

// place returns where a template lies.
func (c *Cluster) place(name string) string {
	if c.legacy() {
		return "/_template/" + url.PathEscape(name)
	}
	return "/_index_template/" + url.PathEscape(name)
}

// State says what there is under a template's name.
type State string

// The states.
const (
	Absent  State = "absent"
	Current State = "as wanted"
	Older   State = "of an earlier version or another configuration"
	Newer   State = "of a later shipperd"
	Edited  State = "edited by a person"
)

// Plan is a template beside what the cluster has under its name.
type Plan struct {
	Template *Template
	State    State
	Diff     []string // what Put would change, line by line
}

// Plan compares the template that c and settings want with the one that is there.
// Settings that are not given stay as they are.
func (c *Cluster) Plan(ctx context.Context, config document.Config, settings Settings) (*Plan, error) {
	have, err := c.fetch(ctx, nameOf(config))
	if err != nil {
		return nil, fmt.Errorf("read the index template: %w", err)
	}
	t := New(config, mergeSettings(have.decidedSettings(), settings), c.Flattened)
	want := t.lines()
	p := &Plan{Template: t, Diff: have.diff(want)}
	number, _ := strconv.Atoi(have[metaPath+".version"])
	switch {
	case len(have) == 0:
		p.State = Absent
	case len(p.Diff) == 0:
		p.State = Current
	case have[metaPath+".hash"] != have.hash():
		p.State = Edited
	case number > version:
		p.State = Newer
	default:
		p.State = Older
	}
	return p, nil
}

// fetch returns the lines of a template, none when it is absent.
func (c *Cluster) fetch(ctx context.Context, name string) (lines, error) {
	var reply struct {
		Templates []struct {
			Template any `json:"index_template"`
		} `json:"index_templates"`
	}
	byName := map[string]object{}
	var into any = &reply
	if c.legacy() {
		into = &byName
	}
	err := c.do(ctx, http.MethodGet, c.place(name), nil, into)
	have := lines{}
	if refused(err, http.StatusNotFound) {
		return have, nil
	}
	if err != nil {
		return nil, err
	}
	if len(reply.Templates) == 1 {
		have.add("", reply.Templates[0].Template)
	}
	if old, ok := byName[name]; ok {
		have.add("", object{
			"index_patterns": old["index_patterns"], "priority": old["order"],
			"template": object{"settings": old["settings"], "mappings": old["mappings"], "aliases": old["aliases"]},
		})
	}
	return have, nil
}

// Put installs the template, whatever is there.
func (c *Cluster) Put(ctx context.Context, t *Template) error {
	if _, err := c.sink.Call(ctx, elastic.Call{Method: http.MethodPut, Path: c.place(t.Name), Body: t.JSON(c.legacy())}); err != nil {
		return fmt.Errorf("put the index template: %w", err)
	}
	return nil
}

// Effect is what indices get, whatever lies under the template's name.
type Effect struct {
	Verified bool     // false: what a new index would get cannot be asked
	Ours     bool     // our template makes new indices
	Winner   string   // the template that wins instead, if it is known
	Earlier  []string // indices of recent days that another template made, or none: they keep their mapping
	// Flattened says that all indices which get events map aws.cloudtrail.flattened.*
	// or leave it alone.
	Flattened bool
}

// Effect asks what an index that is made now would get, and what the recent ones have.
func (c *Cluster) Effect(ctx context.Context, config document.Config, now time.Time) (Effect, error) {
	e, err := c.simulate(ctx, config.IndexPrefix+now.UTC().Format("-2006.01.02"))
	if err != nil {
		return e, fmt.Errorf("simulate an index: %w", err)
	}
	e.Earlier, err = c.earlier(ctx, config, now)
	if err != nil && !denied(err) {
		return e, fmt.Errorf("read the mappings of recent indices: %w", err)
	}
	e.Flattened = e.Flattened && err == nil && len(e.Earlier) == 0
	return e, nil
}

func (c *Cluster) simulate(ctx context.Context, index string) (Effect, error) {
	var reply struct {
		Template struct {
			Mappings any `json:"mappings"`
		} `json:"template"`
	}
	err := c.do(ctx, http.MethodPost, "/_index_template/_simulate_index/"+index, nil, &reply)
	if denied(err) || refused(err, http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed) {
		return Effect{Ours: true}, nil // before 7.9, or a role that may put and not ask
	}
	if err != nil {
		return Effect{}, err
	}
	got := lines{}
	got.add("template.mappings", reply.Template.Mappings)
	e := Effect{Verified: true, Ours: got[metaPath+".hash"] != "", Flattened: c.flattens(got)}
	if !e.Ours {
		e.Winner = c.winner(ctx, index)
	}
	return e, nil
}

func (c *Cluster) flattens(mapping lines) bool {
	for _, name := range flattenedFields() {
		name = "template.mappings.properties." + strings.ReplaceAll(name, ".", ".properties.") + ".type"
		if c.Flattened == "" || mapping[name] != c.Flattened {
			return false
		}
	}
	return true
}

// winner returns the name of the template of the highest priority that an index
// would get; empty when that cannot be found out.
func (c *Cluster) winner(ctx context.Context, index string) (name string) {
	var reply struct {
		Templates []struct {
			Name     string `json:"name"`
			Template struct {
				Patterns []string `json:"index_patterns"`
				Priority int      `json:"priority"`
			} `json:"index_template"`
		} `json:"index_templates"`
	}
	if c.do(ctx, http.MethodGet, "/_index_template", nil, &reply) != nil {
		return ""
	}
	highest := -1
	for _, t := range reply.Templates {
		for _, pattern := range t.Template.Patterns {
			if ok, _ := path.Match(pattern, index); ok && t.Template.Priority > highest {
				highest, name = t.Template.Priority, t.Name
			}
		}
	}
	return name
}

// recentDays are those whose indices still get events: delivery takes minutes,
// and a stream keeps its records for a day unless told otherwise.
const recentDays = 2

// earlier returns the indices of recent days that our template did not make.
func (c *Cluster) earlier(ctx context.Context, config document.Config, now time.Time) ([]string, error) {
	var indices map[string]struct {
		Mappings any `json:"mappings"`
	}
	err := c.do(ctx, http.MethodGet, "/"+config.IndexPrefix+"*/_mapping?filter_path=*.mappings._meta,*.mappings.properties.@message.type", nil, &indices)
	if err != nil && !refused(err, http.StatusNotFound) {
		return nil, err
	}
	first := now.UTC().AddDate(0, 0, -recentDays).Format("2006.01.02")
	var names []string
	for name, index := range indices {
		got := lines{}
		got.add("template.mappings", index.Mappings)
		if day := name[max(0, len(name)-len(first)):]; day >= first && got[metaPath+".hash"] == "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}
