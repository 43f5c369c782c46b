// Command torture kills shipperd, over and over, and prints what was lost.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/shipperd/shipperd/test/torture"
)

func main() {
	kills := flag.Int("kills", 1000, "how many daemons to kill")
	seed := flag.Uint64("seed", 1, "of the load and the moments")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *kills, *seed); err != nil {
		fmt.Fprintf(os.Stderr, "torture: %v\n", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, kills int, seed uint64) error {
	dir, err := os.MkdirTemp("", "shipperd-torture-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary, err := torture.Build(ctx, dir)
	if err != nil {
		return err
	}
	report, err := torture.Run(ctx, binary, torture.Options{Kills: kills, Seed: seed, Log: os.Stderr})
	if report.Lost > 0 || report.Duplicated > 0 {
		err = errors.Join(err, errors.New("the promise is broken"))
	}
	_, writeErr := report.WriteTo(os.Stdout)
	return errors.Join(err, writeErr)
}
