package backfill

import (
	"fmt"
	"strconv"
	"time"

	"github.com/shipperd/shipperd/pkg/checkpoint"
)

// counterDigits leaves room for a billion records in one window.
const counterDigits = 9

// place is where a job's reading stands. Its sequence number is the start of the
// window that is being read, in Unix milliseconds, followed by the number of the
// record in nine digits: records are ordered, each has its own, and from any of
// them the window's start can be read.
//
// A token of FilterLogEvents would not do: it expires after 24 hours. The time of
// the last event would need events in the order of time over all pages; a window
// that is read again as a whole needs no order.
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
	case !stored, position.Kind == checkpoint.AtTimestamp:
		return place{window: j.From}, false, nil
	case position.Kind == checkpoint.ShardEnd:
		return place{}, true, nil
	}
	at, err = parsePlace(position.Sequence)
	return at, false, err
}

// first returns the position of a job of which nothing has settled. With it stored
// the job is pending, however early it is killed.
func (j Job) first() checkpoint.Position {
	return checkpoint.Position{Kind: checkpoint.AtTimestamp, Time: j.From}
}
