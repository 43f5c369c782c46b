package deadletter

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"iter"
	"os"
	"time"

	"github.com/shipperd/shipperd/pkg/record"
)

// maxIdentities bounds how many letters are told apart: 131,072 × (8 bytes in
// their segment + about 20 in the map) = 4 MiB. Beyond it each letter counts as
// one identity, so that the figure is then an upper bound, and exact again when
// fewer are left.
const maxIdentities = 1 << 17

// stored is what the table keeps of one letter.
type stored struct {
	identity uint64
	bytes    int
	time     time.Time
	reason   string
}

// newStored hashes what makes two letters the same one: index and id of an event,
// shard and sequence number of a record. A record that is read again after a
// crash brings its letters again.
func newStored(l *record.Letter, bytes int, seed maphash.Seed) stored {
	identity := [3]string{"record", l.Shard, l.Sequence}
	if l.Index != "" {
		identity = [3]string{"event", l.Index, l.ID}
	}
	return stored{identity: maphash.Comparable(seed, identity), bytes: bytes, time: l.Time, reason: l.Reason}
}

// table counts what the folder holds. Its user guards it.
type table struct {
	seed       maphash.Seed // the process's own, so that nobody can make two ids collide
	active     string       // the segment that is being written
	segments   map[string]*segment
	identities map[uint64]int // how many letters each has, in all segments
	held       int            // letters in identities
	uncounted  int            // letters beyond maxIdentities
	garbled    int            // lines that are no letters
	bytes      int64
}

type segment struct {
	bytes      int64
	identities []uint64
	uncounted  int
	garbled    int
	oldest     time.Time
}

func newTable() *table {
	return &table{seed: maphash.MakeSeed(), segments: map[string]*segment{}, identities: map[uint64]int{}}
}

// documents returns the number of identities.
func (t *table) documents() int { return len(t.identities) + t.uncounted }

// oldest returns when the oldest letter was given up, zero without letters.
func (t *table) oldest() time.Time {
	var oldest time.Time
	for _, s := range t.segments {
		if !s.oldest.IsZero() && (oldest.IsZero() || s.oldest.Before(oldest)) {
			oldest = s.oldest
		}
	}
	return oldest
}

// begin adds an empty segment. One of the same number that was known has been replayed:
// its number was free.
func (t *table) begin(base string) {
	if t.segments[base] != nil {
		t.drop(base)
	}
	t.segments[base] = &segment{}
}

func (t *table) add(base string, l stored) {
	s := t.segments[base]
	s.bytes += int64(l.bytes)
	t.bytes += int64(l.bytes)
	if s.oldest.IsZero() || l.time.Before(s.oldest) {
		s.oldest = l.time
	}
	if t.held == maxIdentities {
		s.uncounted++
		t.uncounted++
		return
	}
	t.held++
	t.identities[l.identity]++
	s.identities = append(s.identities, l.identity)
}

func (t *table) drop(base string) {
	s := t.segments[base]
	delete(t.segments, base)
	t.bytes -= s.bytes
	t.uncounted -= s.uncounted
	t.garbled -= s.garbled
	t.held -= len(s.identities)
	for _, identity := range s.identities {
		if t.identities[identity]--; t.identities[identity] == 0 {
			delete(t.identities, identity)
		}
	}
}

// refresh brings t to what the folder holds: replay takes letters out of closed
// segments and removes them. A segment whose size has not changed is not read
// again; the active one is known from what was written.
func (t *table) refresh(f folder) error {
	files, err := f.list()
	if err != nil {
		return err
	}
	there := map[string]bool{t.active: true}
	for _, file := range files {
		there[file.base] = true
		known := t.segments[file.base]
		if file.base == t.active || known != nil && known.bytes == file.bytes {
			continue
		}
		if known != nil {
			t.drop(file.base)
		}
		if err := t.read(f, file); err != nil {
			return fmt.Errorf("read %s: %w", file.name(), err)
		}
	}
	for base := range t.segments {
		if !there[base] {
			t.drop(base)
		}
	}
	return nil
}

func (t *table) read(f folder, file file) error {
	opened, err := f.fsys.OpenFile(f.path(file.name()), os.O_RDONLY, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil // replayed a moment ago
	}
	if err != nil {
		return err
	}
	t.begin(file.base)
	for line, err := range lines(opened) {
		if err != nil {
			return errors.Join(err, opened.Close())
		}
		var l record.Letter
		if json.Unmarshal(line, &l) != nil {
			t.segments[file.base].garbled++
			t.garbled++
		}
		t.add(file.base, newStored(&l, len(line), t.seed))
	}
	return opened.Close()
}

// lines yields the lines of r with their line breaks; the last one may lack it.
func lines(r io.Reader) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		buffered := bufio.NewReaderSize(r, 64<<10)
		for {
			line, err := buffered.ReadBytes('\n')
			if len(line) > 0 && !yield(line, nil) {
				return
			}
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(nil, err)
				return
			}
		}
	}
}
