package pattern

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/shipperd/shipperd/pkg/jsonraw"
)

// document is a JSON pattern. It matches valid JSON only.
type document struct{ condition matcher }

func (d document) match(text []byte) bool {
	return jsonraw.Valid(text) && d.condition.match(text[jsonraw.Space(text, 0):])
}

// selected asks for the value at a path.
type selected struct {
	path    []step
	value   matcher
	negated bool // NOT EXISTS
}

// step goes from an object to a member or from an array to an element.
type step struct {
	key   string
	index int // of an element; anyElement; or isKey
}

const (
	anyElement = -1
	isKey      = -2
)

func (s selected) match(text []byte) bool { return s.walk(text, s.path) != s.negated }

// walk follows path into the valid JSON value.
func (s selected) walk(value []byte, path []step) bool {
	switch {
	case len(path) == 0:
		return s.value.match(value)
	case path[0].index == isKey:
		return s.member(value, path)
	case value[0] != '[':
		return false
	}
	n := 0
	for i := jsonraw.Space(value, 1); value[i] != ']'; n++ {
		end := jsonraw.Skip(value, i)
		if want := path[0].index; (want == anyElement || want == n) && s.walk(value[i:end], path[1:]) {
			return true
		}
		if i = jsonraw.Space(value, end); value[i] == ',' {
			i = jsonraw.Space(value, i+1)
		}
	}
	return false
}

func (s selected) member(value []byte, path []step) bool {
	o := jsonraw.ReadObject(value, 0)
	for o.Next() {
		key := o.Key
		if o.KeyEscapes != jsonraw.Plain {
			key = jsonraw.Unescape(nil, key)
		}
		if string(key) == path[0].key {
			return s.walk(o.Value, path[1:])
		}
	}
	return false
}

// scalar compares a JSON string, number or boolean. Of null, an array and an
// object nothing is true, neither = nor !=.
type scalar struct{ comparison matcher }

func (s scalar) match(value []byte) bool {
	switch value[0] {
	case '{', '[', 'n':
		return false
	case '"':
		inside, _ := jsonraw.Inside(value)
		if bytes.IndexByte(inside, '\\') >= 0 {
			inside = jsonraw.Unescape(nil, inside)
		}
		return s.comparison.match(inside)
	}
	return s.comparison.match(value)
}

// literal is a JSON value in its only spelling.
type literal string

func (l literal) match(value []byte) bool { return string(value) == string(l) }

// present is true of every value.
type present struct{}

func (present) match([]byte) bool { return true }

func parseJSON(p *parser) (matcher, error) {
	open := p.pos
	p.pos++
	condition, err := p.condition(p.selection)
	if err != nil {
		return nil, err
	}
	if !p.take("}") {
		if p.pos == len(p.text) {
			return nil, p.errorAt(open, "this brace is never closed; write } after the last condition")
		}
		return nil, p.errorAt(p.pos, "%q cannot stand here; conditions are joined by && or ||", p.text[p.pos:p.pos+1])
	}
	if p.space(); p.pos < len(p.text) {
		return nil, p.errorAt(p.pos, "nothing may follow the closing brace")
	}
	return document{condition: condition}, nil
}

// selection reads a selector and what is asked of its value.
func (p *parser) selection() (matcher, error) {
	path, err := p.selector()
	if err != nil {
		return nil, err
	}
	switch {
	case p.takeWords("NOT", "EXISTS"):
		return selected{path: path, value: present{}, negated: true}, nil
	case p.takeWords("IS", "NULL"):
		return selected{path: path, value: literal("null")}, nil
	case p.takeWords("IS", "TRUE"):
		return selected{path: path, value: literal("true")}, nil
	case p.takeWords("IS", "FALSE"):
		return selected{path: path, value: literal("false")}, nil
	}
	comparison, err := p.comparison(endsJSONValue)
	return selected{path: path, value: scalar{comparison}}, err
}

// takeWords steps over words in either case, or over none of them.
func (p *parser) takeWords(words ...string) bool {
	start := p.pos
	for _, w := range words {
		p.space()
		if !strings.EqualFold(p.word(endsKey), w) {
			p.pos = start
			return false
		}
	}
	return true
}

// selector reads `$.a.b[0]`, `$.['a.b']` or `$.a[*]`.
func (p *parser) selector() ([]step, error) {
	start := p.pos
	if !p.take("$") {
		return nil, p.errorAt(start, "a selector is missing; it begins with $ and is written like $.userIdentity.type")
	}
	var path []step
	for p.pos < len(p.text) && (p.text[p.pos] == '.' || p.text[p.pos] == '[') {
		next, err := p.step()
		if err != nil {
			return nil, err
		}
		path = append(path, next)
	}
	if len(path) == 0 {
		return nil, p.errorAt(p.pos, "a name is missing after $; write $.name or $[0]")
	}
	return path, nil
}

// step reads `.name`, `[0]`, `[*]`, `['name']` or `.['name']`.
func (p *parser) step() (step, error) {
	start := p.pos
	p.pos += len(".")
	if p.text[start] == '.' && !strings.HasPrefix(p.rest(), "[") {
		key := p.word(endsKey)
		if key == "" {
			return step{}, p.errorAt(p.pos, "a name is missing after the dot")
		}
		return step{key: key, index: isKey}, nil
	}
	inside := strings.TrimPrefix(p.rest(), "[")
	if name, ok := strings.CutPrefix(inside, "'"); ok {
		key, after, ok := strings.Cut(name, "']")
		if !ok {
			return step{}, p.errorAt(start, "this name is never closed; write ['name']")
		}
		p.pos = len(p.text) - len(after)
		return step{key: key, index: isKey}, nil
	}
	inside, after, ok := strings.Cut(inside, "]")
	if !ok {
		return step{}, p.errorAt(start, "this bracket is never closed; write ]")
	}
	p.pos = len(p.text) - len(after)
	if inside == "*" {
		return step{index: anyElement}, nil
	}
	index, err := strconv.ParseUint(inside, 10, 31)
	if err != nil {
		return step{}, p.errorAt(start, "%q is no index; write [0], [*] or ['name']", inside)
	}
	return step{index: int(index)}, nil
}

func endsKey(c byte) bool { return isBlank(c) || strings.IndexByte(`.[]=!<>()&|}"`, c) >= 0 }

func endsJSONValue(c byte) bool { return isBlank(c) || strings.IndexByte(")&|}", c) >= 0 }
