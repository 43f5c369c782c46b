package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/shipperd/shipperd/test/servers"
)

// Patience is how long a test waits for what takes seconds on an idle machine: a
// loaded one must not fail it.
const Patience = 3 * time.Minute

// Main builds shipperd for the tests of m, which find the binary's path in binary,
// runs them and returns their exit code.
func Main(m *testing.M, binary *string) int {
	dir, err := os.MkdirTemp("", "shipperd-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	*binary = filepath.Join(dir, "shipperd")
	if err := Build(context.Background(), *binary); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// Test is the Daemon of one test. Its methods fail the test where those of Daemon
// return an error.
type Test struct {
	*Daemon
	t testing.TB
}

// NewTest prepares a daemon of t on a folder of its own.
func NewTest(t testing.TB, binary string, peers Peers, settings ...string) *Test {
	t.Helper()
	d, err := New(t.Context(), binary, t.TempDir(), peers, settings...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if d.cmd == nil {
			return
		}
		if err := d.Kill(); err != nil {
			t.Error(err)
		}
		if log, err := d.Log(); t.Failed() {
			t.Logf("the end of shipperd's log: %v\n%s", err, bytes.TrimSpace(log[max(0, len(log)-10_000):]))
		}
	})
	return &Test{d, t}
}

// Start runs the daemon and waits until it is ready.
func (d *Test) Start() {
	d.t.Helper()
	// Not bound to the test's context: the test says how it ends.
	d.Launch(d.Command(context.WithoutCancel(d.t.Context()), "run"))
}

// Launch starts the daemon by a command of the caller's and waits until it is ready.
func (d *Test) Launch(cmd *exec.Cmd) {
	d.t.Helper()
	if err := d.Daemon.Launch(cmd); err != nil {
		d.t.Fatal(err)
	}
	d.Await(func() error { return d.Ready(d.t.Context()) })
}

// Run runs another command of the binary to its end.
func (d *Test) Run(args ...string) (code int, stdout, stderr string) {
	d.t.Helper()
	return d.RunContext(d.t.Context(), args...)
}

// RunContext kills the command when ctx ends; its code is -1 then.
func (d *Test) RunContext(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := d.Command(ctx, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		if _, exited := errors.AsType[*exec.ExitError](err); !exited {
			d.t.Fatalf("%v: %v", args, err)
		}
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// Signal sends a signal.
func (d *Test) Signal(s syscall.Signal) {
	d.t.Helper()
	if err := d.Daemon.Signal(s); err != nil {
		d.t.Fatal(err)
	}
}

// Stop sends a signal and returns how the daemon has ended, and after what time.
func (d *Test) Stop(s syscall.Signal) (*os.ProcessState, time.Duration) {
	d.t.Helper()
	began := time.Now()
	state, err := d.Daemon.Stop(s, Patience)
	if err != nil {
		d.t.Fatal(err)
	}
	return state, time.Since(began)
}

// Terminate sends SIGTERM and checks that the daemon drains and ends with 0.
func (d *Test) Terminate() {
	d.t.Helper()
	if state, took := d.Stop(syscall.SIGTERM); state.ExitCode() != 0 {
		d.t.Fatalf("got %v %v after SIGTERM, want exit code 0", state, took)
	}
}

// Crash sends SIGKILL to a daemon that has not ended before.
func (d *Test) Crash() {
	d.t.Helper()
	if state, _ := d.Stop(syscall.SIGKILL); !Killed(state) {
		d.t.Fatalf("shipperd ended by itself before it was killed: %v", state)
	}
}

// Get returns a page of the daemon's endpoint.
func (d *Test) Get(path string) []byte {
	d.t.Helper()
	page, err := d.Daemon.Get(d.t.Context(), path)
	if err != nil {
		d.t.Fatal(err)
	}
	return page
}

// Scrape reads the metrics; every event has to be accounted for.
func (d *Test) Scrape() Metrics {
	d.t.Helper()
	m, err := d.Daemon.Scrape(d.t.Context())
	if err != nil {
		d.t.Fatal(err)
	}
	return m
}

// Await polls check until it returns nil, unless the daemon ends before that.
func (d *Test) Await(check func() error) {
	d.t.Helper()
	Await(d.t, Patience, func() error {
		if state := d.Wait(0); state != nil {
			d.t.Fatalf("shipperd has ended: %v", state)
		}
		return check()
	})
}

// AwaitMetric waits until the series, written as name{label="value"}, has the value.
func (d *Test) AwaitMetric(series string, want float64) {
	d.t.Helper()
	d.Await(func() error {
		got, there := d.Scrape()[series]
		if !there || got != want {
			return fmt.Errorf("%s: got %v (there: %t), want %v", series, got, there, want)
		}
		return nil
	})
}

// Await polls check until it returns nil; after limit t fails with check's last error.
func Await(t testing.TB, limit time.Duration, check func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if err := servers.Poll(ctx, check); err != nil {
		t.Fatal(err)
	}
}
