package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"runtime"
	"runtime/pprof"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/shipperd/shipperd/pkg/checkpoint"
	"github.com/shipperd/shipperd/pkg/document"
	"github.com/shipperd/shipperd/pkg/elastic"
	"github.com/shipperd/shipperd/pkg/enrich"
	"github.com/shipperd/shipperd/pkg/kinesis"
	"github.com/shipperd/shipperd/pkg/pipeline"
	"github.com/shipperd/shipperd/pkg/progress"
	"github.com/shipperd/shipperd/pkg/record"
)

// result is what one configuration took.
type result struct {
	setup
	OfGunzip        float64 `json:"of_gunzip"` // CPU time of gunzip alone as a part of the daemon's
	CPUPerEvent     float64 `json:"cpu_ns_per_event"`
	AllocsPerEvent  float64 `json:"allocs_per_event"`
	EventsPerSecond int     `json:"events_per_second"`
	PeakMiB         int     `json:"peak_rss_mib"` // without the harness's
	HarnessMiB      int     `json:"harness_rss_mib"`
}

// runChild runs the task on standard input and prints its result.
func runChild() error {
	var t task
	if err := json.NewDecoder(os.Stdin).Decode(&t); err != nil {
		return err
	}
	harness, err := peakMiB()
	if err != nil {
		return err
	}
	perShard := max(2, t.Events/t.Setup.EventsPerRecord/t.Setup.Shards) // some of each shard
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	from := &stream{records: t.Records, shards: t.Setup.Shards, length: perShard, created: time.Now().Add(-time.Hour)}
	to := &endpoint{total: perShard * t.Setup.Shards * t.Setup.EventsPerRecord, done: stop}
	if t.Profile != "" {
		file, err := os.Create(t.Profile)
		if err != nil {
			return err
		}
		defer file.Close()
		if err := pprof.StartCPUProfile(file); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	if err := drain(ctx, t.Setup, from, to); err != nil {
		return err
	}
	pprof.StopCPUProfile()
	peak, err := peakMiB()
	if err != nil {
		return err
	}
	gunzip, err := gunzipTime(t)
	if err != nil {
		return err
	}
	events := float64(to.last.events - to.first.events)
	cpu := float64(to.last.cpu-to.first.cpu) / events
	return json.NewEncoder(os.Stdout).Encode(result{
		setup: t.Setup, OfGunzip: round(gunzip/cpu, 3), CPUPerEvent: round(cpu, 0),
		AllocsPerEvent:  round(float64(to.last.allocs-to.first.allocs)/events, 4),
		EventsPerSecond: int(events / to.last.at.Sub(to.first.at).Seconds()),
		PeakMiB:         peak - harness, HarnessMiB: harness,
	})
}

func round(x float64, digits int) float64 {
	scale := math.Pow10(digits)
	return math.Round(x*scale) / scale
}

// drain carries the stream into the endpoint with the daemon's own parts and
// defaults, the limits of shards lifted.
func drain(ctx context.Context, s setup, from kinesis.API, to http.RoundTripper) error {
	log, registry, monitor := zap.NewNop(), prometheus.NewRegistry(), &progress.Monitor{}
	source := kinesis.DefaultConfig()
	source.Stream = streamName
	source.Limits.CallsPerSecond, source.Limits.BytesPerSecond = 0, 0
	found, err := kinesis.Open(ctx, from, source, monitor, log, registry)
	if err != nil {
		return err
	}
	enricher, err := enrich.New(enrich.DefaultConfig(), log, registry)
	if err != nil {
		return err
	}
	documents, err := document.New(document.DefaultConfig(), document.Options{Enrich: enricher})
	if err != nil {
		return err
	}
	index := elastic.DefaultConfig()
	index.Endpoints, index.Gzip = []string{"http://127.0.0.1:9200"}, s.Gzip
	sink, err := elastic.New(ctx, index, elastic.Deps{
		Letters: noLetters{}, Progress: monitor, Draining: ctx.Done(), Log: log, Registerer: registry, Transport: to,
	})
	if err != nil {
		return err
	}
	settings, store, records := pipeline.DefaultConfig(), &checkpoint.Memory{}, &record.Pool{}
	budget := pipeline.NewBudget(int64(settings.Memory))
	return pipeline.New(settings, pipeline.Deps{
		Source:      kinesis.NewSource(found, store, budget, records),
		NewDecoder:  func() pipeline.Decoder { return documents.NewDecoder() },
		Sink:        sink,
		DeadLetters: noLetters{},
		Store:       store,
		Budget:      budget,
		Heap:        settings.LimitHeap(runtime.GOMAXPROCS(0)),
		Records:     records,
		Progress:    monitor,
		Workers:     runtime.GOMAXPROCS(0),
		Stream:      streamName,
		Groups:      document.DefaultConfig().GroupNames(),
		Log:         log,
		Registerer:  registry,
	}).Run(ctx)
}

// noLetters refuses dead letters: none is expected.
type noLetters struct{}

// Put implements pipeline.DeadLetters.
func (noLetters) Put(_ context.Context, letters ...record.Letter) error {
	return fmt.Errorf("a dead letter: %s, %s", letters[0].Reason, letters[0].ErrorReason)
}

// gunzipTime returns the CPU time that inflating alone takes for an event, in
// nanoseconds.
func gunzipTime(t task) (float64, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var in bytes.Reader
	var reader gzip.Reader
	buffer := make([]byte, 16<<20) // more than any of the records
	events, begin := 0, threadTime()
	for events < t.Events {
		for _, data := range t.Records {
			in.Reset(data)
			if err := reader.Reset(&in); err != nil {
				return 0, err
			}
			if _, err := io.ReadFull(&reader, buffer); !errors.Is(err, io.ErrUnexpectedEOF) {
				return 0, fmt.Errorf("inflate a record: %w", err)
			}
			events += t.Setup.EventsPerRecord
		}
	}
	return float64(threadTime()-begin) / float64(events), nil
}
