package jsonraw

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"unicode/utf16"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// AppendString appends text as a JSON string, quotes included. Bytes that are no
// UTF-8 become U+FFFD, control characters are escaped.
func AppendString(dst, text []byte) []byte {
	dst = append(slices.Grow(dst, len(text)+len(`""`)), '"')
	run := copyPlain(dst[len(dst):len(dst)+len(text)], text)
	dst = dst[:len(dst)+run]
	if run < len(text) {
		dst = appendEscaped(dst, text[run:])
	}
	return append(dst, '"')
}

// copyPlain copies to dst, which has the length of text, what of text is ASCII that
// needs no escape, up to the first byte that does, and returns how many bytes that
// were.
func copyPlain(dst, text []byte) int {
	i := 0
	for ; i+8 <= len(text); i += 8 {
		x := binary.LittleEndian.Uint64(text[i:])
		binary.LittleEndian.PutUint64(dst[i:], x)
		if m := specialBytes(x) | x&highs; m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
	}
	for i < len(text) && text[i] != '"' && text[i] != '\\' && text[i] >= ' ' && text[i] < utf8.RuneSelf {
		dst[i] = text[i]
		i++
	}
	return i
}

// appendEscaped appends text as the inside of a JSON string.
func appendEscaped(dst, text []byte) []byte {
	for i := 0; i < len(text); {
		run := plainRun(text[i:])
		dst = append(dst, text[i:i+run]...)
		if i += run; i == len(text) {
			break
		}
		switch c := text[i]; {
		case c >= utf8.RuneSelf:
			r, size := utf8.DecodeRune(text[i:])
			dst = utf8.AppendRune(dst, r)
			i += size
			continue
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c == '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
	}
	return dst
}

// plainRun returns how many bytes at the start of text are ASCII that needs no escape.
func plainRun(text []byte) int {
	i := 0
	for ; i+8 <= len(text); i += 8 {
		x := binary.LittleEndian.Uint64(text[i:])
		if m := specialBytes(x) | x&highs; m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
	}
	for i < len(text) && text[i] != '"' && text[i] != '\\' && text[i] >= ' ' && text[i] < utf8.RuneSelf {
		i++
	}
	return i
}

// Unescape appends the text of a string whose inside String has checked. A half
// of a surrogate pair becomes U+FFFD.
func Unescape(dst, inside []byte) []byte {
	// The text is never longer than its escaped form, so blocks are stored whole
	// and what lies after an escape is written again: 8 bytes of slack.
	dst = slices.Grow(dst, len(inside)+8)
	out, o := dst[:cap(dst)], len(dst)
	for i := 0; i < len(inside); {
		run := copyUnescaped(out[o:], inside[i:])
		i, o = i+run, o+run
		if i == len(inside) {
			break
		}
		c := inside[i+1]
		if c == 'u' {
			r, size := unescapeRune(inside[i:])
			i, o = i+size, o+utf8.EncodeRune(out[o:], r)
			continue
		}
		out[o] = escaped[c]
		i, o = i+2, o+1
	}
	return dst[:o]
}

// copyUnescaped copies text up to its first backslash to dst, which has room for
// 8 bytes more than that, and returns how many bytes that were.
func copyUnescaped(dst, text []byte) int {
	i := 0
	for ; i+8 <= len(text); i += 8 {
		x := binary.LittleEndian.Uint64(text[i:])
		binary.LittleEndian.PutUint64(dst[i:], x)
		x ^= backslash8
		if m := (x - ones) &^ x & highs; m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
	}
	for ; i < len(text) && text[i] != '\\'; i++ {
		dst[i] = text[i]
	}
	return i
}

// Unquoter takes the quotes and escapes from the strings that hold most of a
// payload's bytes, the messages. What it returns is valid until Reset.
type Unquoter struct {
	text  []byte
	marks []uint32 // those in use and room for more
	used  int      // of marks
}

// maxMarks bounds the marks between two calls of Reset: 1 MiB of them, twice as many as
// 500 events of CloudTrail have.
const maxMarks = 1 << 18

// Reset makes u ready for the next strings. Buffers of more than keep bytes are let go.
func (u *Unquoter) Reset(keep int) {
	u.text, u.used = u.text[:0], 0
	if cap(u.text) > keep {
		u.text = nil
	}
	if u.marks == nil {
		u.marks = make([]uint32, maxMarks)
	}
}

// Unquote is String and Unescape in one pass: it checks the string at b[i] and returns
// its text, which is a part of b where the string is Plain. Its buffer grows once, to
// what the rest of b can need.
//
// marks are the places in text, in their order, of the bytes that were written with an
// escape: nowhere else has text a quote, a backslash or a control character. They
// are nil where there are too many.
func (u *Unquoter) Unquote(b []byte, i int) (text []byte, marks []uint32, end int, esc Escapes) {
	if i >= len(b) || b[i] != '"' {
		return nil, nil, Invalid, Plain
	}
	i++
	start := i
	u.text = slices.Grow(u.text, len(b)-i+8) // blocks are stored whole: 8 bytes of slack
	out, o := u.text[len(u.text):cap(u.text)], 0
	places, n := u.marks[u.used:], 0
	for {
		for i+8 <= len(b) {
			x := binary.LittleEndian.Uint64(b[i:])
			binary.LittleEndian.PutUint64(out[o:], x)
			if m := specialBytes(x); m != 0 {
				run := bits.TrailingZeros64(m) >> 3
				i, o = i+run, o+run
				goto special
			}
			i, o = i+8, o+8
		}
		for i < len(b) && b[i] != '"' && b[i] != '\\' && b[i] >= ' ' {
			out[o] = b[i]
			i, o = i+1, o+1
		}
	special:
		switch {
		case i >= len(b):
			return nil, nil, Invalid, esc
		case b[i] == '"' && esc == Plain:
			return b[start:i], nil, i + 1, Plain
		case b[i] == '"':
			return u.take(o), u.mark(n), i + 1, esc
		case b[i] != '\\' || i+1 == len(b):
			return nil, nil, Invalid, esc
		}
		if i+9 <= len(b) && n+2 <= len(places) {
			x := binary.LittleEndian.Uint64(b[i+1:])
			switch head, tail := uint32(x), uint32(x>>8); {
			case head == quoteColon || head == quoteComma:
				binary.LittleEndian.PutUint32(out[o:], head&0xffff|'"'<<16)
				places[n], places[n+1] = uint32(o), uint32(o+2)
				i, o, n, esc = i+5, o+3, n+2, esc|Escaped
				continue
			case byte(x) == '"' && (tail == colonBrace || tail == braceComma):
				binary.LittleEndian.PutUint32(out[o:], head&0xffffff|'"'<<24)
				places[n], places[n+1] = uint32(o), uint32(o+3)
				i, o, n, esc = i+6, o+4, n+2, esc|Escaped
				continue
			}
		}
		if n < len(places) {
			places[n] = uint32(o)
		}
		n++
		if c := escaped[b[i+1]]; c != 0 {
			out[o] = c
			i, o, esc = i+2, o+1, esc|Escaped
			continue
		}
		end, e := unicodeEscapes(b, i)
		if end < 0 {
			return nil, nil, Invalid, esc
		}
		r, size := unescapeRune(b[i:end])
		i, o, esc = i+size, o+utf8.EncodeRune(out[o:], r), esc|e
	}
}

// unicodeEscapes is unicodeEscape, or both halves of a surrogate pair where the second is
// valid, too.
func unicodeEscapes(b []byte, i int) (end int, esc Escapes) {
	end, esc = unicodeEscape(b, i)
	if esc == Surrogate && end < len(b) && b[end] == '\\' {
		second, _ := unicodeEscape(b, end)
		end = max(end, second)
	}
	return end, esc
}

// What follows the backslash of most quotes is the next string or one after a bracket, of
// which the quote is taken at once: `":\"` and `",\"`, or after the quote `:{\"` and `},\"`.
const (
	quoteColon = '"' | ':'<<8 | '\\'<<16 | '"'<<24
	quoteComma = '"' | ','<<8 | '\\'<<16 | '"'<<24
	colonBrace = ':' | '{'<<8 | '\\'<<16 | '"'<<24
	braceComma = '}' | ','<<8 | '\\'<<16 | '"'<<24
)

// take returns the n bytes of text that were written, and keeps them.
func (u *Unquoter) take(n int) []byte {
	u.text = u.text[:len(u.text)+n]
	return u.text[len(u.text)-n:]
}

// mark returns the n marks that were written, and keeps them.
func (u *Unquoter) mark(n int) []uint32 {
	if n > len(u.marks)-u.used {
		return nil
	}
	u.used += n
	return u.marks[u.used-n : u.used]
}

// unescapeRune reads the \uXXXX at the start of b, or both of a surrogate pair.
func unescapeRune(b []byte) (r rune, size int) {
	r = hex4(b[2:])
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if len(b) >= 12 && b[6] == '\\' && b[7] == 'u' {
		if pair := utf16.DecodeRune(r, hex4(b[8:])); pair != utf8.RuneError {
			return pair, 12
		}
	}
	return utf8.RuneError, 6
}

func hex4(b []byte) (r rune) {
	for _, c := range b[:4] {
		if isDigit(c) {
			r = r<<4 | rune(c-'0')
		} else {
			r = r<<4 | rune(c|0x20-'a'+10)
		}
	}
	return r
}
