package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/spf13/cobra"

	"github.com/shipperd/shipperd/pkg/config"
)

// configFlags are the flags of every command that reads the configuration.
type configFlags struct {
	file string
	set  []string
}

func (f *configFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.file, "config", "", "configuration file (default: $SHIPPERD_CONFIG, else "+config.DefaultFile+" if it is there)")
	cmd.Flags().StringArrayVar(&f.set, "set", nil, "a value over file and environment, as `key=value`, such as log.level=debug; may be repeated")
}

func (f *configFlags) load() (*config.Loaded, error) {
	overrides := make([]config.Override, 0, len(f.set))
	for _, s := range f.set {
		key, value, ok := strings.Cut(s, "=")
		if !ok {
			return nil, usageError{fmt.Errorf("--set %q: write it as key=value, such as log.level=debug", s)}
		}
		overrides = append(overrides, config.Override{Key: key, Value: value, Flag: "--set"})
	}
	return config.Load(f.file, overrides...)
}

// What stands in for a key that a command has no use for, and that has no default.
const (
	unusedStream    = "kinesis.stream=unused"
	unusedEndpoints = "elasticsearch.endpoints=unused.invalid"
)

// without leaves out keys that the command has no use for.
func (f *configFlags) without(unused ...string) *configFlags {
	return &configFlags{file: f.file, set: slices.Concat(f.set, unused)}
}

// logsFlags are the flags of every command that asks CloudWatch Logs.
type logsFlags struct{ region, endpoint string }

func (f *logsFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.region, "region", "", "AWS region (default: the stream's, else the SDK's)")
	cmd.Flags().StringVar(&f.endpoint, "endpoint", "", "URL of an emulator")
}

// regionOf returns the region in a stream's ARN; a name has none.
func regionOf(stream string) string {
	parsed, err := arn.Parse(stream)
	if err != nil {
		return ""
	}
	return parsed.Region
}

// timeFlag adds a flag whose value is a time; its usage says what for.
func timeFlag(cmd *cobra.Command, to *time.Time, name, usage string) {
	cmd.Flags().Func(name, usage+", as 2026-01-31T00:00:00Z", func(text string) (err error) {
		if *to, err = time.Parse(time.RFC3339, text); err != nil {
			return errors.New("write it as 2026-01-31T00:00:00Z")
		}
		return nil
	})
}
