package document

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"math/big"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The rules of root fields once more, written for reading and not for speed, with
// encoding/json, maps and regexp. The fuzz test holds the fast path against it.

// reference makes documents, less their typed fields.
type reference struct {
	dialect Dialect
	table   rootTable
	foreign map[string]any
	// ambiguous says that two names became the same: which value wins depends on
	// their order, which a map has lost.
	ambiguous bool
}

type origin struct{ id, owner, group, stream string }

func (r *reference) document(message string, ms int64, o origin, extracted map[string]any, columns []string, values []string, readsJSON bool) map[string]any {
	r.foreign = map[string]any{}
	doc := map[string]any{}
	fields, system := r.extractedNames(extracted)
	switch {
	case extracted != nil && (len(fields) > 0 || system == 0):
		for name, value := range fields {
			if text, ok := value.(string); ok {
				r.converted(doc, name, text, fields)
			} else {
				r.member(doc, name, value, nil)
			}
		}
	case readsJSON || r.dialect == Lambda:
		doc = r.message(message)
	default:
		for i, name := range columns {
			r.converted(doc, name, values[i], nil)
		}
	}
	if len(r.foreign) > 0 {
		doc["fields"] = r.foreign
	}
	for _, name := range []string{"@id", "@timestamp", "@message", "@owner", "@log_group", "@log_stream"} {
		delete(doc, name)
	}
	when := time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z")
	if r.dialect == SolutionV4 {
		doc["id"], doc["timestamp"], doc["type"] = o.id, when, "CloudWatchLogs"
	} else {
		doc["@id"], doc["@timestamp"] = o.id, when
	}
	doc["@message"], doc["@owner"], doc["@log_group"], doc["@log_stream"] = message, o.owner, o.group, o.stream
	return doc
}

func (r *reference) extractedNames(extracted map[string]any) (fields map[string]any, system int) {
	fields = map[string]any{}
	for name, value := range extracted {
		if r.dialect != Lambda {
			name = r.mended(strings.TrimLeft(name, "$"))
		}
		if strings.HasPrefix(name, "@") {
			system++
			continue
		}
		r.set(fields, name, value)
	}
	return fields, system
}

func (r *reference) set(m map[string]any, name string, value any) {
	if _, taken := m[name]; taken {
		r.ambiguous = true
	}
	m[name] = value
}

func (r *reference) mended(name string) string {
	if r.dialect == Lambda {
		return name
	}
	if name == "" {
		return "_"
	}
	return strings.ReplaceAll(name, ".", "_")
}

func (r *reference) kind(name string) Kind {
	if k, ok := r.table[name]; ok {
		return k
	}
	if strings.HasPrefix(name, "_") && r.dialect != Lambda {
		return Reserved
	}
	return Unknown
}

// raw keeps the text of a value beside it, for those that become their text.
type raw struct {
	text  string
	value any
}

// parsed reads the members of a JSON object with their texts.
func parsed(text string) (map[string]raw, bool) {
	d := json.NewDecoder(strings.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, false
	}
	members := map[string]raw{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, false
		}
		var m json.RawMessage
		if err := d.Decode(&m); err != nil {
			return nil, false
		}
		members[name.(string)] = raw{string(m), decoded(string(m))}
	}
	if _, err := d.Token(); err != nil {
		return nil, false
	}
	rest, err := io.ReadAll(d.Buffered())
	return members, err == nil && strings.Trim(string(rest), " \t\r\n") == "" && json.Valid([]byte(text))
}

func decoded(text string) any {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		panic(err)
	}
	return v
}

func (r *reference) message(message string) map[string]any {
	doc := map[string]any{}
	_, after, found := strings.Cut(message, "{")
	if !found {
		return doc
	}
	members, ok := parsed("{" + after)
	if !ok {
		return doc
	}
	seen := map[string]any{}
	for name, value := range members {
		r.set(seen, r.mended(name), nil)
		r.member(doc, r.mended(name), value.value, &value.text)
	}
	return doc
}

