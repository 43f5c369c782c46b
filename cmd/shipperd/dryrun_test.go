package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/shipperd/shipperd/pkg/demo"
	"github.com/shipperd/shipperd/pkg/elastic"
	"github.com/shipperd/shipperd/pkg/elastic/elasticfake"
	"github.com/shipperd/shipperd/pkg/kinesis/kinesisfake"
	"github.com/shipperd/shipperd/pkg/pipeline"
	"github.com/shipperd/shipperd/pkg/pipeline/pipelinetest"
	"github.com/shipperd/shipperd/pkg/progress"
	"github.com/shipperd/shipperd/pkg/record"
)

func TestDryRunPrintsWhatTheIndexWouldGet(t *testing.T) {
	var sent bytes.Buffer
	server := &elasticfake.Server{}
	spy := roundTripper(func(r *http.Request) (*http.Response, error) {
		body, err := r.GetBody()
		if err != nil {
			return nil, err
		}
		if _, err := sent.ReadFrom(body); err != nil {
			return nil, err
		}
		return server.RoundTrip(r)
	})
	config := elastic.DefaultConfig()
	config.Endpoints = []string{"http://127.0.0.1:9200"}
	sink, err := elastic.New(t.Context(), config, elastic.Deps{
		Progress: &progress.Monitor{}, Draining: make(chan struct{}), Log: zap.NewNop(), Registerer: prometheus.NewRegistry(), Transport: spy,
	})
	if err != nil {
		t.Fatal(err)
	}
	var printed bytes.Buffer
	for _, s := range []pipeline.Sink{sink, newDryOutput(&printed).sink} {
		records := []*record.Record{pipelinetest.Record("shard-0", "1", "cwl-2026.11.20", "a", `b\"<&\u00e4`)}
		if err := s.Write(t.Context(), records); err != nil {
			t.Fatal(err)
		}
	}
	if sent.String() != printed.String() || !strings.Contains(printed.String(), `"_index":"cwl-2026.11.20"`) {
		t.Errorf("got %q printed, want what was sent: %q", printed.String(), sent.String())
	}
}

// TestDryRunGoesBesideADaemon has it print while another process listens where its
// endpoints would.
func TestDryRunGoesBesideADaemon(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", demoKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", demoKey)
	stream := &kinesisfake.Service{}
	logs := stream.Create("logs", 1)
	if err := demo.Load(t.Context(), func(_ context.Context, _ string, data []byte) error {
		logs.Put(logs.Shards()[0], data)
		return nil
	}, demo.Options{Events: 10}); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(stream)
	defer server.Close()
	loaded, err := loadText(t, "admin: {listen: '"+server.Listener.Addr().String()+"'}\n")
	if err != nil {
		t.Fatal(err)
	}
	loaded.Config.Kinesis.Endpoint, loaded.Config.Kinesis.Region = server.URL, demoRegion
	d := newDaemon(loaded, t.Output())
	ctx, end := context.WithCancel(t.Context())
	printed := 0
	d.dry = writer(func(lines []byte) (int, error) {
		if printed += bytes.Count(lines, []byte(`{"create":`)); printed == 10 {
			end()
		}
		return len(lines), nil
	})
	if err := d.run(ctx, nil); err != nil || printed != 10 {
		t.Errorf("got %d documents and %v, want 10", printed, err)
	}
}

type writer func([]byte) (int, error)

func (f writer) Write(p []byte) (int, error) { return f(p) }

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
