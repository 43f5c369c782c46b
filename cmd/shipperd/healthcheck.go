package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/shipperd/shipperd/pkg/admin"
)

// healthTimeout is below the 5 s that container engines give a check by default.
const healthTimeout = 3 * time.Second

func newHealthcheckCommand() *cobra.Command {
	var flags configFlags
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask the daemon of this machine whether it is healthy; for containers",
		Long: `healthcheck asks /healthz of the daemon that has the same configuration and exits with
0 or 1. It needs no other program in the image. Where admin.web_config asks for TLS or
users, set admin.health_listen, which has neither.`,
		Example: `  shipperd healthcheck
  SHIPPERD_ADMIN_HEALTH_LISTEN=127.0.0.1:9478 shipperd healthcheck`,
		GroupID: groupCheck,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := flags.load()
			if err != nil {
				return err
			}
			address, err := healthAddress(loaded.Config.Admin)
			if err != nil {
				return err
			}
			r, err := http.NewRequestWithContext(cmd.Context(), http.MethodGet, "http://"+address+"/healthz", http.NoBody)
			if err != nil {
				return err
			}
			response, err := (&http.Client{Timeout: healthTimeout}).Do(r)
			if err != nil {
				return fmt.Errorf("the daemon does not answer; look whether it runs, with the same admin.listen: %w", err)
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

// healthAddress returns where this machine's daemon answers without TLS and users.
func healthAddress(c admin.Config) (string, error) {
	if c.HealthListen != "" {
		return c.HealthListen, nil
	}
	if c.WebConfig != "" {
		return "", errors.New("admin.web_config may ask for TLS and users; set admin.health_listen, which has neither")
	}
	host, port, err := net.SplitHostPort(c.Listen)
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1" // it listens on every address
	}
	return net.JoinHostPort(host, port), err
}
