package simulate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/shipperd/shipperd/pkg/checkpoint"
	"github.com/shipperd/shipperd/pkg/disk"
	"github.com/shipperd/shipperd/pkg/disk/disktest"
	"github.com/shipperd/shipperd/pkg/elastic/elasticfake"
	"github.com/shipperd/shipperd/pkg/record"
)

// truth is what was put on the stream, and what is known of its delivery.
type truth struct {
	streams []*stream       // all of one name; the last one is there, or is being made
	letters map[string]bool // identities in the dead letters for good, or taken out by a person
	owner   map[string]owner
	refused map[string]bool // documents that the index has refused, and index/ where it was all of them
	gaps    int             // so many must have been counted by the end
}

// stream is one stream, until it is deleted.
type stream struct {
	created time.Time // as the service says it
	shards  map[string]*shard
}

// owner is whose record an event is in.
type owner struct {
	shard *shard
	many  bool // several records have it
}

type shard struct {
	id       string
	parents  []*shard
	closed   bool
	closedAt time.Time
	expired  bool // the service does not know it any more
	records  []*sent
	place    map[string]int // of a record, by its sequence number
	done     int            // so many of the first ones have arrived for good
}

// sent is a record on the stream.
type sent struct {
	at     time.Time
	events []string // identities: index/id
	broken string   // identity shard/sequence of what cannot be decoded; else empty
	gone   bool     // trimmed, or deleted with its stream: it may be missing
}

// begin takes in that a stream was made.
func (t *truth) begin(shards []string) {
	s := &stream{created: time.Now().Truncate(time.Second).UTC(), shards: make(map[string]*shard)}
	for _, id := range shards {
		s.shard(id)
	}
	t.streams = append(t.streams, s)
}

func (t *truth) stream() *stream { return t.streams[len(t.streams)-1] }

func (s *stream) shard(id string) *shard {
	sh := s.shards[id]
	if sh == nil {
		sh = &shard{id: id, place: make(map[string]int)}
		s.shards[id] = sh
	}
	return sh
}

// sorted returns the shards in the order of their names.
func (s *stream) sorted() []*shard {
	return slices.SortedFunc(maps.Values(s.shards), func(a, b *shard) int { return strings.Compare(a.id, b.id) })
}

func (t *truth) add(s *shard, sequence string, r *sent) {
	r.at = time.Now()
	s.place[sequence] = len(s.records)
	s.records = append(s.records, r)
	for _, e := range r.events {
		_, known := t.owner[e]
		t.owner[e] = owner{shard: s, many: known}
	}
}

// records returns how many records there ever were.
func (w *world) records() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, stream := range w.truth.streams {
		for _, s := range stream.shards {
			n += len(s.records)
		}
	}
	return n
}

// arrived says whether all of r is in the index, or a dead letter on the disk that
// no power cut takes away; or whether nobody could read it any more.
func (w *world) arrived(r *sent) bool {
	if r.gone {
		return true
	}
	fresh := false
	there := func(identity string, letterOnly bool) bool {
		index, id, _ := strings.Cut(identity, "/")
		if !letterOnly && w.search.Applied(index, id) > 0 || w.truth.letters[identity] {
			return true
		}
		if !fresh {
			fresh = true
			w.readLetters()
		}
		return w.truth.letters[identity]
	}
	for _, e := range r.events {
		if !there(e, false) {
			return false
		}
	}
	return r.broken == "" || there(r.broken, true)
}

// arrivedUpTo says whether the first n records of s have arrived.
func (w *world) arrivedUpTo(s *shard, n int) bool {
	for s.done < n && w.arrived(s.records[s.done]) {
		s.done++
	}
	return s.done >= n
}

// settled says whether p covers all of s that can be read.
func (s *shard) settled(p checkpoint.Position) error {
	n, err := s.reach(p)
	for err == nil && n < len(s.records) && s.records[n].gone {
		n++
	}
	switch {
	case err != nil:
		return err
	case n < len(s.records):
		return fmt.Errorf("%s covers %d of %d records", p.Kind, n, len(s.records))
	case s.closed && !s.expired && p.Kind != checkpoint.ShardEnd:
		return fmt.Errorf("%s is not its end", p.Kind)
	}
	return nil
}

