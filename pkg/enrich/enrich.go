// Package enrich adds what a log line does not say: where an address is and whose
// network it belongs to, which browser a user agent string stands for, the
// community id of a flow and its direction. It writes ready JSON members, so that
// a cached answer costs one map look-up and one copy.
//
// An Enricher holds the databases and is shared; every worker takes its own
// Lookup from it, whose bounded caches need no lock.
package enrich

import (
	"errors"
	"fmt"
	"os"
)

// Config names the databases. Both are optional; shipperd ships no data.
type Config struct {
	City string `yaml:"city"` // path of a city or country database
	ASN  string `yaml:"asn"`  // path of an autonomous system database
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

// Enricher holds the databases that all workers share. It is safe for
// concurrent use.
type Enricher struct{}
