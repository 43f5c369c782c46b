package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/shipperd/shipperd/pkg/config"
	"github.com/shipperd/shipperd/pkg/logging"
)

// The ways to print.
const (
	printText = "text"
	printJSON = "json"
)

func newValidateCommand() *cobra.Command {
	var flags configFlags
	var format string
	var environment bool
	cmd := &cobra.Command{
		Use:   "validate",
		Short: "Check the configuration, and with --check-environment all that it names",
		Long: `validate shows all mistakes of the configuration in one run, each with file, line and
column, and exits with 78 if there are any. With --check-environment it also reaches
the stream, the index and the checkpoint, and prints how long each took or what is
missing; it changes nothing.`,
		Example: `  shipperd validate --config shipperd.yaml
  shipperd validate --check-environment
  shipperd validate --format json | jq '.mistakes[].message'`,
		GroupID: groupCheck,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if format != printText && format != printJSON {
				return usageError{fmt.Errorf("--format %q: write %s or %s", format, printText, printJSON)}
			}
			loaded, err := flags.load()
			var mistakes config.Mistakes
			if err != nil && !errors.As(err, &mistakes) {
				return err
			}
			if err == nil {
				// Load leaves these files to whoever reaches the index: parse does without them.
				if _, err := newCaller(cmd.Context(), loaded.Config.Elasticsearch); err != nil {
					mistakes = config.Mistakes{{Origin: config.Origin{Source: loaded.File}, Message: err.Error()}}
				}
			}
			report := validation{File: loaded.File, Mistakes: mistakes, Warnings: loaded.Warnings}
			if environment && len(mistakes) == 0 {
				report.Checks = checkEnvironment(cmd.Context(), loaded.Config)
			}
			return report.print(cmd, format)
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&format, "format", printText, "text or json")
	cmd.Flags().BoolVar(&environment, "check-environment", false, "also reach the stream, the index and the checkpoint")
	return cmd
}

// validation is what validate found.
type validation struct {
	File     string          `json:"file,omitempty"`
	Mistakes config.Mistakes `json:"mistakes"`
	Warnings []string        `json:"warnings,omitempty"`
	Checks   []check         `json:"checks,omitempty"`
}

// print writes the report; its error is what the exit code comes from.
func (v *validation) print(cmd *cobra.Command, format string) error {
	out := logging.Terminal(cmd.OutOrStdout()) // checks quote peers
	if format == printJSON {
		if v.Mistakes == nil {
			v.Mistakes = config.Mistakes{} // an empty list, not null
		}
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(v); err != nil {
			return err
		}
		if len(v.Mistakes) > 0 {
			return silent{v.Mistakes}
		}
		return v.failedChecks()
	}
	for _, w := range v.Warnings {
		fmt.Fprintf(out, "warning: %s\n", w)
	}
	if len(v.Mistakes) > 0 {
		return v.Mistakes
	}
	fmt.Fprintln(out, "The configuration is valid.")
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, c := range v.Checks {
		fmt.Fprintln(table, c.row())
	}
	if err := table.Flush(); err != nil {
		return err
	}
	return v.failedChecks()
}

func (v *validation) failedChecks() error {
	for _, c := range v.Checks {
		if c.Error != "" {
			return silent{errors.New("a check of the environment has failed")}
		}
	}
	return nil
}

// silent is an error that has been shown already.
type silent struct{ error }

func (e silent) Unwrap() error { return e.error }

func newConfigCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "config",
		Short:   "Look at the configuration",
		GroupID: groupCheck,
		Args:    noArgs,
		RunE:    showHelp,
	}
	var flags configFlags
	show := &cobra.Command{
		Use:     "show",
		Short:   "Print every value in effect and where it came from, secrets masked",
		Example: "  shipperd config show --config shipperd.yaml",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := flags.load()
			if loaded == nil {
				return err
			}
			table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, s := range loaded.Settings {
				fmt.Fprintf(table, "%s\t%s\t%s\n", s.Key, s.Value, s.Origin)
			}
			return errors.Join(table.Flush(), err)
		},
	}
	flags.add(show)
	cmd.AddCommand(show)
	return cmd
}
