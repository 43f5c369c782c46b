// Package disk writes files that are whole after a power cut, and locks them
// against a second process.
//
// Everything that checkpoints and dead letters do with files goes through FS, so
// that tests can fail each single system call (disktest) and cut the power after
// it. The package knows nothing of what the files hold.
package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// ErrLocked is wrapped by TryLock's error when another process has the lock.
var ErrLocked = errors.New("locked by another process")

// FS is the operating system's calls in use. Names are paths, slash-separated.
type FS interface {
	OpenFile(name string, flag int, mode fs.FileMode) (File, error)
	Rename(from, to string) error
	Remove(name string) error
	MkdirAll(dir string, mode fs.FileMode) error
	ReadDir(dir string) ([]fs.DirEntry, error)
	// SyncDir makes the creations, renames and removals in dir durable.
	SyncDir(dir string) error
	// TryLock locks the file name, which it creates, until unlock or the end of
	// the process. It does not wait.
	TryLock(name string) (unlock func() error, err error)
}

// File is an open file. Its content is durable once Sync has returned nil.
type File interface {
	io.ReadWriteCloser
	Truncate(size int64) error
	Sync() error
}

// ReadFile returns the content of the file name.
func ReadFile(fsys FS, name string) ([]byte, error) {
	f, err := fsys.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(f)
	return data, errors.Join(err, f.Close())
}

// Replace puts data in the place of the file name, readable by its owner alone.
// After a fault or a power cut at any moment the file is the old one or the new
// one, and after nil it is the new one for good. The caller holds a lock: the
// temporary file beside it has one name, so that faults leave no litter.
func Replace(fsys FS, name string, data []byte) error {
	temporary := name + ".tmp"
	if err := writeSynced(fsys, temporary, data); err != nil {
		return errors.Join(err, removeIfThere(fsys, temporary))
	}
	if err := fsys.Rename(temporary, name); err != nil {
		return errors.Join(err, removeIfThere(fsys, temporary))
	}
	return fsys.SyncDir(filepath.Dir(name))
}

func writeSynced(fsys FS, name string, data []byte) error {
	f, err := fsys.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.Write(data); err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func removeIfThere(fsys FS, name string) error {
	if err := fsys.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// lockPoll is how often Lock asks again. flock(2) can wait by itself, but then
// it cannot be cancelled.
const lockPoll = time.Second

// Lock waits until no other process has the lock on the file name or ctx ends.
// It calls waiting once if it has to wait.
func Lock(ctx context.Context, fsys FS, name string, waiting func()) (unlock func() error, err error) {
	unlock, err = fsys.TryLock(name)
	if !errors.Is(err, ErrLocked) {
		return unlock, err
	}
	waiting()
	tick := time.NewTicker(lockPoll)
	defer tick.Stop()
	for errors.Is(err, ErrLocked) {
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the lock %s: %w", name, context.Cause(ctx))
		case <-tick.C:
			unlock, err = fsys.TryLock(name)
		}
	}
	return unlock, err
}
