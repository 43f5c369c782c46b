package format

import (
	"time"
	"unicode/utf8"

	"github.com/shipperd/shipperd/pkg/jsonraw"
)

// What follows appends members to an object under way, each followed by a comma. As with
// append, what comes back is to be used in the place of b.
//
// A label is a name up to its value: `"port":` or, for a string, `"path":"`. A document is
// written by some forty of these calls. They are small enough to be inlined, so that a
// label is a constant to the compiler and b stays in registers: less than half the time.

// quoted appends a string of the line, cut to 8,191 bytes; an empty one is left out.
func (f *Fields) quoted(b []byte, label string, value []byte) []byte {
	if !f.plain || len(value) == 0 {
		return escaped(b, label, value)
	}
	return append(append(append(b, label...), value...), `",`...)
}

// escaped is quoted for any bytes.
func escaped(b []byte, label string, value []byte) []byte {
	if len(value) == 0 {
		return b
	}
	b = append(b, label[:len(label)-1]...)
	return append(jsonraw.AppendString(b, cut(value)), ',')
}

// cut shortens value to maxValue, at the start of a character.
func cut(value []byte) []byte {
	if len(value) <= maxValue {
		return value
	}
	end := maxValue
	for end > maxValue-utf8.UTFMax && !utf8.RuneStart(value[end]) {
		end--
	}
	return value[:end]
}

// digits appends a number of digits, without the zeros before it that JSON does not know.
func digits(b []byte, label string, number []byte) []byte {
	for len(number) > 1 && number[0] == '0' {
		number = number[1:]
	}
	return append(append(append(b, label...), number...), ',')
}

// keyword appends a value of ours that needs no escaping.
func keyword(b []byte, label, value string) []byte {
	return append(append(append(b, label...), value...), `",`...)
}

// closeObject ends the object that was opened when b had size bytes, or takes it back
// if nothing is in it.
func closeObject(b []byte, size int) []byte {
	if b[len(b)-1] == '{' {
		return b[:size]
	}
	return append(b[:len(b)-1], "},"...)
}

// time appends a time, given in Unix milliseconds, in UTC. A year that RFC 3339 cannot
// write is left out.
func (f *Fields) time(b []byte, label string, ms int64) []byte {
	if ms < minTime || ms > maxTime {
		return b
	}
	// Lines come in the order of time, so that the date is nearly always the last one.
	day := (ms - minTime) / dayMilli
	if day != f.day {
		f.day = day
		time.UnixMilli(ms).UTC().AppendFormat(f.date[:0], "2006-01-02T")
	}
	b = append(append(b, label...), f.date[:]...)
	rest := uint32((ms - minTime) % dayMilli)
	hour, minute, second, milli := rest/3_600_000, rest/60_000%60, rest/1000%60, rest%1000
	return append(b,
		'0'+byte(hour/10), '0'+byte(hour%10), ':', '0'+byte(minute/10), '0'+byte(minute%10), ':', '0'+byte(second/10), '0'+byte(second%10),
		'.', '0'+byte(milli/100), '0'+byte(milli/10%10), '0'+byte(milli%10), 'Z', '"', ',')
}
