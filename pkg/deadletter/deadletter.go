// Package deadletter keeps what can never be delivered, on disk, until a person
// has repaired the cause and it is sent again.
//
// Letters lie in a folder of segments, files of one JSON object a line. Store
// appends to the newest one, which has the suffix .open; a segment that is large
// or old enough is closed, and from then on belongs to Archive, the reading side,
// mostly in another process. Store never drops a letter: when the quota is used
// up or the disk fails, Put blocks, and with it the reading of the stream.
package deadletter

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/sync/semaphore"

	"github.com/shipperd/shipperd/pkg/disk"
	"github.com/shipperd/shipperd/pkg/record"
)

// Store appends letters. It is safe for concurrent use.
type Store struct {
	folder   folder
	maxBytes int64
	unlock   func() error
	log      *zap.Logger
	metrics  *metrics

	// turn is held, by a value in it, by the one goroutine that writes. It guards
	// active and blocked.
	turn    chan struct{}
	active  *segmentWriter // nil when no segment is open
	blocked bool           // the last write failed, and that was logged

	encoded *semaphore.Weighted // bytes of the letters in the queue

	mu    sync.Mutex
	queue []*put // waiting to be written, oldest first
	table *table
}

// put is letters of one Put.
type put struct {
	lines     []byte
	letters   []stored
	done      chan struct{} // closed when the letters are durable
	withdrawn bool          // its ctx has ended; guarded by Store.mu
}

var errFull = errors.New("the dead letters have reached dead_letters.max_size; replay them, or raise it")

// Open opens the folder of c for writing. It waits for another process that has
// it, cuts a line that was torn by a crash, and counts what is there.
func Open(ctx context.Context, fsys disk.FS, c Config, log *zap.Logger, reg prometheus.Registerer) (*Store, error) {
	f := folder{fsys: fsys, dir: c.Dir}
	if err := fsys.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of dead letters: %w", err)
	}
	unlock, err := disk.Lock(ctx, fsys, f.path("lock"), func() {
		log.Warn("another process writes the dead letters; waiting for it to end", zap.String("dir", c.Dir))
	})
	if err != nil {
		return nil, fmt.Errorf("open the dead letters: %w", err)
	}
	s := &Store{
		folder: f, maxBytes: int64(c.MaxSize), unlock: unlock, log: log,
		turn: make(chan struct{}, 1), encoded: semaphore.NewWeighted(maxEncoded), table: newTable(),
	}
	if err = f.recover(); err == nil {
		err = s.table.refresh(f)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the dead letters: %w", err), unlock())
	}
	if s.table.garbled > 0 {
		log.Error("the dead letters have lines that are no letters; they are kept", zap.Int("lines", s.table.garbled))
	}
	s.metrics = newMetrics(reg, s)
	return s, nil
}

// Close closes the open segment, so that it can be replayed, and lets another
// process write. No Put may be running.
func (s *Store) Close() error {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	return errors.Join(s.closeSegment(), s.unlock())
}

// The pauses between attempts to write while the disk is full or fails: short
// at first for a passing fault, then one small write a second for each caller at
// most.
const (
	firstRetry = 100 * time.Millisecond
	lastRetry  = 5 * time.Second
)

// The lines of letters, which are 1.4 times as large as they, are made when they can be
// written soon: a full store would have all that waits in memory twice. Up to maxEncoded
// share an fsync, which is 100 MiB/s with a disk that takes 10 ms for it.
const (
	maxEncoded = 1 << 20
	putBytes   = maxEncoded / 4
)

// Put returns nil when the letters are on disk for good. While they cannot be
// written it tries again until ctx ends; its error is that of ctx, and the
// letters may then be stored or not.
func (s *Store) Put(ctx context.Context, letters ...record.Letter) error {
	for len(letters) > 0 {
		n, size := 1, sizeOf(&letters[0])
		for n < len(letters) && size+sizeOf(&letters[n]) <= putBytes {
			size += sizeOf(&letters[n])
			n++
		}
		if err := s.put(ctx, letters[:n], min(size, maxEncoded)); err != nil {
			return err
		}
		letters = letters[n:]
	}
	return nil
}

// sizeOf returns about what l takes.
func sizeOf(l *record.Letter) int64 {
	const rest = 512 // all but the content
	return int64(len(l.Document)+len(l.Data)) + rest
}

