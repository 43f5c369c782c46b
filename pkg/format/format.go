// Package format reads the messages of log events: one file or folder per log
// format, hand-written scanners that run in linear time and allocate nothing.
// It knows neither how events arrive nor where documents go: package document
// chooses a format, hands it a line and writes what it found.
//
// To add a format, write a file with its Format, add a line to Table, and put
// lines of it into testdata/<name>.txtar; go test -update writes what they become.
package format

import "github.com/shipperd/shipperd/pkg/jsonraw"

// Line is one log event as a Format sees it. Everything in it is valid only
// until the next event.
type Line struct {
	Text   []byte // the message, unescaped; any bytes, one line or several
	Time   int64  // the event's own time, Unix milliseconds
	Stream []byte // name of the log stream, unescaped
	// Members are those of Text where it has been found to be one JSON object and
	// nothing else, their names numbered by MemberNames. Where there are none, Text can
	// still be anything.
	Members []jsonraw.Member
	// Columns is set by Parse: the values that Entry.Columns, or FlowColumns of the
	// group's fields, makes of Text, where the parser has cut the very same, or of the
	// line that Text stands for. Else nil.
	Columns [][]byte

	// Plain is set by Parse where no value of Columns needs an escape in JSON.
	Plain bool

	marks  []uint32 // see SetMarks
	marked bool

	// What Sniff has read of Text, if it has: Parse takes it from here.
	dated  dated
	prefix syslogLine
}

// Reset makes line the one of an event of which nothing is known yet.
func (l *Line) Reset(text []byte, time int64, stream []byte) {
	l.Text, l.Time, l.Stream, l.Members, l.Columns = text, time, stream, nil, nil
	l.Plain, l.marks, l.marked = false, nil, false
	l.dated.rest, l.prefix.program = nil, nil // which say that there is something
}

// SetMarks tells the places of all bytes of Text that need an escape in JSON: quotes,
// backslashes and control characters. With none but the quotes that a format has between
// its values, these are copied as they stand. Text has to be valid UTF-8.
func (l *Line) SetMarks(places []uint32) { l.marks, l.marked = places, true }

// setPlain notes whether Text has the given number of marks, all of them outside the
// values, which then need no escape, and is short enough for none of them to be cut.
func (l *Line) setPlain(f *Fields, marks int) {
	l.Plain = l.marked && len(l.marks) == marks && len(l.Text) <= maxValue
	f.plain = l.Plain
}

// Format parses one kind of log. One goroutine uses it at a time, so it may keep
// buffers.
type Format interface {
	// Parse adds the typed fields of line to f. With None it has added nothing. It
	// never fails: what does not fit its type is left out and stays in @message.
	Parse(line *Line, f *Fields) Result
}

// Result says how much of a line a Format understood.
type Result uint8

// The results.
const (
	None    Result = iota // no line of this format; nothing was added
	Partial               // recognised, but truncated or garbled; flagged in the document
	Full                  // all of it
	Header                // a header line, which is no event
)

// String returns the result as the metrics label has it.
func (r Result) String() string { return [...]string{"none", "partial", "full", "header"}[r] }
