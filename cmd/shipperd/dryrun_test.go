package main

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/shipperd/shipperd/pkg/elastic"
	"github.com/shipperd/shipperd/pkg/elastic/elasticfake"
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

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
