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

	"github.com/shipperd/shipperd/pkg/checkpoint"
	"github.com/shipperd/shipperd/pkg/disk"
	"github.com/shipperd/shipperd/pkg/disk/disktest"
	"github.com/shipperd/shipperd/pkg/elastic/elasticfake"
	"github.com/shipperd/shipperd/pkg/record"
)

// truth is what was put on the stream, and what is known of its delivery.
type truth struct {
	shards  map[string]*shard
	letters map[string]bool  // identities in the dead letters for good
	owner   map[string]owner // by event
}

type owner struct {
	shard string
	many  bool // several records have it
}

type shard struct {
	id      string
	parents []string
	closed  bool
	records []*sent
	place   map[string]int // of a record, by its sequence number
	done    int            // so many of the first ones have arrived for good
}

// sent is a record on the stream.
type sent struct {
	events []string // identities: index/id
	broken string   // identity shard/sequence of what cannot be decoded; else empty
}

func (t *truth) shard(id string) *shard {
	s := t.shards[id]
	if s == nil {
		s = &shard{id: id, place: make(map[string]int)}
		t.shards[id] = s
	}
	return s
}

func (t *truth) add(id, sequence string, r *sent) {
	s := t.shard(id)
	s.place[sequence] = len(s.records)
	s.records = append(s.records, r)
	for _, e := range r.events {
		_, known := t.owner[e]
		t.owner[e] = owner{shard: id, many: known}
	}
}

// arrived says whether all of r is in the index, or a dead letter on the disk that
// no power cut takes away.
func (w *world) arrived(r *sent) bool {
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

// allSettled says whether everything has arrived, and the checkpoint says so.
func (w *world) allSettled() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, s := range w.truth.shards {
		p := w.life.positions[id]
		if n, err := s.reach(p); err != nil || n < len(s.records) || s.closed != (p.Kind == checkpoint.ShardEnd) || !w.arrivedUpTo(s, n) {
			return false
		}
	}
	return true
}

// missing describes what has not arrived.
func (w *world) missing() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var text strings.Builder
	for _, id := range slices.Sorted(maps.Keys(w.truth.shards)) {
		s := w.truth.shards[id]
		if !w.arrivedUpTo(s, len(s.records)) {
			fmt.Fprintf(&text, "%s: record %d of %d: %+v\n", id, s.done, len(s.records), *s.records[s.done])
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
			if l.Index != "" {
				all[l.Index+"/"+l.ID] = true
			} else {
				all[l.Shard+"/"+l.Sequence] = true
			}
		}
	}
	return all
}

// positionsOn returns what the checkpoint file on a disk says; nil without one.
func (w *world) positionsOn(fsys *disktest.FS) map[string]checkpoint.Position {
	data, err := disk.ReadFile(fsys, checkpointFile)
	if err != nil {
		return nil
	}
	var file struct {
		Shards map[string]checkpoint.Position `json:"shards"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		w.Errorf("the checkpoint file is torn: %v: %s", err, data)
	}
	return file.Shards
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
// nothing that has not arrived, and has not moved back.
func (w *world) checkCheckpoint() {
	w.mu.Lock()
	defer w.mu.Unlock()
	positions := w.positionsOn(w.life.disk)
	for _, id := range slices.Sorted(maps.Keys(positions)) {
		p, s := positions[id], w.truth.shards[id]
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
		if before, ok := w.life.positions[id]; ok {
			if m, err := s.reach(before); err == nil && (m > n || before.Kind == checkpoint.ShardEnd && p.Kind != checkpoint.ShardEnd) {
				w.Errorf("checkpoint of %s went back from %d to %d records", id, m, n)
			}
		}
	}
	for id, before := range w.life.positions {
		if _, ok := positions[id]; !ok && before.Kind != checkpoint.ShardEnd {
			w.Errorf("checkpoint of %s was removed at %s", id, before.Kind)
		}
	}
	w.life.positions = positions
}

// checkDurable looks for positions, whose Save has returned nil, on the disk that a
// power cut would leave.
func (w *world) checkDurable(saved map[string]checkpoint.Position) {
	w.mu.Lock()
	defer w.mu.Unlock()
	there := w.positionsOn(w.life.disk.PowerCut(rand.New(syncedOnly)))
	for id, p := range saved {
		if q, ok := there[id]; !ok || q.Kind != p.Kind || q.Sequence != p.Sequence {
			w.Errorf("the position %s %s of %s was saved, and would be %s %s after a power cut", p.Kind, p.Sequence, id, q.Kind, q.Sequence)
		}
	}
}

// checkParents looks at documents that are about to be indexed: all that their
// shards' parents held must have arrived before.
func (w *world) checkParents(docs []elasticfake.Document) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, d := range docs {
		o, known := w.truth.owner[d.Index+"/"+d.ID]
		if !known {
			w.Errorf("a document %s/%s that nobody put on the stream", d.Index, d.ID)
		}
		if !known || o.many {
			continue
		}
		for _, id := range w.truth.shards[o.shard].parents {
			if parent := w.truth.shards[id]; !w.arrivedUpTo(parent, len(parent.records)) {
				w.Errorf("%s/%s of shard %s is sent when %d of %d records of its parent %s have arrived",
					d.Index, d.ID, o.shard, parent.done, len(parent.records), id)
			}
		}
	}
}

// checkEnd looks at everything, once all has arrived and the last process has ended.
func (w *world) checkEnd() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.truth.letters = w.lettersOn(w.life.disk)
	positions := w.positionsOn(w.life.disk)
	events := make(map[string]bool)
	for _, id := range slices.Sorted(maps.Keys(w.truth.shards)) {
		s := w.truth.shards[id]
		for i, r := range s.records {
			if !w.arrived(r) {
				w.Errorf("record %d of %s is lost: %+v", i, id, *r)
			}
			for _, e := range r.events {
				events[e] = true
			}
		}
		if n, err := s.reach(positions[id]); err != nil || n != len(s.records) {
			w.Errorf("the last checkpoint of %s: got %s that covers %d of %d records: %v", id, positions[id].Kind, n, len(s.records), err)
		}
		if s.closed && positions[id].Kind != checkpoint.ShardEnd {
			w.Errorf("the last checkpoint of %s: got %s, want its end", id, positions[id].Kind)
		}
	}
	stored := 0
	for e := range events {
		index, id, _ := strings.Cut(e, "/")
		if _, ok := w.search.Documents(index)[id]; ok {
			stored++
		}
	}
	if got := w.search.Count(); got != stored {
		w.Errorf("got %d documents in all indices, want %d: some are there twice", got, stored)
	}
}
