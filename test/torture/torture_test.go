package torture

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// takesAMinute skips t in short mode.
func takesAMinute(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("it runs the real daemon for a minute")
	}
	t.Parallel()
}

// TestNothingIsLostOrDoubled runs make torture with a few kills. It is a process of its
// own, because what it feeds the daemons takes a hundred times as long under the race
// detector.
//
// Scenario: Kinesis T2.
// Scenario: Kinesis T13.
// Scenario: Kinesis T14.
// Scenario: Kinesis T21.
// Scenario: Kinesis T25.
// Scenario: Elasticsearch 3.
// Scenario: Elasticsearch 7.
// Scenario: Elasticsearch 8.
// Scenario: Elasticsearch 9.
// Scenario: Elasticsearch 11.
// Scenario: Elasticsearch 14.
// Scenario: Elasticsearch 16.
func TestNothingIsLostOrDoubled(t *testing.T) {
	takesAMinute(t)
	const kills = 45
	command := filepath.Join(t.TempDir(), "torture")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", command, "./cmd/torture").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	var table, log bytes.Buffer
	run := exec.CommandContext(t.Context(), command, "-kills", strconv.Itoa(kills))
	run.Stdout, run.Stderr = &table, &log
	if err := run.Run(); err != nil {
		t.Errorf("got %v, want exit code 0\n%s", err, &log)
	}
	t.Logf("%s\n%s", &log, &table)
	figures := make(map[string]float64)
	for line := range strings.Lines(table.String()) {
		name, text, _ := strings.Cut(line, "  ")
		var figure float64
		if _, err := fmt.Sscan(text, &figure); err != nil {
			t.Errorf("got the line %q, want a name and a figure", line)
		}
		figures[name] = figure
	}
	for name, want := range map[string]float64{"lost": 0, "duplicated": 0, "kills": kills, "fault kinds": float64(len(faults()))} {
		if got, there := figures[name]; got != want || !there {
			t.Errorf("%s: got %v (there: %t), want %v", name, got, there, want)
		}
	}
	for name, least := range map[string]float64{"fault kinds": 40, "named points": 20, "events": 1, "worst RSS": 1, "drains": 1} {
		if figures[name] < least {
			t.Errorf("%s: got %v, want %v or more: the test tests too little", name, figures[name], least)
		}
	}
}

// newTestSite builds the daemon and returns a site of one shard, which ends with t.
func newTestSite(t *testing.T) *site {
	t.Helper()
	binary, err := Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s, err := newSite(t.Context(), binary, t.TempDir(), 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// TestFaultsShowNowhereElse has a daemon meet none.
func TestFaultsShowNowhereElse(t *testing.T) {
	takesAMinute(t)
	s := newTestSite(t)
	for number := range 2 { // the second daemon goes on where the first one ended
		load := func(s *site) error { return s.putEvents(number, s.stream.Shards()[0], "good", 20, "") }
		if err := s.deliver(t.Context(), load, nil); err != nil {
			t.Fatal(err)
		}
		for _, f := range faults() {
			if got := s.seen.Sum(f.metric, f.label); got > f.above {
				t.Errorf("%s would show without it: %s{%s} is %v", f.name, f.metric, f.label, got)
			}
		}
	}
}
