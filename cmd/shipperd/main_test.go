package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shipperd/shipperd/pkg/config"
	"github.com/shipperd/shipperd/pkg/elastic/elasticfake"
	"github.com/shipperd/shipperd/pkg/pipeline"
)

// TestMain takes away what the environment says to a shipperd, and the variables of
// the tests with real servers, which no configuration knows.
func TestMain(m *testing.M) {
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "SHIPPERD_") {
			os.Unsetenv(name)
		}
	}
	os.Exit(m.Run())
}

// command runs one command line in this process.
func command(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = execute(t.Context(), args, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

func TestWrongCommandLinesAreUsageErrors(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"rum"}, `did you mean "run"?`},
		{[]string{"run", "--confg", "x"}, "did you mean --config?"},
		{[]string{"run", "-x"}, "-x"},
		{[]string{"version", "please"}, `"please"`},
		{[]string{"config", "shwo"}, `did you mean "show"?`},
		{[]string{"completion", "tcsh"}, `"tcsh"`},
		{[]string{"completion", "bash", "now"}, `"now"`},
		{[]string{"help", "rum"}, `did you mean "run"?`},
		{[]string{"help", "config", "shwo"}, `did you mean "show"?`},
		{[]string{"demo", "--events", "0"}, "--events"},
		{[]string{"demo", "--events", "many"}, "--events"},
	} {
		code, stdout, stderr := command(t, tt.args...)
		if code != exitUsage || stdout != "" || !strings.Contains(stderr, tt.want) {
			t.Errorf("%q: got exit %d, %q and %q, want %d, nothing and %s", tt.args, code, stdout, stderr, exitUsage, tt.want)
		}
	}
}

func TestExitCodes(t *testing.T) {
	for want, err := range map[int]error{
		exitDone:      nil,
		exitFailed:    errors.New("broken"),
		exitUsage:     usageError{errors.New("what?")},
		exitUnsettled: fmt.Errorf("drain: %w", pipeline.ErrUnsettled),
		exitConfig:    fmt.Errorf("load: %w", config.ErrInvalid),
	} {
		if got := exitCode(err); got != want {
			t.Errorf("%v: got exit %d, want %d", err, got, want)
		}
	}
}

func TestVersionSaysWhatItWasBuiltFrom(t *testing.T) {
	for _, args := range []string{"version", "--version"} {
		code, stdout, _ := command(t, args)
		for _, want := range []string{"shipperd " + version + ",", "commit", "go1."} {
			if code != exitDone || !strings.Contains(stdout, want) {
				t.Errorf("%s: got exit %d and %q, want %q in it", args, code, stdout, want)
			}
		}
	}
}

// Without its template an index of Elasticsearch would take addresses for text, in the
// demo's documents and in those that come later that day.
func TestDemoPutsTheTemplate(t *testing.T) {
	index := &elasticfake.Server{}
	var puts []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			puts = append(puts, fmt.Sprintf("%s before %d documents", r.URL.Path, index.Count()))
		}
		index.ServeHTTP(w, r)
	}))
	defer server.Close()
	code, _, stderr := command(t, "demo", "--events", "20", "--elasticsearch", server.URL)
	want := []string{"/_index_template/shipperd-cwl before 0 documents"}
	if diff := cmp.Diff(want, puts); code != exitDone || index.Count() != 20 || diff != "" {
		t.Errorf("got exit %d, %d documents and %s; puts (-want +got):\n%s", code, index.Count(), stderr, diff)
	}
}

// Ctrl-C in the middle: what the demo keeps for itself does not stay behind.
func TestDemoThatIsStoppedTidiesUp(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	var once sync.Once
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		once.Do(func() { // a second signal would end the process at once
			if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
				t.Error(err)
			}
		})
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer server.Close()
	code, _, stderr := command(t, "demo", "--elasticsearch", server.URL)
	if code != exitFailed || !strings.Contains(stderr, "shipperd: stopped before all events were indexed\n") {
		t.Errorf("got exit %d and %s, want %d and that it was stopped", code, stderr, exitFailed)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("got %v left behind, %v", left, err)
	}
}

func TestDemoDeliversEveryEventOnce(t *testing.T) {
	dir := t.TempDir()
	code, stdout, stderr := command(t, "demo", "--events", "3000", "--seed", "7", "--out", dir)
	if code != exitDone {
		t.Fatalf("got exit %d: %s", code, stderr)
	}
	for _, want := range []string{"3000 documents", "0 duplicates", "AccessLogGroup", "SSHLogGroup", "CloudTrailLogGroup", "VPCFlowLogGroup"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("got the summary %q, want %q in it", stdout, want)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "cwl-*.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		lines += bytes.Count(text, []byte("\n"))
	}
	if lines != 3000 {
		t.Errorf("got %d lines in %v, want 3000", lines, files)
	}
}
