package pattern

import (
	"fmt"
	"regexp"
	"strings"
)

// SyntaxError says what is wrong with a pattern, where, and what to write instead.
type SyntaxError struct {
	Pattern string
	Offset  int // bytes before the mistake
	Problem string
}

// Error implements error.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("filter pattern %q, character %d: %s", e.Pattern, e.Offset+1, e.Problem)
}

// maxRegexes is CloudWatch's limit on regular expressions in one pattern.
const maxRegexes = 2

// parser reads a pattern from left to right.
type parser struct {
	text    string
	pos     int
	regexes int
}

func (p *parser) rest() string { return p.text[p.pos:] }

func (p *parser) errorAt(pos int, format string, args ...any) error {
	return &SyntaxError{Pattern: p.text, Offset: pos, Problem: fmt.Sprintf(format, args...)}
}

func (p *parser) space() {
	for p.pos < len(p.text) && isBlank(p.text[p.pos]) {
		p.pos++
	}
}

// take steps over token and the blanks before it, if it is next.
func (p *parser) take(token string) bool {
	p.space()
	if !strings.HasPrefix(p.rest(), token) {
		return false
	}
	p.pos += len(token)
	return true
}

// word reads up to the first byte that ends says is no part of it.
func (p *parser) word(ends func(byte) bool) string {
	start := p.pos
	for p.pos < len(p.text) && !ends(p.text[p.pos]) {
		p.pos++
	}
	return p.text[start:p.pos]
}

// quoted reads a string in double quotes; a backslash protects the next character.
func (p *parser) quoted() (string, error) {
	start := p.pos
	var b strings.Builder
	for p.pos++; p.pos < len(p.text); p.pos++ {
		switch c := p.text[p.pos]; {
		case c == '"':
			p.pos++
			return b.String(), nil
		case c == '\\' && p.pos+1 < len(p.text):
			p.pos++
			b.WriteByte(p.text[p.pos])
		default:
			b.WriteByte(c)
		}
	}
	return "", p.errorAt(start, `this quote is never closed; write "…"`)
}

// regex is a %regular expression%. Go's matches in time linear in the text,
// whatever the expression.
type regex struct {
	re      *regexp.Regexp
	negated bool
}

func (r regex) match(text []byte) bool { return r.re.Match(text) != r.negated }

func (p *parser) regex() (regex, error) {
	start := p.pos
	end := start + 1
	for end < len(p.text) && p.text[end] != '%' {
		if p.text[end] == '\\' {
			end++
		}
		end++
	}
	if end >= len(p.text) {
		return regex{}, p.errorAt(start, `this regular expression is never closed; write %%…%%, and a percent sign in it as \%%`)
	}
	if p.regexes++; p.regexes > maxRegexes {
		return regex{}, p.errorAt(start, "a pattern has at most %d regular expressions; join them with | into one", maxRegexes)
	}
	re, err := regexp.Compile(p.text[start+1 : end])
	if err != nil {
		return regex{}, p.errorAt(start, "%v", err)
	}
	p.pos = end + 1
	return regex{re: re}, nil
}

// and matches when all its conditions do, or when one of them does.
type (
	and []matcher
	or  []matcher
)

func (a and) match(text []byte) bool {
	for _, m := range a {
		if !m.match(text) {
			return false
		}
	}
	return true
}

func (o or) match(text []byte) bool {
	for _, m := range o {
		if m.match(text) {
			return true
		}
	}
	return false
}

// condition reads leaf conditions joined by && and ||, of which && binds tighter,
// with parentheses.
func (p *parser) condition(leaf func() (matcher, error)) (matcher, error) {
	var choices or
	for {
		var all and
		for {
			m, err := p.operand(leaf)
			if err != nil {
				return nil, err
			}
			if all = append(all, m); !p.take("&&") {
				break
			}
		}
		if choices = append(choices, all); !p.take("||") {
			return choices, nil
		}
	}
}

func (p *parser) operand(leaf func() (matcher, error)) (matcher, error) {
	if p.take("(") {
		open := p.pos - 1
		m, err := p.condition(leaf)
		if err == nil && !p.take(")") {
			err = p.errorAt(open, "this parenthesis is never closed; write )")
		}
		return m, err
	}
	p.space()
	return leaf()
}

func isBlank(c byte) bool { return c <= ' ' && (c == ' ' || c == '\t' || c == '\n' || c == '\r') }
