package checkpoint

import (
	"fmt"
	"time"
)

// Tracker holds what lies between the contiguous settled prefix of one shard and
// the last record that was admitted, settled records among them included. It is
// not safe for concurrent use: the pipeline guards it with the shard's mutex.
//
// Tickets number the shard's records from 0 in the order of Begin; entries is a
// ring over the tickets first … next-1, so that Begin and Settle take constant
// time and memory follows the span. Of settled records in a row only the last has
// its position kept: it is where the prefix will go, and nobody else pays for it.
type Tracker struct {
	entries []entry // len is a power of two, or 0
	first   uint64  // oldest ticket that is held
	next    uint64  // ticket of the next Begin
	bytes   int64   // of all entries held
	prefix  Position
	moved   bool       // prefix has moved since the last Advance
	room    []Position // for those of the next records
}

type entry struct {
	position *Position // nil where it and the next record have settled
	bytes    int64
	settled  bool
}

// firstRing is the length of the first ring: most shards have fewer records in
// flight, and 64 × 24 bytes × 1,000 shards are 1.5 MB.
const firstRing = 64

// keptRing is the longest ring that is kept when the span has become an eighth of it:
// 1,024 records are a reply of small ones, and 24 KB.
const keptRing = 1024

// roomAtOnce is for how many positions room is made at once. They go together.
const roomAtOnce = 16

// Begin takes a record of the shard's order into account and returns its ticket.
// at is the position to be stored once it and all before it have settled.
func (t *Tracker) Begin(at Position, bytes int64) (ticket uint64) {
	if held := t.next - t.first; held == uint64(len(t.entries)) {
		t.resize(max(firstRing, 2*len(t.entries)))
	}
	ticket = t.next
	t.next++
	t.bytes += bytes
	if len(t.room) == 0 {
		t.room = make([]Position, roomAtOnce)
	}
	t.room[0] = at
	*t.entry(ticket) = entry{position: &t.room[0], bytes: bytes}
	t.room = t.room[1:]
	return ticket
}

func (t *Tracker) resize(length int) {
	ring := make([]entry, length)
	for i := t.first; i < t.next; i++ {
		ring[i&uint64(len(ring)-1)] = *t.entry(i)
	}
	t.entries = ring
}

func (t *Tracker) entry(ticket uint64) *entry {
	return &t.entries[ticket&uint64(len(t.entries)-1)]
}

// Settle marks a record as done, in any order, each ticket once. It panics on a
// ticket that is not open: a second settling would checkpoint what is not done.
func (t *Tracker) Settle(ticket uint64) {
	if ticket < t.first || ticket >= t.next || t.entry(ticket).settled {
		panic(fmt.Sprintf("checkpoint: settle of ticket %d, which is not open (%d to %d are held)", ticket, t.first, t.next))
	}
	t.entry(ticket).settled = true
	if ticket+1 < t.next && t.entry(ticket+1).settled {
		t.entry(ticket).position = nil
	}
	if ticket > t.first && t.entry(ticket-1).settled {
		t.entry(ticket - 1).position = nil
	}
	for t.first < t.next && t.entry(t.first).settled {
		e := t.entry(t.first)
		if t.moved = true; e.position != nil {
			t.prefix = *e.position
		}
		t.bytes -= e.bytes
		*e = entry{} // lets go of the position
		t.first++
	}
	length := len(t.entries)
	for length > keptRing && t.next-t.first < uint64(length/8) {
		length /= 2
	}
	if length < len(t.entries) {
		t.resize(length)
	}
}

// Advance returns the position of the contiguous settled prefix, and whether it
// has moved since the last call.
func (t *Tracker) Advance() (Position, bool) {
	moved := t.moved
	t.moved = false
	return t.prefix, moved
}

// Span returns how many records lie after the prefix, and their bytes.
func (t *Tracker) Span() (records int, bytes int64) {
	return int(t.next - t.first), t.bytes
}

// Oldest returns the arrival time of the oldest record that has not settled; ok
// is false when there is none.
func (t *Tracker) Oldest() (arrival time.Time, ok bool) {
	if t.first == t.next {
		return time.Time{}, false
	}
	return t.entry(t.first).position.Arrival, true
}
