package main

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/shipperd/shipperd/pkg/deadletter"
	"github.com/shipperd/shipperd/pkg/disk"
	"github.com/shipperd/shipperd/pkg/record"
	"github.com/shipperd/shipperd/pkg/setting"
)

func TestWrongBackfillsAreUsageErrorsBeforeAnythingIsOpened(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{nil, []string{"[from resume]"}},
		{[]string{"--group", "g"}, []string{"[from resume]"}},
		{[]string{"--from", "2026-11-01T00:00:00Z"}, []string{"[group resume]"}},
		{[]string{"--resume", "--group", "g"}, []string{"[group resume]"}},
		{[]string{"--resume", "--to", "2026-11-01T00:00:00Z"}, []string{"[to resume]"}},
		{[]string{"--group", "g", "--from", "yesterday"}, []string{`"yesterday" for "--from"`, "write it as"}},
		{[]string{"--group", "g", "--from", "2026-11-02T00:00:00Z", "--to", "2026-11-01T00:00:00Z"}, []string{"want a time after from"}},
		{[]string{"--group", "g", "--from", "1969-11-02T00:00:00Z"}, []string{"want a time after 1970"}},
	} {
		code, _, stderr := command(t, append([]string{"backfill"}, tt.args...)...)
		if code != exitUsage {
			t.Errorf("%q: got exit %d, want %d", tt.args, code, exitUsage)
		}
		for _, want := range tt.want {
			if !strings.Contains(stderr, want) {
				t.Errorf("%q: got %s\nwant %s in it", tt.args, stderr, want)
			}
		}
	}
}

func TestResumeWithoutAStoppedBackfillSaysWhatToDo(t *testing.T) {
	t.Setenv("AWS_REGION", "us-east-1")
	dir := t.TempDir()
	config := writeFile(t, `kinesis: {stream: logs}
elasticsearch: {endpoints: ["http://127.0.0.1:1"], template: "off"}
checkpoint: {file: `+filepath.Join(dir, "checkpoint.json")+`}
`)
	code, _, stderr := command(t, "backfill", "--resume", "--config", config)
	if code != exitFailed || !strings.Contains(stderr, "no backfill was stopped; name --group and --from") {
		t.Errorf("got exit %d and %s, want %d and advice", code, stderr, exitFailed)
	}
	if _, err := os.Stat(filepath.Join(dir, "backfill")); err != nil {
		t.Errorf("got %v, want the backfill's own folder beside the checkpoint", err)
	}
}

// A backfill's dead letters lie beside the daemon's, where no alert and no replay looks.
func TestBackfillTellsOfItsDeadLetters(t *testing.T) {
	for name, value := range map[string]string{"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"} {
		t.Setenv(name, value)
	}
	logs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, map[string]string{
			"Logs_20140328.DescribeLogGroups": `{"logGroups": [{"logGroupName": "g", "creationTime": 1, "arn": "arn:aws:logs:us-east-1:123456789012:log-group:g:*"}]}`,
			"Logs_20140328.FilterLogEvents":   `{"events": []}`,
		}[r.Header.Get("X-Amz-Target")])
	}))
	defer logs.Close()
	state := t.TempDir()
	letters := filepath.Join(state, "dead-letters")
	run := func() (int, string) {
		code, stdout, stderr := command(t, "backfill", "--group", "g", "--from", "2026-11-01T00:00:00Z", "--to", "2026-11-02T00:00:00Z",
			"--state", state, "--endpoint", logs.URL, "--set", "kinesis.stream=logs", "--set", "elasticsearch.endpoints=http://127.0.0.1:1", "--set", "elasticsearch.template=off")
		if !strings.HasSuffix(stdout, "done\n") {
			t.Errorf("got %q, %s, want it to be done", stdout, stderr)
		}
		return code, stderr
	}
	if code, stderr := run(); code != exitDone {
		t.Errorf("got exit %d, %s, want %d", code, stderr, exitDone)
	}
	store, err := deadletter.Open(t.Context(), disk.OS{}, deadletter.Config{Dir: letters, MaxSize: setting.GiB}, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	err = store.Put(t.Context(), record.Letter{Reason: record.ReasonUndecodable, Time: time.Now(), Shard: "s", Sequence: "1", Data: []byte("no payload")})
	if err := errors.Join(err, store.Close()); err != nil {
		t.Fatal(err)
	}
	if code, stderr := run(); code != exitFailed || !strings.Contains(stderr, "shipperd replay --set dead_letters.dir="+letters) {
		t.Errorf("got exit %d, %s, want %d and how to send them again", code, stderr, exitFailed)
	}
}