// allSettled says whether everything has arrived, and the checkpoint says so.
func (w *world) allSettled() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.truth.stream()
	for id, s := range now.shards {
		if s.settled(w.life.stored.Shards[id]) != nil || !w.arrivedUpTo(s, len(s.records)) {
			return false
		}
	}
	return w.life.stored.Created.Equal(now.created) && w.gapsCounted()
}

// gapsCounted says whether every gap that the truth knows has been told: a shard that
// has nothing else to read may still wait for a call that fails.
func (w *world) gapsCounted() bool {
	return w.truth.gaps <= w.gaps || w.truth.gaps <= w.gaps+int(w.sums(w.life.daemon.source)["shipperd_kinesis_gaps_total"])
}

// missing describes what has not arrived, or is not settled.
func (w *world) missing() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var text strings.Builder
	for _, s := range w.truth.stream().sorted() {
		if !w.arrivedUpTo(s, len(s.records)) {
			fmt.Fprintf(&text, "%s: record %d of %d: %+v\n", s.id, s.done, len(s.records), *s.records[s.done])
		} else if err := s.settled(w.life.stored.Shards[s.id]); err != nil {
			fmt.Fprintf(&text, "%s: %v\n", s.id, err)
		}
	}
	return text.String()
}

// readLetters takes in the dead letters that are durable.
func (w *world) readLetters() {
	maps.Copy(w.truth.letters, w.lettersOn(w.life.disk.PowerCut(rand.New(syncedOnly))))
}

// lettersOn returns the identities of the dead letters on a disk.
func (w *world) lettersOn(fsys *disktest.FS) map[string]bool {
	all := make(map[string]bool)
	for _, name := range fsys.Names() {
		if !strings.Contains(path.Base(name), ".ndjson") || strings.HasSuffix(name, ".tmp") {
			continue
		}
		data, err := disk.ReadFile(fsys, name)
		if err != nil {
			w.Errorf("read %s: %v", name, err)
		}
		for line := range bytes.Lines(data) {
			var l record.Letter
			if json.Unmarshal(line, &l) != nil {
				continue
			}
			all[identity(&l)] = true
		}
	}
	return all
}

// stored is the checkpoint file.
type stored struct {
	Created time.Time                      `json:"created"`
	Shards  map[string]checkpoint.Position `json:"shards"`
}

// storedOn returns what the checkpoint file on a disk says; nothing without one.
func (w *world) storedOn(fsys *disktest.FS) (file stored) {
	data, err := disk.ReadFile(fsys, checkpointFile)
	if err != nil {
		return stored{}
	}
	if err := json.Unmarshal(data, &file); err != nil {
		w.Errorf("the checkpoint file is torn: %v: %s", err, data)
	}
	return file
}

// reach returns how many of the shard's records a position covers.
func (s *shard) reach(p checkpoint.Position) (records int, err error) {
	switch p.Kind {
	case checkpoint.AfterSequence:
		i, ok := s.place[p.Sequence]
		if !ok {
			return 0, fmt.Errorf("the sequence number %s is of no record", p.Sequence)
		}
		return i + 1, nil
	case checkpoint.ShardEnd:
		if !s.closed {
			return 0, fmt.Errorf("the shard is open")
		}
		return len(s.records), nil
	default: // nothing has settled
		return 0, nil
	}
}

