package format

import (
	"time"

	"github.com/shipperd/shipperd/pkg/jsonraw"
)

// What follows appends members to an object under way, each followed by a comma. As with
// append, what comes back is to be used in the place of b: a document is written by
// some forty of these calls, and a buffer that went through memory for each of them
// would cost as much as all the rest.

func appendName(b []byte, name string) []byte {
	return append(append(append(b, '"'), name...), `":`...)
}

func appendRaw(b []byte, name string, json []byte) []byte {
	return append(append(appendName(b, name), json...), ',')
}

// appendKeyword appends a value of ours that needs no escaping.
func appendKeyword(b []byte, name, value string) []byte {
	return append(append(append(appendName(b, name), '"'), value...), `",`...)
}

// appendDigits appends a number of digits, without the zeros before it that JSON does not know.
func appendDigits(b []byte, name string, digits []byte) []byte {
	for len(digits) > 1 && digits[0] == '0' {
		digits = digits[1:]
	}
	return appendRaw(b, name, digits)
}

// closeObject ends the object that was opened when b had size bytes, or takes it back
// if nothing is in it.
func closeObject(b []byte, size int) []byte {
	if b[len(b)-1] == '{' {
		return b[:size]
	}
	return append(b[:len(b)-1], "},"...)
}

// appendText appends a string of the line, cut to 8,191 bytes. Where the line needs no escapes,
// it stands there as it is to be written.
func (f *Fields) appendText(b []byte, name string, value []byte) []byte {
	switch {
	case len(value) == 0:
		return b
	case f.plain && len(value) <= maxValue:
		b = append(append(append(b, '"'), name...), `":"`...)
		return append(append(b, value...), `",`...)
	}
	return append(jsonraw.AppendString(appendName(b, name), cut(value)), ',')
}

// appendTime appends a time, given in Unix milliseconds, in UTC. A year that RFC 3339
// cannot write is left out.
func (f *Fields) appendTime(b []byte, name string, ms int64) []byte {
	if ms < minTime || ms > maxTime {
		return b
	}
	// Lines come in the order of time, so that the date is nearly always the last one.
	day := (ms - minTime) / dayMilli
	if day != f.day {
		f.day = day
		time.UnixMilli(ms).UTC().AppendFormat(f.date[:0], "2006-01-02T")
	}
	b = append(append(appendName(b, name), '"'), f.date[:]...)
	rest := uint32((ms - minTime) % dayMilli)
	hour, minute, second, milli := rest/3_600_000, rest/60_000%60, rest/1000%60, rest%1000
	return append(b,
		'0'+byte(hour/10), '0'+byte(hour%10), ':', '0'+byte(minute/10), '0'+byte(minute%10), ':', '0'+byte(second/10), '0'+byte(second%10),
		'.', '0'+byte(milli/100), '0'+byte(milli/10%10), '0'+byte(milli%10), 'Z', '"', ',')
}
