package story

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/shipperd/shipperd/test/servers"
)

// command runs the binary under test.
type command struct {
	binary string
	env    []string
}

// with returns a command that has further variables.
func (c command) with(env ...string) command {
	return command{c.binary, slices.Concat(c.env, env)}
}

// shipping configures what is read into the index of lab.
func shipping(t *testing.T, a *account, lab *index) []string {
	t.Helper()
	dir := t.TempDir()
	env := []string{
		"SHIPPERD_KINESIS_STREAM=" + stream,
		"SHIPPERD_KINESIS_REGION=" + region,
		"SHIPPERD_KINESIS_ENDPOINT=" + a.url,
		"SHIPPERD_ELASTICSEARCH_ENDPOINTS=" + lab.url,
		"SHIPPERD_DOCUMENTS_INDEX_PREFIX=" + lab.prefix,
		"SHIPPERD_CHECKPOINT_FILE=" + filepath.Join(dir, "checkpoint.json"),
		"SHIPPERD_DEAD_LETTERS_DIR=" + filepath.Join(dir, "dead-letters"),
	}
	for variable, file := range databases() {
		env = append(env, variable+"="+file)
	}
	return env
}

// run runs a command to its end.
func (c command) run(t *testing.T, args ...string) (code int, stdout string) {
	t.Helper()
	return c.runIn(t.Context(), t, args...)
}

// killed is the exit code of a command that was killed.
const killed = -1

// runIn kills the command when ctx ends.
func (c command) runIn(ctx context.Context, t *testing.T, args ...string) (code int, stdout string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.binary, args...)
	var out, errs bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = c.env, &out, &errs
	if err := cmd.Run(); err != nil {
		if _, exited := errors.AsType[*exec.ExitError](err); !exited {
			t.Fatalf("%v: %v", args, err)
		}
	}
	if code = cmd.ProcessState.ExitCode(); code > 0 {
		t.Logf("%v ended with %d\n%s", args, code, errs.Bytes())
	}
	return code, out.String()
}

// daemon is a running `shipperd run`.
type daemon struct {
	t      *testing.T
	admin  string // address of its admin endpoint
	cmd    *exec.Cmd
	exited chan error
}

// start starts a daemon, which is killed at the end of the test unless it has ended.
func (c command) start(t *testing.T) *daemon {
	t.Helper()
	port, err := servers.FreePort(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d := &daemon{t: t, admin: "127.0.0.1:" + port, exited: make(chan error, 1)}
	var log bytes.Buffer
	d.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), c.binary, "run")
	d.cmd.Env, d.cmd.Stdout, d.cmd.Stderr = c.with("SHIPPERD_ADMIN_LISTEN="+d.admin).env, &log, &log
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(d.exited)
		d.exited <- d.cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = d.cmd.Process.Kill() // it may have ended
		for range d.exited {     // until it has, its log is written to
		}
		if t.Failed() {
			t.Logf("log of shipperd:\n%s", log.Bytes())
		}
	})
	return d
}

// settledEvents is a series of shipperd_events_total.
var settledEvents = regexp.MustCompile(`^shipperd_events_total\{.*outcome="(\w+)".*\} (\S+)$`)

// settled returns how many events have had each outcome.
func (d *daemon) settled(ctx context.Context) (map[string]int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.admin+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	events := make(map[string]int)
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if m := settledEvents.FindStringSubmatch(lines.Text()); m != nil {
			n, err := strconv.ParseFloat(m[2], 64)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", lines.Text(), err)
			}
			events[m[1]] += int(n)
		}
	}
	return events, lines.Err()
}

// terminate sends SIGTERM and checks that the daemon ends with 0.
func (d *daemon) terminate() {
	d.t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		d.t.Fatal(err)
	}
	select {
	case err := <-d.exited:
		if err != nil {
			d.t.Fatalf("shipperd after SIGTERM: got %v, want exit status 0", err)
		}
	case <-time.After(patience):
		d.t.Fatalf("shipperd has not ended %s after SIGTERM", patience)
	}
}
