// Package operations runs the real binary between the fakes of the stream and of
// the index, and holds what operators rely on: how it ends, what it shows, which
// permissions it uses, what it never says, and what it is made of.
//
// These tests watch another process, so they poll, through await alone.
package operations

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/shipperd/shipperd/pkg/elastic/elasticfake"
	"github.com/shipperd/shipperd/pkg/kinesis/kinesisfake"
	"github.com/shipperd/shipperd/test/servers"
)

// binary is the path of the shipperd under test, built as releases are.
var binary string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "shipperd-operations-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "shipperd")
	if err := build(context.Background(), binary); err != nil {
		fmt.Fprintf(os.Stderr, "build shipperd: %v\n", err)
		return 1
	}
	return m.Run()
}

// build makes the binary as the Makefile and the Dockerfile do.
func build(ctx context.Context, name string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w -X main.version=test", "-o", name,
		"github.com/shipperd/shipperd/cmd/shipperd")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	return cmd.Run()
}

const (
	streamName = "logs"
	// patience is how long a test waits for what takes a second on an idle machine.
	patience = time.Minute
)

// site is a stream and an index.
type site struct {
	service *kinesisfake.Service
	stream  *kinesisfake.Stream
	index   *elasticfake.Server
	env     []string // of a shipperd between the two
}

// newSite serves a stream of one shard and an index. Hook and script may be nil.
func newSite(t *testing.T, hook kinesisfake.Hook, script func(*elasticfake.Request) elasticfake.Fault) *site {
	t.Helper()
	s := &site{service: &kinesisfake.Service{Hook: hook}, index: &elasticfake.Server{Script: script}}
	s.stream = s.service.Create(streamName, 1)
	kinesis, index := httptest.NewServer(s.service), httptest.NewServer(s.index)
	t.Cleanup(kinesis.Close)
	t.Cleanup(index.Close)
	s.env = []string{
		"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_EC2_METADATA_DISABLED=true",
		"SHIPPERD_KINESIS_STREAM=" + streamName,
		"SHIPPERD_KINESIS_REGION=" + kinesisfake.Region,
		"SHIPPERD_KINESIS_ENDPOINT=" + kinesis.URL,
		"SHIPPERD_ELASTICSEARCH_ENDPOINTS=" + index.URL,
		"SHIPPERD_LOG_FORMAT=json",
	}
	return s
}

// put puts a record with one event for each message on the stream. Events are of
// one day, and their ids are their messages.
func (s *site) put(messages ...string) {
	var events []string
	for _, m := range messages {
		events = append(events, fmt.Sprintf(`{"id":%q,"timestamp":1763632800000,"message":%q}`, m, m))
	}
	s.stream.Put(s.stream.Shards()[0], fmt.Appendf(nil,
		`{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"AccessLogGroup","logStream":"i-1","logEvents":[%s]}`,
		strings.Join(events, ",")))
}

// process is a running shipperd.
type process struct {
	t      *testing.T
	dir    string // its checkpoint, dead letters and log
	admin  string // address of its endpoint
	env    []string
	cmd    *exec.Cmd
	exited chan struct{} // closed when it has ended
}

// newProcess prepares a shipperd of s. settings are further variables.
func newProcess(t *testing.T, s *site, settings ...string) *process {
	t.Helper()
	port, err := servers.FreePort(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, dir: t.TempDir(), admin: "127.0.0.1:" + port}
	// Nothing of the machine's own environment: it may configure another shipperd.
	p.env = append([]string{
		"HOME=" + p.dir,
		"SHIPPERD_CHECKPOINT_FILE=" + filepath.Join(p.dir, "checkpoint.json"),
		"SHIPPERD_DEAD_LETTERS_DIR=" + filepath.Join(p.dir, "dead-letters"),
		"SHIPPERD_ADMIN_LISTEN=" + p.admin,
	}, append(s.env, settings...)...)
	return p
}

// start runs the daemon and waits until it is ready. It is killed when the test ends.
func (p *process) start() {
	p.t.Helper()
	p.launch(exec.CommandContext(context.WithoutCancel(p.t.Context()), binary, "run"))
	p.await(func() error {
		_, err := p.get("/readyz")
		return err
	})
}

func (p *process) launch(cmd *exec.Cmd) {
	p.t.Helper()
	log, err := os.OpenFile(p.logName(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		p.t.Fatal(err)
	}
	defer log.Close()
	cmd.Env, cmd.Stdout, cmd.Stderr = p.env, log, log
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	exited := make(chan struct{})
	p.cmd, p.exited = cmd, exited
	go func() {
		defer close(exited)
		_ = cmd.Wait() // ProcessState has it
	}()
	p.t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		<-exited
		if p.t.Failed() {
			p.t.Logf("log of shipperd:\n%s", p.log())
		}
	})
}

// signal sends s.
func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// wait waits until the daemon has ended and returns its state and how long it took.
func (p *process) wait() (*os.ProcessState, time.Duration) {
	p.t.Helper()
	start := time.Now()
	select {
	case <-p.exited:
		return p.cmd.ProcessState, time.Since(start)
	case <-time.After(patience):
		p.t.Fatalf("shipperd has not ended in %v", patience)
		return nil, 0
	}
}

// await polls check until it returns nil.
func (p *process) await(check func() error) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	err := servers.Poll(ctx, func() error {
		select {
		case <-p.exited:
			p.t.Fatalf("shipperd has ended: %v", p.cmd.ProcessState)
		default:
		}
		return check()
	})
	if err != nil {
		p.t.Fatal(err)
	}
}

// awaitMetric waits until the series, written as name{label="value"}, has the value.
func (p *process) awaitMetric(series, value string) {
	p.t.Helper()
	p.await(func() error {
		text, err := p.get("/metrics")
		if err == nil && !bytes.Contains(text, []byte("\n"+series+" "+value+"\n")) {
			err = fmt.Errorf("%s is not %s", series, value)
		}
		return err
	})
}

// get asks the endpoint for a page.
func (p *process) get(path string) ([]byte, error) { return get(p.t.Context(), "http://"+p.admin+path) }

// get returns a page; another status than 200 is an error.
func get(ctx context.Context, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s: %s", url, response.Status, text)
	}
	return text, err
}

func (p *process) logName() string { return filepath.Join(p.dir, "log") }

func (p *process) log() []byte {
	text, err := os.ReadFile(p.logName())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		p.t.Error(err)
	}
	return text
}
