package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
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
