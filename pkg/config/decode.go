package config

import (
	"encoding"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/shipperd/shipperd/pkg/setting"
)

// loader fills a struct from several sources and remembers what came from where.
type loader struct {
	root      reflect.Value
	file      string            // that was read, or looked for
	variables map[string]string // the environment
	origins   map[string]Origin // of every key that is not at its default; "" is the whole
	meant     map[string]bool   // keys that a misspelt one is near to
	unread    bool              // a source could not be read at all
	mistakes  []Mistake
	warnings  []string
}

func newLoader(root reflect.Value, environ []string) *loader {
	l := &loader{root: root, variables: map[string]string{}, origins: map[string]Origin{}, meant: map[string]bool{}}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		l.variables[name] = value
	}
	return l
}

// field is one key of a struct.
type field struct {
	key   string
	index int
}

// fieldsOf returns the keys of a struct type, by their yaml tags.
func fieldsOf(t reflect.Type) []field {
	var fields []field
	for i := range t.NumField() {
		if name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ","); name != "-" && name != "" {
			fields = append(fields, field{key: name, index: i})
		}
	}
	return fields
}

func (l *loader) sections() []string { return keysOf(l.root.Type()) }

func keysOf(t reflect.Type) []string {
	var keys []string
	for _, f := range fieldsOf(t) {
		keys = append(keys, f.key)
	}
	return keys
}

// applyYAML fills the root from one document.
func (l *loader) applyYAML(source string, text []byte) {
	at := Origin{Source: source, Line: 1, Column: 1}
	l.origins[""] = at
	if n := l.parse(at, "", text); n != nil {
		l.decode(l.root, n, "", at, l.expand)
	}
}

// parse returns the one document in text, nil without one.
func (l *loader) parse(at Origin, key string, text []byte) *yaml.Node {
	d := yaml.NewDecoder(strings.NewReader(string(text)))
	var document, second yaml.Node
	if err := d.Decode(&document); err != nil {
		if !errors.Is(err, io.EOF) {
			l.syntaxMistake(at, key, err)
		}
		return nil
	}
	if err := d.Decode(&second); !errors.Is(err, io.EOF) {
		if err != nil {
			l.syntaxMistake(at, key, err)
		} else {
			l.mistake(Origin{at.Source, second.Line, second.Column}, key, "a second document; write one")
		}
	}
	return document.Content[0]
}

// syntaxMistake says what the parser said, without the words of the file that it
// quotes: they may be a secret.
func (l *loader) syntaxMistake(at Origin, key string, err error) {
	l.unread = true
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	var line int
	if n, _ := fmt.Sscanf(message, "line %d:", &line); n == 1 {
		at.Line, at.Column = line, 1
		_, message, _ = strings.Cut(message, ": ")
	}
	parts := strings.Split(message, "'")
	for i := 1; i < len(parts); i += 2 {
		if len(parts[i]) > 3 { // shorter ones are punctuation
			parts[i] = "…"
		}
	}
	l.mistake(at, key, "not valid YAML: %s", strings.Join(parts, "'"))
}

// decode fills v from n. at is the place of the key, or of the list's item;
// expand is what happens to the text of scalars.
func (l *loader) decode(v reflect.Value, n *yaml.Node, key string, at Origin, expand func(string) (string, error)) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	l.origins[key] = at
	switch u := v.Addr().Interface().(type) {
	case yaml.Unmarshaler: // such a type reads its text as it stands, unexpanded
		if err := u.UnmarshalYAML(n); err != nil {
			l.mistake(at, key, "%s", formOf(err))
		}
		return
	case encoding.TextUnmarshaler:
		l.decodeScalar(v, n, key, at, expand)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		l.decodeStruct(v, n, key, expand)
	case reflect.Slice:
		l.decodeList(v, n, key, expand)
	default:
		l.decodeScalar(v, n, key, at, expand)
	}
}

