package deadletter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/shipperd/shipperd/pkg/disk"
	"github.com/shipperd/shipperd/pkg/record"
)

// Archive reads the closed segments, and takes out what was delivered after all.
// A Store may append meanwhile, in this process or another.
type Archive struct {
	folder folder
	unlock func() error
}

// Segment is a closed segment.
type Segment struct {
	Name  string
	Bytes int64
}

// OpenArchive opens the folder of c for reading. It waits for another archive,
// and closes what a Store that has crashed left open.
func OpenArchive(ctx context.Context, fsys disk.FS, c Config, log *zap.Logger) (*Archive, error) {
	f := folder{fsys: fsys, dir: c.Dir}
	unlock, err := disk.Lock(ctx, fsys, f.path("replay.lock"), func() {
		log.Warn("another process replays the dead letters; waiting for it to end", zap.String("dir", c.Dir))
	})
	if err != nil {
		return nil, fmt.Errorf("open the dead letters: %w", err)
	}
	if err := errors.Join(f.removeTemporary(), f.recoverUnlessWritten()); err != nil {
		return nil, errors.Join(fmt.Errorf("open the dead letters: %w", err), unlock())
	}
	return &Archive{folder: f, unlock: unlock}, nil
}

func (f folder) recoverUnlessWritten() error {
	unlock, err := f.fsys.TryLock(f.path("lock"))
	if errors.Is(err, disk.ErrLocked) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(f.recover(), unlock())
}

// removeTemporary removes what a crash in Settle or recover left. A Store that recovers at
// this moment fails and tries again.
func (f folder) removeTemporary() error {
	entries, err := f.fsys.ReadDir(f.dir)
	for _, entry := range entries {
		if strings.HasSuffix(entry.Name(), closedSuffix+".tmp") {
			err = errors.Join(err, f.fsys.Remove(f.path(entry.Name())))
		}
	}
	return err
}

// Close lets another archive in.
func (a *Archive) Close() error { return a.unlock() }

// Segments returns the closed segments, oldest first.
func (a *Archive) Segments() ([]Segment, error) {
	files, err := a.folder.list()
	if err != nil {
		return nil, err
	}
	var segments []Segment
	for _, file := range files {
		if !file.open {
			segments = append(segments, Segment{Name: file.name(), Bytes: file.bytes})
		}
	}
	return segments, nil
}

// Letters yields the letters of a segment in the order in which they were given
// up. A line that is no letter comes as an error, and the ones after it follow.
func (a *Archive) Letters(s Segment) iter.Seq2[record.Letter, error] {
	return func(yield func(record.Letter, error) bool) {
		f, err := a.folder.fsys.OpenFile(a.folder.path(s.Name), os.O_RDONLY, 0)
		if err != nil {
			yield(record.Letter{}, fmt.Errorf("read dead letters: %w", err))
			return
		}
		defer func() { _ = f.Close() }() // read only
		number := 0
		for line, err := range lines(f) {
			number++
			var l record.Letter
			if err == nil {
				err = json.Unmarshal(line, &l)
			}
			if err != nil {
				err = fmt.Errorf("read dead letters: %s:%d: %w", s.Name, number, err)
			}
			if !yield(l, err) {
				return
			}
		}
	}
}

// Settle takes the letters for which done is true out of a segment, and removes
// it when none is left. Lines that are no letters stay.
func (a *Archive) Settle(s Segment, done func(*record.Letter) bool) error {
	name := a.folder.path(s.Name)
	f, err := a.folder.fsys.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return fmt.Errorf("settle dead letters: %w", err)
	}
	var kept []byte // a segment at most
	for line, err := range lines(f) {
		if err != nil {
			return errors.Join(fmt.Errorf("settle dead letters: %w", err), f.Close())
		}
		var l record.Letter
		if json.Unmarshal(line, &l) != nil || !done(&l) {
			kept = append(kept, line...)
		}
	}
	err = f.Close()
	switch {
	case err != nil:
	case len(kept) == 0:
		err = errors.Join(a.folder.fsys.Remove(name), a.folder.fsys.SyncDir(a.folder.dir))
	case int64(len(kept)) < s.Bytes:
		err = disk.Replace(a.folder.fsys, name, kept)
	}
	if err != nil {
		return fmt.Errorf("settle dead letters: %w", err)
	}
	return nil
}

// Filter chooses letters. What is empty lets all through.
type Filter struct {
	Reasons []string
	Index   string // a pattern with * and ?; letters of records, which have no index, never match one
	Since   time.Time
	Until   time.Time // exclusive
}

// Validate checks f.
func (f *Filter) Validate() error {
	for _, reason := range f.Reasons {
		if !slices.Contains(record.Reasons(), reason) {
			return fmt.Errorf("%q is no reason; write one of %s", reason, strings.Join(record.Reasons(), ", "))
		}
	}
	if _, err := path.Match(f.Index, ""); err != nil {
		return fmt.Errorf("index pattern %q: %w", f.Index, err)
	}
	if !f.Until.IsZero() && !f.Since.Before(f.Until) {
		return fmt.Errorf("no letter is from %s or later and before %s", f.Since.Format(time.RFC3339), f.Until.Format(time.RFC3339))
	}
	return nil
}

// Match says whether f chooses l.
func (f *Filter) Match(l *record.Letter) bool {
	if len(f.Reasons) > 0 && !slices.Contains(f.Reasons, l.Reason) {
		return false
	}
	if f.Index != "" {
		if ok, err := path.Match(f.Index, l.Index); !ok || err != nil {
			return false
		}
	}
	return !l.Time.Before(f.Since) && (f.Until.IsZero() || l.Time.Before(f.Until))
}
