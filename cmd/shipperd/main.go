// Command shipperd carries CloudWatch Logs from a Kinesis stream into
// Elasticsearch. This package puts the parts together and is the only one that
// exits; the parts are in pkg.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/shipperd/shipperd/pkg/checkpoint"
	"github.com/shipperd/shipperd/pkg/config"
	"github.com/shipperd/shipperd/pkg/logging"
	"github.com/shipperd/shipperd/pkg/pipeline"
)

// The exit codes, which service managers and scripts rely on.
const (
	exitDone      = 0
	exitFailed    = 1
	exitUsage     = 2
	exitUnsettled = 75 // EX_TEMPFAIL: the drain ended with unacknowledged work; run again
	exitConfig    = 78 // EX_CONFIG: no restart helps
)

func main() {
	os.Exit(execute(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// execute runs one command line and returns its exit code.
func execute(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	refuseUnknown(root)
	err := root.ExecuteContext(ctx)
	if err != nil && !errors.As(err, new(silent)) {
		fmt.Fprintf(logging.Terminal(stderr), "shipperd: %v\n", err) // it may quote a peer
	}
	return exitCode(err)
}

// usageError is a command line that cannot be understood.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// setupError is a part that cannot be made as the configuration says.
type setupError struct{ error }

func (e setupError) Unwrap() error { return e.error }

// exitCode is the one place that turns an error into an exit code.
func exitCode(err error) int {
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, new(usageError)):
		return exitUsage
	case errors.Is(err, pipeline.ErrUnsettled):
		return exitUnsettled
	case errors.Is(err, config.ErrInvalid), errors.As(err, new(setupError)), errors.Is(err, checkpoint.ErrOtherStream), errors.Is(err, checkpoint.ErrUnreadable):
		return exitConfig
	}
	return exitFailed
}

// The groups that help shows commands in.
const (
	groupMain  = "main"
	groupCheck = "check"
	groupSetup = "setup"
)

// helpWidth is the width of help in columns.
const helpWidth = 100

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "shipperd",
		Short: "Carry CloudWatch Logs from Kinesis into Elasticsearch, each event once",
		Long: `shipperd reads the shards of a Kinesis data stream that CloudWatch Logs
subscription filters write to, turns every log event into a typed document and
indexes it into Elasticsearch 7, Amazon Elasticsearch Service or OpenSearch.`,
		Example: `  shipperd demo                                    see it work, with nothing else installed
  shipperd run --config /etc/shipperd/shipperd.yaml   the daemon`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          noArgs,

		Version:           build().String(),
		DisableAutoGenTag: true, // manual pages say when they were made by themselves
		RunE:              showHelp,
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(wrongFlag)
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages ", fmt.Sprintf(".FlagUsagesWrapped %d ", helpWidth)))
	root.SetHelpCommandGroupID(groupCheck)
	root.SetCompletionCommandGroupID(groupSetup)
	root.AddGroup(&cobra.Group{ID: groupMain, Title: "Run:"}, &cobra.Group{ID: groupSetup, Title: "Set up:"}, &cobra.Group{ID: groupCheck, Title: "Check:"})
	root.AddCommand(newRunCommand(), newDemoCommand(), newReplayCommand(),
		newSetupCommand(), newSubscribeCommand(), newBackfillCommand(),
		newValidateCommand(), newConfigCommand(), newParseCommand(), newHealthcheckCommand(), newVersionCommand(), newManCommand())
	return root
}

func showHelp(cmd *cobra.Command, _ []string) error { return cmd.Help() }

// refuseUnknown has the commands that cobra adds refuse what they do not know. Left
// alone they print help into whatever completion file was wanted, and exit with 0.
// The root's output has been set: completions go to what it is now.
func refuseUnknown(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "help":
			cmd.Args = func(_ *cobra.Command, args []string) error {
				if topic, rest, err := root.Find(args); err != nil || len(rest) > 0 {
					return errors.Join(err, noArgs(topic, rest))
				}
				return nil
			}
		case "completion":
			cmd.Args, cmd.RunE = noArgs, showHelp
			for _, shell := range cmd.Commands() {
				shell.Args = noArgs
			}
		}
	}
}

// wrongFlag explains a flag that cannot be understood, with the nearest one where
// it was mistyped.
func wrongFlag(cmd *cobra.Command, err error) error {
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		if near := config.Nearest(unknown.GetSpecifiedName(), names); near != "" {
			err = fmt.Errorf("%w; did you mean --%s?", err, near)
		}
	}
	return usageError{fmt.Errorf("%w; %q shows the flags", err, cmd.CommandPath()+" --help")}
}

// noArgs refuses arguments, with the nearest command where one was mistyped, and
// flags that do not go together: cobra looks at these next, and has no error of its
// own for them.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		if err := cmd.ValidateFlagGroups(); err != nil {
			return usageError{err}
		}
		return nil
	}
	err := fmt.Errorf("unknown command or argument %q", args[0])
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		err = fmt.Errorf("%w; did you mean %q?", err, near[0])
	}
	return usageError{err}
}