func (r *reference) member(doc map[string]any, name string, value any, text *string) {
	kind := r.kind(name)
	asText := func() string {
		if s, ok := value.(string); ok {
			return s
		}
		if text != nil {
			return *text
		}
		return marshal(value)
	}
	fits := value == nil
	switch v := value.(type) {
	case string:
		_, err := netip.ParseAddr(v)
		fits = kind == Text || kind == Address && err == nil
	case bool:
		fits = kind == Bool
	case json.Number:
		x, err := v.Float64()
		fits = kind == Number && err == nil && x == math.Trunc(x) && math.Abs(x) < 1<<63
	case map[string]any:
		fits = kind == Object || kind == Objects
	case []any:
		fits = kind == Objects && !slices.ContainsFunc(v, func(e any) bool { _, ok := e.(map[string]any); return !ok })
	}
	switch {
	case kind == Metadata:
	case kind == Unknown || fits && kind != Reserved:
		doc[name] = r.canonical(value)
	case kind == JSONText && (value != nil || r.dialect == SolutionV4):
		doc[name] = asText()
	case value != nil:
		r.foreign[name] = asText()
	}
	if kind == JSONText && value == nil && r.dialect == SolutionV4 {
		doc[name] = "null"
	}
}

// canonical is what JSON.stringify(JSON.parse(v)) leaves of v, with mended names.
func (r *reference) canonical(v any) any {
	switch v := v.(type) {
	case json.Number:
		x, err := v.Float64()
		if err != nil {
			return nil
		}
		return jsNumber(x)
	case map[string]any:
		m := map[string]any{}
		for name, value := range v {
			r.set(m, r.mended(name), r.canonical(value))
		}
		return m
	case []any:
		list := make([]any, 0, len(v))
		for _, e := range v {
			list = append(list, r.canonical(e))
		}
		return list
	}
	return v
}

func jsNumber(x float64) json.Number {
	if x == 0 {
		return "0"
	}
	b, _ := json.Marshal(x) // encoding/json prints numbers as ECMAScript does
	return json.Number(b)
}

var (
	jsDecimal = regexp.MustCompile(`^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$`)
	jsBased   = regexp.MustCompile(`^0([xX][0-9a-fA-F]+|[oO][0-7]+|[bB][01]+)$`)
)

func jsNumeric(text string) (float64, bool) {
	text = strings.Trim(text, "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff")
	if jsBased.MatchString(text) {
		n, _ := new(big.Int).SetString(text, 0)
		x, _ := new(big.Float).SetInt(n).Float64()
		return x, !math.IsInf(x, 0)
	}
	if !jsDecimal.MatchString(text) {
		return 0, false
	}
	x, err := strconv.ParseFloat(text, 64)
	return x, err == nil
}

func (r *reference) converted(doc map[string]any, name, text string, all map[string]any) {
	kind := r.kind(name)
	x, isNumber := jsNumeric(text)
	whole := isNumber && x == math.Trunc(x) && math.Abs(x) < 1<<63
	_, err := netip.ParseAddr(text)
	switch {
	case text == "", kind == Metadata:
	case kind == Reserved:
		r.foreign[name] = text
	case kind == Number && whole, kind == Unknown && isNumber:
		doc[name] = jsNumber(x)
	case kind == Number, kind == Bool, kind == Object, kind == Objects, kind == Address && err != nil:
	default:
		doc[name] = text
		if kind != Unknown {
			return
		}
		if i := strings.IndexByte(text, '{'); i >= 0 && json.Valid([]byte(text[i:])) {
			if _, taken := all["$"+name]; !taken {
				doc["$"+name] = r.canonical(decoded(text[i:]))
			}
		}
	}
}

func marshal(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v)
	return strings.TrimSuffix(b.String(), "\n")
}
