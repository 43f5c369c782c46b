package document

import (
	"bytes"
	"math"
	"math/big"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// numeric reads text as the Lambda's JavaScript does, where
// !isNaN(parseFloat(v)) && isFinite(v): white space around it, a sign, hexadecimal,
// octal and binary are numbers, separators and infinities are not.
func numeric(text []byte) (float64, bool) {
	if len(text) == 0 || text[0] > '9' && text[0] < utf8.RuneSelf {
		return 0, false // the usual word
	}
	text = bytes.TrimFunc(text, jsSpace)
	if len(text) == 0 || text[0] > '9' {
		return 0, false
	}
	if len(text) > 2 && text[0] == '0' {
		if base := baseOf(text[1]); base != 0 {
			return based(text[2:], base)
		}
	}
	if !decimal(text) {
		return 0, false
	}
	x, err := strconv.ParseFloat(string(text), 64)
	return x, err == nil // out of range is Infinity
}

// jsSpace is what JavaScript trims before it reads a number: its white space and
// its line terminators.
func jsSpace(r rune) bool {
	return r >= '\t' && r <= '\r' || r == '\u2028' || r == '\u2029' || r == '\ufeff' || unicode.Is(unicode.Zs, r)
}

func baseOf(c byte) int {
	switch c | 0x20 {
	case 'x':
		return 16
	case 'o':
		return 8
	case 'b':
		return 2
	}
	return 0
}

// based reads digits of a base that is a power of two. JavaScript knows no
// separators and no sign in them.
func based(digits []byte, base int) (float64, bool) {
	digits = bytes.TrimLeft(digits, "0")
	if len(digits) > maxBits {
		return 0, false
	}
	if len(digits) == 0 {
		return 0, true
	}
	for _, c := range digits {
		if c == '_' || c == '+' || c == '-' {
			return 0, false
		}
	}
	n, ok := new(big.Int).SetString(string(digits), base)
	if !ok {
		return 0, false
	}
	x, _ := new(big.Float).SetInt(n).Float64()
	return x, !math.IsInf(x, 0)
}

// maxBits is where a float64 ends: any larger number is infinite.
const maxBits = 1024

// decimal says whether text is a decimal number of JavaScript: digits before or
// after the point are enough.
func decimal(text []byte) bool {
	i := 0
	if text[0] == '+' || text[0] == '-' {
		i++
	}
	whole := skipDigits(text, i)
	mantissa := whole - i
	i = whole
	if i < len(text) && text[i] == '.' {
		end := skipDigits(text, i+1)
		mantissa += end - i - 1
		i = end
	}
	if mantissa == 0 {
		return false
	}
	if i < len(text) && text[i]|0x20 == 'e' {
		i++
		if i < len(text) && (text[i] == '+' || text[i] == '-') {
			i++
		}
		end := skipDigits(text, i)
		if end == i {
			return false
		}
		i = end
	}
	return i == len(text)
}

func skipDigits(text []byte, i int) int {
	for i < len(text) && text[i]-'0' <= 9 {
		i++
	}
	return i
}

// appendNumber appends x as JavaScript prints it, which is also JSON: no negative
// zero, exponents from 1e21 up and from 1e-7 down.
func appendNumber(dst []byte, x float64) []byte {
	if x == 0 {
		return append(dst, '0')
	}
	if size := math.Abs(x); size >= 1e-6 && size < 1e21 {
		return strconv.AppendFloat(dst, x, 'f', -1, 64)
	}
	dst = strconv.AppendFloat(dst, x, 'e', -1, 64)
	// Go writes two digits of exponent at least, JavaScript as few as it takes.
	if n := len(dst); n >= 4 && dst[n-2] == '0' && (dst[n-3] == '-' || dst[n-3] == '+') {
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst
}

// exactDigits is how many decimal digits a float64 always keeps.
const exactDigits = 15

// appendJSONNumber appends a JSON number as JavaScript's JSON.stringify(JSON.parse(number))
// has it: as a float64, and null when that is infinite.
func appendJSONNumber(dst, number []byte) []byte {
	if len(number) <= exactDigits && skipDigits(number, 0) == len(number) {
		return append(dst, number...)
	}
	x, err := strconv.ParseFloat(string(number), 64)
	if err != nil {
		return append(dst, "null"...)
	}
	return appendNumber(dst, x)
}

// wholeNumber reads a value of a JSON message that an index can hold as a long.
func wholeNumber(value []byte) (int64, bool) {
	if value[0] != '-' && value[0]-'0' > 9 {
		return 0, false
	}
	x, err := strconv.ParseFloat(string(value), 64)
	return whole(x, err == nil)
}

// whole converts x, if it is a whole number that a long holds after printing and
// reading: 2^63 itself is one too many.
func whole(x float64, ok bool) (int64, bool) {
	if !ok || x != math.Trunc(x) || math.Abs(x) >= 1<<63 {
		return 0, false
	}
	return int64(x), true
}

// smallNumber reads one to fifteen digits without a leading zero, which is what
// nearly every number in a log is: no detour through float64.
func smallNumber(text []byte) bool {
	return len(text) > 0 && len(text) <= exactDigits && skipDigits(text, 0) == len(text) && (text[0] != '0' || len(text) == 1)
}
