// Package daemon runs the real shipperd for tests: it builds the binary, starts it on
// a folder of its own, asks its endpoint, sends it signals and says how it ended.
//
// A Daemon returns errors and belongs to no test. A Test is the Daemon of one test:
// what goes wrong fails the test, and what is left running is killed at its end. An
// Index is where a Test's documents go on a real server.
package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/shipperd/shipperd/test/servers"
)

// Build builds shipperd as the Makefile and the Dockerfile do, into the file of this
// name. flags are further flags of go build.
func Build(ctx context.Context, name string, flags ...string) error {
	args := append([]string{"build", "-trimpath", "-ldflags", "-s -w -X main.version=test", "-o", name}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, "github.com/shipperd/shipperd/cmd/shipperd")...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build shipperd: %w\n%s", err, out)
	}
	return nil
}

// Peers are what a daemon stands between.
type Peers struct {
	Stream  string
	Region  string
	Kinesis string // URL
	Search  string // URL
}

// Daemon is a shipperd that can be stopped, killed and started again on the same
// files. One goroutine at a time uses it.
type Daemon struct {
	Dir string   // its checkpoint, dead letters and log
	Env []string // all of its environment

	binary string
	admin  string // address of its endpoint
	cmd    *exec.Cmd
	exited chan struct{} // closed when the process has ended
}

// New prepares a daemon that keeps its files in dir. settings are further variables,
// of which the last one counts: SHIPPERD_KEY=value.
func New(ctx context.Context, binary, dir string, peers Peers, settings ...string) (*Daemon, error) {
	port, err := servers.FreePort(ctx)
	if err != nil {
		return nil, err
	}
	d := &Daemon{Dir: dir, binary: binary, admin: "127.0.0.1:" + port}
	// Nothing of the machine's own environment: it may configure another shipperd.
	d.Env = append([]string{
		"HOME=" + dir,
		"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_EC2_METADATA_DISABLED=true",
		"SHIPPERD_KINESIS_STREAM=" + peers.Stream,
		"SHIPPERD_KINESIS_REGION=" + peers.Region,
		"SHIPPERD_KINESIS_ENDPOINT=" + peers.Kinesis,
		"SHIPPERD_ELASTICSEARCH_ENDPOINTS=" + peers.Search,
		"SHIPPERD_CHECKPOINT_FILE=" + filepath.Join(dir, "checkpoint.json"),
		"SHIPPERD_DEAD_LETTERS_DIR=" + d.Letters(),
		"SHIPPERD_ADMIN_LISTEN=" + d.admin,
		"SHIPPERD_LOG_FORMAT=json",
	}, settings...)
	return d, nil
}

// Letters returns the folder of the daemon's dead letters.
func (d *Daemon) Letters() string { return filepath.Join(d.Dir, "dead-letters") }

// Command returns a command of the binary, in the daemon's folder and environment.
func (d *Daemon) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, d.binary, args...)
	cmd.Dir, cmd.Env = d.Dir, d.Env
	return cmd
}

// Start runs the daemon until it ends or ctx does, with more variables than usual. It
// does not wait for it to be ready.
func (d *Daemon) Start(ctx context.Context, more ...string) error {
	cmd := d.Command(ctx, "run")
	cmd.Env = slices.Concat(d.Env, more)
	return d.Launch(cmd)
}

// Launch starts the daemon by a command of the caller's; what it prints goes to the
// daemon's log.
func (d *Daemon) Launch(cmd *exec.Cmd) error {
	log, err := os.OpenFile(d.logName(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start shipperd: %w", err)
	}
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = cmd.Wait() // how it has ended is in its state
	}()
	d.cmd, d.exited = cmd, exited
	return nil
}

// Signal sends a signal; that the daemon has ended already is no error.
func (d *Daemon) Signal(s syscall.Signal) error {
	if err := d.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("send %v to shipperd: %w", s, err)
	}
	return nil
}

// Wait returns how the daemon has ended; nil if it has not in this time.
func (d *Daemon) Wait(limit time.Duration) *os.ProcessState {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-d.exited:
		return d.cmd.ProcessState
	case <-timer.C:
		return nil
	}
}

// Stop sends a signal and waits. A daemon that has not ended by then is killed, and
// that is an error.
func (d *Daemon) Stop(s syscall.Signal, limit time.Duration) (*os.ProcessState, error) {
	if err := d.Signal(s); err != nil {
		return nil, err
	}
	if state := d.Wait(limit); state != nil {
		return state, nil
	}
	err := fmt.Errorf("shipperd has not ended %v after %v", limit, s)
	return nil, errors.Join(err, d.Kill())
}

// Kill sends SIGKILL and waits. That the daemon has ended already is no error.
func (d *Daemon) Kill() error {
	err := d.Signal(syscall.SIGKILL)
	if err == nil {
		<-d.exited
	}
	return err
}

// Killed says whether SIGKILL was the end of a process.
func Killed(state *os.ProcessState) bool {
	status, ok := state.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// PeakBytes returns the most memory that the running daemon has had. It is read from
// /proc: the resource usage of an ended process counts in what its parent had when it
// was forked.
func (d *Daemon) PeakBytes() (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := bytes.Cut(status, []byte("VmHWM:"))
	var kib int64
	if _, err := fmt.Sscan(string(rest), &kib); err != nil {
		return 0, fmt.Errorf("no VmHWM of shipperd, which has ended: %w", err)
	}
	return kib << 10, nil
}

// Ready returns nil when the daemon is ready.
func (d *Daemon) Ready(ctx context.Context) error {
	_, err := d.Get(ctx, "/readyz")
	return err
}

// Get returns a page of the daemon's endpoint.
func (d *Daemon) Get(ctx context.Context, path string) ([]byte, error) {
	return Get(ctx, "http://"+d.admin+path)
}

// Get returns a page; another status than 200 is an error.
func Get(ctx context.Context, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s: %s", url, response.Status, bytes.TrimSpace(body))
	}
	return body, err
}

func (d *Daemon) logName() string { return filepath.Join(d.Dir, "log") }

// Log returns what the daemon has logged since it was prepared.
func (d *Daemon) Log() ([]byte, error) { return os.ReadFile(d.logName()) }
