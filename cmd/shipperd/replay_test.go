package main

import (
	"encoding/json"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/shipperd/shipperd/pkg/deadletter"
	"github.com/shipperd/shipperd/pkg/disk"
	"github.com/shipperd/shipperd/pkg/elastic/elasticfake"
	"github.com/shipperd/shipperd/pkg/record"
	"github.com/shipperd/shipperd/pkg/setting"
)

func TestReplayDeliversLettersAndTakesThemOut(t *testing.T) {
	server := &elasticfake.Server{}
	index := httptest.NewServer(server)
	defer index.Close()
	dir := t.TempDir()
	store, err := deadletter.Open(t.Context(), disk.OS{}, deadletter.Config{Dir: dir, MaxSize: setting.GiB}, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	err = store.Put(t.Context(),
		record.Letter{Reason: record.ReasonRejected, Time: time.Now(), Index: "cwl-2026.11.20", ID: "1", Shard: "s", Sequence: "1", Document: json.RawMessage(`{"@id":"1"}`)},
		record.Letter{Reason: record.ReasonUndecodable, Time: time.Now(), Shard: "s", Sequence: "2", Data: []byte(
			`{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"g","logStream":"s","logEvents":[{"id":"2","timestamp":1763632800000,"message":"x"}]}`)})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	args := []string{"replay", "--set", "kinesis.stream=logs", "--set", "elasticsearch.endpoints=" + index.URL, "--set", "dead_letters.dir=" + dir}
	code, stdout, stderr := command(t, args...)
	if code != exitDone || !strings.HasPrefix(stdout, "2 letters sent, 2 delivered") {
		t.Fatalf("got exit %d, %q, %q", code, stdout, stderr)
	}
	if got := server.Count(); got != 2 {
		t.Errorf("got %d documents, want 2", got)
	}
	if _, stdout, _ = command(t, args...); !strings.HasPrefix(stdout, "0 letters sent") {
		t.Errorf("got %q for a second replay, want nothing to send", stdout)
	}
}

func TestReplayFailsWhereLettersStayAndSaysWhy(t *testing.T) {
	dir := t.TempDir()
	store, err := deadletter.Open(t.Context(), disk.OS{}, deadletter.Config{Dir: dir, MaxSize: setting.GiB}, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	err = store.Put(t.Context(), record.Letter{Reason: record.ReasonUndecodable, Time: time.Now(), Shard: "s", Sequence: "1", Data: []byte("no payload")})
	if err := errors.Join(err, store.Close()); err != nil {
		t.Fatal(err)
	}
	args := []string{"replay", "--set", "kinesis.stream=logs", "--set", "elasticsearch.endpoints=http://127.0.0.1:1", "--set"}
	code, stdout, stderr := command(t, append(args, "dead_letters.dir="+dir)...)
	if code != exitFailed || !strings.Contains(stdout, "1 stay") || !strings.Contains(stderr, "of the letters sent 1 stay, one of them because of this: ") {
		t.Errorf("got exit %d, %q, %q, want %d and why", code, stdout, stderr, exitFailed)
	}
	code, _, stderr = command(t, append(args, "dead_letters.dir="+dir+"/absent")...)
	if code != exitFailed || !strings.Contains(stderr, "there is no folder "+dir+"/absent") {
		t.Errorf("got exit %d, %q without a folder, want %d and its name", code, stderr, exitFailed)
	}
}

func TestReplayRefusesWhatItCannotMean(t *testing.T) {
	for _, args := range [][]string{{"--reason", "bad mood"}, {"--since", "yesterday"}, {"--index-suffix", "-Late"}, {"--index", "["}} {
		if code, _, stderr := command(t, append([]string{"replay"}, args...)...); code != exitUsage {
			t.Errorf("%q: got exit %d, %q, want %d", args, code, stderr, exitUsage)
		}
	}
}
