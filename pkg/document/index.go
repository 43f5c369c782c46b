package document

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"

	"github.com/shipperd/shipperd/pkg/record"
)

// An event's day decides its index; days outside 2000-01-01 … 2099-12-31 share
// one, so that forged times cannot make indices without end. The bound does not
// depend on today: an event has the same index whenever it is read.
const (
	firstDay = 10_957 // 2000-01-01, in days since 1970
	lastDay  = 47_481 // 2099-12-31
	dayMs    = 24 * 60 * 60 * 1000
)

// keepDays bounds the names that a worker keeps: a year of backfill.
const keepDays = 366

// indices names the indices of one prefix, one string for each day.
type indices struct {
	prefix  string
	undated string
	names   map[int64]string
	day     int64 // of name
	name    string
}

func newIndices(prefix string) *indices {
	return &indices{prefix: prefix, undated: prefix + "-undated", names: map[int64]string{}}
}

// of returns the index of an event at ms, Unix milliseconds: a function of prefix
// and UTC day alone, because an id prevents duplicates within one index only.
func (x *indices) of(ms int64) string {
	day := floorDiv(ms, dayMs)
	if day < firstDay || day > lastDay {
		return x.undated
	}
	if day == x.day {
		return x.name
	}
	name, ok := x.names[day]
	if !ok {
		if len(x.names) >= keepDays {
			clear(x.names)
		}
		name = x.prefix + time.UnixMilli(ms).UTC().Format("-2006.01.02")
		x.names[day] = name
	}
	x.day, x.name = day, name
	return name
}

// floorDiv divides towards minus infinity.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// stamp writes times as JavaScript's toISOString does. It keeps the second that
// it wrote last: neighbours in a log share it.
type stamp struct {
	second int64
	text   []byte // 2026-11-20T10:11:12.
}

// append appends ms, Unix milliseconds: three decimals, and years of more than
// four digits with a sign and six digits.
func (s *stamp) append(dst []byte, ms int64) []byte {
	second := floorDiv(ms, 1000)
	if second != s.second || len(s.text) == 0 {
		s.second, s.text = second, appendSecond(s.text[:0], time.Unix(second, 0).UTC())
	}
	dst = append(dst, s.text...)
	fraction := ms - second*1000
	return append(dst, byte('0'+fraction/100), byte('0'+fraction/10%10), byte('0'+fraction%10), 'Z')
}

func appendSecond(dst []byte, t time.Time) []byte {
	if year := t.Year(); year < 0 || year > 9999 {
		sign := byte('+')
		if year < 0 {
			sign, year = '-', -year
		}
		dst = append(dst, sign, byte('0'+year/100_000), byte('0'+year/10_000%10), byte('0'+year/1000%10),
			byte('0'+year/100%10), byte('0'+year/10%10), byte('0'+year%10))
		return t.AppendFormat(dst, "-01-02T15:04:05.")
	}
	return t.AppendFormat(dst, "2006-01-02T15:04:05.")
}

// maxID is the longest _id that Elasticsearch takes, in bytes.
const maxID = 512

// appendPositionID appends the id of an event that brings none, or one that no
// index takes: a hash of where it lies, the same whenever the record is read.
func appendPositionID(dst []byte, r *record.Record) []byte {
	h := sha256.New()
	h.Write([]byte(r.Shard))
	h.Write([]byte{0})
	h.Write([]byte(r.Sequence))
	h.Write([]byte{0})
	h.Write(strconv.AppendInt(nil, int64(len(r.Events)), 10))
	return hex.AppendEncode(dst, h.Sum(nil)[:16])
}
