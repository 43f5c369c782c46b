// Package replay sends dead letters again, after a person has repaired what made
// them. It reads closed segments, writes through the daemon's own sink, and takes
// out what was delivered: a 409 is delivered, so a replay may be killed and
// repeated at any moment. Only what the index had put another document in the place
// of, under the same id, stays then: the letter is all that is left of it.
package replay

import (
	"cmp"
	"context"
	"fmt"
	"sync"

	"github.com/shipperd/shipperd/pkg/deadletter"
	"github.com/shipperd/shipperd/pkg/jsonraw"
	"github.com/shipperd/shipperd/pkg/record"
)

// Decoder turns the bytes of a record into events; pipeline.Decoder is one.
type Decoder interface {
	Decode(r *record.Record) error
}

// Sink makes events durable; pipeline.Sink is one. Its dead letters must go to the
// Kept of the same Replay.
type Sink interface {
	Write(ctx context.Context, records []*record.Record) error
}

// Kept takes the letters that a sink makes during a replay. They are not stored:
// the ones that they repeat stay where they are.
type Kept struct {
	mu    sync.Mutex
	ids   map[identity]bool
	first string // why the first is undeliverable
}

// identity is an event's, or with an empty id a record's.
type identity struct{ shard, sequence, id string }

// Put notes that the letters' events are still undeliverable.
func (k *Kept) Put(_ context.Context, letters ...record.Letter) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ids == nil {
		k.ids = make(map[identity]bool)
		k.first = letters[0].Reason + ": " + letters[0].ErrorReason
	}
	for i := range letters {
		k.ids[identity{letters[i].Shard, letters[i].Sequence, letters[i].ID}] = true
		k.ids[identity{letters[i].Shard, letters[i].Sequence, ""}] = true
	}
	return nil
}

// why returns why the first is undeliverable; empty if none is.
func (k *Kept) why() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.first
}

// has says whether the event, or any event of the record, was put.
func (k *Kept) has(l *record.Letter) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.ids[identity{l.Shard, l.Sequence, l.ID}]
}

// Progress counts letters.
type Progress struct {
	Segments  int // finished
	Skipped   int // not chosen by the filter
	Sent      int
	Delivered int // of those sent; their letters are taken out
	Bytes     int64
	Total     int64  // bytes of all segments
	Why       string // one of those sent stays; empty if none does
}

// Kept returns how many letters were sent and stay.
func (p Progress) Kept() int { return p.Sent - p.Delivered }

// Replay is one replay.
type Replay struct {
	Archive    *deadletter.Archive
	Filter     deadletter.Filter
	Sink       Sink
	Kept       *Kept
	NewDecoder func() Decoder
	// IndexSuffix is put behind the name of every index, for documents whose own
	// index is read-only now.
	IndexSuffix string
	// Report is called after each batch.
	Report func(Progress)

	decoder Decoder
}

const (
	// A batch is what goes to the sink at once: a request of documents of usual size.
	batchLetters = 1000
	batchBytes   = 4 << 20
)

// Run sends the chosen letters of all segments, oldest first. After an error the
// finished segments are settled, and the others as they were.
func (r *Replay) Run(ctx context.Context) (Progress, error) {
	var p Progress
	segments, err := r.Archive.Segments()
	if err != nil {
		return p, err
	}
	r.decoder = r.NewDecoder()
	for _, s := range segments {
		p.Total += s.Bytes
	}
	for _, s := range segments {
		if err := r.segment(ctx, s, &p); err != nil {
			return p, fmt.Errorf("replay %s: %w", s.Name, err)
		}
		p.Segments++
		p.Bytes += s.Bytes
		r.Report(p)
	}
	return p, nil
}

