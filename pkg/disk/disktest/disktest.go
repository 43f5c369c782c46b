// Package disktest is a disk in memory whose every call can fail and whose power
// can be cut at any moment: what was not synced is then lost, in part or whole.
package disktest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/shipperd/shipperd/pkg/disk"
)

// FS is the disk. The zero value is empty and ready for use.
type FS struct {
	// Fault is asked before every call that changes something, with its name (open,
	// write, truncate, sync, rename, remove, syncdir) and file; its error is the
	// call's. A write that fails has written half.
	Fault func(op, name string) error

	mu     sync.Mutex
	files  map[string]*node
	synced map[string]*node                 // the folder entries that a power cut leaves
	orders []func(entries map[string]*node) // changes of files since, in order
	locks  map[string]bool
}

type node struct {
	data    []byte
	durable []byte // what a power cut leaves
	lost    bool   // a Sync has failed
	anew    bool   // it was emptied to be written anew since the last Sync
	mode    fs.FileMode
}

func (n *node) afterPowerCut(r *rand.Rand) []byte {
	if rest, appended := bytes.CutPrefix(n.data, n.durable); appended {
		return n.data[:len(n.durable)+r.IntN(len(rest)+1)]
	}
	switch {
	case r.IntN(2) == 0: // truncated or written anew, and that not synced
		return n.durable
	case !n.anew && bytes.HasPrefix(n.durable, n.data):
		return n.data // truncated: what is left was durable before
	}
	return n.data[:r.IntN(len(n.data)+1)]
}

func (f *FS) fault(op, name string) error {
	if f.Fault == nil {
		return nil
	}
	return f.Fault(op, name)
}

// changeLocked applies edit to the folder entries now and remembers it for SyncDir.
func (f *FS) changeLocked(edit func(entries map[string]*node)) {
	if f.files == nil {
		f.files, f.synced = map[string]*node{}, map[string]*node{}
	}
	edit(f.files)
	f.orders = append(f.orders, edit)
}

// PowerCut returns the disk as a restarted machine finds it: of the folder
// changes since the last SyncDir a random first part is there, and of each
// file's bytes since its last Sync a random first part.
func (f *FS) PowerCut(r *rand.Rand) *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	left := maps.Clone(f.synced)
	for _, order := range f.orders[:r.IntN(len(f.orders)+1)] {
		order(left)
	}
	after := &FS{files: map[string]*node{}, synced: map[string]*node{}}
	for _, name := range slices.Sorted(maps.Keys(left)) {
		n := left[name]
		data := n.afterPowerCut(r)
		survivor := &node{data: slices.Clone(data), durable: slices.Clone(data), mode: n.mode}
		after.files[name], after.synced[name] = survivor, survivor
	}
	return after
}

// Names returns the files that there are, sorted.
func (f *FS) Names() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(maps.Keys(f.files))
}

// Put makes a durable file.
func (f *FS) Put(name, data string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := &node{data: []byte(data), durable: []byte(data), mode: 0o600}
	f.changeLocked(func(entries map[string]*node) { entries[name] = n })
	f.syncLocked()
}

func (f *FS) syncLocked() {
	for _, order := range f.orders {
		order(f.synced)
	}
	f.orders = nil
}

// OpenFile implements disk.FS for the flags that are in use.
func (f *FS) OpenFile(name string, flag int, mode fs.FileMode) (disk.File, error) {
	if flag&(os.O_CREATE|os.O_TRUNC) != 0 {
		if err := f.fault("open", name); err != nil {
			return nil, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.files[name]
	switch {
	case n == nil && flag&os.O_CREATE == 0:
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	case n != nil && flag&os.O_EXCL != 0:
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrExist}
	case n == nil:
		n = &node{mode: mode}
		f.changeLocked(func(entries map[string]*node) { entries[name] = n })
	case flag&os.O_TRUNC != 0:
		n.data, n.lost, n.anew = nil, false, true // what is written from here on is in pages of its own
	}
	return &file{fs: f, node: n, name: name}, nil
}

// Rename implements disk.FS.
func (f *FS) Rename(from, to string) error {
	if err := f.fault("rename", to); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.files[from]
	if n == nil {
		return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
	}
	f.changeLocked(func(entries map[string]*node) {
		delete(entries, from)
		entries[to] = n
	})
	return nil
}

// Remove implements disk.FS.
func (f *FS) Remove(name string) error {
	if err := f.fault("remove", name); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.files[name] == nil {
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
	}
	f.changeLocked(func(entries map[string]*node) { delete(entries, name) })
	return nil
}

// MkdirAll implements disk.FS. Folders need no making here.
func (f *FS) MkdirAll(string, fs.FileMode) error { return nil }

// ReadDir implements disk.FS.
func (f *FS) ReadDir(dir string) ([]fs.DirEntry, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var entries []fs.DirEntry
	for _, name := range slices.Sorted(maps.Keys(f.files)) {
		if rest, ok := strings.CutPrefix(name, dir+"/"); ok && !strings.Contains(rest, "/") {
			n := f.files[name]
			entries = append(entries, fs.FileInfoToDirEntry(info{rest, int64(len(n.data)), n.mode}))
		}
	}
	return entries, nil
}

// SyncDir implements disk.FS; it makes the changes in all folders durable.
func (f *FS) SyncDir(dir string) error {
	if err := f.fault("syncdir", dir); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.syncLocked()
	return nil
}

// TryLock implements disk.FS; the other process is another user of the same FS.
func (f *FS) TryLock(name string) (func() error, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.locks[name] {
		return nil, fmt.Errorf("%s: %w", name, disk.ErrLocked)
	}
	if f.locks == nil {
		f.locks = map[string]bool{}
	}
	f.locks[name] = true
	return func() error {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.locks, name)
		return nil
	}, nil
}

// file is an open file; writes append, as all of ours do.
type file struct {
	fs   *FS
	node *node
	name string
	read int
}

func (f *file) Read(p []byte) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	n := copy(p, f.node.data[min(f.read, len(f.node.data)):])
	f.read += n
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (f *file) Write(p []byte) (int, error) {
	fault := f.fs.fault("write", f.name)
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if fault != nil {
		p = p[:len(p)/2]
	}
	f.node.data = append(slices.Clip(f.node.data), p...)
	return len(p), fault
}

func (f *file) Truncate(size int64) error {
	if err := f.fs.fault("truncate", f.name); err != nil {
		return err
	}
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if size > int64(len(f.node.data)) {
		return errors.New("truncate beyond the end")
	}
	f.node.data = slices.Clone(f.node.data[:size])
	return nil
}

// Sync makes the content durable. Once it has failed the kernel takes the pages
// for clean: a later Sync says nil and writes nothing, here for good.
func (f *file) Sync() error {
	fault := f.fs.fault("sync", f.name)
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if fault != nil {
		f.node.lost = true
	}
	if !f.node.lost {
		f.node.durable, f.node.anew = slices.Clone(f.node.data), false
	}
	return fault
}

func (f *file) Close() error { return nil }

type info struct {
	name string
	size int64
	mode fs.FileMode
}

func (i info) Name() string       { return path.Base(i.name) }
func (i info) Size() int64        { return i.size }
func (i info) Mode() fs.FileMode  { return i.mode }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return false }
func (i info) Sys() any           { return nil }
