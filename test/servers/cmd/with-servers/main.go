// Command with-servers starts the tests' servers, runs a command with their
// addresses in its environment, and stops them when it has ended, also after a
// failure or an interrupt:
//
//	with-servers go test ./...
//
// It ends with the command's exit status.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/shipperd/shipperd/test/servers"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:]))
}

func run(ctx context.Context, command []string) int {
	if len(command) == 0 {
		fmt.Fprintln(os.Stderr, "usage: with-servers command [argument ...]")
		return 2
	}
	began := time.Now()
	started, err := servers.StartAll(ctx)
	defer stopAll(started)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		var missing *servers.MissingError
		if servers.Required() || !errors.As(err, &missing) {
			return 1
		}
	}
	env := os.Environ()
	for _, s := range started {
		fmt.Fprintf(os.Stderr, "%s=%s\n", s.Variable, s.URL)
		env = append(env, s.Variable+"="+s.URL)
	}
	fmt.Fprintf(os.Stderr, "servers ready after %.1f s\n", time.Since(began).Seconds())

	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, os.Stdout, os.Stderr
	// `go test` does not pass a signal on to the tests that it runs: a group of
	// their own lets one signal end them all.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Run(); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", command[0], err)
		return max(1, cmd.ProcessState.ExitCode())
	}
	return 0
}

func stopAll(started []*servers.Server) {
	var stops sync.WaitGroup
	for _, s := range started {
		stops.Go(s.Stop)
	}
	stops.Wait()
}
