package simulate

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/shipperd/shipperd/pkg/checkpoint"
	"github.com/shipperd/shipperd/pkg/deadletter"
	"github.com/shipperd/shipperd/pkg/disk/disktest"
	"github.com/shipperd/shipperd/pkg/document"
	"github.com/shipperd/shipperd/pkg/elastic"
	"github.com/shipperd/shipperd/pkg/elastic/elasticfake"
	"github.com/shipperd/shipperd/pkg/kinesis"
	"github.com/shipperd/shipperd/pkg/kinesis/kinesisfake"
	"github.com/shipperd/shipperd/pkg/pipeline"
	"github.com/shipperd/shipperd/pkg/progress"
	"github.com/shipperd/shipperd/pkg/record"
	"github.com/shipperd/shipperd/pkg/setting"
)

const (
	checkpointFile = "/checkpoint/checkpoint.json"
	lettersDir     = "/letters"

	// patience is how long after the calm everything must have arrived: the waits of
	// all stages together have minutes, no hours.
	patience = time.Hour
	// stuckLimit is that of the health endpoint.
	stuckLimit = time.Minute
)

// world is one seed's simulation.
type world struct {
	*testing.T
	seed    uint64
	plan    plan
	began   time.Time
	verbose bool

	service   *kinesisfake.Service
	stream    *kinesisfake.Stream
	search    *elasticfake.Server
	documents *document.Documents
	days      []string      // the indices
	life      *life         // the current one; changed only while no part runs
	settled   chan struct{} // has a value when there is nothing left to do
	kills     int

	mu    sync.Mutex
	truth truth
	calls map[string]int
	trace []string
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

	positions map[string]checkpoint.Position // in the checkpoint file
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
		search:  &elasticfake.Server{},
		days:    []string{"cwl-2000.01.01", "cwl-2000.01.02", "cwl-2000.02.29"},
		settled: make(chan struct{}, 1),
		truth:   truth{shards: map[string]*shard{}, letters: map[string]bool{}, owner: map[string]owner{}},
		calls:   make(map[string]int),
	}
	w.plan = newPlan(w.draw("plan", 0))
	w.service = &kinesisfake.Service{Hook: w.onKinesis, Throttle: true}
	w.stream = w.service.Create("logs", w.plan.shards)
	for _, id := range w.stream.Shards() {
		w.truth.shard(id)
	}
	w.search.Script = w.onBulk
	var err error
	if w.documents, err = document.New(document.DefaultConfig(), document.Options{}); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) elapsed() time.Duration { return time.Since(w.began) }

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
		l.positions = w.positionsOn(fsys)
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

// live runs one process. Its error is one that a process of that ending may have.
func (w *world) live(l *life) error {
	ctx := l.ctx
	defer l.stop()
	timer := time.AfterFunc(l.ending.after, func() { w.end(l) })
	defer timer.Stop()
	d, err := w.open(ctx, l)
	if err != nil {
		switch {
		case errors.Is(err, errFull), errors.Is(err, errDead), errors.Is(err, context.Canceled):
			return err // the supervisor starts it again
		}
		w.Errorf("life %d: open: %v", l.number, err)
		return err
	}
	var scrapes sync.WaitGroup
	running, stop := context.WithCancel(ctx)
	scrapes.Go(func() { w.scrape(running, l, d) })
	err = d.pipe.Run(ctx)
	stop()
	scrapes.Wait()
	w.checkStopped(l, d, err)
	return errors.Join(err, d.letters.Close(), d.store.Close())
}

// daemon is the parts of one process.
type daemon struct {
	metrics *prometheus.Registry // of pipeline and checkpoint
	monitor *progress.Monitor
	budget  *pipeline.Budget
	store   *checkpoint.File
	letters *deadletter.Store
	pipe    *pipeline.Pipeline
}

