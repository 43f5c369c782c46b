// Package record is the one value that flows through shipperd: a Kinesis record
// with the log events that were found in it. It imports the standard library
// only; every stage meets the others here and nowhere else.
//
// A Record has one owner at a time. The source owns it until emit returns, then
// the pipeline: one decode worker fills it in place, one batch carries it into
// Sink.Write, settle reads its outcomes and gives it back to the pool. Nobody
// keeps a slice of a Record after handing it on.
package record

import (
	"errors"
	"math/bits"
	"sync"
	"time"
)

// ErrOversize is wrapped by a decoder's error when a record inflates beyond the cap.
var ErrOversize = errors.New("inflates beyond the cap")

// Record is one Kinesis record.
type Record struct {
	Shard    string
	Sequence string    // decimal, up to 56 digits and more
	Arrival  time.Time // ApproximateArrivalTimestamp; not monotonic, may be zero
	Data     []byte    // as Kinesis delivered it

	// Ended marks the sentinel that follows a closed shard's last record. It has
	// no Data. The pipeline closes the channel when the shard's end is stored,
	// that is when all before it has settled; then children may start.
	Ended chan struct{}

	// Charged is what this record holds of the memory budget, in bytes. The
	// source sets it to the part of its reservation that the record takes over.
	Charged int64

	// Text holds the documents and ids that Events point into. Filled by decode.
	Text    []byte
	Events  []Event
	Control int // CONTROL_MESSAGE payloads in the record; not events

	// Letter is the dead letter for what could not be decoded. It stands for one
	// event in Events, whose outcome says so; the letter is durable before the
	// record settles.
	Letter *Letter

	// Ticket is the record's place in its shard's tracker. Set by admit.
	Ticket uint64

	buffers *buffers // nil before Equip
}

// Event is one log event: where it goes, under which id, as which document.
type Event struct {
	Index string // destination index; one string per index and day, not per event
	Time  int64  // the event's own time, Unix milliseconds
	// Byte offsets into Record.Text. The id is the inside of a JSON string, still
	// escaped, without its quotes; the document is one JSON object without a
	// line break.
	IDStart, IDEnd   uint32
	DocStart, DocEnd uint32
	Group            uint16 // index into the configured group names; 0 is "other"
	Outcome          Outcome
	Filter           Filter // why, when Outcome is Filtered
	Reduced          bool   // indexed in reduced form
}

// ID returns e's id as the inside of a JSON string.
func (r *Record) ID(e *Event) []byte { return r.Text[e.IDStart:e.IDEnd] }

// Doc returns e's document, one JSON object.
func (r *Record) Doc(e *Event) []byte { return r.Text[e.DocStart:e.DocEnd] }

// Outcome says how an event ended. Every event that was received ends as exactly one.
type Outcome uint8

// The outcomes. Pending is in flight.
const (
	Pending Outcome = iota
	Indexed
	Duplicate // was there already, put by an earlier delivery or an attempt of ours
	DeadLettered
	Filtered // left out on purpose; Filter says why
)

// Outcomes lists all final outcomes, for metrics.
func Outcomes() []Outcome { return []Outcome{Indexed, Duplicate, DeadLettered, Filtered} }

// String returns the outcome as the metrics label has it.
func (o Outcome) String() string {
	return [...]string{"pending", "indexed", "duplicate", "dead_lettered", "filtered"}[o]
}

// Filter is the reason of a Filtered outcome.
type Filter uint8

// The reasons.
const (
	NotFiltered   Filter = iota
	FilterDrop           // a drop rule of the event's group matched
	FilterHeader         // a header line of a VPC flow log
	FilterAccount        // the owner is not in documents.accounts
)

// Filters lists all reasons, for metrics.
func Filters() []Filter { return []Filter{FilterDrop, FilterHeader, FilterAccount} }

// String returns the reason as the metrics label has it.
func (f Filter) String() string {
	return [...]string{"none", "drop", "header", "account"}[f]
}

// keepText is the largest Text buffer that goes back to a pool, as a multiple of the
// record: documents of CloudTrail take 40 times their record, those of a bomb a
// thousand times.
const keepText = 64

// Pool recycles Records, and apart from them the buffers that decode fills: many
// more records wait to be decoded than are, and must not hold megabytes meanwhile.
// Records of like size share buffers: a small one must not hold a large one's.
type Pool struct {
	records sync.Pool
	buffers [25]sync.Pool // by bits.Len of the size, which is 10 MiB at most
}

// buffers are what a Record's Text and Events point into.
type buffers struct {
	text   []byte
	events []Event
	class  int // index into Pool.buffers
}

// New returns an empty Record.
func (p *Pool) New() *Record {
	if r, ok := p.records.Get().(*Record); ok {
		return r
	}
	return &Record{}
}

// Equip gives r, which is about to be decoded, empty Text and Events with room.
func (p *Pool) Equip(r *Record) {
	var ok bool
	class := min(bits.Len(uint(len(r.Data))), len(p.buffers)-1)
	if r.buffers, ok = p.buffers[class].Get().(*buffers); !ok {
		r.buffers = &buffers{class: class}
	}
	r.Text, r.Events = r.buffers.text, r.buffers.events
}

// Release takes r back. The caller must not use r or anything in it afterwards.
func (p *Pool) Release(r *Record) {
	if b := r.buffers; b != nil {
		clear(r.Events[:cap(r.Events)]) // lets go of index names
		b.text, b.events = r.Text[:0], r.Events[:0]
		if cap(b.text) <= keepText<<b.class {
			p.buffers[b.class].Put(b)
		}
	}
	*r = Record{}
	p.records.Put(r)
}
