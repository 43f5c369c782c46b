package backfill

import "time"

// The length of a window follows what is found. Short windows cost calls that find
// nothing, at five a second; long ones are read again after a kill.
const (
	firstLength = time.Hour
	maxLength   = 7 * 24 * time.Hour // a silent year is 52 calls and some
	minLength   = time.Second        // is read to its end, whatever it holds
	// A window of more pages than manyPages is given up and cut: that many are 32 MB
	// at most to be read again, there as after a kill.
	manyPages = 32
	// After a window of fewPages or less the next may be twice as long: twice as
	// many are well below manyPages.
	fewPages = 8
	// A window that was too long is cut in eight: from a week to a second in seven steps.
	pieces = 8
)

// windows cuts a job's time.
type windows struct {
	length time.Duration
	// crowded is the end of the last window that was too long. Up to there windows
	// do not grow: they would hit the same crowd again and again on the way to it.
	crowded time.Time
}

// next returns the end of the window that starts at from.
func (w *windows) next(from, end time.Time) time.Time {
	w.length = min(w.length, end.Sub(from))
	return from.Add(w.length)
}

// maxPages returns how many pages the window may have, 0 for any number.
func (w *windows) maxPages() int {
	if w.length <= minLength {
		return 0
	}
	return manyPages
}

// finished learns from a window that was read up to its end.
func (w *windows) finished(to time.Time, pages int) {
	if pages <= fewPages && !to.Before(w.crowded) {
		w.length = min(2*w.length, maxLength)
	}
}

// cut shortens the window that ends at to. The answer is false when it is as short
// as can be.
func (w *windows) cut(to time.Time) bool {
	if w.length <= minLength {
		return false
	}
	w.length = max((w.length / pieces).Truncate(time.Millisecond), minLength)
	w.crowded = to
	return true
}
