package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// writeFile writes a configuration and returns its name.
func writeFile(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "shipperd.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// fiveMistakes has one each in lines 2, 4, 6, 8 and 9.
const fiveMistakes = `kinesis:
  stram: logs
elasticsearch:
  timeout: 5
pipeline:
  memory: 8MB
documents:
  dialect: klingon
admni: {}
`

func TestValidateShowsAllMistakesWithTheirPlaces(t *testing.T) {
	file := writeFile(t, fiveMistakes)
	code, stdout, stderr := command(t, "validate", "--config", file)
	if code != exitConfig || stdout != "" {
		t.Errorf("got exit %d and %q, want %d and nothing on standard output", code, stdout, exitConfig)
	}
	for _, want := range []string{
		file + ":2:3: kinesis.stram: unknown key; did you mean \"stream\"?",
		file + ":4:3: elasticsearch.timeout: want a duration",
		file + ":6:3: pipeline.memory: want a size",
		file + ":8:3: documents.dialect: \"klingon\" is not known",
		file + ":9:1: admni: unknown key; did you mean \"admin\"?",
	} {
		if !strings.Contains(stderr, want) {
			t.Errorf("got %s\nwant %q in it", stderr, want)
		}
	}
}

func TestValidateAsJSON(t *testing.T) {
	code, stdout, stderr := command(t, "validate", "--config", writeFile(t, fiveMistakes), "--format", "json")
	var report validation
	if err := json.Unmarshal([]byte(stdout), &report); err != nil {
		t.Fatalf("%v in %s", err, stdout)
	}
	found := map[int]bool{}
	for _, m := range report.Mistakes {
		found[m.Line] = true
	}
	for _, line := range []int{2, 4, 6, 8, 9} {
		if !found[line] {
			t.Errorf("got no mistake in line %d: %s", line, stdout)
		}
	}
	if code != exitConfig || stderr != "" {
		t.Errorf("got exit %d and %q on standard error, want %d and nothing", code, stderr, exitConfig)
	}
}

func TestValidateAcceptsAGoodFile(t *testing.T) {
	file := writeFile(t, "kinesis: {stream: logs}\nelasticsearch: {endpoints: [search.example.com]}\n")
	if code, stdout, stderr := command(t, "validate", "--config", file); code != exitDone || !strings.Contains(stdout, "valid") {
		t.Errorf("got exit %d, %q and %q", code, stdout, stderr)
	}
	if code, _, _ := command(t, "validate", "--config", file, "--set", "log.level=loud"); code != exitConfig {
		t.Errorf("got exit %d for a wrong --set, want %d", code, exitConfig)
	}
}

// A daemon that reads such a file ends with the same code.
func TestValidateOpensTheFilesThatTheIndexNeeds(t *testing.T) {
	for _, text := range []string{"tls: {ca_file: /none}", "auth: {username: u, password_file: /none}"} {
		file := writeFile(t, "kinesis: {stream: logs}\nelasticsearch: {endpoints: [search.example.com], "+text+"}\n")
		code, stdout, stderr := command(t, "validate", "--config", file)
		if code != exitConfig || stdout != "" || !strings.Contains(stderr, "_file: open /none: no such file") {
			t.Errorf("%s: got exit %d, %q and %q, want %d and the file", text, code, stdout, stderr, exitConfig)
		}
	}
}

func TestCheckEnvironmentTriesEverythingAndNamesWhatFails(t *testing.T) {
	index := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"version":{"number":"7.10.2"},"tagline":"You Know, for Search"}`))
	}))
	defer index.Close()
	dir := t.TempDir()
	t.Setenv("AWS_ACCESS_KEY_ID", "x")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "x")
	code, stdout, _ := command(t, "validate", "--check-environment",
		"--set", "kinesis.stream=logs", "--set", "kinesis.region=us-east-1", "--set", "kinesis.endpoint=http://127.0.0.1:1",
		"--set", "elasticsearch.endpoints="+index.URL,
		"--set", "checkpoint.file="+filepath.Join(dir, "new", "checkpoint.json"), "--set", "dead_letters.dir="+filepath.Join(dir, "letters"))
	if code != exitFailed {
		t.Errorf("got exit %d, want %d", code, exitFailed)
	}
	for _, want := range []string{"FAILED  stream logs", "elasticsearch 7.10.2", "ok      checkpoint", "ok      dead letters"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("got %s\nwant %q in it", stdout, want)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("got %v left behind, %v", left, err)
	}
}

func TestConfigShowSaysWhereValuesComeFrom(t *testing.T) {
	file := writeFile(t, "kinesis: {stream: logs}\nelasticsearch: {endpoints: [search.example.com]}\n")
	t.Setenv("SHIPPERD_LOG_LEVEL", "warn")
	code, stdout, _ := command(t, "config", "show", "--config", file, "--set", "pipeline.memory=32MiB")
	fields := map[string][]string{}
	for line := range strings.Lines(stdout) {
		if f := strings.Fields(line); len(f) > 0 {
			fields[f[0]] = f[1:]
		}
	}
	for key, want := range map[string]string{
		"kinesis.stream":         "logs " + file + ":1:11",
		"log.level":              "warn SHIPPERD_LOG_LEVEL",
		"pipeline.memory":        "32MiB --set",
		"pipeline.drain_timeout": "25s default",
	} {
		if got := strings.Join(fields[key], " "); got != want || code != exitDone {
			t.Errorf("%s: got %q, want %q", key, got, want)
		}
	}
}

func TestParseExplainsPastedLines(t *testing.T) {
	file := writeFile(t, `groups:
  - {name: web, match: AccessLogGroup, format: apache, drop: ['healthz']}
`)
	var out, errs strings.Builder
	in := strings.NewReader(`203.0.113.9 - - [20/Nov/2026:10:11:12 +0000] "GET /healthz HTTP/1.1" 200 2
203.0.113.9 - - [20/Nov/2026:10:11:12 +0000] "GET /login HTTP/1.1" 403 - "-" "curl/8"
`)
	code := execute(t.Context(), []string{"parse", "--config", file, "--group", "AccessLogGroup", "--time", "2026-11-20T10:11:12Z"}, in, &out, &errs)
	if code != exitDone {
		t.Fatalf("got exit %d: %s", code, errs.String())
	}
	for _, want := range []string{"dropped by groups[0].drop[0]: healthz", `"status":403`, "index cwl-2026.11.20, group web", "left out: bytes"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got %s\nwant %q in it", out.String(), want)
		}
	}
}

func TestHealthcheckAsksTheDaemon(t *testing.T) {
	status := http.StatusOK
	daemon := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			t.Errorf("got a request for %s", r.URL.Path)
		}
		w.WriteHeader(status)
	}))
	defer daemon.Close()
	_, port, err := net.SplitHostPort(daemon.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	args := []string{
		"healthcheck", "--set", "kinesis.stream=logs", "--set", "elasticsearch.endpoints=search.example.com",
		"--set", "admin.listen=0.0.0.0:" + port,
	}
	web := filepath.Join(t.TempDir(), "web.yaml")
	if err := os.WriteFile(web, []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	withUsers := append(slices.Clone(args), "--set", "admin.web_config="+web)
	for name, args := range map[string][]string{
		"a daemon": args, "a daemon with users": append(slices.Clone(withUsers), "--set", "admin.health_listen=127.0.0.1:"+port),
	} {
		if code, _, stderr := command(t, args...); code != exitDone {
			t.Errorf("%s: got exit %d: %s", name, code, stderr)
		}
	}
	if code, _, stderr := command(t, withUsers...); code != exitFailed || !strings.Contains(stderr, "admin.health_listen") {
		t.Errorf("got exit %d, %q of a daemon with users alone, want the key named that helps", code, stderr)
	}
	status = http.StatusServiceUnavailable
	if code, _, _ := command(t, args...); code != exitFailed {
		t.Errorf("got exit %d of an unhealthy daemon, want %d", code, exitFailed)
	}
	daemon.Close()
	if code, _, _ := command(t, args...); code != exitFailed {
		t.Errorf("got exit %d without a daemon, want %d", code, exitFailed)
	}
}

func TestErrorsOfTheDiskSayWhatToDo(t *testing.T) {
	for err, want := range map[error]string{
		&fs.PathError{Op: "open", Path: "/x", Err: syscall.EACCES}: "give user " + strconv.Itoa(os.Getuid()) + " access to it",
		&fs.PathError{Op: "open", Path: "/x", Err: syscall.EROFS}:  "mount a volume for it",
		&fs.PathError{Op: "open", Path: "/x", Err: syscall.ENOSPC}: "make room",
	} {
		if got := advised(err); !errors.Is(got, err) || !strings.Contains(got.Error(), want) {
			t.Errorf("got %v, want %s in it", got, want)
		}
	}
}
