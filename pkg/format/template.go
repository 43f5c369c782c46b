package format

import (
	"bytes"
	"strings"
)

// template is one shape of a log message, written like
//
//	Failed {method} for {user} from {address}( port {port}|){tail}
//
// A placeholder in braces takes a part of the message, (a|b|) stands for one of
// its alternatives, and a backslash makes the next character mean itself. It is
// matched in time linear in the message.
//
// A user name is whatever a stranger typed, and may read ` from 9.9.9.9 port 1
// ssh2`. So it ends as late as the rest of the template allows, which is held
// against the end of the message: what the daemon wrote itself comes last.
type template struct {
	parts []part
	tail  bool // the message may end at the first ": " after the first literal
}

// part is a literal, or a slot with the rule for what it takes.
type part struct {
	literal string
	slot    slot
	takes   takes
}

// slot is what a placeholder stands for.
type slot uint8

const (
	slotMethod slot = iota
	slotUser
	slotAddress
	slotPort
	slotDestination
	slotDestinationPort
	slotAny // read over
	slotCount
)

// takes is how far a slot reaches.
type takes uint8

const (
	takesLiteral takes = iota
	takesWord          // no blank, at least one byte
	takesDigits        // at least one
	takesMost          // up to the last place from which the rest matches; may be empty
	takesLeast         // up to the first place where the next literal stands
	takesRest          // all
)

// values are the parts of a message that the slots took.
type values [slotCount][]byte

// placeholder returns the part that {name} stands for. A template is ours, so an
// unknown name is a mistake in the table.
func placeholder(name string) part {
	p, ok := map[string]part{
		"method":           {slot: slotMethod, takes: takesWord},
		"user":             {slot: slotUser, takes: takesMost},
		"address":          {slot: slotAddress, takes: takesWord},
		"port":             {slot: slotPort, takes: takesDigits},
		"destination":      {slot: slotDestination, takes: takesWord},
		"destination port": {slot: slotDestinationPort, takes: takesDigits},
		"word":             {slot: slotAny, takes: takesWord},
		"number":           {slot: slotAny, takes: takesDigits},
		"text":             {slot: slotAny, takes: takesMost},
		"until":            {slot: slotAny, takes: takesLeast},
		"rest":             {slot: slotAny, takes: takesRest},
	}[name]
	if !ok {
		panic("format: no placeholder {" + name + "}")
	}
	return p
}

// alternatives writes out the first (a|b|) of a template, and so all of them.
func alternatives(text string) []string {
	open := unescaped(text, 0, '(')
	if open < 0 {
		return []string{text}
	}
	end := unescaped(text, open, ')')
	var all []string
	for choice := range strings.SplitSeq(text[open+1:end], "|") {
		all = append(all, alternatives(text[:open]+choice+text[end+1:])...)
	}
	return all
}

func unescaped(text string, from int, c byte) int {
	for i := from; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case c:
			return i
		}
	}
	return -1
}

// compile reads a template without alternatives.
func compile(text string) template {
	var t template
	var literal strings.Builder
	flush := func() {
		if literal.Len() > 0 {
			t.parts = append(t.parts, part{literal: literal.String()})
			literal.Reset()
		}
	}
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
			literal.WriteByte(text[i])
		case '{':
			end := i + strings.IndexByte(text[i:], '}')
			flush()
			if name := text[i+1 : end]; name == "tail" {
				t.tail = true
			} else {
				t.parts = append(t.parts, placeholder(name))
			}
			i = end
		default:
			literal.WriteByte(text[i])
		}
	}
	flush()
	return t
}

// matched is the answer for a message that a template fits.
const matched = -1

// match fills v with what the slots took and returns matched, or how many of the first
// parts are enough to say that the template does not fit.
func (t *template) match(message []byte, v *values) (decided int) {
	first := t.parts[0].literal
	if !hasPrefix(message, first) {
		return 1
	}
	*v = values{}
	if t.tail {
		if i := bytes.Index(message[len(first):], []byte(": ")); i >= 0 {
			if decided = matchParts(t.parts, message[:len(first)+i], v); decided == matched {
				return matched
			}
		}
	}
	if whole := matchParts(t.parts, message, v); whole == matched || whole > decided {
		return whole
	}
	return decided
}

// common returns how many of the first parts two templates have in common, of which
// what the one decides about a message holds for the other.
func (t *template) common(next *template) int {
	n := 0
	for t.tail == next.tail && n < min(len(t.parts), len(next.parts)) && t.parts[n] == next.parts[n] {
		n++
	}
	return n
}

// matchParts is match for what is left of a template and a message.
func matchParts(parts []part, text []byte, v *values) (decided int) {
	for i, p := range parts {
		next := ""
		if i+1 < len(parts) {
			next = parts[i+1].literal
		}
		end := 0
		switch p.takes {
		case takesLiteral:
			if !hasPrefix(text, p.literal) {
				return i + 1
			}
			text = text[len(p.literal):]
			continue
		case takesMost:
			if matchMost(parts[i:], next, text, v) {
				return matched
			}
			return len(parts) + 1
		case takesWord:
			end = wordEnd(text, next)
		case takesDigits:
			for end < len(text) && text[end]-'0' <= 9 {
				end++
			}
		case takesLeast:
			end = bytes.Index(text, []byte(next))
		case takesRest:
			end = len(text)
		}
		if end < 0 || end == 0 && (p.takes == takesWord || p.takes == takesDigits) {
			return i + 2 // a word depends on the literal after it
		}
		v[p.slot], text = text[:end], text[end:]
	}
	if len(text) > 0 {
		return len(parts) + 1 // another template may go on here
	}
	return matched
}

// matchMost lets the first part reach as far as what follows it allows. Every try
// fails within a word or two, so that all of them together read the text once.
func matchMost(parts []part, next string, text []byte, v *values) bool {
	if next == "" {
		v[parts[0].slot] = text
		return true
	}
	for end := len(text); ; {
		end = lastIndex(text[:end], next)
		if end < 0 {
			return false
		}
		if matchParts(parts[1:], text[end:], v) == matched {
			v[parts[0].slot] = text[:end]
			return true
		}
		end += len(next) - 1
	}
}

// lastIndex is bytes.LastIndex, which hashes every byte, for texts that have few of the
// first character of what is looked for.
func lastIndex(text []byte, literal string) int {
	for end := len(text); ; {
		i := bytes.LastIndexByte(text[:end], literal[0])
		if i < 0 || hasPrefix(text[i:], literal) {
			return i
		}
		end = i
	}
}

// wordEnd returns where the word at the start of text ends: at the next literal or
// at a blank. Only the word itself is searched.
func wordEnd(text []byte, next string) int {
	blank := bytes.IndexByte(text, ' ')
	if blank < 0 {
		blank = len(text)
	}
	if next == "" || next[0] == ' ' {
		return blank
	}
	return bytes.Index(text[:min(len(text), blank+len(next))], []byte(next))
}

func hasPrefix(text []byte, prefix string) bool {
	return len(text) >= len(prefix) && string(text[:len(prefix)]) == prefix
}
