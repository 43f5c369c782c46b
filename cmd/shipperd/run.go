package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/shipperd/shipperd/pkg/config"
)

func newRunCommand() *cobra.Command {
	var flags configFlags
	var dry bool
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the daemon",
		Long: `run reads the stream's shards and indexes their log events until it gets SIGTERM or
SIGINT; then it drains and exits with 0, or with 75 when work in flight was not
acknowledged in time (a restart reads it again). A second signal ends it at once.
Exit code 78 means that the configuration is wrong: no restart helps.`,
		Example: `  shipperd run --config /etc/shipperd/shipperd.yaml
  shipperd run --dry-run --set kinesis.start=latest
  SHIPPERD_KINESIS_STREAM=logs SHIPPERD_ELASTICSEARCH_ENDPOINTS=https://search.example.com shipperd run`,
		GroupID: groupMain,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := flags.load()
			if err != nil {
				return err
			}
			d := newDaemon(loaded, cmd.ErrOrStderr())
			if dry {
				d.dry = cmd.OutOrStdout()
			}
			return d.runUntilSignal(cmd.Context(), flags.load)
		},
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&dry, "dry-run", false, "print what would be sent, as the bulk API takes it; index, store and checkpoint nothing")
	return cmd
}

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