// segment sends one segment's letters and settles it.
func (r *Replay) segment(ctx context.Context, s deadletter.Segment, p *Progress) error {
	delivered := make(map[letterKey]bool)
	var open batch
	flush := func() error {
		if err := r.flush(ctx, &open, delivered, p); err != nil {
			return err
		}
		r.Report(*p)
		return nil
	}
	for l, err := range r.Archive.Letters(s) {
		if err == nil && !r.Filter.Match(&l) {
			p.Skipped++
			continue
		}
		p.Sent++
		var rec *record.Record
		if err == nil {
			rec, err = r.restore(&l)
		}
		if err != nil { // no letter, or still undecodable: it stays
			p.Why = err.Error()
			continue
		}
		open.add(l, rec)
		if len(open.letters) >= batchLetters || open.bytes >= batchBytes {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if err := flush(); err != nil {
		return err
	}
	return r.Archive.Settle(s, func(l *record.Letter) bool { return r.Filter.Match(l) && delivered[keyOf(l)] })
}

// letterKey tells the letters of a segment apart.
type letterKey struct {
	identity

	index, reason string
}

func keyOf(l *record.Letter) letterKey {
	return letterKey{identity{l.Shard, l.Sequence, l.ID}, l.Index, l.Reason}
}

// batch is letters with the records made of them.
type batch struct {
	letters []record.Letter
	records []*record.Record
	bytes   int
}

func (b *batch) add(l record.Letter, r *record.Record) {
	l.Document, l.Data = nil, nil // in the record now
	b.letters = append(b.letters, l)
	b.records = append(b.records, r)
	b.bytes += len(r.Text)
}

// flush writes the batch and notes which letters were delivered.
func (r *Replay) flush(ctx context.Context, b *batch, delivered map[letterKey]bool, p *Progress) error {
	if len(b.records) == 0 {
		return nil
	}
	if err := r.Sink.Write(ctx, b.records); err != nil {
		return err
	}
	for i := range b.letters {
		if r.delivered(&b.letters[i], b.records[i], p) {
			delivered[keyOf(&b.letters[i])] = true
			p.Delivered++
		}
	}
	p.Why = cmp.Or(p.Why, r.Kept.why())
	*b = batch{}
	return nil
}

func (r *Replay) delivered(l *record.Letter, rec *record.Record, p *Progress) bool {
	for i := range rec.Events {
		switch e := &rec.Events[i]; e.Outcome {
		case record.Pending, record.DeadLettered:
			return false
		case record.Duplicate:
			if there := usurper(l.Reason); there != "" {
				p.Why = fmt.Sprintf("%s: under the id %s %s has %s; replay with --index-suffix, or delete that document first", l.Reason, l.ID, e.Index, there)
				return false
			}
		case record.Indexed, record.Filtered:
		}
	}
	return !r.Kept.has(l) // indexed without its message, the letter holds the whole of it
}

// usurper says what the index holds in the place of an event that was given up for
// reason; empty where only the event itself can be there.
func usurper(reason string) string {
	switch reason {
	case record.ReasonCollision:
		return "another event"
	case record.ReasonTooLarge:
		return "the event with its message cut"
	}
	return ""
}

// restore makes the record that a letter was made of.
func (r *Replay) restore(l *record.Letter) (*record.Record, error) {
	rec := &record.Record{Shard: l.Shard, Sequence: l.Sequence, Arrival: l.Arrival, Data: l.Data}
	if l.Document == nil {
		if err := r.decode(rec); err != nil {
			return nil, err
		}
	} else {
		rec.Text = jsonraw.AppendString(rec.Text, []byte(l.ID))
		e := record.Event{Index: l.Index, Time: l.Arrival.UnixMilli(), IDStart: 1, IDEnd: uint32(len(rec.Text) - 1)}
		e.DocStart = uint32(len(rec.Text))
		rec.Text = append(rec.Text, l.Document...)
		e.DocEnd = uint32(len(rec.Text))
		rec.Events = append(rec.Events, e)
	}
	for i := range rec.Events {
		rec.Events[i].Index += r.IndexSuffix
	}
	return rec, nil
}

// decode decodes rec. What the daemon's decoder panicked at may be among the letters.
func (r *Replay) decode(rec *record.Record) (err error) {
	defer func() {
		if v := recover(); v != nil {
			r.decoder = r.NewDecoder() // the old one may be half changed
			err = fmt.Errorf("decoding panics: %v; a newer version may not", v)
		}
	}()
	return r.decoder.Decode(rec)
}
