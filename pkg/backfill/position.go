package backfill

import (
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/shipperd/shipperd/pkg/checkpoint"
)

// counterDigits leaves room for a billion records in one window.
const counterDigits = 9

// place is where a job's reading stands. Its sequence number is the start of the
// window that is being read, in Unix milliseconds, followed by the number of the
// record in nine digits: records are ordered, each has its own, and from any of
// them the window's start can be read.
//
// A token of FilterLogEvents would not do: it expires after 24 hours. Nor would
// the time of the last event: that pages are in the order of time is a promise
// for each page, and streams that are late are woven in afterwards.
type place struct {
	window time.Time // all events before it have been emitted
	record int64     // number of the window's next record
}

// next returns the sequence number of the next record.
func (p *place) next() string {
	sequence := fmt.Sprintf("%d%0*d", p.window.UnixMilli(), counterDigits, p.record)
	p.record++
	return sequence
}

// parsePlace returns where to go on after sequence: at the start of its window,
// which is read again as a whole, with a record number that was not given yet, so
// that positions never move back.
func parsePlace(sequence string) (place, error) {
	if cut := len(sequence) - counterDigits; cut > 0 {
		window, errWindow := strconv.ParseInt(sequence[:cut], 10, 64)
		record, errRecord := strconv.ParseInt(sequence[cut:], 10, 64)
		if errWindow == nil && errRecord == nil {
			return place{window: time.UnixMilli(window), record: record + 1}, nil
		}
	}
	return place{}, fmt.Errorf("position %q is none of a backfill", sequence)
}

// resume returns where the job goes on, and whether it is done.
func (j Job) resume(positions map[string]checkpoint.Position) (at place, done bool, err error) {
	position, stored := positions[j.Shard()]
	switch {
	case !stored:
		return place{window: j.From}, false, nil
	case position.Kind == checkpoint.ShardEnd:
		return place{}, true, nil
	}
	at, err = parsePlace(position.Sequence)
	return at, false, err
}

// The span of a window follows what is found in it. Small windows cost calls that
// find nothing, at five a second; large ones are read again after a kill.
const (
	firstSpan = time.Hour
	maxSpan   = 7 * 24 * time.Hour // a silent year is 52 calls and some
	minSpan   = time.Second        // is read to its end, whatever it holds
	// A window of more pages than manyPages is given up and cut: that many pages are
	// at most 32 MB to be read again, as they are after a kill.
	manyPages = 32
	// fewPages or less let the next window be twice as long. Twice as much is then
	// well below manyPages.
	fewPages = 8
	// A window that was too large is cut to an eighth: from a week to a second in seven steps.
	cut = 8
)

// span is how long the next window is.
type span time.Duration

func (s *span) finished(pages int) {
	if pages <= fewPages {
		*s = min(2**s, span(maxSpan))
	}
}

// maxPages returns how many pages the window may have, 0 when any number.
func (s *span) maxPages() int {
	if *s <= span(minSpan) {
		return 0
	}
	return manyPages
}

// tooLarge cuts the span. The answer is false when it cannot be cut any more.
func (s *span) tooLarge() bool {
	if *s <= span(minSpan) {
		return false
	}
	*s = max(*s/cut, span(minSpan))
	return true
}

// millis is a time as CloudWatch Logs wants it.
func millis(t time.Time) *int64 { return aws.Int64(t.UnixMilli()) }
