package pipeline

import (
	"errors"
	"fmt"
	"time"

	"github.com/shipperd/shipperd/pkg/setting"
)

// Config is what an operator decides about the pipeline.
type Config struct {
	// Memory bounds what is read and not yet settled: Kinesis replies, records and
	// their documents. The bound of the whole process is printed at start.
	Memory setting.Size `yaml:"memory"`
	// DrainTimeout is how long work in flight may take after SIGTERM.
	DrainTimeout time.Duration `yaml:"drain_timeout"`
	Batch        BatchConfig   `yaml:"batch"`
}

// BatchConfig says when a batch is sealed: whichever limit comes first.
type BatchConfig struct {
	MaxBytes     setting.Size  `yaml:"max_bytes"`     // of documents, before compression
	MaxDocuments int           `yaml:"max_documents"` // in one batch
	MaxAge       time.Duration `yaml:"max_age"`       // since its first record was decoded
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		Memory:       64 * setting.MiB, // 8 requests of 5 MiB and as much again in replies and decoded records
		DrainTimeout: 25 * time.Second, // ECS and systemd kill after 30 s or more
		Batch: BatchConfig{
			MaxBytes:     5 * setting.MiB, // throughput is flat beyond it, and small Amazon domains take 10 MiB
			MaxDocuments: 10_000,
			MaxAge:       time.Second,
		},
	}
}

// Validate reports every value that cannot work, by its key.
func (c Config) Validate() error {
	var errs []error
	require := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	// A reply has up to 10 MiB, and decoding needs as much again.
	require(c.Memory >= 16*setting.MiB, "pipeline.memory: %s is too small; write 16MiB or more", c.Memory)
	require(c.DrainTimeout > 0, "pipeline.drain_timeout: %s is not positive; write a duration such as 25s", c.DrainTimeout)
	require(c.Batch.MaxBytes > 0, "pipeline.batch.max_bytes: %s is not positive; write a size such as 5MiB", c.Batch.MaxBytes)
	require(c.Batch.MaxDocuments > 0, "pipeline.batch.max_documents: %d is not positive; write a number such as 10000", c.Batch.MaxDocuments)
	require(c.Batch.MaxAge > 0, "pipeline.batch.max_age: %s is not positive; write a duration such as 1s", c.Batch.MaxAge)
	return errors.Join(errs...)
}