// open puts the parts together as cmd/shipperd does.
func (w *world) open(ctx context.Context, l *life) (*daemon, error) {
	log := zap.NewNop()
	if w.verbose {
		log = zaptest.NewLogger(w)
	}
	d := &daemon{metrics: prometheus.NewRegistry(), monitor: &progress.Monitor{}, budget: pipeline.NewBudget(w.plan.memory)}
	unseen := prometheus.NewRegistry() // gathering all costs more than the rest of the simulation
	random := w.draw("jitter", l.number)

	settings := kinesis.DefaultConfig()
	settings.Stream, settings.Seed = "logs", random.Uint64()
	settings.Limits.List = 10 * time.Second
	stream, err := kinesis.Open(ctx, w.service, settings, d.monitor, log, unseen)
	if err != nil {
		return nil, err
	}
	d.store, err = checkpoint.OpenFile(ctx, l.disk, checkpoint.Config{File: checkpointFile},
		checkpoint.Identity{ARN: stream.ARN, Created: stream.Created}, log, d.metrics)
	if err != nil {
		return nil, err
	}
	d.letters, err = deadletter.Open(ctx, l.disk, deadletter.Config{Dir: lettersDir, MaxSize: 64 * setting.MiB}, log, unseen)
	if err != nil {
		return nil, errors.Join(err, d.store.Close())
	}
	search := elastic.DefaultConfig()
	search.Endpoints = []string{"http://a.search", "http://b.search"}
	search.BlockedAfter = 15 * time.Second
	sink, err := elastic.New(ctx, search, elastic.Deps{
		Letters: d.letters, Progress: d.monitor, Draining: ctx.Done(), Log: log, Registerer: unseen,
		Transport: w, Seed: random.Uint64(),
	})
	if err != nil {
		return nil, err
	}
	records := &record.Pool{}
	store := &watchedStore{File: d.store, world: w}
	d.pipe = pipeline.New(pipeline.DefaultConfig(), pipeline.Deps{
		Source:      kinesis.NewSource(stream, store, d.budget, records),
		NewDecoder:  func() pipeline.Decoder { return w.documents.NewDecoder() },
		Sink:        sink,
		DeadLetters: d.letters,
		Store:       store,
		Budget:      d.budget,
		Records:     records,
		Progress:    d.monitor,
		Workers:     1, // of several the order would be chance
		Stream:      "logs",
		Groups:      document.DefaultConfig().GroupNames(),
		Log:         log,
		Registerer:  d.metrics,
	})
	return d, nil
}

// watchedStore looks after every Save whether it kept its word.
type watchedStore struct {
	*checkpoint.File
	world *world
}

// Save implements checkpoint.Store.
func (s *watchedStore) Save(ctx context.Context, positions map[string]checkpoint.Position) error {
	err := s.File.Save(ctx, positions)
	if err == nil && s.world.life.err() == nil {
		s.world.checkDurable(positions)
	}
	return err
}

// scrape looks at the metrics now and then, as a monitoring system does.
func (w *world) scrape(ctx context.Context, l *life, d *daemon) {
	for n := 0; ; n++ {
		r := w.draw(fmt.Sprintf("scrape %d", l.number), n)
		if !sleep(ctx, time.Second+time.Duration(r.Int64N(int64(15*time.Second)))) {
			return
		}
		w.checkScrape(d)
		if name, age, stuck := d.monitor.Stuck(stuckLimit); stuck {
			w.Errorf("task %q has been at work without a step for %s: the health check would fail", name, age)
		}
	}
}

// checkScrape checks that events are accounted for, and returns how many are in flight.
func (w *world) checkScrape(d *daemon) (inFlight float64) {
	families, err := d.metrics.Gather()
	if err != nil {
		w.Errorf("scrape: %v", err)
		return 0
	}
	sums := make(map[string]float64)
	for _, family := range families {
		for _, m := range family.GetMetric() {
			sums[family.GetName()] += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	received, settled := sums["shipperd_events_received_total"], sums["shipperd_events_total"]
	inFlight = sums["shipperd_events_in_flight"]
	if received != settled+inFlight {
		w.Errorf("got %v events received, %v settled and %v in flight: they do not add up", received, settled, inFlight)
	}
	if n := sums["shipperd_checkpoint_regressions_total"]; n != 0 {
		w.Errorf("got %v positions before the stored ones", n)
	}
	return inFlight
}

// checkStopped looks at a pipeline that has ended.
func (w *world) checkStopped(l *life, d *daemon, err error) {
	inFlight := w.checkScrape(d)
	used, _ := d.budget.Used()
	switch {
	case l.err() != nil:
	case errors.Is(err, pipeline.ErrUnsettled):
		if w.calm() && l.ending.after != 0 && l.ending.point == "" && w.elapsed() > w.plan.calm+time.Minute {
			w.Errorf("life %d: %v after a minute of calm", l.number, err)
		}
	case err != nil:
		w.Errorf("life %d: %v", l.number, err)
	case inFlight != 0 || used != 0:
		w.Errorf("life %d has drained: got %v events in flight and %d bytes of memory in use, want none", l.number, inFlight, used)
	}
	if w.elapsed() > w.plan.calm+patience {
		w.Errorf("not everything arrived within %s of calm:\n%s", patience, w.missing())
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
