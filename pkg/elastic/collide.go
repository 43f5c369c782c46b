package elastic

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/elastic/go-elasticsearch/v7/esapi"
	"go.uber.org/zap"

	"github.com/shipperd/shipperd/pkg/record"
)

const (
	// At most lookupDocs documents are fetched, every lookupEvery: emulators count
	// their ids from 1 at every start, so one sample is enough to see it.
	lookupDocs    = 20
	lookupEvery   = time.Second
	lookupTimeout = 5 * time.Second
)

// lookups bounds how often duplicates are looked at.
type lookups struct {
	mu    sync.Mutex
	begun time.Time // of the current sample
	taken int
}

// suspect says whether d, whose id is in the index already, should be compared with
// what is there: no earlier attempt of ours can have put it, and no earlier
// process either, and the sample has room.
func (l *lookups) suspect(d *doc, started time.Time) bool {
	if d.tried || !d.record.Arrival.After(started) {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); now.Sub(l.begun) >= lookupEvery {
		l.begun, l.taken = now, 0
	}
	l.taken++
	return l.taken <= lookupDocs
}

// identity is by what two events are told apart. We write strings; a document in
// which they are anything else is not read, and not ours.
type identity struct {
	Timestamp string `json:"@timestamp"`
	LogGroup  string `json:"@log_group"`
	LogStream string `json:"@log_stream"`
}

// compare looks s.suspects up: another event under the same id makes ours a dead
// letter. What cannot be looked up is a duplicate, as it would be unsampled.
func (b *batch) compare(ctx context.Context, s *sorted) error {
	if len(s.suspects) == 0 {
		return nil
	}
	there := b.sink.lookUp(ctx, s.suspects)
	collided := 0
	for i := range s.suspects {
		d := &s.suspects[i]
		var ours identity
		if json.Unmarshal(d.record.Doc(d.event), &ours) != nil || there[i] == nil || ours == *there[i] {
			b.done(d, record.Duplicate)
			continue
		}
		collided++
		d.blame(fault{status: http.StatusConflict, kind: "version_conflict_engine_exception"})
		s.bury(d, record.ReasonCollision)
	}
	if collided > 0 {
		b.sink.metrics.collisions.Add(float64(collided))
		d := s.suspects[0]
		b.sink.log.Error("another event has the same id; is the source an emulator that counts ids from 1?",
			zap.String("index", d.index.name), zap.Int("collisions", collided), zap.Int("compared", len(s.suspects)))
	}
	return ctx.Err()
}

// lookUp returns what the index has under the ids of docs, nil where that is not known.
func (s *Sink) lookUp(ctx context.Context, docs []doc) []*identity {
	found := make([]*identity, len(docs))
	type entry struct {
		Index  string   `json:"_index"`
		ID     string   `json:"_id"`
		Source []string `json:"_source"`
	}
	var request struct {
		Docs []entry `json:"docs"`
	}
	for i := range docs {
		request.Docs = append(request.Docs, entry{
			docs[i].index.name, docs[i].id(), []string{"@timestamp", "@log_group", "@log_stream"},
		})
	}
	content, _ := json.Marshal(request) // strings always have a JSON form
	body := plainBody(content)
	defer body.release()
	var reply struct {
		Docs []struct {
			Source *identity `json:"_source"`
		} `json:"docs"`
	}
	status, err := s.ask(ctx, esapi.MgetRequest{Body: body.reader()}, &reply)
	if err != nil || status != http.StatusOK {
		s.log.Warn("duplicates were not compared", zap.Int("status", status), zap.Error(err))
		return found
	}
	for i := range min(len(found), len(reply.Docs)) {
		if source := reply.Docs[i].Source; source != nil && *source != (identity{}) {
			found[i] = source
		}
	}
	return found
}
