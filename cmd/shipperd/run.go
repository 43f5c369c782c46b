package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"
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
	"github.com/shipperd/shipperd/pkg/kinesis"
	"github.com/shipperd/shipperd/pkg/logging"
	"github.com/shipperd/shipperd/pkg/pipeline"
	"github.com/shipperd/shipperd/pkg/progress"
	"github.com/shipperd/shipperd/pkg/record"
	"github.com/shipperd/shipperd/pkg/setting"
)

func newRunCommand() *cobra.Command {
	var flags configFlags
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the daemon",
		Long: `run reads the stream's shards and indexes their log events until it gets SIGTERM or
SIGINT; then it drains and exits with 0, or with 75 when work in flight was not
acknowledged in time (a restart reads it again). A second signal ends it at once.
Exit code 78 means that the configuration is wrong: no restart helps.`,
		Example: `  shipperd run --config /etc/shipperd/shipperd.yaml
  SHIPPERD_KINESIS_STREAM=logs SHIPPERD_ELASTICSEARCH_ENDPOINTS=https://search.example.com shipperd run`,
		GroupID: groupMain,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := flags.load()
			if err != nil {
				return err
			}
			return runDaemon(cmd.Context(), loaded, cmd.ErrOrStderr())
		},
	}
	flags.add(cmd)
	return cmd
}

// configFlags are the flags of every command that reads the configuration.
type configFlags struct {
	file string
	set  []string
}

func (f *configFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.file, "config", "", "configuration file (default: $SHIPPERD_CONFIG, else "+config.DefaultFile+" if it is there)")
	cmd.Flags().StringArrayVar(&f.set, "set", nil, "a value over file and environment, as `key=value`, such as log.level=debug; may be repeated")
}

func (f *configFlags) load() (*config.Loaded, error) {
	overrides := make([]config.Override, 0, len(f.set))
	for _, s := range f.set {
		key, value, ok := strings.Cut(s, "=")
		if !ok {
			return nil, usageError{fmt.Errorf("--set %q: write it as key=value, such as log.level=debug", s)}
		}
		overrides = append(overrides, config.Override{Key: key, Value: value, Flag: "--set"})
	}
	return config.Load(f.file, overrides...)
}

// runDaemon runs until a signal comes. The parts' own errors end it; what a peer
// does never does.
func runDaemon(ctx context.Context, loaded *config.Loaded, stderr io.Writer) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal then ends the process at once

	log, _ := logging.New(loaded.Config.Log, stderr)
	defer log.Sync() //nolint:errcheck // a terminal refuses it, and there is nobody left to tell
	for _, w := range loaded.Warnings {
		log.Warn("configuration", zap.String("warning", w))
	}
	b := build()
	log.Info("starting", zap.String("version", b.version), zap.String("commit", b.commit))

	d := newDaemon(loaded.Config, log)
	// The endpoint outlives the drain, so that it can be watched.
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServing()
	group, serving := errgroup.WithContext(serving)
	group.Go(func() error {
		return admin.Serve(serving, loaded.Config.Admin, admin.Deps{
			Gatherer: d.registry, Progress: d.progress, Ready: func() error { return d.ready(ctx) }, Log: log,
		})
	})
	group.Go(func() error {
		defer stopServing()
		return d.run(ctx)
	})
	err := group.Wait()
	log.Info("stopped", zap.Error(err))
	return err
}

// daemon is what the parts of one run share.
type daemon struct {
	config   config.Config
	log      *zap.Logger
	registry *prometheus.Registry
	progress *progress.Monitor
	source   atomic.Pointer[kinesis.Source] // nil until the stream and the checkpoint file are open
}

func newDaemon(c config.Config, log *zap.Logger) *daemon {
	d := &daemon{config: c, log: log, registry: prometheus.NewRegistry(), progress: &progress.Monitor{}}
	b := build()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "shipperd_build_info", Help: "1; the labels say what this process was built from.",
		ConstLabels: prometheus.Labels{"version": b.version, "commit": b.commit, "goversion": b.goVersion},
	})
	info.Set(1)
	d.registry.MustRegister(info, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return d
}

