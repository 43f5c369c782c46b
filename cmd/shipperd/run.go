package main

import "github.com/spf13/cobra"

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
