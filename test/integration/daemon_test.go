package integration

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/shipperd/shipperd/test/servers"
)

// daemon is a shipperd that can be stopped, killed and started again on the same
// files.
type daemon struct {
	t      *testing.T
	dir    string // checkpoint, dead letters, log
	admin  string // address of its admin endpoint
	env    []string
	cmd    *exec.Cmd
	exited chan error
}

// newDaemon prepares a daemon that reads stream at kinesisURL and writes into
// indices of prefix at searchURL. settings are further keys of the configuration,
// as SHIPPERD_KEY=value.
func newDaemon(t *testing.T, kinesisURL, stream, searchURL, prefix string, settings ...string) *daemon {
	t.Helper()
	port, err := servers.FreePort(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d := &daemon{t: t, dir: t.TempDir(), admin: "127.0.0.1:" + port}
	// Nothing of the machine's own environment: it may configure another shipperd.
	d.env = append([]string{
		"HOME=" + d.dir,
		"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_EC2_METADATA_DISABLED=true",
		"SHIPPERD_KINESIS_STREAM=" + stream,
		"SHIPPERD_KINESIS_REGION=" + region,
		"SHIPPERD_KINESIS_ENDPOINT=" + kinesisURL,
		"SHIPPERD_ELASTICSEARCH_ENDPOINTS=" + searchURL,
		"SHIPPERD_DOCUMENTS_INDEX_PREFIX=" + prefix,
		"SHIPPERD_CHECKPOINT_FILE=" + filepath.Join(d.dir, "checkpoint.json"),
		"SHIPPERD_DEAD_LETTERS_DIR=" + filepath.Join(d.dir, "dead-letters"),
		"SHIPPERD_ADMIN_LISTEN=" + d.admin,
		"SHIPPERD_LOG_FORMAT=json",
	}, settings...)
	t.Cleanup(func() {
		if d.cmd != nil {
			d.kill()
		}
		if t.Failed() {
			t.Logf("log of shipperd, its end:\n%s", d.logTail())
		}
	})
	return d
}

// start runs the daemon and waits until it is ready.
func (d *daemon) start() {
	d.t.Helper()
	log, err := os.OpenFile(filepath.Join(d.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		d.t.Fatal(err)
	}
	defer log.Close()
	// Not bound to the test's context: the test says how it ends.
	d.cmd = exec.CommandContext(context.WithoutCancel(d.t.Context()), binary, "run")
	d.cmd.Dir, d.cmd.Env, d.cmd.Stdout, d.cmd.Stderr = d.dir, d.env, log, log
	if err := d.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.exited = make(chan error, 1)
	go func() { d.exited <- d.cmd.Wait() }()
	await(d.t, patience, func() error {
		_, err := d.get("/readyz")
		return err
	})
}

// terminate sends SIGTERM and checks that the daemon drains and ends with 0.
func (d *daemon) terminate() {
	d.t.Helper()
	d.signal(syscall.SIGTERM)
	select {
	case err := <-d.exited:
		d.cmd = nil
		if err != nil {
			d.t.Fatalf("shipperd after SIGTERM: got %v, want exit status 0", err)
		}
	case <-time.After(40 * time.Second): // the drain may take 25 s
		d.t.Fatal("shipperd has not ended 40 s after SIGTERM")
	}
}

// kill sends SIGKILL.
func (d *daemon) kill() {
	d.t.Helper()
	d.signal(syscall.SIGKILL)
	if err := <-d.exited; err == nil {
		d.t.Error("shipperd ended by itself before it was killed")
	}
	d.cmd = nil
}

func (d *daemon) signal(s syscall.Signal) {
	d.t.Helper()
	if err := d.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		d.t.Fatalf("send %v: %v", s, err)
	}
}

// get asks the admin endpoint; another status than 200 is an error.
func (d *daemon) get(path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(d.t.Context(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.admin+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s: %s", path, resp.Status, bytes.TrimSpace(body))
	}
	return body, nil
}

// metrics is one scrape: values by series, written as `name{label="value"}`.
type metrics map[string]float64

// sum adds up the series of name that have all of labels, each as `key="value"`.
func (m metrics) sum(name string, labels ...string) float64 {
	total := 0.0
series:
	for series, value := range m {
		base, rest, _ := strings.Cut(series, "{")
		if base != name {
			continue
		}
		for _, label := range labels {
			if !strings.Contains(rest, label) {
				continue series
			}
		}
		total += value
	}
	return total
}

// scrape reads the metrics and checks that every event is accounted for.
func (d *daemon) scrape() metrics {
	d.t.Helper()
	body, err := d.get("/metrics")
	if err != nil {
		d.t.Fatal(err)
	}
	m := make(metrics)
	for lines := bufio.NewScanner(bytes.NewReader(body)); lines.Scan(); {
		line := lines.Text()
		at := strings.LastIndexByte(line, ' ')
		if strings.HasPrefix(line, "#") || at < 0 {
			continue
		}
		value, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			d.t.Fatalf("metric %q: %v", line, err)
		}
		m[line[:at]] = value
	}
	received := m.sum("shipperd_events_received_total")
	settled, inFlight := m.sum("shipperd_events_total"), m.sum("shipperd_events_in_flight")
	if received != settled+inFlight {
		d.t.Errorf("got %.0f events received, %.0f settled and %.0f in flight: these do not add up", received, settled, inFlight)
	}
	return m
}

// outcome returns how many events ended so.
func (m metrics) outcome(name string) int {
	return int(m.sum("shipperd_events_total", `outcome="`+name+`"`))
}

// residentMiB returns the daemon's resident memory.
func (d *daemon) residentMiB() float64 {
	d.t.Helper()
	return d.scrape().sum("process_resident_memory_bytes") / (1 << 20)
}

func (d *daemon) logTail() []byte {
	text, err := os.ReadFile(filepath.Join(d.dir, "log"))
	if err != nil {
		return []byte(err.Error())
	}
	return bytes.TrimSpace(text[max(0, len(text)-6000):])
}
