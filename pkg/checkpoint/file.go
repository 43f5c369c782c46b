package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/shipperd/shipperd/pkg/disk"
	"github.com/shipperd/shipperd/pkg/killpoint"
)

// Config is the section checkpoint of the configuration.
type Config struct {
	File string `yaml:"file"` // on a disk that outlives the machine or task
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config { return Config{File: "/var/lib/shipperd/checkpoint.json"} }

// Validate checks c.
func (c *Config) Validate() error {
	if c.File == "" {
		return errors.New("checkpoint.file: must not be empty")
	}
	return nil
}

// ErrOtherStream is wrapped by OpenFile's error when the file belongs to a stream
// with another ARN. Its positions mean nothing for this one.
var ErrOtherStream = errors.New("the checkpoint file belongs to another stream")

// Identity is what a file of positions is bound to.
type Identity struct {
	ARN     string
	Created time.Time // of the stream, in whole seconds; tells a stream that was made anew from the old one
	// Routing is a hash of all that decides a document's index and id: while it
	// stays the same, what is read twice is indexed once.
	Routing string
}

// Gap is a time of which records may be lost: older than those that can still be
// read, newer than what has settled.
type Gap struct{ From, To time.Time }

// File is the Store of a single process: one JSON file that a person can read.
// Every Save replaces it as a whole.
type File struct {
	name   string
	fsys   disk.FS
	unlock func() error
	log    *zap.Logger

	regressions prometheus.Counter

	mu    sync.Mutex // held while the file is written: one write at a time
	state fileState
}

// OpenFile locks the file, waiting for another process that has it, and reads it.
// Nothing is written before the first Save: a file that cannot be understood, or
// that belongs to another stream, stays as it is.
func OpenFile(ctx context.Context, fsys disk.FS, c Config, id Identity, log *zap.Logger, reg prometheus.Registerer) (*File, error) {
	if err := fsys.MkdirAll(filepath.Dir(c.File), 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the checkpoint file: %w", err)
	}
	unlock, err := disk.Lock(ctx, fsys, c.File+".lock", func() {
		log.Warn("another process has the checkpoint file; waiting for it to end", zap.String("file", c.File))
	})
	if err != nil {
		return nil, fmt.Errorf("open the checkpoint file: %w", err)
	}
	state, err := readState(fsys, c.File)
	if err == nil {
		state, err = state.bind(id, log)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the checkpoint file %s: %w", c.File, err), unlock())
	}
	return &File{name: c.File, fsys: fsys, unlock: unlock, log: log, regressions: newRegressions(reg), state: state}, nil
}

func newRegressions(reg prometheus.Registerer) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "shipperd_checkpoint_regressions_total",
		Help: "Positions that were not stored because they lie before the stored one. A defect of shipperd when above 0.",
	})
	reg.MustRegister(c)
	return c
}

// Remade says whether the stream was deleted and made anew since positions were
// last saved. Every shard then starts at TRIM_HORIZON, whatever kinesis.start
// says, and records of the old stream may be lost in the gap.
func (f *File) Remade() (gap Gap, remade bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.state.Former == nil || len(f.state.Shards) > 0 {
		return Gap{}, false
	}
	return Gap{From: oldestArrival(f.state.Former.Shards), To: f.state.Created}, true
}

// Load implements Store.
func (f *File) Load(context.Context) (map[string]Position, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	loaded := make(map[string]Position, len(f.state.Shards))
	maps.Copy(loaded, f.state.Shards)
	return loaded, nil
}

// Save implements Store. A position before the stored one is a defect somewhere;
// it is counted and left out, so that the file never moves back.
func (f *File) Save(ctx context.Context, positions map[string]Position) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for shard, p := range positions {
		if stored, ok := f.state.Shards[shard]; ok && p.before(stored) {
			f.regressions.Inc()
			f.log.Error("a position lies before the stored one; it is not stored", zap.String("shard", shard),
				zap.String("stored", stored.Sequence), zap.String("position", p.Sequence))
			continue
		}
		f.state.Shards[shard] = p
	}
	return f.writeLocked(ctx)
}

// Forget implements Store.
func (f *File) Forget(ctx context.Context, shards []string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, shard := range shards {
		delete(f.state.Shards, shard)
	}
	return f.writeLocked(ctx)
}

// writeLocked writes the state. After an error the state is kept: what settled is
// settled, and the next write has it.
func (f *File) writeLocked(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	f.state.Saved = time.Now().UTC().Truncate(time.Second)
	killpoint.Here(killpoint.CheckpointWrite)
	data, err := f.state.encode()
	if err == nil {
		err = disk.Replace(f.fsys, f.name, data)
	}
	if err != nil {
		return fmt.Errorf("save the checkpoint file %s: %w", f.name, err)
	}
	killpoint.Here(killpoint.CheckpointWritten)
	return nil
}

// Close lets another process have the file.
func (f *File) Close() error { return f.unlock() }
