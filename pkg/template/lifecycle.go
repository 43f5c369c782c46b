package template

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/shipperd/shipperd/pkg/document"
)

// ErrNoLifecycle says that the engine deletes nothing by itself, as Elasticsearch
// 7.10 in its OSS distribution.
var ErrNoLifecycle = errors.New("the engine has neither index lifecycle management (ILM) nor index state management (ISM)")

// Lifecycle is a policy that deletes indices some days after they were made.
type Lifecycle struct {
	Name string
	Path string // where the engine has it
	// Setting is what the index template needs, for ILM; ISM finds indices by their names.
	Setting Settings
	State   State // Absent, Current or Edited: another one's, or with another number of days
	Diff    []string

	body object
}

// ilm and ism return the policy in the two products' forms.
func ilm(days int) object {
	return object{"policy": object{"phases": object{"delete": object{
		"min_age": fmt.Sprintf("%dd", days), "actions": object{"delete": object{}},
	}}}}
}

func ism(days int, patterns []any) object {
	return object{"policy": object{
		"description":   "shipperd: delete the index after its days",
		"default_state": "kept",
		"states": []any{
			object{"name": "kept", "actions": []any{}, "transitions": []any{
				object{"state_name": "deleted", "conditions": object{"min_index_age": fmt.Sprintf("%dd", days)}},
			}},
			object{"name": "deleted", "actions": []any{object{"delete": object{}}}, "transitions": []any{}},
		},
		"ism_template": []any{object{"index_patterns": patterns, "priority": priority}},
	}}
}

// lifecycles lists the forms, in the order in which an engine is asked.
func (c *Cluster) lifecycles(config document.Config, days int) []Lifecycle {
	name := nameOf(config)
	managed := func(path string) Lifecycle {
		return Lifecycle{Name: name, Path: path + name, body: ism(days, patterns(config))}
	}
	all := []Lifecycle{
		{Name: name, Path: "/_ilm/policy/" + name, body: ilm(days), Setting: Settings{policy: name}},
		managed("/_opendistro/_ism/policies/"),
	}
	if c.Engine.Distribution == "opensearch" {
		all = []Lifecycle{managed("/_plugins/_ism/policies/"), all[1]}
	}
	return all
}

// Lifecycle compares the policy that deletes indices after some days with the one
// that is there. An engine that has none gives ErrNoLifecycle.
func (c *Cluster) Lifecycle(ctx context.Context, config document.Config, days int) (*Lifecycle, error) {
	for _, l := range c.lifecycles(config, days) {
		var reply any
		err := c.do(ctx, http.MethodGet, l.Path, nil, &reply)
		switch {
		case err == nil:
			l.compare(reply)
			return &l, nil
		case refused(err, http.StatusNotFound) && c.hasAPI(ctx, &l):
			l.State = Absent
			return &l, nil
		// Amazon's domains answer 401 to an API that they do not have.
		case refused(err, http.StatusBadRequest, http.StatusUnauthorized, http.StatusNotFound, http.StatusMethodNotAllowed):
		default:
			return nil, fmt.Errorf("read the lifecycle policy: %w", err)
		}
	}
	return nil, ErrNoLifecycle
}

// hasAPI tells an absent policy from an absent API: the latter has no list either.
func (c *Cluster) hasAPI(ctx context.Context, l *Lifecycle) bool {
	return c.do(ctx, http.MethodGet, strings.TrimSuffix(l.Path, "/"+l.Name), nil, nil) == nil
}

// compare looks for all of ours in what is there: servers add to a policy.
func (l *Lifecycle) compare(reply any) {
	have, want := lines{}, lines{}
	if byName, ok := reply.(object); ok && byName[l.Name] != nil {
		reply = byName[l.Name] // ILM
	}
	have.add("", reply)
	want.add("", l.body)
	l.State = Current
	for path, value := range want {
		if have[path] != value {
			l.State = Edited
			l.Diff = append(l.Diff, "- "+path+": "+have[path], "+ "+path+": "+value)
		}
	}
	slices.Sort(l.Diff)
}

// PutLifecycle installs the policy. ISM replaces one only by its place in the log.
func (c *Cluster) PutLifecycle(ctx context.Context, l *Lifecycle) error {
	path := l.Path
	if l.State != Absent && l.Setting == nil {
		var there struct {
			SeqNo       int64 `json:"_seq_no"`
			PrimaryTerm int64 `json:"_primary_term"`
		}
		if err := c.do(ctx, http.MethodGet, path, nil, &there); err != nil {
			return fmt.Errorf("read the lifecycle policy: %w", err)
		}
		path += fmt.Sprintf("?if_seq_no=%d&if_primary_term=%d", there.SeqNo, there.PrimaryTerm)
	}
	if err := c.do(ctx, http.MethodPut, path, l.body, nil); err != nil {
		return fmt.Errorf("put the lifecycle policy: %w", err)
	}
	return nil
}

// StatePolicy returns the policy of ISM as the engine takes it.
func StatePolicy(config document.Config, days int) []byte {
	text, err := json.MarshalIndent(ism(days, patterns(config)), "", "  ")
	if err != nil {
		panic(fmt.Sprintf("template: strings and numbers do not encode: %v", err))
	}
	return append(text, '\n')
}
