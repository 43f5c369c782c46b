package demo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/shipperd/shipperd/pkg/record"
)

// Files is a sink that writes the documents of each index into a file of its own,
// INDEX.ndjson, one line a document. Like an index it takes an id once.
type Files struct {
	dir string

	mu    sync.Mutex
	files map[string]*file // by index
}

type file struct {
	*os.File
	buf *bufio.Writer
	ids map[string]bool
}

// NewFiles returns a sink that writes into dir, which it makes where it is
// missing. Files of those names that are there are overwritten.
func NewFiles(dir string) (*Files, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return &Files{dir: dir, files: make(map[string]*file)}, nil
}

// Write writes the pending documents of records and sets their outcomes. It returns
// when they are in the files; its errors are those of the disk.
func (f *Files) Write(_ context.Context, records []*record.Record) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range records {
		for i := range r.Events {
			if e := &r.Events[i]; e.Outcome == record.Pending {
				outcome, err := f.addLocked(e.Index, r.ID(e), r.Doc(e))
				if err != nil {
					return fmt.Errorf("write a document of %s: %w", e.Index, err)
				}
				e.Outcome = outcome
			}
		}
	}
	for index, file := range f.files {
		if err := file.buf.Flush(); err != nil {
			return fmt.Errorf("write documents of %s: %w", index, err)
		}
	}
	return nil
}

func (f *Files) addLocked(index string, id, doc []byte) (record.Outcome, error) {
	to := f.files[index]
	if to == nil {
		opened, err := os.Create(filepath.Join(f.dir, index+".ndjson"))
		if err != nil {
			return record.Pending, err
		}
		to = &file{File: opened, buf: bufio.NewWriter(opened), ids: make(map[string]bool)}
		f.files[index] = to
	}
	if to.ids[string(id)] {
		return record.Duplicate, nil
	}
	to.ids[string(id)] = true
	if _, err := to.buf.Write(doc); err != nil {
		return record.Pending, err
	}
	return record.Indexed, to.buf.WriteByte('\n')
}

// Close closes the files.
func (f *Files) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var errs []error
	for _, file := range f.files {
		errs = append(errs, file.Close())
	}
	return errors.Join(errs...)
}
