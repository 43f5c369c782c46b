package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/shipperd/shipperd/pkg/backfill"
	"github.com/shipperd/shipperd/pkg/checkpoint"
	"github.com/shipperd/shipperd/pkg/config"
	"github.com/shipperd/shipperd/pkg/deadletter"
	"github.com/shipperd/shipperd/pkg/disk"
	"github.com/shipperd/shipperd/pkg/elastic"
	"github.com/shipperd/shipperd/pkg/logging"
	"github.com/shipperd/shipperd/pkg/logsapi"
	"github.com/shipperd/shipperd/pkg/pipeline"
	"github.com/shipperd/shipperd/pkg/progress"
	"github.com/shipperd/shipperd/pkg/record"
)

// backfillOptions are the flags of backfill.
type backfillOptions struct {
	group    string
	from, to string
	resume   bool
	state    string
	region   string
	endpoint string
}

func newBackfillCommand() *cobra.Command {
	var flags configFlags
	var o backfillOptions
	cmd := &cobra.Command{
		Use:   "backfill",
		Short: "Load a log group's history through the same pipeline",
		Long: `backfill reads the events of a log group in a time range and indexes them as the stream
would have: same documents, same index, same ids, so that history and stream meet without
a duplicate. (That FilterLogEvents names an event as its subscription does is an
assumption for AWS.) A backfill that was stopped goes on with --resume.`,
		Example: `  shipperd backfill --group AccessLogGroup --from 2026-11-01T00:00:00Z --to 2026-11-20T00:00:00Z
  shipperd backfill --resume`,
		GroupID: groupSetup,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var jobs []backfill.Job
			if !o.resume {
				job, err := o.job()
				if err != nil {
					return err
				}
				jobs = []backfill.Job{job}
			}
			loaded, err := flags.load()
			if err != nil {
				return err
			}
			return runBackfill(cmd.Context(), loaded.Config, o, jobs, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	flags.add(cmd)
	f := cmd.Flags()
	f.StringVar(&o.group, "group", "", "log group")
	f.StringVar(&o.from, "from", "", "time of the first event, as 2026-01-31T00:00:00Z")
	f.StringVar(&o.to, "to", "", "events from this time on are left out (default: now)")
	f.BoolVar(&o.resume, "resume", false, "go on with the backfills that were stopped")
	f.StringVar(&o.state, "state", "", "folder of the backfill's own checkpoint and dead letters (default: backfill beside checkpoint.file)")
	f.StringVar(&o.region, "region", "", "AWS region (default: the SDK's)")
	f.StringVar(&o.endpoint, "endpoint", "", "URL of an emulator")
	for _, name := range []string{"group", "from"} {
		cmd.MarkFlagsOneRequired(name, "resume")
	}
	for _, name := range []string{"group", "from", "to"} {
		cmd.MarkFlagsMutuallyExclusive(name, "resume")
	}
	return cmd
}

// job returns what the flags ask for.
func (o *backfillOptions) job() (backfill.Job, error) {
	job := backfill.Job{Group: o.group, To: time.Now()}
	var errs []error
	for _, flag := range []struct {
		name, text string
		to         *time.Time
	}{{"--from", o.from, &job.From}, {"--to", o.to, &job.To}} {
		if flag.text == "" {
			continue
		}
		t, err := time.Parse(time.RFC3339, flag.text)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s %q: write it as 2026-01-31T00:00:00Z", flag.name, flag.text))
			continue
		}
		*flag.to = t
	}
	if len(errs) == 0 {
		errs = append(errs, job.Validate())
	}
	return job, asUsage(errors.Join(errs...))
}

// runBackfill runs the jobs, or without any those that were stopped.
func runBackfill(ctx context.Context, c config.Config, o backfillOptions, jobs []backfill.Job, stdout, stderr io.Writer) (err error) {
	ctx, stop := untilSignal(ctx)
	defer stop()
	b, err := openBackfill(ctx, c, o, stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if len(jobs) == 0 {
		if jobs, err = b.stopped(ctx); err != nil {
			return err
		}
	}
	for _, job := range jobs {
		fmt.Fprintf(stdout, "%s from %s to %s\n", job.Group, job.From.Format(time.RFC3339), job.To.Format(time.RFC3339))
		if err := b.run(ctx, job, stderr); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return errors.New("stopped; shipperd backfill --resume goes on")
		}
		fmt.Fprintln(stdout, "done")
	}
	return nil
}

// backfiller is what the jobs of one command share.
type backfiller struct {
	config config.Config
	api    backfill.API
	daemon *daemon
	store  *checkpoint.File
	dead   *deadletter.Store
	sink   pipeline.Sink
	// keepTemplate goes on until the index template is in effect: history makes its
	// indices before the stream does.
	keepTemplate func(context.Context) error
}

// backfillIdentity binds the backfills' checkpoint file: it is of no stream.
const backfillIdentity = "backfill"

func openBackfill(ctx context.Context, c config.Config, o backfillOptions, stderr io.Writer) (*backfiller, error) {
	state := o.state
	if state == "" {
		state = filepath.Join(filepath.Dir(c.Checkpoint.File), "backfill")
	}
	b := &backfiller{config: c, daemon: &daemon{config: c, registry: prometheus.NewRegistry(), progress: &progress.Monitor{}}}
	d := b.daemon
	d.log, d.level = logging.New(c.Log, stderr)
	var err error
	if b.keepTemplate, err = d.startTemplate(ctx); err != nil {
		return nil, err
	}
	if err := d.openDocuments(); err != nil {
		return nil, err
	}
	api, err := logsapi.NewClient(ctx, o.region, o.endpoint)
	if err != nil {
		return nil, err
	}
	b.api = api
	b.store, err = checkpoint.OpenFile(ctx, disk.OS{}, checkpoint.Config{File: filepath.Join(state, "checkpoint.json")},
		checkpoint.Identity{ARN: backfillIdentity, Routing: c.RoutingHash()}, d.log, d.registry)
	if err != nil {
		return nil, err
	}
	letters := c.DeadLetters
	letters.Dir = filepath.Join(state, "dead-letters")
	if b.dead, err = deadletter.Open(ctx, disk.OS{}, letters, d.log, d.registry); err != nil {
		return nil, errors.Join(err, b.store.Close())
	}
	b.sink, err = elastic.New(ctx, c.Elasticsearch, elastic.Deps{
		Letters: b.dead, Progress: d.progress, Draining: ctx.Done(), Log: d.log, Registerer: d.registry,
	})
	if err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

func (b *backfiller) close() error { return errors.Join(b.dead.Close(), b.store.Close()) }

// stopped returns the jobs that began and did not end.
func (b *backfiller) stopped(ctx context.Context) ([]backfill.Job, error) {
	positions, err := b.store.Load(ctx)
	if err != nil {
		return nil, err
	}
	jobs := backfill.Pending(positions)
	if len(jobs) == 0 {
		return nil, errors.New("no backfill was stopped; name --group and --from")
	}
	return jobs, nil
}

// run carries one job through a pipeline of its own. It ends by itself, or drains
// when ctx ends.
func (b *backfiller) run(ctx context.Context, job backfill.Job, stderr io.Writer) error {
	d := b.daemon
	budget, records := pipeline.NewBudget(int64(b.config.Pipeline.Memory)), &record.Pool{}
	source := backfill.NewSource(job, backfill.Deps{API: b.api, Store: b.store, Budget: budget, Records: records, Log: d.log})
	pipe := pipeline.New(b.config.Pipeline, pipeline.Deps{
		Source:      source,
		NewDecoder:  func() pipeline.Decoder { return d.documents.NewDecoder() },
		Sink:        b.sink,
		DeadLetters: b.dead,
		Store:       b.store,
		Budget:      budget,
		Records:     records,
		Progress:    d.progress,
		Workers:     runtime.GOMAXPROCS(0),
		Stream:      backfillIdentity,
		Groups:      b.config.Documents.GroupNames(),
		Log:         d.log,
		Registerer:  prometheus.NewRegistry(), // a pipeline registers once, and there is one for each job
	})
	shown, done := context.WithCancel(context.WithoutCancel(ctx))
	var group errgroup.Group
	group.Go(func() error {
		defer done()
		return pipe.Run(ctx)
	})
	group.Go(func() error { return b.keepTemplate(shown) })
	group.Go(func() error {
		showBackfill(shown, source, stderr)
		return nil
	})
	return group.Wait()
}

// showBackfill rewrites a line of progress until ctx ends.
func showBackfill(ctx context.Context, source *backfill.Source, w io.Writer) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			fmt.Fprintln(w)
			return
		}
		p := source.Progress()
		fmt.Fprintf(w, "\r%3.0f %%, %d events, %s left ", 100*p.Fraction(), p.Events, p.Left.Round(time.Second))
	}
}
