// Package enrich adds what a log line does not say: where an address is and whose
// network it belongs to, which browser a user agent string stands for, the
// community id of a flow and its direction. It writes ready JSON members, so that
// a cached answer costs one map look-up and one copy.
//
// An Enricher holds the databases and is shared; every worker takes its own
// Lookup from it, whose bounded caches need no lock.
package enrich

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/ua-parser/uap-go/uaparser"
	"go.uber.org/zap"
)

// Config names the databases. Both are optional; shipperd ships no data.
type Config struct {
	City string `yaml:"city"` // path of a city or country database
	ASN  string `yaml:"asn"`  // path of a database of autonomous systems
}

// DefaultConfig returns a Config without databases.
func DefaultConfig() Config { return Config{} }

// Validate says which configured file cannot be read.
func (c Config) Validate() error {
	return errors.Join(readable("geo.city", c.City), readable("geo.asn", c.ASN))
}

func readable(key, path string) error {
	if path == "" {
		return nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s: %s is not a file; name a file in MaxMind's format (.mmdb)", key, path)
	}
	return nil
}

// reloadInterval is how often Run looks for new databases. They come out daily at
// most; a stat of two files a minute costs nothing.
const reloadInterval = time.Minute

// Enricher holds what all workers share. It is safe for concurrent use.
type Enricher struct {
	log     *zap.Logger
	metrics *metrics
	agents  *uaparser.Parser
	current atomic.Pointer[databases]

	mu        sync.Mutex // guards what follows; held while files are read
	city, asn file
}

// New loads the databases. A configured one that cannot be loaded is an error.
func New(config Config, log *zap.Logger, reg prometheus.Registerer) (*Enricher, error) {
	// Its cache is small, because every Lookup has one before it. The patterns of
	// devices are let go, 6 MiB: they would take as long as all the others and say
	// little of a client.
	agents, err := uaparser.New(uaparser.WithCacheSize(1))
	if err != nil {
		return nil, fmt.Errorf("compile the user agent patterns: %w", err)
	}
	agents.Device = nil
	e := &Enricher{
		log:     log.Named("enrich"),
		metrics: newMetrics(reg),
		agents:  agents,
		city:    file{key: "city", path: config.City},
		asn:     file{key: "asn", path: config.ASN},
	}
	e.current.Store(&databases{})
	if err := e.Reload(); err != nil {
		return nil, err
	}
	return e, nil
}

// Run loads databases whose files have changed, until ctx ends; then it returns nil.
func (e *Enricher) Run(ctx context.Context) error {
	ticker := time.NewTicker(reloadInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if err := e.Reload(); err != nil {
			e.log.Warn("a new database cannot be loaded, the old one stays in use", zap.Error(err))
		}
	}
}

// Reload loads the databases whose files have changed since they were last read. A
// file that cannot be loaded leaves the old database in use; it is read again
// when it changes again.
func (e *Enricher) Reload() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	next := *e.current.Load()
	err := errors.Join(e.reloadLocked(&e.city, &next.city), e.reloadLocked(&e.asn, &next.asn))
	if next != *e.current.Load() {
		e.current.Store(&next)
	}
	return err
}

func (e *Enricher) reloadLocked(f *file, db *database) error {
	loaded, err := f.load()
	if err != nil {
		e.metrics.reloadErrors.WithLabelValues(f.key).Inc()
		return fmt.Errorf("geo.%s: %w", f.key, err)
	}
	if loaded != nil {
		*db = database{loaded}
		e.metrics.built.WithLabelValues(f.key).Set(float64(loaded.Metadata.BuildTime().Unix()))
		e.log.Info("loaded a database", zap.String("path", f.path), zap.Time("built", loaded.Metadata.BuildTime()))
	}
	return nil
}
