package simulate

import (
	"context"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"

	"github.com/shipperd/shipperd/pkg/checkpoint"
	"github.com/shipperd/shipperd/pkg/deadletter"
	"github.com/shipperd/shipperd/pkg/disk/disktest"
	"github.com/shipperd/shipperd/pkg/record"
)

// retention is how long the stream keeps records.
const retention = 24 * time.Hour

// weekend lets so much time pass that what is on the stream is trimmed, and closed
// shards are forgotten. Nobody runs the daemon; its disk is fsys. Some records come
// late enough to be there afterwards.
func (w *world) weekend(ctx context.Context, fsys *disktest.FS) {
	began, over := time.Now(), make(chan struct{})
	w.mu.Lock()
	w.weekendOver = over
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.away.Add(int64(time.Since(began)))
		w.weekendOver = nil
		close(over)
	}()
	w.note("life", "a weekend begins")
	if !sleep(ctx, retention/2+time.Hour) {
		return
	}
	for i := range 5 {
		r := w.draw("weekend", i)
		if !sleep(ctx, time.Duration(r.Int64N(int64(time.Minute)))) {
			return
		}
		w.put(r, w.plan.records+i, "", w.compose)
		if r.IntN(1000) < w.plan.reshard {
			w.reshard(r)
		}
	}
	if sleep(ctx, retention/2+time.Hour) {
		w.trim(w.storedOn(fsys))
	}
}

// trim takes in what the service does not have any more. Where a position is, and
// not the record that it names, a gap has to be counted.
func (w *world) trim(file stored) {
	w.mu.Lock()
	defer w.mu.Unlock()
	horizon, now := time.Now().Add(-retention), w.truth.stream()
	for _, s := range now.sorted() {
		trimmed := 0
		for _, r := range s.records {
			if r.at.Before(horizon) {
				r.gone = true
				trimmed++
			}
		}
		s.expired = s.closed && s.closedAt.Before(horizon)
		if p := file.Shards[s.id]; p.Kind == checkpoint.AfterSequence && file.Created.Equal(now.created) {
			if s.expired || s.place[p.Sequence] < trimmed {
				w.truth.gaps++
			}
		}
		w.noteLocked("life", "%s: %d of %d records are trimmed", short(s.id), trimmed, len(s.records))
	}
}

// remake deletes the stream with all in it, and makes another of its name.
func (w *world) remake(ctx context.Context, r *rand.Rand) bool {
	w.mu.Lock()
	w.service.Delete("logs")
	w.truth.gaps = 0 // none must be counted of a stream that is not there
	for _, s := range w.truth.stream().shards {
		for _, r := range s.records {
			r.gone = true
		}
	}
	w.noteLocked("load", "the stream is deleted")
	w.mu.Unlock()
	if !sleep(ctx, 2*time.Second+time.Duration(r.Int64N(int64(20*time.Second)))) {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stream = w.service.Create("logs", w.plan.shards)
	w.truth.begin(w.stream.Shards())
	w.noteLocked("load", "the stream is made again")
	return true
}

// clerk takes the dead letters out of the store now and then, as replay does when
// the cause has been repaired.
func (w *world) clerk(ctx context.Context, l *life) {
	if w.plan.letters == 0 {
		return
	}
	for n := 0; ; n++ {
		r := w.draw("clerk", l.number<<16+n)
		if !sleep(ctx, time.Second+time.Duration(r.Int64N(int64(20*time.Second)))) {
			return
		}
		archive, err := deadletter.OpenArchive(ctx, l.disk, deadletter.Config{Dir: lettersDir}, zap.NewNop())
		if err != nil {
			continue // a fault of the disk
		}
		segments, _ := archive.Segments()
		for _, s := range segments {
			_ = archive.Settle(s, func(letter *record.Letter) bool { // or the next time
				w.mu.Lock()
				defer w.mu.Unlock()
				w.truth.letters[identity(letter)] = true
				return true
			})
		}
		_ = archive.Close()
	}
}

// identity returns what a letter is counted by: index/id, or shard/sequence of a record.
func identity(l *record.Letter) string {
	if l.Index != "" {
		return l.Index + "/" + l.ID
	}
	return l.Shard + "/" + l.Sequence
}
