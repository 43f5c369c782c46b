package pattern

import (
	"bytes"
	"strings"
)

// terms matches lines by what occurs in them, case-sensitively.
type terms struct {
	all  []matcher // every one has to occur
	some []matcher // ?a ?b: one of them, if there are any
	none []matcher // -a: none of them
}

func (t *terms) match(text []byte) bool {
	return and(t.all).match(text) && (len(t.some) == 0 || or(t.some).match(text)) && !or(t.none).match(text)
}

// term occurs in a text.
type term []byte

func (t term) match(text []byte) bool { return bytes.Contains(text, t) }

func parseTerms(p *parser) (matcher, error) {
	t := &terms{}
	for p.space(); p.pos < len(p.text); p.space() {
		list := &t.all
		start := p.pos
		switch p.text[p.pos] {
		case '?':
			list, p.pos = &t.some, p.pos+1
		case '-':
			list, p.pos = &t.none, p.pos+1
		}
		m, err := p.term()
		if err != nil {
			return nil, err
		}
		*list = append(*list, m)
		if len(t.some) > 0 && len(t.all)+len(t.none) > 0 {
			return nil, p.errorAt(start, "?terms cannot stand beside other terms, CloudWatch would ignore them; use one %%a|b%% instead")
		}
	}
	return t, nil
}

func (p *parser) term() (matcher, error) {
	switch {
	case strings.HasPrefix(p.rest(), "%"):
		return p.regex()
	case strings.HasPrefix(p.rest(), `"`):
		text, err := p.quoted()
		return term(text), err
	}
	start := p.pos
	text := p.word(isBlank)
	if i := strings.IndexFunc(text, isSpecial); i >= 0 {
		return nil, p.errorAt(start+i, "%q has other characters than letters, digits and _; write it in double quotes", text)
	}
	if text == "" {
		return nil, p.errorAt(start, "a term is missing")
	}
	return term(text), nil
}

func isSpecial(r rune) bool {
	return r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
}
