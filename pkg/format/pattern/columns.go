package pattern

import (
	"slices"
	"strings"
)

// columns is a space-delimited pattern. A text with fewer tokens than fields does
// not match; the last field takes all that is left.
type columns struct {
	before []column // fields counted from the start of the line
	after  []column // fields behind an ellipsis, counted from the end
	open   bool     // there is an ellipsis: any number of tokens between the two
	names  []string
}

type column struct {
	name      string  // empty: not wanted
	condition matcher // nil: anything
}

func (c *columns) match(text []byte) bool { return c.split(text, nil) }

// split appends the named fields to values, which may be nil.
func (c *columns) split(text []byte, values *[][]byte) bool {
	t := tokens{text: text}
	for i := range c.before {
		if value, ok := t.field(!c.open && i == len(c.before)-1); !ok || !c.before[i].accept(value, values) {
			return false
		}
	}
	if len(c.after) == 0 {
		return true
	}
	for range t.count() - len(c.after) {
		t.next()
	}
	for i := range c.after {
		if value, ok := t.next(); !ok || !c.after[i].accept(value, values) {
			return false
		}
	}
	return true
}

func (c *column) accept(value []byte, values *[][]byte) bool {
	if c.condition != nil && !c.condition.match(value) {
		return false
	}
	if c.name != "" && values != nil {
		*values = append(*values, value)
	}
	return true
}

func parseColumns(p *parser) (matcher, error) {
	open := p.pos
	c := &columns{}
	for p.pos++; ; {
		if err := c.parseField(p); err != nil {
			return nil, err
		}
		if p.take(",") {
			continue
		}
		if p.take("]") {
			break
		}
		if p.pos == len(p.text) {
			return nil, p.errorAt(open, "this bracket is never closed; write ] after the last field")
		}
		return nil, p.errorAt(p.pos, "%q cannot stand here; fields are separated by commas", p.text[p.pos:p.pos+1])
	}
	if p.space(); p.pos < len(p.text) {
		return nil, p.errorAt(p.pos, "nothing may follow the closing bracket")
	}
	return c, nil
}

// parseField reads up to the comma or bracket after a field.
func (c *columns) parseField(p *parser) error {
	p.space()
	start := p.pos
	if p.take("...") {
		if c.open {
			return p.errorAt(start, "only one ... may stand in a pattern")
		}
		c.open = true
		return nil
	}
	name := p.word(endsName)
	if strings.HasPrefix(p.rest(), "(") && name == "" {
		name = firstName(p.rest())
	}
	if name != "" && slices.Contains(c.names, name) {
		return p.errorAt(start, "the field %s stands here twice; give each its own name", name)
	}
	field := column{name: name}
	p.space()
	if p.pos < len(p.text) && p.text[p.pos] != ',' && p.text[p.pos] != ']' {
		condition, err := p.condition(func() (matcher, error) { return p.fieldComparison(name) })
		if err != nil {
			return err
		}
		field.condition = condition
	}
	if name != "" {
		c.names = append(c.names, name)
	}
	if c.open {
		c.after = append(c.after, field)
	} else {
		c.before = append(c.before, field)
	}
	return nil
}

// firstName returns the name in a parenthesised condition, `(status = 4* || status = 5*)`.
func firstName(text string) string {
	text = strings.TrimLeft(text, "( \t")
	if i := strings.IndexFunc(text, func(r rune) bool { return r < 128 && endsName(byte(r)) }); i >= 0 {
		return text[:i]
	}
	return text
}

// fieldComparison reads `= value`, which may repeat the field's name before it.
func (p *parser) fieldComparison(name string) (matcher, error) {
	start := p.pos
	again := p.word(endsName)
	m, err := p.comparison(endsFieldValue)
	switch {
	case again == "" || again == name:
		return m, err
	case err != nil:
		return nil, p.errorAt(start, "a comma is missing before %q", again)
	}
	return nil, p.errorAt(start, "the condition of field %q cannot ask for %q; write it at that field", name, again)
}

func endsName(c byte) bool { return isBlank(c) || strings.IndexByte(`,]()=!<>&|"%`, c) >= 0 }

func endsFieldValue(c byte) bool { return isBlank(c) || strings.IndexByte(",])&|", c) >= 0 }