// put stores a few letters, of that size.
func (s *Store) put(ctx context.Context, letters []record.Letter, size int64) error {
	if err := s.encoded.Acquire(ctx, size); err != nil {
		return err
	}
	defer s.encoded.Release(size)
	p := newPut(letters, s.table.seed)
	s.mu.Lock()
	s.queue = append(s.queue, p)
	s.mu.Unlock()
	for retry := firstRetry; ; retry = min(2*retry, lastRetry) {
		// Whoever gets the turn writes for all that wait: one fsync for many.
		select {
		case <-p.done:
			return nil
		case <-ctx.Done():
			return s.withdraw(ctx, p)
		case s.turn <- struct{}{}:
		}
		err := s.writeQueue()
		s.report(err)
		<-s.turn
		if err == nil {
			continue
		}
		select {
		case <-p.done:
			return nil
		case <-ctx.Done():
			return s.withdraw(ctx, p)
		case <-time.After(retry):
		}
	}
}

func (s *Store) withdraw(ctx context.Context, p *put) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.withdrawn = true
	return ctx.Err()
}

// report logs the first of several failures, and the recovery. The caller has
// the turn.
func (s *Store) report(err error) {
	switch {
	case err != nil && !s.blocked:
		s.metrics.blocked.Set(1)
		s.log.Error("dead letters cannot be stored; what waits for them is not delivered, and reading stops when memory is used up", zap.Error(err))
	case err == nil && s.blocked:
		s.metrics.blocked.Set(0)
		s.log.Info("dead letters are stored again")
	}
	s.blocked = err != nil
}

// writeQueue writes as much of the queue as the quota lets in. The caller has
// the turn.
func (s *Store) writeQueue() error {
	batch, err := s.takeBatch()
	if err != nil {
		return errors.Join(err, s.closeSegment(), s.folder.recover()) // so that all can be replayed
	}
	if len(batch) == 0 {
		return nil
	}
	if err := s.write(batch); err != nil {
		s.mu.Lock()
		s.queue = append(batch, s.queue...)
		s.mu.Unlock()
		return err
	}
	for _, p := range batch {
		for _, letter := range p.letters {
			s.metrics.written.WithLabelValues(letter.reason).Inc()
		}
		close(p.done)
	}
	return nil
}

// takeBatch takes the oldest puts that the quota has room for. Into an empty
// folder goes all that waits, so that no letter is too large for ever.
func (s *Store) takeBatch() ([]*put, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var batch []*put
	var size int64
	for ; len(s.queue) > 0; s.queue = s.queue[1:] {
		p := s.queue[0]
		if p.withdrawn {
			continue
		}
		if !s.roomLocked(size + int64(len(p.lines))) {
			if len(batch) > 0 {
				break
			}
			// Replay, or a person, may have made room.
			if err := s.table.refresh(s.folder); err != nil {
				return nil, err
			}
			if !s.roomLocked(int64(len(p.lines))) {
				return nil, errFull
			}
		}
		batch, size = append(batch, p), size+int64(len(p.lines))
	}
	return batch, nil
}

func (s *Store) roomLocked(size int64) bool {
	return s.table.bytes == 0 || s.table.bytes+size <= s.maxBytes
}

// newPut encodes letters, which the caller may change afterwards.
func newPut(letters []record.Letter, seed maphash.Seed) *put {
	p := &put{done: make(chan struct{})}
	for i := range letters {
		line := encode(letters[i])
		p.lines = append(p.lines, line...)
		p.letters = append(p.letters, newStored(&letters[i], len(line), seed))
	}
	return p
}

// encode returns l as one line. What JSON cannot hold must not block the letter:
// a document that is no JSON goes where raw bytes go, and an impossible time goes.
func encode(l record.Letter) []byte {
	var line bytes.Buffer
	e := json.NewEncoder(&line)
	e.SetEscapeHTML(false) // the document as it was sent
	if e.Encode(l) != nil {
		l.Data, l.Document, l.Arrival = append(slices.Clip(l.Data), l.Document...), nil, time.Time{}
		line.Reset()
		if err := e.Encode(l); err != nil {
			panic(fmt.Sprintf("deadletter: a letter without document and times does not encode: %v", err))
		}
	}
	return line.Bytes()
}
