package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"
)

// healthTimeout is below the 5 s that container engines give a check by default.
const healthTimeout = 3 * time.Second

func newHealthcheckCommand() *cobra.Command {
	var flags configFlags
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask the daemon of this machine whether it is healthy; for containers",
		Long: `healthcheck asks /healthz of the daemon that has the same configuration and exits with
0 or 1. It needs no other program in the image.`,
		GroupID: groupCheck,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := flags.load()
			if err != nil {
				return err
			}
			host, port, err := net.SplitHostPort(loaded.Config.Admin.Listen)
			if err != nil {
				return err
			}
			if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
				host = "127.0.0.1" // it listens on every address
			}
			r, err := http.NewRequestWithContext(cmd.Context(), http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/healthz", http.NoBody)
			if err != nil {
				return err
			}
			response, err := (&http.Client{Timeout: healthTimeout}).Do(r)
			if err != nil {
				return fmt.Errorf("the daemon does not answer: %w", err)
			}
			defer response.Body.Close()
			text, err := io.ReadAll(io.LimitReader(response.Body, 1<<10))
			if err != nil || response.StatusCode != http.StatusOK {
				return fmt.Errorf("unhealthy: %s: %s", response.Status, text)
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
	flags.add(cmd)
	return cmd
}
