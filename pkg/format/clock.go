package format

import (
	"bytes"
	"time"
)

// long reads up to 18 digits, which fit 64 bits.
func long(digits []byte) (int64, bool) {
	if len(digits) == 0 || len(digits) > 18 {
		return 0, false
	}
	n := int64(0)
	for _, c := range digits {
		if c-'0' > 9 {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// number reads up to 9 digits.
func number(digits []byte) (int, bool) {
	n, ok := long(digits)
	return int(n), ok && len(digits) <= 9
}

// unixMilli returns the time of UTC clock figures, or false when there is no such
// day or second. A leap second is the first of the next minute.
func unixMilli(year, month, day, hour, minute, second int) (int64, bool) {
	if month < 1 || month > 12 || day < 1 || day > daysIn(year, month) || hour > 23 || minute > 59 || second > 60 {
		return 0, false
	}
	// Count years from March, so that the leap day is the last of its year.
	y, m := year, month-3
	if m < 0 {
		y, m = y-1, m+12
	}
	const marchToEpoch = 719_468 // days from 1 March of the year 0 to 1970
	days := 365*y + floor(y, 4) - floor(y, 100) + floor(y, 400) + (153*m+2)/5 + day - 1 - marchToEpoch
	return int64(days)*dayMilli + int64(hour*3600+minute*60+second)*1000, true
}

func floor(a, b int) int {
	if a < 0 {
		a -= b - 1
	}
	return a / b
}

func daysIn(year, month int) int {
	switch {
	case month == 2 && year%4 == 0 && (year%100 != 0 || year%400 == 0):
		return 29
	case month == 2:
		return 28
	case month == 4 || month == 6 || month == 9 || month == 11:
		return 30
	}
	return 31
}

// monthOf reads an English month of three letters.
func monthOf(name []byte) int {
	switch string(name) {
	case "Jan":
		return 1
	case "Feb":
		return 2
	case "Mar":
		return 3
	case "Apr":
		return 4
	case "May":
		return 5
	case "Jun":
		return 6
	case "Jul":
		return 7
	case "Aug":
		return 8
	case "Sep":
		return 9
	case "Oct":
		return 10
	case "Nov":
		return 11
	case "Dec":
		return 12
	}
	return 0
}

// two reads the two digits at the start of text.
func two(text []byte) (int, bool) {
	tens, ones := text[0]-'0', text[1]-'0'
	return int(tens)*10 + int(ones), tens <= 9 && ones <= 9
}

// clock reads `15:04:05`.
func clock(text []byte) (hour, minute, second int, ok bool) {
	if len(text) != len("15:04:05") || text[2] != ':' || text[5] != ':' {
		return 0, 0, 0, false
	}
	hour, ok1 := two(text)
	minute, ok2 := two(text[3:])
	second, ok3 := two(text[6:])
	return hour, minute, second, ok1 && ok2 && ok3
}

// rfc3339 reads `2006-01-02T15:04:05.000000+01:00` as Unix milliseconds.
func rfc3339(text []byte) (int64, bool) {
	const shape = "2006-01-02T15:04:05"
	if len(text) <= len(shape) || text[4] != '-' || text[7] != '-' || text[10] != 'T' {
		return 0, false
	}
	year, ok1 := number(text[0:4])
	month, ok2 := two(text[5:])
	day, ok3 := two(text[8:])
	hour, minute, second, ok4 := clock(text[11:len(shape)])
	ms, ok5 := unixMilli(year, month, day, hour, minute, second)
	fraction, zone := fraction(text[len(shape):])
	offset, ok6 := zoneOffset(zone)
	return ms + fraction - offset, ok1 && ok2 && ok3 && ok4 && ok5 && ok6
}

// fraction reads the milliseconds of `.000000` and returns what follows.
func fraction(text []byte) (ms int64, rest []byte) {
	if len(text) == 0 || text[0] != '.' {
		return 0, text
	}
	i := 1
	for scale := int64(100); i < len(text) && text[i]-'0' <= 9; i++ {
		ms += int64(text[i]-'0') * scale
		scale /= 10
	}
	return ms, text[i:]
}

// zoneOffset reads `Z`, `+0100` or `+01:00` as milliseconds.
func zoneOffset(zone []byte) (int64, bool) {
	if len(zone) == 1 && zone[0] == 'Z' {
		return 0, true
	}
	if len(zone) < len("+0100") || zone[0] != '+' && zone[0] != '-' {
		return 0, false
	}
	hours, ok1 := number(zone[1:3])
	minutes, ok2 := number(bytes.TrimPrefix(zone[3:], []byte(":")))
	if !ok1 || !ok2 || hours > 24 || minutes > 59 {
		return 0, false
	}
	offset := int64(hours*60+minutes) * time.Minute.Milliseconds()
	if zone[0] == '-' {
		offset = -offset
	}
	return offset, true
}

// apacheDate reads `17/May/2015:10:05:03 +0000`, the zone of which may be missing.
func apacheDate(text []byte) (int64, bool) {
	const shape = "17/May/2015:10:05:03"
	if len(text) < len(shape) || text[2] != '/' || text[6] != '/' || text[11] != ':' {
		return 0, false
	}
	day, ok1 := two(text)
	year, ok2 := number(text[7:11])
	hour, minute, second, ok3 := clock(text[12:len(shape)])
	ms, ok4 := unixMilli(year, monthOf(text[3:6]), day, hour, minute, second)
	zone := bytes.TrimSpace(text[len(shape):])
	if len(zone) == 0 {
		return ms, ok1 && ok2 && ok3 && ok4
	}
	offset, ok5 := zoneOffset(zone)
	return ms - offset, ok1 && ok2 && ok3 && ok4 && ok5
}

// errorDate reads `Fri Sep 09 10:42:29.902022 2011`, Apache's error log's.
func errorDate(text []byte) (int64, bool) {
	const shape = "Fri Sep 09 10:42:29"
	if len(text) < len(shape)+len(" 2011") || text[3] != ' ' || text[7] != ' ' || text[10] != ' ' {
		return 0, false
	}
	day, ok1 := number(bytes.TrimSpace(text[8:10]))
	hour, minute, second, ok2 := clock(text[11:len(shape)])
	fraction, rest := fraction(text[len(shape):])
	year, ok3 := number(bytes.TrimSpace(rest))
	ms, ok4 := unixMilli(year, monthOf(text[4:7]), day, hour, minute, second)
	return ms + fraction, ok1 && ok2 && ok3 && ok4
}

// dayAhead is how far a line's time may lie after the event's own, in
// milliseconds: local time runs up to 14 hours before UTC, and clocks differ.
const dayAhead = dayMilli

// syslogTime reads `Jan _2 15:04:05`, with one blank before a single digit or two, and
// with a fraction of the second, as journalctl's short-precise has it, or without. It
// returns what follows the blank after it. It has neither year nor zone: UTC is taken,
// and the latest year that does not put the line after the event's own time, given in
// Unix milliseconds, so that New Year's Eve's lines delivered on New Year's Day stay in
// the old year. A 29 February without such a year becomes the event's time.
func syslogTime(text []byte, event int64) (ms int64, rest []byte, ok bool) {
	if len(text) < len("Jan 2 15:04:05 ") || text[3] != ' ' {
		return 0, text, false
	}
	month := monthOf(text[:3])
	rest = bytes.TrimLeft(text[4:], " ")
	digits := bytes.IndexByte(rest, ' ')
	if month == 0 || digits < 1 || digits > 2 || len(rest) < digits+len(" 15:04:05 ") {
		return 0, text, false
	}
	day, ok1 := number(rest[:digits])
	rest = rest[digits+1:]
	hour, minute, second, ok2 := clock(rest[:8])
	milli, rest := fraction(rest[8:])
	if !ok1 || !ok2 || !hasPrefix(rest, " ") {
		return 0, text, false
	}
	around := time.UnixMilli(event + dayAhead).UTC().Year()
	for year := around; year >= around-1; year-- {
		if ms, ok := unixMilli(year, month, day, hour, minute, second); ok && ms <= event+dayAhead {
			return ms + milli, rest[1:], true
		}
	}
	return event, rest[1:], true
}
