package pattern

import (
	"bytes"
	"slices"
)

// delimiter is a pair of characters that make one token of what stands between
// them and are no part of it.
type delimiter struct {
	open, close byte
	escape      byte // protects the character after it; 0: none
}

// delimiters is what CloudWatch's tokens know. AWS documents the pairs, but not
// whether a backslash protects a quote; here it does, because Apache writes a
// quote inside a request as \", and a request that ended there could forge the
// fields after it.
var delimiters = [...]delimiter{ //nolint:gochecknoglobals // a table
	{open: '"', close: '"', escape: '\\'},
	{open: '[', close: ']'},
}

// tokens cuts a text at blanks. A run of blanks separates once.
type tokens struct {
	text []byte
	pos  int
	// unclosed remembers that no token of this delimiter ends in what is left, so
	// that a line of opening brackets is not searched once for each of them.
	unclosed [len(delimiters)]bool
}

// next returns the next token without its delimiters, or false at the end.
func (t *tokens) next() ([]byte, bool) {
	t.blanks()
	if t.pos == len(t.text) {
		return nil, false
	}
	if first := t.text[t.pos]; first == delimiters[0].open || first == delimiters[1].open {
		if token, ok := t.delimited(); ok {
			return token, true
		}
	}
	word := t.text[t.pos:]
	end := 0
	for end < len(word) && !isBlank(word[end]) {
		end++
	}
	t.pos += end
	return word[:end], true
}

// delimited returns the token between the delimiter that t is at and its end, if
// there is one.
func (t *tokens) delimited() ([]byte, bool) {
	for n := range delimiters {
		d := &delimiters[n]
		if t.text[t.pos] != d.open || t.unclosed[n] {
			continue
		}
		start := t.pos + 1
		if end := d.end(t.text, start); end >= 0 {
			t.pos = end + 1
			return t.text[start:end], true
		}
		t.unclosed[n] = true
	}
	return nil, false
}

// IsToken says whether word is one token, and all of it, where it stands between blanks.
func IsToken(word []byte) bool {
	if len(word) == 0 || word[0] == delimiters[0].open || word[0] == delimiters[1].open {
		return false
	}
	return !slices.ContainsFunc(word, isBlank)
}

// field returns the next token, or all that is left for the last field.
func (t *tokens) field(last bool) ([]byte, bool) {
	if last {
		return t.rest()
	}
	return t.next()
}

// rest returns all that is left: the token, if it is one in delimiters with only
// blanks after it, else the text as it is, with its delimiters and line break.
func (t *tokens) rest() ([]byte, bool) {
	t.blanks()
	start := t.pos
	token, ok := t.next()
	if !ok {
		return nil, false
	}
	delimited := t.pos-start > len(token)
	if t.blanks(); delimited && t.pos == len(t.text) {
		return token, true
	}
	t.pos = len(t.text)
	return t.text[start:], true
}

func (t *tokens) blanks() {
	for t.pos < len(t.text) && isBlank(t.text[t.pos]) {
		t.pos++
	}
}

// end returns the index of the closing delimiter with a blank or the end after
// it, or -1.
func (d *delimiter) end(text []byte, i int) int {
	for closing := -1; ; {
		if closing < i {
			next := bytes.IndexByte(text[min(i, len(text)):], d.close)
			if next < 0 {
				return -1
			}
			closing = i + next
		}
		if d.escape != 0 {
			if escape := bytes.IndexByte(text[i:closing], d.escape); escape >= 0 {
				i += escape + 2
				continue
			}
		}
		if closing+1 == len(text) || isBlank(text[closing+1]) {
			return closing
		}
		i = closing + 1
	}
}

// count returns how many tokens are left; t stays where it is.
func (t tokens) count() int {
	n := 0
	for {
		if _, ok := t.next(); !ok {
			return n
		}
		n++
	}
}
