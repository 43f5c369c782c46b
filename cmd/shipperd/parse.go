package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/shipperd/shipperd/pkg/config"
	"github.com/shipperd/shipperd/pkg/document"
	"github.com/shipperd/shipperd/pkg/enrich"
	"github.com/shipperd/shipperd/pkg/logging"
	"github.com/shipperd/shipperd/pkg/record"
)

// maxLine is the largest log event that CloudWatch Logs takes.
const maxLine = 1 << 20

func newParseCommand() *cobra.Command {
	var flags configFlags
	line := document.Line{Owner: "123456789012", Time: time.Now()}
	cmd := &cobra.Command{
		Use:   "parse",
		Short: "Show what becomes of log lines pasted into standard input",
		Long: `parse reads log lines from standard input and prints for each the document, its
index and the fields that were left out because their value did not fit, or which rule
drops it. Routing and rules are those of the configuration, which may lack stream and
endpoints here.`,
		Example: `  tail -3 /var/log/httpd/access_log | shipperd parse --group AccessLogGroup
  shipperd parse --format sshd < secure.log`,
		GroupID: groupCheck,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			documents, err := flags.documents()
			if err != nil {
				return err
			}
			return explainLines(documents, line, cmd.InOrStdin(), logging.Terminal(cmd.OutOrStdout()))
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&line.Group, "group", "", "log group that the lines come from")
	cmd.Flags().StringVar(&line.Stream, "stream", "", "log stream that they come from")
	cmd.Flags().StringVar(&line.Format, "format", "", "read them as this format, whatever the configuration says")
	timeFlag(cmd, &line.Time, "time", "`time` of the events (default: now)")
	return cmd
}

// documents loads what decides about documents; stream and endpoints may be missing.
func (f *configFlags) documents() (*document.Documents, error) {
	loaded, err := f.without(unusedStream, unusedEndpoints).load()
	if err != nil {
		return nil, err
	}
	return openDocuments(loaded.Config)
}

func openDocuments(c config.Config) (*document.Documents, error) {
	enricher, err := enrich.New(c.Geo, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		return nil, err
	}
	return document.New(c.Documents, document.Options{Enrich: enricher})
}

func explainLines(documents *document.Documents, line document.Line, in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		line.Text = bytes.Clone(lines.Bytes())
		x, err := documents.Explain(line)
		if err != nil {
			return usageError{err}
		}
		if x.Filter != record.NotFiltered {
			fmt.Fprintf(out, "dropped by %s\n", x.Rule)
			continue
		}
		fmt.Fprintf(out, "%s\n  index %s, group %s", x.Document, x.Index, x.Group)
		if len(x.LeftOut) > 0 {
			fmt.Fprintf(out, ", left out: %s", strings.Join(x.LeftOut, ", "))
		}
		fmt.Fprintln(out)
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read lines of at most 1 MiB: %w", err)
	}
	return nil
}
