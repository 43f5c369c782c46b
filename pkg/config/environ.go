package config

import (
	"encoding"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	variablePrefix = "SHIPPERD_"
	// fileVariable names the file; it is no key.
	fileVariable = variablePrefix + "CONFIG"
	// domainVariable is how the LogsToElasticsearch function names its domain.
	domainVariable = "DOMAIN_ENDPOINT"
	endpointsKey   = "elasticsearch.endpoints"
)

// leaf is a key that holds a value or a list.
type leaf struct {
	key   string
	value reflect.Value
}

func (f leaf) variable() string {
	return variablePrefix + strings.ToUpper(strings.ReplaceAll(f.key, ".", "_"))
}

// leaves returns the leaves below v, in the order of the structs.
func leaves(v reflect.Value, key string) []leaf {
	_, text := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr())
	if v.Kind() != reflect.Struct || text {
		return []leaf{{key, v}}
	}
	if key != "" {
		key += "."
	}
	var all []leaf
	for _, f := range fieldsOf(v.Type()) {
		all = append(all, leaves(v.Field(f.index), key+f.key)...)
	}
	return all
}

// applyEnvironment sets every key whose variable has a value. One that no key has
// is no mistake: container platforms inject SHIPPERD_PORT and the like.
func (l *loader) applyEnvironment() {
	byName := map[string]leaf{}
	for _, f := range leaves(l.root, "") {
		byName[f.variable()] = f
	}
	for _, name := range slices.Sorted(maps.Keys(l.variables)) {
		value := l.variables[name]
		if !strings.HasPrefix(name, variablePrefix) || name == fileVariable || value == "" {
			continue
		}
		if f, ok := byName[name]; ok {
			l.setLeaf(f, value, Origin{Source: name})
		} else if near := Nearest(name, slices.Sorted(maps.Keys(byName))); near != "" {
			l.warnings = append(l.warnings, fmt.Sprintf("the variable %s sets nothing; did you mean %s?", name, near))
		} else {
			l.warnings = append(l.warnings, fmt.Sprintf("the variable %s sets nothing", name))
		}
	}
	if domain := l.variables[domainVariable]; domain != "" {
		if _, isSet := l.origins[endpointsKey]; !isSet {
			l.applyOverride(Override{Key: endpointsKey, Value: domain, Flag: domainVariable})
		}
	}
}

// applyOverride sets one key.
func (l *loader) applyOverride(o Override) {
	var keys []string
	for _, f := range leaves(l.root, "") {
		if f.key == o.Key {
			l.setLeaf(f, o.Value, Origin{Source: o.Flag})
			return
		}
		keys = append(keys, f.key)
	}
	l.mistake(Origin{Source: o.Flag}, o.Key, "unknown key; %s", advice(o.Key, keys))
}

// setLeaf sets a key from one text: lists have commas, lists of sections are YAML.
func (l *loader) setLeaf(f leaf, text string, at Origin) {
	_, ownYAML := reflect.TypeAssert[yaml.Unmarshaler](f.value.Addr())
	list := f.value.Kind() == reflect.Slice
	switch {
	case ownYAML || list && f.value.Type().Elem().Kind() == reflect.Struct:
		if n := l.parse(at, f.key, []byte(text)); n != nil {
			l.decode(f.value, n, f.key, at, func(text string) (string, error) { return text, nil })
		}
	case list:
		l.origins[f.key] = at
		items := strings.Split(text, ",")
		list := l.newList(f.value, f.key, len(items))
		for i, item := range items {
			l.setScalar(list.Index(i), strings.TrimSpace(item), fmt.Sprintf("%s[%d]", f.key, i), at)
		}
	default:
		l.setScalar(f.value, text, f.key, at)
	}
}