// ready returns nil while records are read.
func (d *daemon) ready(ctx context.Context) error {
	if ctx.Err() != nil {
		return errors.New("draining")
	}
	switch source := d.source.Load(); {
	case source == nil:
		return errors.New("the stream or the checkpoint file is not open yet")
	case !source.Ready():
		return errors.New("no shard has been read yet")
	}
	return nil
}

// run opens the parts in the order in which they can fail without harm, and
// carries records until ctx ends.
func (d *daemon) run(ctx context.Context) error {
	enricher, err := enrich.New(d.config.Geo, d.log, d.registry)
	if err != nil {
		return err
	}
	documents, err := document.New(d.config.Documents, document.Options{Enrich: enricher})
	if err != nil {
		return err
	}
	client, err := kinesis.NewClient(ctx, d.config.Kinesis)
	if err != nil {
		return err
	}
	stream, err := kinesis.Open(ctx, client, d.config.Kinesis, d.progress, d.log, d.registry)
	if err != nil {
		return notBefore(ctx, err)
	}
	store, err := checkpoint.OpenFile(ctx, disk.OS{}, d.config.Checkpoint, checkpoint.Identity{
		ARN: stream.ARN, Created: stream.Created, Routing: d.config.RoutingHash(),
	}, d.log, d.registry)
	if err != nil {
		return notBefore(ctx, err)
	}
	defer store.Close()
	letters, err := deadletter.Open(ctx, disk.OS{}, d.config.DeadLetters, d.log, d.registry)
	if err != nil {
		return notBefore(ctx, err)
	}
	defer letters.Close()
	sink, err := elastic.New(ctx, d.config.Elasticsearch, elastic.Deps{
		Letters: letters, Progress: d.progress, Draining: ctx.Done(), Log: d.log, Registerer: d.registry,
	})
	if err != nil {
		return notBefore(ctx, err)
	}
	budget, records := pipeline.NewBudget(int64(d.config.Pipeline.Memory)), &record.Pool{}
	source := kinesis.NewSource(stream, store, budget, records)
	if gap, remade := store.Remade(); remade {
		source.StartOver(gap.From, gap.To)
	}
	d.source.Store(source)
	pipe := pipeline.New(d.config.Pipeline, pipeline.Deps{
		Source:      source,
		NewDecoder:  func() pipeline.Decoder { return documents.NewDecoder() },
		Sink:        sink,
		DeadLetters: letters,
		Store:       store,
		Budget:      budget,
		Records:     records,
		Progress:    d.progress,
		Workers:     runtime.GOMAXPROCS(0),
		Stream:      d.config.Kinesis.Name(),
		Groups:      d.config.Documents.GroupNames(),
		Log:         d.log,
		Registerer:  d.registry,
	})
	d.sayBound()
	// The databases are looked at until the drain is over.
	looking, stopLooking := context.WithCancel(context.WithoutCancel(ctx))
	var group errgroup.Group
	group.Go(func() error { return enricher.Run(looking) })
	group.Go(func() error {
		defer stopLooking()
		return pipe.Run(ctx)
	})
	return group.Wait()
}

// notBefore turns the end of ctx while something was waited for into nothing:
// there is nothing to drain.
func notBefore(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return nil
}

// sayBound prints the bound on memory that follows from the configuration (rule 1):
// the budget; what the workers hold of one record each, inflated and encoded; the
// bodies of requests, plain and compressed.
func (d *daemon) sayBound() {
	c := d.config
	workers := setting.Size(runtime.GOMAXPROCS(0))
	decode := workers * 2 * c.Documents.MaxInflated
	requests := setting.Size(c.Elasticsearch.MaxRequests) * 2 * c.Pipeline.Batch.MaxBytes
	d.log.Info("memory is bounded, whatever the outage",
		zap.Stringer("budget", c.Pipeline.Memory), zap.Stringer("decode_at_most", decode), zap.Stringer("requests_at_most", requests),
		zap.String("note", fmt.Sprintf("usual records take a hundredth of what %d workers may hold at most", workers)))
}
