package torture

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/shipperd/shipperd/pkg/kinesis/kinesisfake"
)

// daemon is a shipperd that is started again and again on the same files.
type daemon struct {
	binary string
	dir    string
	admin  string
	env    []string

	cmd    *exec.Cmd
	exited chan struct{} // closed when the process has ended
	rss    atomic.Int64  // the most memory that the process had, in bytes
}

func newDaemon(ctx context.Context, binary, dir, kinesisURL, searchURL string, settings ...string) (*daemon, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	d := &daemon{binary: binary, dir: dir, admin: listener.Addr().String()}
	d.env = append([]string{
		"HOME=" + dir,
		"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_EC2_METADATA_DISABLED=true",
		"SHIPPERD_KINESIS_STREAM=" + streamName,
		"SHIPPERD_KINESIS_REGION=" + kinesisfake.Region,
		"SHIPPERD_KINESIS_ENDPOINT=" + kinesisURL,
		"SHIPPERD_ELASTICSEARCH_ENDPOINTS=" + searchURL,
		"SHIPPERD_ELASTICSEARCH_TEMPLATE=off",
		"SHIPPERD_PIPELINE_BATCH_MAX_AGE=200ms",
		"SHIPPERD_CHECKPOINT_FILE=" + filepath.Join(dir, "checkpoint.json"),
		"SHIPPERD_DEAD_LETTERS_DIR=" + d.letters(),
		"SHIPPERD_ADMIN_LISTEN=" + d.admin,
		"SHIPPERD_LOG_FORMAT=json",
	}, settings...)
	return d, listener.Close()
}

func (d *daemon) letters() string { return filepath.Join(d.dir, "dead-letters") }

// start runs the daemon, with more variables than usual.
func (d *daemon) start(ctx context.Context, more ...string) error {
	log, err := os.OpenFile(filepath.Join(d.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	d.cmd = exec.CommandContext(ctx, d.binary, "run")
	d.cmd.Dir, d.cmd.Stdout, d.cmd.Stderr = d.dir, log, log
	d.cmd.Env = append(append([]string(nil), d.env...), more...)
	if err := d.cmd.Start(); err != nil {
		return fmt.Errorf("start shipperd: %w", err)
	}
	d.exited = make(chan struct{})
	d.rss.Store(0)
	watching, stop := context.WithCancel(ctx)
	go d.watchMemory(watching, d.cmd.Process.Pid)
	go func(cmd *exec.Cmd, exited chan<- struct{}) {
		defer stop()
		_ = cmd.Wait() // how it has ended is in its state
		close(exited)
	}(d.cmd, d.exited)
	return nil
}

// watchMemory reads the high-water mark of a process until it ends. That of its
// resource usage has the harness's own memory in it, from before exec.
func (d *daemon) watchMemory(ctx context.Context, pid int) {
	for pause(ctx, 50*time.Millisecond) {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			return // it has ended
		}
		_, rest, _ := strings.Cut(string(status), "VmHWM:")
		var kib int64
		if _, err := fmt.Sscan(rest, &kib); err == nil && strings.Contains(string(status), "Name:\tshipperd") {
			d.rss.Store(max(d.rss.Load(), kib<<10))
		}
	}
}

// end is how a process has ended.
type end struct {
	killed bool
	code   int
	rss    int64 // the most memory that it had, in bytes
}

// wait returns how the daemon ends, if it does so in time.
func (d *daemon) wait(limit time.Duration) (end, bool) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-d.exited:
	case <-timer.C:
		return end{}, false
	}
	state := d.cmd.ProcessState
	e := end{code: state.ExitCode(), rss: d.rss.Load()}
	if status, ok := state.Sys().(syscall.WaitStatus); ok {
		e.killed = status.Signaled() && status.Signal() == syscall.SIGKILL
	}
	return e, true
}

// kill sends SIGKILL and waits.
func (d *daemon) kill() (end, error) {
	if err := d.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return end{}, err
	}
	e, ok := d.wait(10 * time.Second)
	if !ok {
		return e, errors.New("shipperd outlives SIGKILL")
	}
	return e, nil
}

// drainLimit is pipeline.drain_timeout and what the last commit may take.
const drainLimit = 31 * time.Second

// terminate sends SIGTERM, waits for exit code 0 and returns how long it took.
func (d *daemon) terminate() (end, time.Duration, error) {
	began := time.Now()
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return end{}, 0, err
	}
	e, ok := d.wait(drainLimit)
	took := time.Since(began)
	switch {
	case !ok:
		_, err := d.kill()
		return e, took, errors.Join(fmt.Errorf("shipperd has not ended %s after SIGTERM", drainLimit), err)
	case e.code != 0:
		return e, took, fmt.Errorf("shipperd ended with code %d %s after SIGTERM, want 0", e.code, took)
	}
	return e, took, nil
}

// metrics is one scrape: values by series, written as `name{label="value"}`.
type metrics map[string]float64

// sum adds up the series of name that have the label, as `key="value"`; an empty
// one has every series.
func (m metrics) sum(name, label string) float64 {
	total := 0.0
	for series, value := range m {
		if base, rest, _ := strings.Cut(series, "{"); base == name && strings.Contains(rest, label) {
			total += value
		}
	}
	return total
}

var errUnbalanced = errors.New("not every event is accounted for")

// scrape reads the metrics and checks that every event is accounted for.
func (d *daemon) scrape(ctx context.Context) (metrics, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.admin+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	m := make(metrics)
	for lines := bufio.NewScanner(bytes.NewReader(body)); lines.Scan(); {
		series, text, ok := strings.Cut(lines.Text(), "} ")
		if ok {
			series += "}"
		} else {
			series, text, ok = strings.Cut(lines.Text(), " ")
		}
		if !ok || strings.HasPrefix(series, "#") {
			continue
		}
		if m[series], err = strconv.ParseFloat(text, 64); err != nil {
			return nil, fmt.Errorf("metric %q: %w", lines.Text(), err)
		}
	}
	received, settled := m.sum("shipperd_events_received_total", ""), m.sum("shipperd_events_total", "")
	if inFlight := m.sum("shipperd_events_in_flight", ""); received != settled+inFlight {
		return nil, fmt.Errorf("%w: %.0f received, %.0f settled, %.0f in flight", errUnbalanced, received, settled, inFlight)
	}
	return m, nil
}
