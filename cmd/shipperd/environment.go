package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/shipperd/shipperd/pkg/config"
	"github.com/shipperd/shipperd/pkg/elastic"
	"github.com/shipperd/shipperd/pkg/kinesis"
)

// checkTimeout bounds one check: a peer that takes longer is as good as away.
const checkTimeout = 10 * time.Second

// check is one thing that the daemon needs, tried.
type check struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
	Found   string  `json:"found,omitempty"`
	Error   string  `json:"error,omitempty"`
}

func (c *check) row() string {
	if c.Error != "" {
		return fmt.Sprintf("FAILED\t%s\t%.3f s\t%s", c.Name, c.Seconds, c.Error)
	}
	return fmt.Sprintf("ok\t%s\t%.3f s\t%s", c.Name, c.Seconds, c.Found)
}

// checkEnvironment tries what the daemon needs, one after the other. It reads only.
func checkEnvironment(ctx context.Context, c config.Config) []check {
	var checks []check
	try := func(name string, f func(context.Context) (string, error)) {
		ctx, cancel := context.WithTimeout(ctx, checkTimeout)
		defer cancel()
		start := time.Now()
		found, err := f(ctx)
		result := check{Name: name, Seconds: time.Since(start).Seconds(), Found: found}
		if err != nil {
			result.Error = err.Error()
		}
		checks = append(checks, result)
	}
	try("stream "+c.Kinesis.Name(), func(ctx context.Context) (string, error) { return checkStream(ctx, c.Kinesis) })
	for _, endpoint := range c.Elasticsearch.Endpoints {
		try("index "+endpoint, func(ctx context.Context) (string, error) {
			return checkEndpoint(ctx, c.Elasticsearch, endpoint)
		})
	}
	try("checkpoint "+c.Checkpoint.File, func(context.Context) (string, error) { return checkFolder(filepath.Dir(c.Checkpoint.File)) })
	try("dead letters "+c.DeadLetters.Dir, func(context.Context) (string, error) { return checkFolder(c.DeadLetters.Dir) })
	return checks
}

func checkStream(ctx context.Context, c kinesis.Config) (string, error) {
	client, err := kinesis.NewClient(ctx, c)
	if err != nil {
		return "", err
	}
	return kinesis.Check(ctx, client, c)
}

// checkEndpoint asks one endpoint what it is, with the daemon's own credentials.
func checkEndpoint(ctx context.Context, c elastic.Config, endpoint string) (string, error) {
	c.Endpoints = []string{endpoint}
	sink, err := elastic.New(ctx, c, elastic.Deps{Log: zap.NewNop(), Registerer: prometheus.NewRegistry()})
	if err != nil {
		return "", err
	}
	engine, err := sink.Engine(ctx)
	if err != nil {
		return "", err
	}
	if engine == (elastic.Engine{}) {
		return "it does not say what it is (GET / is refused); bulk requests may be allowed all the same", nil
	}
	return engine.Distribution + " " + engine.Version, nil
}

// checkFolder makes sure that files can be made in dir, or in the folder that it
// would be made in.
func checkFolder(dir string) (string, error) {
	for {
		info, err := os.Stat(dir)
		switch {
		case errors.Is(err, os.ErrNotExist) && filepath.Dir(dir) != dir:
			dir = filepath.Dir(dir) // the daemon makes what is missing
			continue
		case err != nil:
			return "", err
		case !info.IsDir():
			return "", fmt.Errorf("%s is no folder", dir)
		}
		f, err := os.CreateTemp(dir, ".shipperd-check-")
		if err != nil {
			return "", fmt.Errorf("no file can be made: %w", err)
		}
		return dir + " is writable", errors.Join(f.Close(), os.Remove(f.Name()))
	}
}
