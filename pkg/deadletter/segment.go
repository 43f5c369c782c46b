package deadletter

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/shipperd/shipperd/pkg/disk"
	"github.com/shipperd/shipperd/pkg/killpoint"
)

// A segment is closed when it is this large or this old, whichever is first.
// 1 GiB / 16 MiB = 64 files; a person who replays waits five minutes at most.
const (
	segmentBytes = 16 << 20
	segmentAge   = 5 * time.Minute
)

// Suffixes of segments. A name is the segment's number and one of them.
const (
	closedSuffix = ".ndjson"
	openSuffix   = ".ndjson.open"
)

// folder knows the files of the dead letters.
type folder struct {
	fsys disk.FS
	dir  string
}

func (f folder) path(name string) string { return filepath.Join(f.dir, name) }

// file is one segment in the folder.
type file struct {
	base  string // its number, ten digits
	open  bool
	bytes int64
}

func (f file) name() string {
	if f.open {
		return f.base + openSuffix
	}
	return f.base + closedSuffix
}

// list returns the segments, oldest first.
func (f folder) list() ([]file, error) {
	entries, err := f.fsys.ReadDir(f.dir)
	if err != nil {
		return nil, fmt.Errorf("list the dead letters: %w", err)
	}
	var files []file
	for _, entry := range entries {
		base, suffix, _ := strings.Cut(entry.Name(), ".")
		suffix = "." + suffix
		if len(base) != 10 || strings.Trim(base, "0123456789") != "" || suffix != closedSuffix && suffix != openSuffix {
			continue
		}
		info, err := entry.Info()
		if errors.Is(err, os.ErrNotExist) {
			continue // replayed a moment ago
		} else if err != nil {
			return nil, fmt.Errorf("list the dead letters: %w", err)
		}
		files = append(files, file{base: base, open: suffix == openSuffix, bytes: info.Size()})
	}
	return files, nil
}

// recover closes the segments that a crash or a failing disk left open, up to their
// last whole line. The rest was never durable: its record is read again, or its letters
// are still to be written. No segment may be being written.
func (f folder) recover() error {
	files, err := f.list()
	if err != nil {
		return err
	}
	for _, file := range files {
		if !file.open {
			continue
		}
		if err := f.recoverSegment(file); err != nil {
			return fmt.Errorf("recover %s: %w", file.name(), err)
		}
	}
	return nil
}

// recoverSegment writes the lines anew: after a failed fsync they may be in the cache
// only, and no later fsync of that file tells.
func (f folder) recoverSegment(file file) error {
	name := f.path(file.name())
	content, err := disk.ReadFile(f.fsys, name)
	if err != nil {
		return err
	}
	if whole := bytes.LastIndexByte(content, '\n') + 1; whole > 0 {
		if err := disk.Replace(f.fsys, f.path(file.base+closedSuffix), content[:whole]); err != nil {
			return err
		}
	}
	return errors.Join(f.fsys.Remove(name), f.fsys.SyncDir(f.dir))
}

// close gives an open segment its closed name.
func (f folder) close(base string) error {
	if err := f.fsys.Rename(f.path(base+openSuffix), f.path(base+closedSuffix)); err != nil {
		return err
	}
	return f.fsys.SyncDir(f.dir)
}

// segmentWriter is the segment that Store appends to.
type segmentWriter struct {
	number string
	file   disk.File
	bytes  int64 // durable
	expire *time.Timer
}

// openSegment begins a new segment. The caller has the turn.
func (s *Store) openSegment() error {
	if err := s.folder.recover(); err != nil {
		return err
	}
	files, err := s.folder.list()
	if err != nil {
		return err
	}
	number := 1
	if len(files) > 0 {
		if _, err := fmt.Sscanf(files[len(files)-1].base, "%d", &number); err != nil {
			return err
		}
		number++
	}
	base := fmt.Sprintf("%010d", number)
	opened, err := s.folder.fsys.OpenFile(s.folder.path(base+openSuffix), os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.table.begin(base)
	s.table.active = base
	s.mu.Unlock()
	w := &segmentWriter{number: base, file: opened}
	w.expire = time.AfterFunc(segmentAge, func() {
		s.turn <- struct{}{}
		defer func() { <-s.turn }()
		if s.active == w {
			s.closeFull()
		}
	})
	s.active = w
	killpoint.Here(killpoint.LettersOpened)
	return s.folder.fsys.SyncDir(s.folder.dir)
}

// write makes batch durable. A segment on which a call has failed is given up:
// after a failed fsync the kernel may take lost pages for written ones, so that
// nothing can be told of the file but that its older lines are there.
func (s *Store) write(batch []*put) error {
	if s.active == nil {
		if err := s.openSegment(); err != nil {
			return errors.Join(fmt.Errorf("begin a segment of dead letters: %w", err), s.giveUpSegment())
		}
	}
	w := s.active
	var lines []byte
	for _, p := range batch {
		lines = append(lines, p.lines...)
	}
	_, err := w.file.Write(lines)
	killpoint.Here(killpoint.LettersUnsynced)
	if err == nil {
		err = w.file.Sync()
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write dead letters: %w", err), s.giveUpSegment())
	}
	killpoint.Here(killpoint.LettersSynced)
	w.bytes += int64(len(lines))
	s.mu.Lock()
	for _, p := range batch {
		for _, letter := range p.letters {
			s.table.add(w.number, letter)
		}
	}
	s.mu.Unlock()
	if w.bytes >= segmentBytes {
		s.closeFull()
	}
	return nil
}

// closeFull closes a segment whose letters are durable, whatever comes of it.
func (s *Store) closeFull() {
	if err := s.closeSegment(); err != nil {
		s.log.Warn("a segment of dead letters could not be closed; it can be replayed once the next letter is written, or after the next start", zap.Error(err))
	}
}

// giveUpSegment ends the segment, if there is one, without what was written since the
// last success.
func (s *Store) giveUpSegment() error {
	w := s.active
	if w == nil {
		return nil
	}
	s.leave(w)
	return errors.Join(w.file.Truncate(w.bytes), w.file.Close(), s.folder.recover())
}

// closeSegment closes the segment, if there is one. The caller has the turn.
func (s *Store) closeSegment() error {
	w := s.active
	if w == nil {
		return nil
	}
	err := errors.Join(w.file.Close(), s.folder.close(w.number))
	killpoint.Here(killpoint.LettersClosed)
	s.leave(w)
	return err
}

// leave ends the time of w as the active segment.
func (s *Store) leave(w *segmentWriter) {
	w.expire.Stop()
	s.active = nil
	s.mu.Lock()
	defer s.mu.Unlock()
	s.table.active = ""
}
