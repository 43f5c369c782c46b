package checkpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/shipperd/shipperd/pkg/disk"
)

// ErrUnreadable is wrapped by OpenFile's error when there is a file that this
// version cannot read. Reading on without it would lose or double events, so
// shipperd does not start, and does not touch it.
var ErrUnreadable = errors.New("not a checkpoint file that this version can read; put a backup in its place, or move it away to begin at kinesis.start")

// fileVersion is the version of the file's format.
const fileVersion = 1

// fileState is the content of the file.
type fileState struct {
	Version int       `json:"version"`
	Stream  string    `json:"stream"` // ARN
	Created time.Time `json:"created"`
	Routing string    `json:"routing"`
	Saved   time.Time `json:"saved"`

	Shards map[string]Position `json:"shards"`

	// Former are the positions in the stream of the same ARN that this one
	// replaced. They are kept for a person who looks for what was lost.
	Former *formerStream `json:"former,omitempty"`
}

type formerStream struct {
	Created time.Time           `json:"created"`
	Shards  map[string]Position `json:"shards"`
}

// readState returns the zero fileState when there is no file.
func readState(fsys disk.FS, name string) (fileState, error) {
	data, err := disk.ReadFile(fsys, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fileState{}, nil
	case err != nil:
		return fileState{}, err
	}
	return decodeState(data)
}

func decodeState(data []byte) (fileState, error) {
	var version struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(data, &version); err != nil {
		return fileState{}, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	if version.Version != fileVersion {
		return fileState{}, fmt.Errorf("%w: it has version %d, want %d", ErrUnreadable, version.Version, fileVersion)
	}
	var s fileState
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return fileState{}, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fileState{}, fmt.Errorf("%w: there is more after its end", ErrUnreadable)
	}
	for shard, p := range s.Shards {
		if err := p.validate(); err != nil {
			return fileState{}, fmt.Errorf("%w: %s: %w", ErrUnreadable, shard, err)
		}
	}
	return s, nil
}

func (s *fileState) encode() ([]byte, error) {
	data, err := json.MarshalIndent(s, "", "  ")
	return append(data, '\n'), err
}

// bind makes s the state of the stream id, or refuses.
func (s fileState) bind(id Identity, log *zap.Logger) (fileState, error) {
	created := id.Created.UTC().Truncate(time.Second)
	bound := fileState{
		Version: fileVersion, Stream: id.ARN, Created: created, Routing: id.Routing,
		Saved: s.Saved, Shards: s.Shards, Former: s.Former,
	}
	if s.Version != 0 && s.Stream != id.ARN {
		return fileState{}, fmt.Errorf("%w: it is of %s, kinesis.stream is %s; give each stream its own checkpoint.file", ErrOtherStream, s.Stream, id.ARN)
	}
	if len(s.Shards) > 0 && !s.Created.Equal(created) {
		bound.Former = &formerStream{Created: s.Created, Shards: s.Shards}
		bound.Shards = nil
		log.Warn("the stream was deleted and made anew; its positions are kept aside, and reading starts at its oldest record",
			zap.String("stream", id.ARN), zap.Time("created", created), zap.Time("former_created", s.Created),
			zap.Time("lost_from", oldestArrival(s.Shards)))
	}
	if len(bound.Shards) > 0 && s.Routing != id.Routing {
		// Of what was read after the stored positions some is indexed already, under
		// the names of the old configuration. How much, only the dead process knew.
		log.Warn("prefixes or routing have changed since the positions were saved: events after them that were indexed then may be there twice, under old and new names",
			zap.Int("shards", len(bound.Shards)), zap.Time("saved", s.Saved),
			zap.Time("events_after", oldestArrival(bound.Shards)))
	}
	if bound.Shards == nil {
		bound.Shards = map[string]Position{}
	}
	return bound, nil
}

// oldestArrival returns the arrival time of the shard that is farthest behind,
// zero when none is known.
func oldestArrival(shards map[string]Position) time.Time {
	var oldest time.Time
	for _, p := range shards {
		if p.Kind == AfterSequence && !p.Arrival.IsZero() && (oldest.IsZero() || p.Arrival.Before(oldest)) {
			oldest = p.Arrival
		}
	}
	return oldest
}

func (p Position) validate() error {
	switch p.Kind {
	case TrimHorizon, ShardEnd:
		return nil
	case AtTimestamp:
		if p.Time.IsZero() {
			return errors.New("a position without its time")
		}
		return nil
	case AfterSequence:
		if p.Sequence == "" || strings.Trim(p.Sequence, "0123456789") != "" {
			return fmt.Errorf("%q is no sequence number", p.Sequence)
		}
		return nil
	}
	return fmt.Errorf("%q is no kind of position", p.Kind)
}

// before says whether p lies before q in a shard: the start, whatever it is, then
// sequence numbers, then the end.
func (p Position) before(q Position) bool {
	rank := func(k Kind) int {
		switch k {
		case AfterSequence:
			return 1
		case ShardEnd:
			return 2
		default:
			return 0
		}
	}
	if rank(p.Kind) != rank(q.Kind) {
		return rank(p.Kind) < rank(q.Kind)
	}
	return p.Kind == AfterSequence && sequenceBefore(p.Sequence, q.Sequence)
}

// sequenceBefore compares decimal numbers of any length.
func sequenceBefore(a, b string) bool {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	if len(a) != len(b) {
		return len(a) < len(b)
	}
	return a < b
}
