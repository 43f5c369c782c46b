// Package jsonraw works on JSON text without decoding it: it checks syntax, cuts
// a document into slices that are still escaped, and writes strings. Nothing
// here allocates except where dst grows. Strings are read eight bytes at a time,
// because a log line passes through here several times.
package jsonraw

import (
	"encoding/binary"
	"math/bits"
)

// MaxDepth is how deep arrays and objects may nest. Deeper text is not valid
// here; encoding/json takes 10,000, which costs an attacker nothing and us a
// stack of megabytes.
const MaxDepth = 128

// Where a value ends when it does not: both are negative.
const (
	Invalid = -1
	TooDeep = -2 // nested deeper than MaxDepth; what follows was not looked at
)

// Eight bytes in one word: a constant with every byte the same, and the borrow
// trick. For a block x, (x - n) has the high bit of the first byte that is below
// n set; borrows spoil only the bytes after it, and the first is all we ask for.
const (
	ones       = 0x0101010101010101
	highs      = 0x8080808080808080
	backslash8 = '\\' * ones
	twos       = 2 * ones
	bangs      = '!' * ones
)

// specialBytes marks the first byte of x that ends a run of plain string text: a
// quote, a backslash or a control character. Bytes above 0x7f are plain. The bit that
// twos turns puts the quote in the place of the space, just above the control characters.
func specialBytes(x uint64) uint64 {
	return (((x ^ twos) - bangs) | ((x ^ backslash8) - ones)) &^ x & highs
}

// Escapes says how a string is written.
type Escapes uint8

// The ways.
const (
	Plain     Escapes = 0 // no escapes: the inside is the text itself
	Escaped   Escapes = 1 // escapes, all of which stand for a character
	Surrogate Escapes = 3 // among them halves of surrogate pairs, not checked for their other half
)

// String checks the string whose opening quote is b[i] and returns the index
// after its closing quote, or Invalid.
func String(b []byte, i int) (end int, esc Escapes) {
	if i >= len(b) || b[i] != '"' {
		return Invalid, Plain
	}
	i++
	for {
		for i+8 <= len(b) {
			if m := specialBytes(binary.LittleEndian.Uint64(b[i:])); m != 0 {
				i += bits.TrailingZeros64(m) >> 3
				goto special
			}
			i += 8
		}
		for i < len(b) && b[i] != '"' && b[i] != '\\' && b[i] >= ' ' {
			i++
		}
	special:
		switch {
		case i >= len(b):
			return Invalid, esc
		case b[i] == '"':
			return i + 1, esc
		case b[i] != '\\' || i+1 == len(b):
			return Invalid, esc
		case escaped[b[i+1]] != 0:
			i, esc = i+2, esc|Escaped
			continue
		}
		end, e := unicodeEscape(b, i)
		if end < 0 {
			return Invalid, esc
		}
		i, esc = end, esc|e
	}
}

// escaped is what the byte after a backslash stands for, 0 where it is none of the
// short escapes.
var escaped = [256]byte{ //nolint:gochecknoglobals // a table
	'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t',
}

// unicodeEscape checks the \uXXXX that the backslash b[i] has to begin, and returns
// the index after it, or Invalid.
func unicodeEscape(b []byte, i int) (end int, esc Escapes) {
	if i+6 > len(b) || b[i+1] != 'u' {
		return Invalid, Escaped
	}
	for _, c := range b[i+2 : i+6] {
		if !isDigit(c) && (c|0x20 < 'a' || c|0x20 > 'f') {
			return Invalid, Escaped
		}
	}
	if b[i+2]|0x20 == 'd' && b[i+3] >= '8' {
		return i + 6, Surrogate
	}
	return i + 6, Escaped
}

func isDigit(c byte) bool { return c-'0' <= 9 }

// Space returns the index of the first byte at or after i that is no JSON white space.
func Space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// Valid says whether b is one JSON value with nothing but white space around it.
func Valid(b []byte) bool {
	end := Skip(b, Space(b, 0))
	return end >= 0 && Space(b, end) == len(b)
}

// Skip checks the value that begins at b[i] and returns the index after it, or
// Invalid or TooDeep.
func Skip(b []byte, i int) int { return skip(b, i, 0) }

func skip(b []byte, i, depth int) int {
	if i >= len(b) {
		return Invalid
	}
	switch b[i] {
	case '"':
		end, _ := String(b, i)
		return end
	case '{':
		return skipObject(b, i, depth+1)
	case '[':
		return skipArray(b, i, depth+1)
	case 't':
		return word(b, i, "true")
	case 'f':
		return word(b, i, "false")
	case 'n':
		return word(b, i, "null")
	}
	return number(b, i)
}

func skipObject(b []byte, i, depth int) int {
	if depth > MaxDepth {
		return TooDeep
	}
	i, done := open(b, i, '{')
	for !done {
		end, _ := String(b, i)
		if end < 0 {
			return Invalid
		}
		if i = colon(b, end); i < 0 {
			return Invalid
		}
		i, done = step(b, skip(b, i, depth), '}')
	}
	return i
}

func skipArray(b []byte, i, depth int) int {
	if depth > MaxDepth {
		return TooDeep
	}
	i, done := open(b, i, '[')
	for !done {
		i, done = step(b, skip(b, i, depth), ']')
	}
	return i
}

// colon steps over the colon after a key to the value, or returns -1.
func colon(b []byte, i int) int {
	i = Space(b, i)
	if i >= len(b) || b[i] != ':' {
		return Invalid
	}
	return Space(b, i+1)
}

// open steps over an opening bracket to the first element, or over both brackets
// when nothing is between them.
func open(b []byte, i int, bracket byte) (_ int, done bool) {
	if i < 0 || i >= len(b) || b[i] != bracket {
		return Invalid, true
	}
	i = Space(b, i+1)
	if i < len(b) && b[i] == bracket+2 { // ']' and '}' follow '[' and '{' at that distance
		return i + 1, true
	}
	return i, false
}

// step goes from the end of an element, negative if that was bad, to the next
// one. Once done it is the index after the closing bracket, or what was wrong.
func step(b []byte, end int, closing byte) (_ int, done bool) {
	if end < 0 {
		return end, true
	}
	i := Space(b, end)
	switch {
	case i >= len(b):
		return Invalid, true
	case b[i] == ',':
		return Space(b, i+1), false
	case b[i] == closing:
		return i + 1, true
	}
	return Invalid, true
}

func word(b []byte, i int, w string) int {
	if len(b)-i >= len(w) && string(b[i:i+len(w)]) == w {
		return i + len(w)
	}
	return Invalid
}

// number checks the number at b[i]: RFC 8259, section 6.
func number(b []byte, i int) int {
	if i < len(b) && b[i] == '-' {
		i++
	}
	if i < len(b) && b[i] == '0' {
		i++
	} else if i = digits(b, i); i < 0 {
		return Invalid
	}
	if i < len(b) && b[i] == '.' {
		if i = digits(b, i+1); i < 0 {
			return Invalid
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		return digits(b, i)
	}
	return i
}

// digits steps over one or more digits, or returns -1.
func digits(b []byte, i int) int {
	start := i
	for i < len(b) && isDigit(b[i]) {
		i++
	}
	if i == start {
		return Invalid
	}
	return i
}
