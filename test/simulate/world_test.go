package simulate

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/shipperd/shipperd/pkg/disk/disktest"
	"github.com/shipperd/shipperd/pkg/document"
	"github.com/shipperd/shipperd/pkg/elastic/elasticfake"
	"github.com/shipperd/shipperd/pkg/kinesis/kinesisfake"
	"github.com/shipperd/shipperd/pkg/pipeline"
)

const (
	checkpointFile = "/checkpoint/checkpoint.json"
	lettersDir     = "/letters"

	// patience is how long after the calm everything must have arrived: the waits of
	// all stages together have minutes, no hours.
	patience = time.Hour
)

// world is one seed's simulation.
type world struct {
	*testing.T
	seed    uint64
	plan    plan
	began   time.Time
	verbose bool
	log     *zap.Logger // nil: none

	service   *kinesisfake.Service
	stream    *kinesisfake.Stream
	search    *elasticfake.Server
	documents *document.Documents
	days      []string     // the indices
	life      *life        // the current one; changed only while no part runs
	away      atomic.Int64 // nanoseconds of weekends, which do not count
	kills     int
	gaps      int // counted by all processes

	mu          sync.Mutex
	weekendOver chan struct{} // closed then; nil on other days
	truth       truth
	calls       map[string]int
	arrivals    map[time.Time]bool // of messages
	trace       []string
	zip         *gzip.Writer // for records
}

// life is one process, from its start to its end.
type life struct {
	number int
	disk   *disktest.FS
	after  *disktest.FS // what the next life finds; set by a kill
	ending ending
	count  int             // how often it came to the point of its ending
	last   bool            // it lives until everything has settled
	ctx    context.Context //nolint:containedctx // a life is what ends with it
	stop   context.CancelFunc
	dead   chan struct{} // closed by a kill: no call has an effect from then on

	stored stored  // in the checkpoint file
	daemon *daemon // its parts, once they are open
}

// err returns errDead once the process was killed.
func (l *life) err() error {
	select {
	case <-l.dead:
		return errDead
	default:
		return nil
	}
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{
		T: t, seed: seed, began: time.Now(),
		search: &elasticfake.Server{},
		days:   []string{"cwl-2000.01.01", "cwl-2000.01.02", "cwl-2000.02.29"},
		truth:  truth{letters: map[string]bool{}, owner: map[string]owner{}, refused: map[string]bool{}},
		calls:  make(map[string]int), arrivals: make(map[time.Time]bool),
	}
	w.plan = newPlan(w.draw("plan", 0))
	w.service = &kinesisfake.Service{Hook: w.onKinesis, Throttle: true}
	w.stream = w.service.Create("logs", w.plan.shards)
	w.truth.begin(w.stream.Shards())
	w.search.Script = w.onBulk
	var err error
	if w.zip, err = gzip.NewWriterLevel(nil, gzip.NoCompression); err != nil { // the cheapest to set up
		t.Fatal(err)
	}
	if w.documents, err = document.New(document.DefaultConfig(), document.Options{}); err != nil {
		t.Fatal(err)
	}
	return w
}

// elapsed returns how long the world has been there, without weekends.
func (w *world) elapsed() time.Duration { return time.Since(w.began) - time.Duration(w.away.Load()) }

// arrives notes that a message arrives after latency, alone in its instant: of two,
// the scheduler would choose the first one.
func (w *world) arrives(latency time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := time.Now().Add(latency)
	if w.arrivals[at] {
		w.Errorf("two messages arrive in one instant, after %s", w.elapsed()+latency)
	}
	w.arrivals[at] = true
}

// next counts the calls of a peer, over all lives.
func (w *world) next(peer string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls[peer]++
	return w.calls[peer]
}

// note adds a line to the trace.
func (w *world) note(peer, format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.noteLocked(peer, format, args...)
}

func (w *world) noteLocked(peer, format string, args ...any) {
	line := fmt.Sprintf("%15d %s ", w.elapsed(), peer) + fmt.Sprintf(format, args...)
	w.trace = append(w.trace, line)
	if w.verbose {
		w.Log(line)
	}
}

// sortedTrace returns what happened. What happened in one instant has no order.
func (w *world) sortedTrace() []string { return slices.Sorted(slices.Values(w.trace)) }

func (w *world) summary() string {
	return fmt.Sprintf("%d kills, %d lines of trace, %v, %+v", w.kills, len(w.trace), w.elapsed(), w.plan)
}

// reach ends the life if this is where it is to end.
func (w *world) reach(point string) {
	l := w.life
	w.mu.Lock()
	here := false
	if l.ending.point == point {
		l.count++
		here = l.count == l.ending.nth
	}
	w.mu.Unlock()
	if here {
		w.end(l)
	}
}

// end ends a life in its way, unless it has ended already.
func (w *world) end(l *life) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if l.err() != nil {
		return
	}
	w.noteLocked("life", "%d ends: %+v", l.number, l.ending)
	if !l.ending.term {
		source := rand.Source(everything)
		if l.ending.power {
			source = w.draw("power", l.number)
		}
		l.after = l.disk.PowerCut(rand.New(source))
		close(l.dead)
		w.kills++
	}
	l.stop()
}

// run lives one life after the other, until everything has arrived.
func (w *world) run() {
	ctx, cancel := context.WithCancel(w.Context())
	defer cancel()
	var others sync.WaitGroup
	others.Go(func() { w.load(ctx) })
	defer others.Wait()
	defer cancel()
	fsys := &disktest.FS{}
	for n := 0; ; n++ {
		r := w.draw("life", n)
		l := &life{number: n, disk: fsys, ending: newEnding(r), dead: make(chan struct{})}
		l.ctx, l.stop = context.WithCancel(ctx) //nolint:fatcontext // of the world's, for each life anew
		l.stored = w.storedOn(fsys)
		if l.last = n+1 >= w.plan.lives || w.calm(); l.last {
			l.ending = ending{term: true, after: patience + w.plan.calm - w.elapsed()}
		}
		fsys.Fault = func(op, name string) error { return w.onDisk(l, op, name) }
		w.mu.Lock()
		w.life = l
		w.mu.Unlock()
		err := w.live(l)
		w.note("life", "%d has ended, unsettled: %v", n, errors.Is(err, pipeline.ErrUnsettled))
		switch {
		case w.Failed():
			return
		case l.last && err == nil:
			w.checkEnd()
			return
		}
		if fsys = l.after; fsys == nil {
			fsys = l.disk.PowerCut(rand.New(everything)) // without locks
		}
		if n+1 == w.plan.weekend {
			w.weekend(ctx, fsys)
		}
		if !sleep(ctx, time.Duration(r.Int64N(int64(10*time.Second)))) {
			return
		}
	}
}

// finish stops the last process, by SIGTERM.
func (w *world) finish() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.life.last {
		w.noteLocked("life", "%d: all has settled", w.life.number)
		w.life.stop()
	}
}

// sleep waits for d in fake time, and says whether ctx let it.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
