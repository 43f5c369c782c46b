package operations

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/shipperd/shipperd/pkg/elastic/elasticfake"
	"github.com/shipperd/shipperd/pkg/kinesis/kinesisfake"
)

// actions collects what a policy has to allow.
type actions struct {
	mu   sync.Mutex
	seen map[string]bool
}

func (a *actions) add(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.seen == nil {
		a.seen = make(map[string]bool)
	}
	a.seen[name] = true
}

// A run from the start over a resend, a split of the stream and a restart, and a
// check of the environment, make every call that the daemon makes. A call that the
// policy lacks fails in production; an action that no run needs is one too many.
func TestDaemonsPolicyIsWhatARecordedRunCalls(t *testing.T) {
	t.Parallel()
	var called actions
	s := newSite(t, func(_ context.Context, call kinesisfake.Call, next func() (any, error)) (any, error) {
		called.add("kinesis:" + call.Op)
		return next()
	}, func(r *elasticfake.Request) elasticfake.Fault {
		called.add("es:ESHttp" + r.Method[:1] + strings.ToLower(r.Method[1:]))
		return elasticfake.Fault{}
	})
	p := s.daemon(t)
	for _, message := range []string{"a", "b"} {
		p.Start()
		s.index.Put(indexOfPut, message, `{"@message":"of somebody else"}`) // a duplicate is looked at
		s.put(message)
		p.AwaitMetric(`shipperd_events_received_total{group="other"}`, 1)
		s.stream.Split(s.stream.Shards()[0])
		p.Terminate()
	}
	if code, out, errs := p.Run("validate", "--check-environment"); code != 0 {
		t.Errorf("validate: got exit %d, want 0\n%s%s", code, out, errs)
	}

	var policy struct {
		Statement []struct{ Action any }
	}
	text, err := os.ReadFile("../../deploy/iam/daemon.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &policy); err != nil {
		t.Fatal(err)
	}
	var allowed []string
	for _, statement := range policy.Statement {
		switch action := statement.Action.(type) {
		case string:
			allowed = append(allowed, action)
		case []any:
			for _, one := range action {
				allowed = append(allowed, one.(string))
			}
		}
	}
	slices.Sort(allowed)
	if diff := gocmp.Diff(allowed, slices.Sorted(maps.Keys(called.seen))); diff != "" {
		t.Errorf("actions (-policy +calls):\n%s", diff)
	}
}
