// Package template installs what documents need in a cluster and in Kibana: the
// index template, a lifecycle policy if one is asked for, and the saved objects of
// the dashboards.
//
// The index template maps every field that shipperd writes and nothing else: with
// `dynamic: false` no message, whoever wrote it, adds a field to an index. What a
// message brings beyond stays in the document, and in @message it is found. The
// fields come from two tables: the root fields from document.Roots, which decides
// what may stand under them, and the rest from typedFields here; a test holds
// both against all that the decoder writes.
//
// A template that a person has edited is never overwritten unless told to: a hash
// of what was put lies in the mapping, and so in each index that the template made.
package template

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/shipperd/shipperd/pkg/document"
)

const (
	// version counts the templates that shipperd has had: an older shipperd leaves a
	// newer one's alone.
	version = 1
	// priority is above those that Elasticsearch itself installs (100).
	priority = 200
	// maxFields is the engines' own limit on the fields of an index.
	maxFields = 1000
	// maxKeyword is in characters of at most four bytes: Lucene refuses a term of
	// more than 32,766 bytes, and with it the document.
	maxKeyword = 8191
	// maxMessage is what the Lambda's indices have: a longer line is found by its
	// words, and as one term would take its size a second time.
	maxMessage = 256
)

// object is a JSON object.
type object = map[string]any

// Settings are index settings that the operator decides, by their names without
// "index.". What he has not decided is taken from the template that is there.
type Settings map[string]string

// The settings that an operator decides.
const (
	Shards   = "number_of_shards"
	Replicas = "number_of_replicas"
	Refresh  = "refresh_interval"
	policy   = "lifecycle.name" // of ILM
)

// decided lists them.
func decided() []string { return []string{Shards, Replicas, Refresh, policy} }

// defaultSettings are for the lab: two nodes and some GB a day. An attack is to be
// seen within seconds, and each refresh makes a segment: once a second, which is
// the engines' default, costs a tenth of the indexing rate, 30 s is not "now".
func defaultSettings() Settings { return Settings{Shards: "1", Replicas: "1", Refresh: "5s"} }

// Template is an index template, as Elasticsearch from 7.8 and OpenSearch take it.
type Template struct {
	Name string
	body object
}

// nameOf returns the name of a configuration's template, and of its lifecycle policy.
func nameOf(c document.Config) string { return "shipperd-" + c.IndexPrefix }

// New makes the template of a configuration. flattened is the engine's type for
// whole objects, "flattened" or "flat_object", or empty.
func New(c document.Config, settings Settings, flattened string) *Template {
	mappings := mappingOf(c, flattened)
	all := object{}
	limit := max(maxFields, countFields(mappings))
	for name, value := range mergeSettings(defaultSettings(), settings, Settings{"mapping.total_fields.limit": strconv.Itoa(limit)}) {
		put(all, value, strings.Split("index."+name, ".")...)
	}
	t := &Template{Name: nameOf(c), body: object{
		"index_patterns": patterns(c),
		"priority":       priority,
		"template":       object{"settings": all, "mappings": mappings},
	}}
	mappings["_meta"] = object{"shipperd": object{"version": version, "hash": t.lines().hash()}}
	return t
}

// mergeSettings returns all settings; of a name in several the last counts.
func mergeSettings(each ...Settings) Settings {
	all := Settings{}
	for _, s := range each {
		maps.Copy(all, s)
	}
	return all
}

// put sets a value in nested objects.
func put(in object, value any, path ...string) {
	for _, name := range path[:len(path)-1] {
		if in[name] == nil {
			in[name] = object{}
		}
		in = in[name].(object) //nolint:forcetypeassert // only put makes them
	}
	in[path[len(path)-1]] = value
}

// patterns returns the index patterns: one for each prefix.
func patterns(c document.Config) []any {
	prefixes := map[string]bool{c.IndexPrefix: true}
	for _, g := range c.Groups {
		if g.IndexPrefix != "" {
			prefixes[g.IndexPrefix] = true
		}
	}
	var list []any
	for _, prefix := range slices.Sorted(maps.Keys(prefixes)) {
		list = append(list, prefix+"-*")
	}
	return list
}

// JSON returns the template as the engine takes it; legacy is for those before 7.8.
func (t *Template) JSON(legacy bool) []byte {
	body := t.body
	if legacy {
		inner := body["template"].(object) //nolint:forcetypeassert // made by New
		body = object{
			"index_patterns": body["index_patterns"], "order": priority,
			"settings": inner["settings"], "mappings": inner["mappings"],
		}
	}
	text, err := json.MarshalIndent(body, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("template: strings and numbers do not encode: %v", err))
	}
	return append(text, '\n')
}

func (t *Template) lines() lines {
	all := lines{}
	var body any
	if err := json.Unmarshal(t.JSON(false), &body); err != nil {
		panic(fmt.Sprintf("template: our own JSON does not decode: %v", err))
	}
	all.add("", body)
	return all
}

// lines is a template as text, one path and its value for each leaf: what two
// templates are compared by, whatever the server's way to write numbers.
type lines map[string]string

const (
	metaPath     = "template.mappings._meta.shipperd"
	settingsPath = "template.settings.index."
)

func (l lines) add(path string, v any) {
	join := func(name string) string { return strings.TrimPrefix(path+"."+name, ".") }
	switch v := v.(type) {
	case object:
		for name, value := range v {
			l.add(join(name), value)
		}
	case []any:
		for i, value := range v {
			l.add(join(strconv.Itoa(i)), value)
		}
	default:
		l[path] = fmt.Sprint(v)
	}
}

// content returns the lines that say something about indices.
func (l lines) content() lines {
	content := maps.Clone(l)
	maps.DeleteFunc(content, func(path, _ string) bool { return strings.HasPrefix(path, metaPath) })
	return content
}

// hash is over all lines but those that the operator decides.
func (l lines) hash() string {
	content := l.content()
	for _, name := range decided() {
		delete(content, settingsPath+name)
	}
	h := sha256.New()
	for _, path := range slices.Sorted(maps.Keys(content)) {
		fmt.Fprintf(h, "%q=%q\n", path, content[path])
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// decidedSettings returns what an operator has decided.
func (l lines) decidedSettings() Settings {
	s := Settings{}
	for _, name := range decided() {
		if value, ok := l[settingsPath+name]; ok {
			s[name] = value
		}
	}
	return s
}

// diff returns what leads from l to other, sorted by path: "- path: value" and "+ path: value".
func (l lines) diff(other lines) (changes []string) {
	from, to := l.content(), other.content()
	all := maps.Clone(from)
	maps.Copy(all, to)
	for _, path := range slices.Sorted(maps.Keys(all)) {
		was, before := from[path]
		is, after := to[path]
		if before && (!after || was != is) {
			changes = append(changes, "- "+path+": "+was)
		}
		if after && (!before || was != is) {
			changes = append(changes, "+ "+path+": "+is)
		}
	}
	return changes
}
