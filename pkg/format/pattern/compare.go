package pattern

import (
	"bytes"
	"strconv"
	"strings"
)

// wildcard compares a whole text, in which * stands for anything.
type wildcard struct {
	parts   [][]byte // what stands between the stars
	negated bool
}

func newWildcard(text string, negated bool) wildcard {
	w := wildcard{negated: negated}
	for part := range strings.SplitSeq(text, "*") {
		w.parts = append(w.parts, []byte(part))
	}
	return w
}

func (w wildcard) match(text []byte) bool { return w.fits(text) != w.negated }

func (w wildcard) fits(text []byte) bool {
	first, last := w.parts[0], len(w.parts)-1
	if last == 0 {
		return bytes.Equal(text, first)
	}
	text, ok := bytes.CutPrefix(text, first)
	if !ok {
		return false
	}
	for _, part := range w.parts[1:last] {
		i := bytes.Index(text, part)
		if i < 0 {
			return false
		}
		text = text[i+len(part):]
	}
	return bytes.HasSuffix(text, w.parts[last])
}

// number compares numbers. A text that is none is unlike every number, so only !=
// is true of it.
type number struct {
	operator string
	value    float64
}

func (n number) match(text []byte) bool {
	v, ok := parseNumber(text)
	if !ok {
		return n.operator == "!="
	}
	switch n.operator {
	case "=":
		return v == n.value
	case "!=":
		return v != n.value
	case "<":
		return v < n.value
	case "<=":
		return v <= n.value
	case ">":
		return v > n.value
	}
	return v >= n.value
}

// maxNumber is the longest text that is read as a number, in bytes. The
// conversion to a string below then stays on the stack.
const maxNumber = 32

func parseNumber(text []byte) (float64, bool) {
	if len(text) == 0 || len(text) > maxNumber || !strings.ContainsRune("+-.0123456789", rune(text[0])) {
		return 0, false
	}
	v, err := strconv.ParseFloat(string(text), 64)
	return v, err == nil
}

// comparison reads an operator and the value after it. ends says which byte ends
// a value without quotes.
func (p *parser) comparison(ends func(byte) bool) (matcher, error) {
	operator := p.operator()
	if operator == "" {
		return nil, p.errorAt(p.pos, "a comparison is missing; write =, !=, <, <=, > or >= and a value")
	}
	p.space()
	start, negated := p.pos, operator == "!="
	equality := negated || operator == "="
	switch {
	case strings.HasPrefix(p.rest(), "%") && equality:
		r, err := p.regex()
		r.negated = negated
		return r, err
	case strings.HasPrefix(p.rest(), `"`) && equality:
		text, err := p.quoted()
		return newWildcard(text, negated), err
	}
	text := p.word(ends)
	if text == "" {
		return nil, p.errorAt(start, "a value is missing after %s", operator)
	}
	if value, ok := parseNumber([]byte(text)); ok {
		return number{operator: operator, value: value}, nil
	}
	if !equality {
		return nil, p.errorAt(start, "%s compares numbers, and %s is none", operator, text)
	}
	return newWildcard(text, negated), nil
}

func (p *parser) operator() string {
	for _, op := range [...]string{"!=", "<=", ">=", "=", "<", ">"} {
		if p.take(op) {
			return op
		}
	}
	return ""
}
