package main

import (
	"context"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/shipperd/shipperd/pkg/elastic"
	"github.com/shipperd/shipperd/pkg/template"
)

// The values of elasticsearch.template.
const (
	templateEnsure = "ensure"
	templateOff    = "off"
)

// startTemplate tries once to see the index template in effect, which decides what
// documents may hold, and returns what goes on trying.
func (d *daemon) startTemplate(ctx context.Context) (keep func(context.Context) error, err error) {
	mode := d.config.Elasticsearch.Template
	if mode == templateOff || d.dry != nil {
		return func(context.Context) error { return nil }, nil
	}
	caller, err := newCaller(ctx, d.config.Elasticsearch)
	if err != nil {
		return nil, err
	}
	keeper := template.NewKeeper(caller, d.config.Documents, mode == templateEnsure, d.log, d.registry)
	d.flattened = keeper.Start(ctx)
	return keeper.Run, nil
}

// newCaller returns a sink that is for calls of administration alone. The one that
// writes warns of what is odd about the endpoints.
func newCaller(ctx context.Context, c elastic.Config) (*elastic.Sink, error) {
	sink, err := elastic.New(ctx, c, elastic.Deps{Log: zap.NewNop(), Registerer: prometheus.NewRegistry()})
	if err != nil {
		return nil, setupError{fmt.Errorf("elasticsearch: %w", advised(err))}
	}
	return sink, nil
}
