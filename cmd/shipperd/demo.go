package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/shipperd/shipperd/pkg/checkpoint"
	"github.com/shipperd/shipperd/pkg/config"
	"github.com/shipperd/shipperd/pkg/demo"
	"github.com/shipperd/shipperd/pkg/kinesis"
	"github.com/shipperd/shipperd/pkg/kinesis/kinesisfake"
	"github.com/shipperd/shipperd/pkg/logging"
	"github.com/shipperd/shipperd/pkg/pipeline"
	"github.com/shipperd/shipperd/pkg/progress"
)

// demoOptions are the flags of demo.
type demoOptions struct {
	events        int
	seed          uint64
	out           string
	elasticsearch string
}

const (
	demoStream = "shipperd-demo"
	demoShards = 4
	// demoRegion and demoKey are what the SDK wants of anybody; the endpoint in
	// this process looks at neither.
	demoRegion = "us-west-2"
	demoKey    = "demo"
)

func newDemoCommand() *cobra.Command {
	var o demoOptions
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run the whole pipeline on a synthetic site under attack, with nothing else installed",
		Long: `demo starts a Kinesis endpoint in this process, puts the logs of a synthetic site
that is being attacked on a stream, as CloudWatch Logs does, and carries them through
the real pipeline: into NDJSON files, one line a document, or into an Elasticsearch,
where it puts the index template if there is none. It ends when all events have
arrived. The same seed makes the same events.`,
		Example: `  shipperd demo
  shipperd demo --events 1000000 --out documents
  shipperd demo --elasticsearch http://127.0.0.1:9200`,
		GroupID: groupMain,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDemo(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&o.events, "events", 20_000, "number of log events")
	flags.Uint64Var(&o.seed, "seed", 1, "seed of the site")
	flags.StringVar(&o.out, "out", "demo-out", "folder for the documents, one file an index")
	flags.StringVar(&o.elasticsearch, "elasticsearch", "", "URL of an Elasticsearch or OpenSearch to index into, instead of files")
	cmd.MarkFlagsMutuallyExclusive("out", "elasticsearch")
	return cmd
}

func runDemo(ctx context.Context, o demoOptions, stdout, stderr io.Writer) (err error) {
	if o.events < 1 {
		return usageError{fmt.Errorf("--events: %d is too few; write 1 or more", o.events)}
	}
	running, stop := untilSignal(ctx)
	defer stop()
	defer func() {
		if running.Err() != nil {
			err = errors.New("stopped before all events were indexed")
		}
	}()
	endpoint, stopEndpoint, err := serveKinesis(running)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopEndpoint()) }()
	state, err := os.MkdirTemp("", "shipperd-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(state)

	summary := demo.NewSummary()
	ctx, finish := context.WithCancel(running)
	defer finish()
	d, err := newDemonstration(ctx, o, endpoint, state, summary, stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.out.close()) }()
	var group errgroup.Group
	group.Go(func() error {
		defer finish()
		return d.pipe.Run(ctx)
	})
	group.Go(func() error { return d.keepTemplate(ctx) })
	group.Go(func() error {
		err := demo.Load(ctx, func(ctx context.Context, key string, data []byte) error {
			_, err := d.client.PutRecord(ctx, &sdk.PutRecordInput{StreamName: new(demoStream), PartitionKey: &key, Data: data})
			return err
		}, demo.Options{Events: o.events, Seed: o.seed, Start: time.Now().Add(-time.Duration(o.events) * demo.Step)})
		if err != nil {
			finish()
			return fmt.Errorf("put the site's events: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		defer finish()
		showProgress(ctx, summary, o.events, stderr)
		return nil
	})
	err = group.Wait()
	if _, printErr := summary.WriteTo(stdout); printErr != nil {
		return errors.Join(err, printErr)
	}
	if got := summary.Documents(); err == nil && got != o.events {
		err = fmt.Errorf("%d of %d events became documents", got, o.events)
	}
	if err == nil && o.elasticsearch == "" {
		_, err = fmt.Fprintf(stdout, "\nThe documents are in %s, one file an index.\n", o.out)
	}
	return err
}

// showProgress waits until all events are there or ctx ends.
func showProgress(ctx context.Context, summary *demo.Summary, events int, w io.Writer) {
	line := newProgressLine(w)
	defer line.end()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		done := summary.Documents()
		line.tell("%d of %d events indexed", done, events)
		if done >= events {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// serveKinesis serves a stream on a free port of the loopback interface.
func serveKinesis(ctx context.Context) (url string, stop func() error, err error) {
	service := &kinesisfake.Service{}
	service.Create(demoStream, demoShards)
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("serve Kinesis on the loopback interface: %w", err)
	}
	server := &http.Server{Handler: service, ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	return "http://" + listener.Addr().String(), func() error {
		err := server.Close()
		if e := <-served; !errors.Is(e, http.ErrServerClosed) {
			err = errors.Join(err, e)
		}
		return err
	}, nil
}

// demonstration is a daemon before the endpoint in this process.
type demonstration struct {
	client *sdk.Client
	out    output
	// keepTemplate goes on until the index template is in effect.
	keepTemplate func(context.Context) error
	pipe         *pipeline.Pipeline
}

// newDemonstration puts the daemon's own parts together.
func newDemonstration(ctx context.Context, o demoOptions, endpoint, state string, summary *demo.Summary, stderr io.Writer) (*demonstration, error) {
	c := config.Default()
	c.Kinesis.Stream = demoStream
	c.Kinesis.Limits.Idle = 100 * time.Millisecond // a demonstration is not to wait a second for its last records
	c.Elasticsearch.Endpoints = []string{o.elasticsearch}
	if o.elasticsearch == "" {
		c.Elasticsearch.Template = templateOff // files have none
	}
	c.Checkpoint.File = filepath.Join(state, "checkpoint.json")
	c.DeadLetters.Dir = filepath.Join(state, "dead-letters")
	d := &daemon{config: c, registry: prometheus.NewRegistry(), progress: &progress.Monitor{}}
	d.log, d.level = logging.New(logging.Config{Level: "warn", Format: "console"}, stderr)
	keepTemplate, err := d.startTemplate(ctx)
	if err != nil {
		return nil, err
	}
	if err := d.openDocuments(); err != nil {
		return nil, err
	}
	client := sdk.New(sdk.Options{
		Region: demoRegion, BaseEndpoint: &endpoint, Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider(demoKey, demoKey, ""),
	})
	stream, err := kinesis.Open(ctx, client, c.Kinesis, d.progress, d.log, d.registry)
	if err != nil {
		return nil, err
	}
	out, err := d.openState(ctx, checkpoint.Identity{ARN: stream.ARN, Created: stream.Created})
	if err != nil {
		return nil, err
	}
	if o.elasticsearch == "" {
		if out.sink, err = demo.NewFiles(o.out); err != nil {
			err = fmt.Errorf("--out: %w", advised(err))
		}
	} else {
		out.sink, err = d.openIndex(ctx, out.letters)
	}
	if err != nil {
		return nil, errors.Join(err, out.close())
	}
	out.sink = summary.Watch(out.sink)
	budget, records := d.newBudget()
	return &demonstration{client, out, keepTemplate, d.newPipeline(out, pipeline.Deps{
		Source:     kinesis.NewSource(stream, out.store, budget, records),
		Budget:     budget,
		Records:    records,
		Stream:     demoStream,
		Registerer: d.registry,
	})}, nil
}
