package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/shipperd/shipperd/pkg/admin"
	"github.com/shipperd/shipperd/pkg/checkpoint"
	"github.com/shipperd/shipperd/pkg/config"
	"github.com/shipperd/shipperd/pkg/deadletter"
	"github.com/shipperd/shipperd/pkg/disk"
	"github.com/shipperd/shipperd/pkg/document"
	"github.com/shipperd/shipperd/pkg/elastic"
	"github.com/shipperd/shipperd/pkg/enrich"
	"github.com/shipperd/shipperd/pkg/killpoint"
	"github.com/shipperd/shipperd/pkg/kinesis"
	"github.com/shipperd/shipperd/pkg/logging"
	"github.com/shipperd/shipperd/pkg/pipeline"
	"github.com/shipperd/shipperd/pkg/progress"
	"github.com/shipperd/shipperd/pkg/record"
	"github.com/shipperd/shipperd/pkg/setting"
)

// daemon is one run of shipperd.
type daemon struct {
	config    config.Config
	settings  []config.Setting
	dry       io.Writer // nil, or where documents go instead of an index
	log       *zap.Logger
	level     zap.AtomicLevel
	registry  *prometheus.Registry
	progress  *progress.Monitor
	enricher  *enrich.Enricher
	flattened bool // the index template takes aws.cloudtrail.flattened
	documents *document.Documents
	source    atomic.Pointer[kinesis.Source] // nil until the stream and the checkpoint are open
	reloads   reloadMetrics
}

func newDaemon(loaded *config.Loaded, stderr io.Writer) *daemon {
	d := &daemon{config: loaded.Config, settings: loaded.Settings, registry: prometheus.NewRegistry(), progress: &progress.Monitor{}}
	d.log, d.level = logging.New(d.config.Log, stderr)
	for _, w := range loaded.Warnings {
		d.log.Warn("configuration", zap.String("warning", w))
	}
	b := build()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "shipperd_build_info", Help: "1; the labels say what this process was built from.",
		ConstLabels: prometheus.Labels{"version": b.version, "commit": b.commit, "goversion": b.goVersion},
	})
	info.Set(1)
	d.registry.MustRegister(info, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	d.reloads = newReloadMetrics(d.registry, loaded)
	return d
}

// runUntilSignal runs until SIGTERM or SIGINT, and drains. reload gives the
// configuration anew. The error has been logged.
func (d *daemon) runUntilSignal(ctx context.Context, reload func() (*config.Loaded, error)) error {
	ctx, stop := untilSignal(ctx)
	defer stop()
	defer d.log.Sync() //nolint:errcheck // a terminal refuses it, and there is nobody left to tell
	b := build()
	d.log.Info("starting", zap.String("version", b.version), zap.String("commit", b.commit))
	if err := d.run(ctx, reload); err != nil {
		d.log.Error("stopped", zap.Error(err))
		return silent{err}
	}
	d.log.Info("stopped")
	return nil
}

// run runs the parts until ctx ends and they have drained. Their own errors end it;
// what a peer does never does.
func (d *daemon) run(ctx context.Context, reload func() (*config.Loaded, error)) error {
	keepTemplate, err := d.startTemplate(ctx)
	if err != nil {
		return err
	}
	if err := d.openDocuments(); err != nil {
		return err
	}
	// What watches and serves outlives the drain, so that the drain can be watched.
	// Where it fails, the drain begins: nobody would see what becomes of the rest.
	beside, stopBeside := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBeside()
	group, beside := errgroup.WithContext(beside)
	ctx, drain := context.WithCancel(ctx)
	defer drain()
	context.AfterFunc(beside, drain)
	if d.dry == nil { // else the daemon may run meanwhile, and listen there
		group.Go(func() error {
			return admin.Serve(beside, d.config.Admin, admin.Deps{
				Gatherer: d.registry, Progress: d.progress, Ready: func() error { return d.ready(ctx) }, Log: d.log,
			})
		})
	}
	group.Go(func() error { return d.enricher.Run(beside) })
	group.Go(func() error { return keepTemplate(beside) })
	group.Go(func() error { return d.supervise(beside, ctx, reload) })
	group.Go(func() error {
		defer stopBeside()
		return d.carry(ctx)
	})
	return group.Wait()
}

func (d *daemon) openDocuments() (err error) {
	if d.enricher, err = enrich.New(d.config.Geo, d.log, d.registry); err != nil {
		return setupError{advised(err)}
	}
	d.documents, err = document.New(d.config.Documents, document.Options{Enrich: d.enricher, Flattened: d.flattened, Registerer: d.registry})
	return err
}

// ready returns nil while records are read.
func (d *daemon) ready(running context.Context) error {
	if running.Err() != nil {
		return errors.New("draining")
	}
	switch source := d.source.Load(); {
	case source == nil:
		return errors.New("the stream or the checkpoint is not open yet")
	case !source.Ready():
		return errors.New("no shard has been read yet")
	}
	return nil
}

