package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/shipperd/shipperd/pkg/config"
	"github.com/shipperd/shipperd/pkg/deadletter"
	"github.com/shipperd/shipperd/pkg/disk"
	"github.com/shipperd/shipperd/pkg/elastic"
	"github.com/shipperd/shipperd/pkg/logging"
	"github.com/shipperd/shipperd/pkg/progress"
	"github.com/shipperd/shipperd/pkg/replay"
)

// suffixLetters are what an index name takes, wherever it stands in it.
const suffixLetters = "abcdefghijklmnopqrstuvwxyz0123456789._-"

func newReplayCommand() *cobra.Command {
	var flags configFlags
	var filter deadletter.Filter
	var suffix string
	var reduced bool
	cmd := &cobra.Command{
		Use:   "replay",
		Short: "Send dead letters again, once their cause has been repaired",
		Long: `replay sends the dead letters of the configuration's folder again, oldest first, and
takes out those that were delivered; a document that is there already counts as
delivered, so a replay may be stopped and repeated at any time. The daemon may run
meanwhile. What is refused again stays, and so does the whole of an event that the
index has with its message cut (too_large), or whose id another one has (collision).

With --reduced it makes whole documents of those that the index took only in reduced
form (they have shipperd.rejected), from their messages; no dead letter is touched.`,
		Example: `  shipperd replay
  shipperd replay --reason rejected --index 'cwl-2026.11.*'
  shipperd replay --reason index_read_only --index-suffix=-late
  shipperd replay --reduced --index 'cwl-2026.11.*'`,
		GroupID: groupMain,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := filter.Validate(); err != nil {
				return usageError{err}
			}
			if strings.Trim(suffix, suffixLetters) != "" {
				return usageError{fmt.Errorf("--index-suffix %q: an index name takes only a-z, 0-9, '.', '_' and '-'", suffix)}
			}
			loaded, err := flags.load()
			if err != nil {
				return err
			}
			if reduced {
				return runReduced(cmd.Context(), loaded.Config, filter.Index, cmd.OutOrStdout(), cmd.ErrOrStderr())
			}
			return runReplay(cmd.Context(), loaded.Config, filter, suffix, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	flags.add(cmd)
	cmd.Flags().StringSliceVar(&filter.Reasons, "reason", nil, "only letters of these reasons")
	cmd.Flags().StringVar(&filter.Index, "index", "", "only letters of indices that match, with * and ?")
	timeFlag(cmd, &filter.Since, "since", "only letters given up at this `time` or later")
	timeFlag(cmd, &filter.Until, "until", "only letters given up before this `time`")
	cmd.Flags().StringVar(&suffix, "index-suffix", "", "put behind the name of every index, where the document's own is read-only now")
	cmd.Flags().BoolVar(&reduced, "reduced", false, "repair reduced documents instead of sending dead letters")
	for _, other := range []string{"reason", "since", "until", "index-suffix"} {
		cmd.MarkFlagsMutuallyExclusive("reduced", other)
	}
	return cmd
}

// runReduced repairs the reduced documents of the indices that match; empty means
// all that the configuration names.
func runReduced(ctx context.Context, c config.Config, index string, stdout, stderr io.Writer) error {
	ctx, stop := untilSignal(ctx)
	defer stop()
	documents, err := openDocuments(c)
	if err != nil {
		return err
	}
	caller, err := newCaller(ctx, c.Elasticsearch)
	if err != nil {
		return err
	}
	if index == "" {
		index = c.Documents.IndexPrefix + "*"
	}
	line := newProgressLine(stderr)
	r := replay.Reduced{Sink: caller, Decoder: documents.NewDecoder(), Index: index, Report: func(p replay.ReducedProgress) {
		line.tell("%d reduced documents found, %d repaired", p.Found, p.Repaired)
	}}
	p, err := r.Run(ctx)
	line.end()
	fmt.Fprintf(stdout, "%d reduced documents found, %d repaired, %d refused again, %d changed meanwhile\n", p.Found, p.Repaired, p.Refused, p.Changed)
	return err
}

func runReplay(ctx context.Context, c config.Config, filter deadletter.Filter, suffix string, stdout, stderr io.Writer) (err error) {
	ctx, stop := untilSignal(ctx)
	defer stop()
	log, _ := logging.New(c.Log, stderr)
	archive, err := deadletter.OpenArchive(ctx, disk.OS{}, c.DeadLetters, log)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("dead_letters.dir: there is no folder %s; give the daemon's own configuration", c.DeadLetters.Dir)
	} else if err != nil {
		return fmt.Errorf("dead_letters.dir: %w", advised(err))
	}
	defer func() { err = errors.Join(err, archive.Close()) }()
	documents, err := openDocuments(c)
	if err != nil {
		return err
	}
	kept := &replay.Kept{}
	sink, err := elastic.New(ctx, c.Elasticsearch, elastic.Deps{
		Letters: kept, Progress: &progress.Monitor{}, Draining: ctx.Done(), Log: log, Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		return setupError{fmt.Errorf("elasticsearch: %w", advised(err))}
	}
	line := newProgressLine(stderr)
	r := replay.Replay{
		Archive: archive, Filter: filter, Sink: sink, Kept: kept, IndexSuffix: suffix,
		NewDecoder: func() replay.Decoder { return documents.NewDecoder() },
		Report: func(p replay.Progress) {
			line.tell("%d letters sent, %d delivered, %d of %d MiB", p.Sent, p.Delivered, p.Bytes>>20, p.Total>>20)
		},
	}
	p, err := r.Run(ctx)
	line.end()
	fmt.Fprintf(stdout, "%d letters sent, %d delivered and taken out, %d stay, %d not chosen\n", p.Sent, p.Delivered, p.Kept(), p.Skipped)
	if err == nil && p.Kept() > 0 {
		err = fmt.Errorf("of the letters sent %d stay, one of them because of this: %s", p.Kept(), p.Why)
	}
	return err
}
