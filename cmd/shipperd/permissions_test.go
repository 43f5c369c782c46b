package main

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What setup asks of a domain when it puts everything, changes it and looks again,
// is what its policy allows: one action less fails, one more is one too many.
func TestSetupsPolicyIsWhatARecordedRunCalls(t *testing.T) {
	cluster := &fakeCluster{stored: map[string]map[string]any{}}
	var mu sync.Mutex
	called := map[string]bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		called["es:ESHttp"+r.Method[:1]+strings.ToLower(r.Method[1:])] = true
		mu.Unlock()
		cluster.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	for _, args := range [][]string{{"--retention", "30d"}, {"--retention", "60d", "--shards", "2", "--force"}, {"--dry-run"}} {
		args = append([]string{"setup", "--set", "kinesis.stream=logs", "--set", "elasticsearch.endpoints=" + server.URL}, args...)
		if code, stdout, stderr := command(t, args...); code != exitDone {
			t.Errorf("%v: got exit %d, want %d\n%s%s", args, code, exitDone, stdout, stderr)
		}
	}

	text, err := os.ReadFile("../../deploy/iam/setup.json")
	if err != nil {
		t.Fatal(err)
	}
	var policy struct {
		Statement []struct{ Action json.RawMessage }
	}
	if err := json.Unmarshal(text, &policy); err != nil {
		t.Fatal(err)
	}
	var allowed []string
	for _, statement := range policy.Statement {
		var actions []string
		if json.Unmarshal(statement.Action, &actions) != nil {
			continue // a single action, and none of the domain's
		}
		for _, action := range actions {
			if strings.HasPrefix(action, "es:") {
				allowed = append(allowed, action)
			}
		}
	}
	slices.Sort(allowed)
	mu.Lock()
	defer mu.Unlock()
	if diff := cmp.Diff(allowed, slices.Sorted(maps.Keys(called))); diff != "" {
		t.Errorf("actions (-policy +calls):\n%s", diff)
	}
}
