// Package elastic writes events to Elasticsearch 7.x, Amazon Elasticsearch Service
// and OpenSearch with the bulk API. It decides what every answer means, retries
// what can be retried for as long as it takes, and makes dead letters of the rest;
// it knows nothing of Kinesis and keeps nothing on disk.
//
// # The way of an event through Write
//
// A batch is the work of one Write: a list of units, and one goroutine that takes
// them one after the other. A unit is documents that go together: those of a
// request, or those that wait for the same thing. At first there is one unit with
// every pending event. The loop is
//
//	next     the first unit whose time has come and whose gates are open
//	set aside   its documents of paused indices become units of their own
//	cut      to the request limit; the rest stays a unit
//	window   wait for a place; only what holds one has a body
//	send     one attempt at one endpoint, classified as a whole and item by item
//	settle   documents that are done leave; the others become new units:
//
//	busy, failing, unreachable, unknown   again after a backoff
//	rejected        item: again in the next form, at once. Request: in halves
//	tooLarge        in halves; one document alone: reduced, its original a dead letter
//	blocked, paused behind the gate of its index, or of the whole cluster
//
// until no unit is left. A document is in exactly one unit until its event has an
// outcome. It takes the forms whole, reduced and bare; see form.
//
// Waiting is by timers alone, jittered per batch: nobody is woken by another, so
// batches come back spread out after an outage. A seed makes all jitter a function
// of the batch, for simulation.
package elastic

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/shipperd/shipperd/pkg/progress"
	"github.com/shipperd/shipperd/pkg/record"
)

// DeadLetters stores what can never be delivered.
type DeadLetters interface {
	// Put returns nil when the letters are durable, all of them. It blocks while
	// the store is full or cannot be written; its error is that of ctx.
	Put(ctx context.Context, letters ...record.Letter) error
}

// Deps is what a Sink works with. All but Transport and Seed are needed.
type Deps struct {
	Letters    DeadLetters
	Progress   *progress.Monitor
	Draining   <-chan struct{} // closed when the daemon begins to drain
	Log        *zap.Logger
	Registerer prometheus.Registerer
	Transport  http.RoundTripper // in place of the network, for simulation
	Seed       uint64            // of all jitter; 0 takes a random one
}

// Sink is a pipeline.Sink. It has no goroutines of its own.
type Sink struct {
	config    Config
	letters   DeadLetters
	progress  *progress.Monitor
	draining  <-chan struct{}
	log       *zap.Logger
	metrics   *metrics
	seed      uint64
	started   time.Time
	endpoints *endpoints
	window    *window
	limit     *limit
	indices   *indices
	gate      gate         // of the whole cluster
	paused    atomic.Int32 // gates of indices that are closed
	condition condition
	lookups   lookups
	bodies    bodies
	replies   sync.Pool // of *reply
	docs      sync.Pool // of *[]doc
}

// New returns a Sink. It does not ask the cluster anything; ctx bounds the loading
// of credentials.
func New(ctx context.Context, config Config, deps Deps) (*Sink, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	base := deps.Transport
	if base == nil {
		var err error
		if base, err = newTransport(config.TLS, config.MaxRequests); err != nil {
			return nil, err
		}
	}
	endpoints, err := newEndpoints(ctx, config, base)
	if err != nil {
		return nil, err
	}
	m := newMetrics(deps.Registerer)
	s := &Sink{
		config: config, letters: deps.Letters, progress: deps.Progress, draining: deps.Draining,
		log: deps.Log, metrics: m, seed: deps.Seed, started: time.Now(), endpoints: endpoints,
		window:  newWindow(config.MaxRequests, m.window, m.inFlight),
		limit:   newLimit(requestBytes),
		indices: &indices{byName: make(map[string]*index)},
	}
	if s.seed == 0 {
		s.seed = rand.Uint64()
	}
	s.warnOfPlainCredentials()
	return s, nil
}

func (s *Sink) warnOfPlainCredentials() {
	for _, e := range s.endpoints.all {
		if _, none := e.auth.(noAuth); !none && e.url.Scheme == "http" && !isLoopback(e.url.Hostname()) {
			s.log.Warn("credentials go to this endpoint unencrypted; use https", zap.Stringer("endpoint", e))
		}
	}
}

// Write delivers every pending event of the records: each is in the index or a
// dead letter when it returns nil. It goes on for as long as that takes, unless ctx
// ends, or the daemon drains and the cluster cannot be reached or is paused.
func (s *Sink) Write(ctx context.Context, records []*record.Record) error {
	docs, ok := s.docs.Get().(*[]doc)
	if !ok {
		docs = new([]doc)
	}
	*docs = s.collect((*docs)[:0], records)
	defer func() {
		if cap(*docs) <= keepDocs {
			clear((*docs)[:cap(*docs)]) // lets go of the records
			s.docs.Put(docs)
		}
	}()
	if len(*docs) == 0 {
		return nil
	}
	b := newBatch(s, *docs)
	defer b.task.End()
	if err := b.run(ctx); err != nil {
		return fmt.Errorf("write %d events: %w", len(*docs), err)
	}
	return nil
}

// collect appends the pending events of the records.
func (s *Sink) collect(docs []doc, records []*record.Record) []doc {
	var x *index
	for _, r := range records {
		for i := range r.Events {
			e := &r.Events[i]
			if e.Outcome != record.Pending {
				continue
			}
			if x == nil || x.name != e.Index {
				x = s.indices.find(e.Index)
			}
			docs = append(docs, doc{record: r, event: e, index: x})
		}
	}
	return docs
}

// drains says whether the daemon is draining.
func (s *Sink) drains() bool {
	select {
	case <-s.draining:
		return true
	default:
		return false
	}
}

// keepDocs is the largest list that is pooled: a batch has 10,000 documents, unless
// one record alone has more.
const keepDocs = 1 << 14

// errDraining is why Write gives up early.
var errDraining = errors.New("draining, and the cluster does not take it")
