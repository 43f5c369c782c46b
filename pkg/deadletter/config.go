package deadletter

import (
	"errors"
	"fmt"

	"github.com/shipperd/shipperd/pkg/setting"
)

// Config is the section dead_letters of the configuration.
type Config struct {
	Dir     string       `yaml:"dir"` // on a disk that outlives the machine or task
	MaxSize setting.Size `yaml:"max_size"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	// 1 GiB holds a million rejected documents of 1 KB: an hour of a wrong mapping
	// at 280 documents a second, time enough for a person to come.
	return Config{Dir: "/var/lib/shipperd/dead-letters", MaxSize: setting.GiB}
}

// minSize holds the largest letter: a record of 10 MiB, in base64.
const minSize = 16 * setting.MiB

// Validate checks c.
func (c *Config) Validate() error {
	var errs []error
	if c.Dir == "" {
		errs = append(errs, errors.New("dead_letters.dir: must not be empty"))
	}
	if c.MaxSize < minSize {
		errs = append(errs, fmt.Errorf("dead_letters.max_size: %v is too small; write %v or more, which is one large letter", c.MaxSize, minSize))
	}
	return errors.Join(errs...)
}