// carry opens the parts in the order in which they can fail without harm, and
// carries records until ctx ends.
func (d *daemon) carry(ctx context.Context) (err error) {
	client, err := kinesis.NewClient(ctx, d.config.Kinesis)
	if err != nil {
		return setupError{err}
	}
	stream, err := kinesis.Open(ctx, client, d.config.Kinesis, d.progress, d.log, d.registry)
	if err != nil {
		return unlessEnded(ctx, err)
	}
	out, err := d.openOutput(ctx, checkpoint.Identity{ARN: stream.ARN, Created: stream.Created, Routing: d.config.RoutingHash()})
	if err != nil {
		return unlessEnded(ctx, err)
	}
	defer func() { err = errors.Join(err, out.close()) }()
	budget, records := d.newBudget()
	source := kinesis.NewSource(stream, out.store, budget, records)
	if out.remade {
		source.StartOver(out.gap.From, out.gap.To)
	}
	d.source.Store(source)
	d.sayBound()
	killpoint.Here(killpoint.DaemonOpened)
	return d.newPipeline(out, pipeline.Deps{
		Source:     source,
		Budget:     budget,
		Heap:       d.config.Pipeline.LimitHeap(runtime.GOMAXPROCS(0)),
		Records:    records,
		Stream:     d.config.Kinesis.Name(),
		Registerer: d.registry,
	}).Run(ctx)
}

// newBudget returns what a source and its pipeline share.
func (d *daemon) newBudget() (*pipeline.Budget, *record.Pool) {
	return pipeline.NewBudget(int64(d.config.Pipeline.Memory)), &record.Pool{}
}

// newPipeline returns a pipeline into out; deps has what is its own.
func (d *daemon) newPipeline(out output, deps pipeline.Deps) *pipeline.Pipeline {
	deps.NewDecoder = func() pipeline.Decoder { return d.documents.NewDecoder() }
	deps.Sink, deps.DeadLetters, deps.Store = out.sink, out.letters, out.store
	deps.Progress, deps.Log = d.progress, d.log
	deps.Workers, deps.Groups = runtime.GOMAXPROCS(0), d.config.Documents.GroupNames()
	return pipeline.New(d.config.Pipeline, deps)
}

// output is where events and positions go.
type output struct {
	store   checkpoint.Store
	letters pipeline.DeadLetters
	sink    pipeline.Sink
	gap     checkpoint.Gap // of a stream that was made anew
	remade  bool
	close   func() error
}

// openOutput opens the output, with positions of this identity.
func (d *daemon) openOutput(ctx context.Context, identity checkpoint.Identity) (output, error) {
	if d.dry != nil {
		return newDryOutput(d.dry), nil
	}
	out, err := d.openState(ctx, identity)
	if err != nil {
		return output{}, err
	}
	if out.sink, err = d.openIndex(ctx, out.letters); err != nil {
		return output{}, errors.Join(err, out.close())
	}
	return out, nil
}

// openState opens what lies on the disk; the sink is left to the caller.
func (d *daemon) openState(ctx context.Context, identity checkpoint.Identity) (output, error) {
	store, err := checkpoint.OpenFile(ctx, disk.OS{}, d.config.Checkpoint, identity, d.log, d.registry)
	if err != nil {
		return output{}, fmt.Errorf("checkpoint.file: %w", advised(err))
	}
	letters, err := deadletter.Open(ctx, disk.OS{}, d.config.DeadLetters, d.log, d.registry)
	if err != nil {
		return output{}, errors.Join(fmt.Errorf("dead_letters.dir: %w", advised(err)), store.Close())
	}
	gap, remade := store.Remade()
	return output{store: store, letters: letters, gap: gap, remade: remade, close: func() error {
		return errors.Join(letters.Close(), store.Close())
	}}, nil
}

func (d *daemon) openIndex(ctx context.Context, letters pipeline.DeadLetters) (pipeline.Sink, error) {
	sink, err := elastic.New(ctx, d.config.Elasticsearch, elastic.Deps{
		Letters: letters, Progress: d.progress, Draining: ctx.Done(), Log: d.log, Registerer: d.registry,
	})
	if err != nil {
		return nil, setupError{fmt.Errorf("elasticsearch: %w", advised(err))}
	}
	return sink, nil
}

// unlessEnded turns the end of ctx while something was waited for into nothing:
// there is nothing to drain.
func unlessEnded(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return nil
}

// sayBound prints the bound on memory that follows from the configuration (rule 1):
// the budget; what the workers hold of one record each, inflated and encoded; the
// compressed bodies of requests and the replies to them.
func (d *daemon) sayBound() {
	c := d.config
	workers := setting.Size(runtime.GOMAXPROCS(0))
	decode := workers * setting.Size(d.documents.DecoderBound())
	requests := setting.Size(c.Elasticsearch.MaxRequests) * 2 * c.Pipeline.Batch.MaxBytes
	d.log.Info("memory is bounded, whatever the outage",
		zap.Stringer("budget", c.Pipeline.Memory), zap.Stringer("decode_at_most", decode), zap.Stringer("requests_at_most", requests),
		zap.String("note", fmt.Sprintf("usual records take a hundredth of what %d workers may hold at most", workers)))
}
