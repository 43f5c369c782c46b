package simulate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/shipperd/shipperd/pkg/checkpoint"
	"github.com/shipperd/shipperd/pkg/deadletter"
	"github.com/shipperd/shipperd/pkg/document"
	"github.com/shipperd/shipperd/pkg/elastic"
	"github.com/shipperd/shipperd/pkg/kinesis"
	"github.com/shipperd/shipperd/pkg/pipeline"
	"github.com/shipperd/shipperd/pkg/progress"
	"github.com/shipperd/shipperd/pkg/record"
	"github.com/shipperd/shipperd/pkg/setting"
)

// stuckLimit is that of the health endpoint.
const stuckLimit = time.Minute

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
	l.daemon = d
	var others sync.WaitGroup
	running, stop := context.WithCancel(ctx)
	others.Go(func() { w.scrape(running, l) })
	others.Go(func() { w.clerk(running, l) })
	err = d.pipe.Run(ctx)
	stop()
	others.Wait()
	w.checkStopped(l, err)
	return errors.Join(err, d.letters.Close(), d.store.Close())
}

// daemon is the parts of one process.
type daemon struct {
	metrics *prometheus.Registry // of pipeline and checkpoint
	source  *prometheus.Registry // of kinesis
	buried  *prometheus.Registry // of deadletter
	sink    *prometheus.Registry // of elastic
	created time.Time            // of the stream, as the process knows it
	monitor *progress.Monitor
	budget  *pipeline.Budget
	store   *checkpoint.File
	letters *deadletter.Store
	pipe    *pipeline.Pipeline
}

// open puts the parts together as cmd/shipperd does.
func (w *world) open(ctx context.Context, l *life) (*daemon, error) {
	log := cmp.Or(w.log, zap.NewNop())
	if w.verbose {
		log = zaptest.NewLogger(w)
	}
	d := &daemon{
		metrics: prometheus.NewRegistry(), source: prometheus.NewRegistry(),
		buried: prometheus.NewRegistry(), sink: prometheus.NewRegistry(),
		monitor: &progress.Monitor{}, budget: pipeline.NewBudget(w.plan.memory),
	}
	random := w.draw("jitter", l.number)

	settings := kinesis.DefaultConfig()
	settings.Stream, settings.Seed = "logs", random.Uint64()
	settings.Limits.List, settings.Limits.BytesPerSecond = 10*time.Second, w.plan.rate
	stream, err := kinesis.Open(ctx, w.service, settings, d.monitor, log, d.source)
	if err != nil {
		return nil, err
	}
	d.created = stream.Created
	d.store, err = checkpoint.OpenFile(ctx, l.disk, checkpoint.Config{File: checkpointFile},
		checkpoint.Identity{ARN: stream.ARN, Created: stream.Created}, log, d.metrics)
	if err != nil {
		return nil, err
	}
	letters := deadletter.Config{Dir: lettersDir, MaxSize: setting.Size(cmp.Or(w.plan.letters, 64<<20))}
	d.letters, err = deadletter.Open(ctx, l.disk, letters, log, d.buried)
	if err != nil {
		return nil, errors.Join(err, d.store.Close())
	}
	search := elastic.DefaultConfig()
	search.Endpoints = []string{"http://a.search", "http://b.search"}
	search.BlockedAfter, search.Gzip = 15*time.Second, w.plan.gzip
	sink, err := elastic.New(ctx, search, elastic.Deps{
		Letters: d.letters, Progress: d.monitor, Draining: ctx.Done(), Log: log, Registerer: d.sink,
		Transport: w, Seed: random.Uint64(),
	})
	if err != nil {
		return nil, err
	}
	records := &record.Pool{}
	store := &watchedStore{File: d.store, world: w}
	source := kinesis.NewSource(stream, store, d.budget, records)
	if gap, remade := d.store.Remade(); remade {
		source.StartOver(gap.From, gap.To)
		w.truth.gaps++
	}
	d.pipe = pipeline.New(pipeline.DefaultConfig(), pipeline.Deps{
		Source:      source,
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

// scrape looks at the process now and then, as a monitoring system does.
func (w *world) scrape(ctx context.Context, l *life) {
	for n := 0; ; n++ {
		r := w.draw(fmt.Sprintf("scrape %d", l.number), n)
		if !sleep(ctx, time.Second+time.Duration(r.Int64N(int64(15*time.Second)))) {
			return
		}
		w.checkInvariants(l)
		if name, age, stuck := l.daemon.monitor.Stuck(stuckLimit); stuck {
			w.Errorf("task %q has been at work without a step for %s: the health check would fail", name, age)
		}
	}
}

// checkInvariants checks that events are accounted for, and memory bounded. It
// returns how many events are in flight.
func (w *world) checkInvariants(l *life) (inFlight float64) {
	sums := w.sums(l.daemon.metrics)
	received, settled := sums["shipperd_events_received_total"], sums["shipperd_events_total"]
	inFlight = sums["shipperd_events_in_flight"]
	if received != settled+inFlight {
		w.Errorf("got %v events received, %v settled and %v in flight: they do not add up", received, settled, inFlight)
	}
	if n := sums["shipperd_checkpoint_regressions_total"]; n != 0 {
		w.Errorf("got %v positions before the stored ones", n)
	}
	if used, _ := l.daemon.budget.Used(); used > w.plan.memory+w.plan.record {
		w.Errorf("got %d bytes in use, want %d and what a record decodes to at most", used, w.plan.memory)
	}
	return inFlight
}

// sums returns the counters and gauges, each with all of its series together.
func (w *world) sums(metrics *prometheus.Registry) map[string]float64 {
	families, err := metrics.Gather()
	if err != nil {
		w.Errorf("scrape: %v", err)
	}
	sums := make(map[string]float64)
	for _, family := range families {
		for _, m := range family.GetMetric() {
			sums[family.GetName()] += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return sums
}

// checkStopped looks at a process that has ended.
func (w *world) checkStopped(l *life, err error) {
	inFlight := w.checkInvariants(l)
	source := w.sums(l.daemon.source)
	w.gaps += int(source["shipperd_kinesis_gaps_total"])
	if got, most := int(source["shipperd_kinesis_records_total"]), w.records(); got > most {
		w.Errorf("life %d has read %d records, of %d: some of them twice", l.number, got, most)
	}
	used, _ := l.daemon.budget.Used()
	switch {
	case l.err() != nil:
	case errors.Is(err, kinesis.ErrMadeAnew):
		if w.plan.remake == 0 {
			w.Errorf("life %d: %v, which it was not", l.number, err)
		}
	case errors.Is(err, pipeline.ErrUnsettled):
		if l.last && w.elapsed() > w.plan.calm+time.Minute {
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