// checkCheckpoint looks at the checkpoint file that was just written: it covers
// nothing that has not arrived, and has not moved back. That of an earlier stream
// will not be used; it may be by a process that reads the new one without knowing.
func (w *world) checkCheckpoint() {
	w.mu.Lock()
	defer w.mu.Unlock()
	before, now := w.life.stored, w.storedOn(w.life.disk)
	w.life.stored = now
	current := w.truth.stream()
	switch {
	case !now.Created.Equal(current.created):
		if !slices.ContainsFunc(w.truth.streams, func(s *stream) bool { return s.created.Equal(now.Created) }) {
			w.Errorf("the checkpoint is for a stream of %s, which never was", now.Created)
		}
		return
	case !before.Created.Equal(now.Created):
		before.Shards = nil
	}
	for _, id := range slices.Sorted(maps.Keys(now.Shards)) {
		p, s := now.Shards[id], current.shards[id]
		if s == nil {
			w.Errorf("the checkpoint has shard %s, which the stream never had", id)
			continue
		}
		n, err := s.reach(p)
		switch {
		case err != nil:
			w.Errorf("checkpoint %s of %s: %v", p.Kind, id, err)
		case !w.arrivedUpTo(s, n):
			w.Errorf("checkpoint %s of %s covers %d records, of which only %d have arrived", p.Kind, id, n, s.done)
		}
		if was, ok := before.Shards[id]; ok {
			if m, err := s.reach(was); err == nil && (m > n || was.Kind == checkpoint.ShardEnd && p.Kind != checkpoint.ShardEnd) {
				w.Errorf("checkpoint of %s went back from %d to %d records", id, m, n)
			}
		}
	}
	for id, was := range before.Shards {
		if _, ok := now.Shards[id]; !ok && (was.Kind != checkpoint.ShardEnd || !current.shards[id].expired) {
			w.Errorf("checkpoint of %s was removed at %s, when the stream had the shard: %t", id, was.Kind, !current.shards[id].expired)
		}
	}
}

// checkDurable looks for positions, whose Save has returned nil, on the disk that a
// power cut would leave.
func (w *world) checkDurable(saved map[string]checkpoint.Position) {
	w.mu.Lock()
	defer w.mu.Unlock()
	there := w.storedOn(w.life.disk.PowerCut(rand.New(syncedOnly)))
	for id, p := range saved {
		if q, ok := there.Shards[id]; !ok || q.Kind != p.Kind || q.Sequence != p.Sequence {
			w.Errorf("the position %s %s of %s was saved, and would be %s %s after a power cut", p.Kind, p.Sequence, id, q.Kind, q.Sequence)
		}
	}
}

// checkParents looks at documents that are about to be indexed: all that their
// shards' parents held must have arrived before, unless the process does not know
// yet that the stream was made again.
func (w *world) checkParents(docs []elasticfake.Document) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, d := range docs {
		o, known := w.truth.owner[d.Index+"/"+d.ID]
		if !known {
			w.Errorf("a document %s/%s that nobody put on the stream", d.Index, d.ID)
		}
		if !known || o.many || !w.life.daemon.created.Equal(w.truth.stream().created) {
			continue
		}
		for _, parent := range o.shard.parents {
			if !w.arrivedUpTo(parent, len(parent.records)) {
				w.Errorf("%s/%s of shard %s is sent when %d of %d records of its parent %s have arrived",
					d.Index, d.ID, o.shard.id, parent.done, len(parent.records), parent.id)
			}
		}
	}
}

// checkEnd looks at everything, once all has arrived and the last process has ended.
func (w *world) checkEnd() {
	w.mu.Lock()
	defer w.mu.Unlock()
	maps.Copy(w.truth.letters, w.lettersOn(w.life.disk))
	file := w.storedOn(w.life.disk)
	for _, s := range w.truth.stream().sorted() {
		for i, r := range s.records {
			if !w.arrived(r) {
				w.Errorf("record %d of %s is lost: %+v", i, s.id, *r)
			}
		}
		if err := s.settled(file.Shards[s.id]); err != nil {
			w.Errorf("the last checkpoint of %s: %v", s.id, err)
		}
	}
	for l := range w.truth.letters {
		index, _, _ := strings.Cut(l, "/")
		if _, event := w.truth.owner[l]; event && !w.truth.refused[l] && !w.truth.refused[index+"/"] {
			w.Errorf("%s is a dead letter, and was never refused", l)
		}
	}
	documents := 0
	for e := range w.truth.owner {
		index, id, _ := strings.Cut(e, "/")
		if _, ok := w.search.Documents(index)[id]; ok {
			documents++
		}
	}
	if got := w.search.Count(); got != documents {
		w.Errorf("got %d documents in all indices, want %d: some are there twice", got, documents)
	}
	if none := w.plan.weekend+w.plan.remake == 0; w.gaps < w.truth.gaps || none && w.gaps > 0 {
		w.Errorf("got %d gaps counted, want %d", w.gaps, w.truth.gaps)
	}
}