// formOf says what a type that reads its own YAML did not accept. The library's
// own errors quote the value, in Go's terms.
func formOf(err error) string {
	if errors.As(err, new(*yaml.TypeError)) {
		return "does not have the form that this key takes; configs/shipperd.yaml shows it"
	}
	return err.Error()
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

func (l *loader) decodeStruct(v reflect.Value, n *yaml.Node, key string, expand func(string) (string, error)) {
	if isNull(n) {
		return // a section of which every key is commented out
	}
	at := l.origins[key]
	if n.Kind != yaml.MappingNode {
		l.unread = l.unread || key == ""
		l.mistake(at, key, "want keys below it: %s", strings.Join(keysOf(v.Type()), ", "))
		return
	}
	fields := fieldsOf(v.Type())
	lines := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := n.Content[i].Value
		inner := name
		if key != "" {
			inner = key + "." + name
		}
		place := Origin{at.Source, n.Content[i].Line, n.Content[i].Column}
		known := slices.IndexFunc(fields, func(f field) bool { return f.key == name })
		switch line, again := lines[name]; {
		case again:
			l.mistake(place, inner, "the key is there twice, first in line %d; remove one", line)
		case known < 0:
			l.mistake(place, inner, "unknown key; %s", advice(name, keysOf(v.Type())))
			if near := Nearest(name, keysOf(v.Type())); near != "" {
				l.meant[strings.TrimSuffix(inner, name)+near] = true
			}
		default:
			lines[name] = place.Line
			l.decode(v.Field(fields[known].index), n.Content[i+1], inner, place, expand)
		}
	}
}

func advice(name string, candidates []string) string {
	if near := Nearest(name, candidates); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "write one of " + strings.Join(candidates, ", ")
}

func (l *loader) decodeList(v reflect.Value, n *yaml.Node, key string, expand func(string) (string, error)) {
	at := l.origins[key]
	if n.Kind != yaml.SequenceNode {
		if !isNull(n) {
			l.mistake(at, key, "want a list, written as [one, two] or one item a line after a dash")
		}
		return
	}
	list := l.newList(v, key, len(n.Content))
	for i, item := range n.Content {
		l.decode(list.Index(i), item, fmt.Sprintf("%s[%d]", key, i), Origin{at.Source, item.Line, item.Column}, expand)
	}
}

// newList puts an empty list of n items in the place of the one that an earlier
// source may have set.
func (l *loader) newList(v reflect.Value, key string, n int) reflect.Value {
	maps.DeleteFunc(l.origins, func(k string, _ Origin) bool { return strings.HasPrefix(k, key+"[") })
	v.Set(reflect.MakeSlice(v.Type(), n, n))
	return v
}

func (l *loader) decodeScalar(v reflect.Value, n *yaml.Node, key string, at Origin, expand func(string) (string, error)) {
	switch {
	case n.Kind != yaml.ScalarNode:
		l.mistake(at, key, "want one value: %s", wanted(v))
		return
	case isNull(n):
		l.mistake(at, key, "has no value; write %s, or leave the line out for the default", wanted(v))
		return
	}
	text, err := expand(n.Value)
	if err != nil {
		l.mistake(at, key, "%v", err)
		return
	}
	l.setScalar(v, text, key, at)
}

// setScalar sets v from text.
func (l *loader) setScalar(v reflect.Value, text, key string, at Origin) {
	l.origins[key] = at
	if !set(v, text) {
		l.mistake(at, key, "want %s", wanted(v))
	}
}

// set says whether text fits v.
func set(v reflect.Value, text string) bool {
	switch target := v.Addr().Interface().(type) {
	case encoding.TextUnmarshaler:
		return target.UnmarshalText([]byte(text)) == nil
	case *time.Duration:
		d, err := time.ParseDuration(text)
		if err == nil {
			*target = d
		}
		return err == nil
	}
	return setKind(v, text)
}

func setKind(v reflect.Value, text string) bool {
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		if text != "true" && text != "false" {
			return false
		}
		v.SetBool(text == "true")
	case reflect.Int, reflect.Int64:
		n, err := strconv.ParseInt(text, 10, v.Type().Bits())
		if err != nil {
			return false
		}
		v.SetInt(n)
	default:
		panic(fmt.Sprintf("config: no way to read a %s", v.Type()))
	}
	return true
}

// wanted says what to write for v. Mistakes never quote what was written: it may
// have come from a variable with a secret.
func wanted(v reflect.Value) string {
	switch v.Addr().Interface().(type) {
	case *time.Duration:
		return "a duration such as 5s, 15m or 1h30m"
	case *setting.Size:
		return "a size such as 512KiB, 8MiB or 1GiB"
	}
	switch v.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	default:
		return "a text"
	}
}
