package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/shipperd/shipperd/pkg/backfill"
	"github.com/shipperd/shipperd/pkg/checkpoint"
	"github.com/shipperd/shipperd/pkg/config"
	"github.com/shipperd/shipperd/pkg/deadletter"
	"github.com/shipperd/shipperd/pkg/disk"
	"github.com/shipperd/shipperd/pkg/logging"
	"github.com/shipperd/shipperd/pkg/logsapi"
	"github.com/shipperd/shipperd/pkg/pipeline"
	"github.com/shipperd/shipperd/pkg/progress"
)

// backfillOptions are the flags of backfill.
type backfillOptions struct {
	logs   logsFlags
	job    backfill.Job
	resume bool
	state  string
}

func newBackfillCommand() *cobra.Command {
	var flags configFlags
	o := backfillOptions{job: backfill.Job{To: time.Now()}}
	cmd := &cobra.Command{
		Use:   "backfill",
		Short: "Load a log group's history through the same pipeline",
		Long: `backfill reads the events of a log group in a time range and indexes them as the stream
would have: same documents, same index, same ids, so that history and stream meet without
a duplicate. (That FilterLogEvents names an event as its subscription does is an
assumption for AWS.) A backfill that was stopped goes on with --resume. Its dead letters
lie apart from the daemon's; where there are any, it says how to replay them and exits
with 1.`,
		Example: `  shipperd backfill --group AccessLogGroup --from 2026-11-01T00:00:00Z --to 2026-11-20T00:00:00Z
  shipperd backfill --resume`,
		GroupID: groupSetup,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !o.resume {
				if err := o.job.Validate(); err != nil {
					return usageError{err}
				}
			}
			loaded, err := flags.load()
			if err != nil {
				return err
			}
			return runBackfill(cmd.Context(), loaded.Config, o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	flags.add(cmd)
	o.logs.add(cmd)
	timeFlag(cmd, &o.job.From, "from", "`time` of the first event")
	timeFlag(cmd, &o.job.To, "to", "events from this `time` on are left out (default: now)")
	f := cmd.Flags()
	f.StringVar(&o.job.Group, "group", "", "log group")
	f.BoolVar(&o.resume, "resume", false, "go on with the backfills that were stopped")
	f.StringVar(&o.state, "state", "", "folder of the backfill's own checkpoint and dead letters (default: backfill beside checkpoint.file)")
	for _, name := range []string{"group", "from"} {
		cmd.MarkFlagsOneRequired(name, "resume")
	}
	for _, name := range []string{"group", "from", "to"} {
		cmd.MarkFlagsMutuallyExclusive(name, "resume")
	}
	return cmd
}

func runBackfill(ctx context.Context, c config.Config, o backfillOptions, stdout, stderr io.Writer) error {
	ctx, stop := untilSignal(ctx)
	defer stop()
	b, err := openBackfill(ctx, c, o, stderr)
	if err != nil {
		return err
	}
	if err := errors.Join(b.runJobs(ctx, o, stdout, stderr), b.out.close()); err != nil {
		return err
	}
	return b.lettersLeft(ctx)
}

// runJobs runs the job, or those that were stopped.
func (b *backfiller) runJobs(ctx context.Context, o backfillOptions, stdout, stderr io.Writer) (err error) {
	jobs := []backfill.Job{o.job}
	if o.resume {
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
	daemon *daemon
	api    backfill.API
	out    output
	// keepTemplate goes on until the index template is in effect.
	keepTemplate func(context.Context) error
}

// templatePatience is how long a backfill waits for the index template: history makes
// its indices before the stream does, and has more time.
const templatePatience = 30 * time.Second

// backfillIdentity binds the backfills' checkpoint file: it is of no stream.
const backfillIdentity = "backfill"

func openBackfill(ctx context.Context, c config.Config, o backfillOptions, stderr io.Writer) (b *backfiller, err error) {
	state := o.state
	if state == "" {
		state = filepath.Join(filepath.Dir(c.Checkpoint.File), "backfill")
	}
	c.Checkpoint.File = filepath.Join(state, "checkpoint.json")
	c.DeadLetters.Dir = filepath.Join(state, "dead-letters")
	d := &daemon{config: c, registry: prometheus.NewRegistry(), progress: &progress.Monitor{}}
	d.log, d.level = logging.New(c.Log, stderr)
	b = &backfiller{daemon: d}
	if b.keepTemplate, err = d.startTemplate(ctx); err != nil {
		return nil, err
	}
	waiting, cancel := context.WithTimeout(ctx, templatePatience)
	defer cancel()
	if err := b.keepTemplate(waiting); err != nil {
		return nil, err
	}
	if err := d.openDocuments(); err != nil {
		return nil, err
	}
	region := cmp.Or(o.logs.region, c.Kinesis.Region, regionOf(c.Kinesis.Stream))
	if b.api, err = logsapi.NewClient(ctx, region, o.logs.endpoint); err != nil {
		return nil, setupError{fmt.Errorf("--region: %w", err)}
	}
	b.out, err = d.openOutput(ctx, checkpoint.Identity{ARN: backfillIdentity, Routing: c.RoutingHash()})
	return b, err
}

// stopped returns the jobs that began and did not end.
func (b *backfiller) stopped(ctx context.Context) ([]backfill.Job, error) {
	positions, err := b.out.store.Load(ctx)
	if err != nil {
		return nil, err
	}
	jobs := backfill.Pending(positions)
	if len(jobs) == 0 {
		return nil, errors.New("no backfill was stopped; name --group and --from")
	}
	return jobs, nil
}

// lettersLeft is an error where there are dead letters of backfills: they lie apart from
// the daemon's, where no alert sees them.
func (b *backfiller) lettersLeft(ctx context.Context) error {
	letters := b.daemon.config.DeadLetters
	archive, err := deadletter.OpenArchive(ctx, disk.OS{}, letters, b.daemon.log)
	if err != nil {
		return err
	}
	segments, err := archive.Segments()
	if len(segments) > 0 {
		err = fmt.Errorf("events have become dead letters; mend what refused them, then run shipperd replay --set dead_letters.dir=%s", letters.Dir)
	}
	return errors.Join(err, archive.Close())
}

// run carries one job through a pipeline of its own. It ends by itself, or drains
// when ctx ends.
func (b *backfiller) run(ctx context.Context, job backfill.Job, stderr io.Writer) error {
	d := b.daemon
	budget, records := d.newBudget()
	source := backfill.NewSource(job, backfill.Deps{API: b.api, Store: b.out.store, Budget: budget, Records: records, Log: d.log})
	pipe := d.newPipeline(b.out, pipeline.Deps{
		Source:     source,
		Budget:     budget,
		Records:    records,
		Stream:     backfillIdentity,
		Registerer: prometheus.NewRegistry(), // a pipeline registers once, and there is one for each job
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

// showBackfill tells of the progress until ctx ends.
func showBackfill(ctx context.Context, source *backfill.Source, w io.Writer) {
	line := newProgressLine(w)
	defer line.end()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		p := source.Progress()
		line.tell("%3.0f %%, %d events, %s left ", 100*p.Fraction(), p.Events, p.Left.Round(time.Second))
	}
}
