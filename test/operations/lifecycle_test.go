package operations

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/shipperd/shipperd/pkg/elastic/elasticfake"
	"github.com/shipperd/shipperd/test/daemon"
)

const (
	exitUnsettled = 75
	indexOfPut    = "cwl-2025.11.20" // where the events of put go
)

func TestSIGTERMDeliversWhatWasReadAndEndsWith0(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil, nil)
	p := s.daemon(t, "SHIPPERD_PIPELINE_BATCH_MAX_AGE=1h") // only the drain sends the batch
	p.Start()
	s.put("a", "b")
	p.AwaitMetric("shipperd_events_in_flight", 2)
	p.Terminate()
	if got := s.index.Count(); got != 2 {
		t.Errorf("got %d documents, want 2", got)
	}
}

// The index is away, so the drain can only fail: after one try for what is in
// flight it ends, long before its deadline, and a restart reads it again.
func TestSIGTERMWithTheIndexAwayEndsWith75AfterOneTry(t *testing.T) {
	t.Parallel()
	var away atomic.Bool
	s := newSite(t, nil, func(*elasticfake.Request) elasticfake.Fault { return elasticfake.Fault{Reset: away.Load()} })
	p := s.daemon(t, "SHIPPERD_PIPELINE_DRAIN_TIMEOUT=10m")
	p.Start()
	away.Store(true)
	s.put("a", "b")
	// Five failures in a row open the breaker: from then on tries are seconds apart.
	p.Await(func() error {
		if n := s.index.Requests(); n < 5 {
			return fmt.Errorf("%d requests", n)
		}
		return nil
	})
	before := s.index.Requests()
	state, took := p.Stop(syscall.SIGTERM)
	if state.ExitCode() != exitUnsettled || took > 15*time.Second {
		t.Errorf("got %v after %v, want exit %d within seconds", state, took, exitUnsettled)
	}
	// That it is one try, and not more, is held in fake time, in package elastic: here
	// the backoff goes on until the signal has arrived.
	if s.index.Requests() == before {
		t.Error("got no more request, want a last try")
	}

	away.Store(false)
	p.Start()
	p.AwaitMetric(`shipperd_events_total{group="other",outcome="indexed"}`, 2)
	for _, id := range []string{"a", "b"} {
		if n := s.index.Applied(indexOfPut, id); n != 1 {
			t.Errorf("%s: got it applied %d times, want once: nothing unacknowledged is checkpointed", id, n)
		}
	}
}

func TestDrainThatPassesItsDeadlineEndsWith75(t *testing.T) {
	t.Parallel()
	const deadline = 2 * time.Second
	p := startWithHungIndex(t, "SHIPPERD_PIPELINE_DRAIN_TIMEOUT="+deadline.String())
	if state, took := p.Stop(syscall.SIGTERM); state.ExitCode() != exitUnsettled || took < deadline {
		t.Errorf("got %v after %v, want exit %d after %v", state, took, exitUnsettled, deadline)
	}
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	p := startWithHungIndex(t, "SHIPPERD_PIPELINE_DRAIN_TIMEOUT=10m")
	p.Signal(syscall.SIGTERM)
	p.Await(func() error {
		if p.Ready(t.Context()) == nil {
			return errors.New("still ready, want draining")
		}
		return nil
	})
	state, took := p.Stop(syscall.SIGTERM)
	if status, ok := state.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGTERM || took > 5*time.Second {
		t.Errorf("got %v after %v, want its end by the second signal at once", state, took)
	}
}

// startWithHungIndex starts a shipperd with a request in flight that is never answered.
func startWithHungIndex(t *testing.T, settings ...string) *daemon.Test {
	t.Helper()
	s := newSite(t, nil, func(r *elasticfake.Request) elasticfake.Fault {
		if r.Number == 0 {
			return elasticfake.Fault{}
		}
		return elasticfake.Fault{Damage: elasticfake.Hung}
	})
	p := s.daemon(t, append(settings, "SHIPPERD_ELASTICSEARCH_TIMEOUT=10m")...)
	p.Start()
	s.put("a")
	p.AwaitMetric("shipperd_bulk_requests_in_flight", 1)
	return p
}

// Events of alpha are dropped first, and only a valid file changes that to those of
// beta.
func TestSIGHUPTakesOverAValidFileAndNoOther(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil, nil)
	file := filepath.Join(t.TempDir(), "shipperd.yaml")
	configure := func(drop, rest string) {
		t.Helper()
		text := "groups:\n  - {name: web, match: AccessLogGroup, drop: ['" + drop + "']}\n" + rest
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	configure("alpha", "")
	p := s.daemon(t, "SHIPPERD_CONFIG="+file)
	p.Start()
	const filtered, indexed = `shipperd_events_total{group="web",outcome="filtered"}`, `shipperd_events_total{group="web",outcome="indexed"}`
	s.put("alpha 1", "beta 1")
	p.AwaitMetric(filtered, 1)
	p.AwaitMetric(indexed, 1)

	configure("beta", "log: {leevl: debug}\n")
	p.Signal(syscall.SIGHUP)
	p.AwaitMetric("shipperd_config_last_reload_successful", 0)
	s.put("alpha 2")
	p.AwaitMetric(filtered, 2)
	if log, err := p.Log(); err != nil || !bytes.Contains(log, []byte(file+`:3:7: log.leevl: unknown key; did you mean \"level\"?`)) {
		t.Errorf("got %v and the log %s\nwant the mistake and its place", err, log)
	}

	configure("beta", "")
	p.Signal(syscall.SIGHUP)
	p.AwaitMetric("shipperd_config_last_reload_successful", 1)
	s.put("alpha 3", "beta 3")
	p.AwaitMetric(filtered, 3)
	p.AwaitMetric(indexed, 2)
	p.Terminate()
}

func TestDryRunPrintsAndKeepsNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil, nil)
	s.put("seen")
	p := s.daemon(t)
	// What it prints goes to the log. It serves nothing that says when it is ready.
	if err := p.Daemon.Launch(p.Command(context.WithoutCancel(t.Context()), "run", "--dry-run")); err != nil {
		t.Fatal(err)
	}
	p.Await(func() error {
		log, err := p.Log()
		if err == nil && !bytes.Contains(log, []byte(`"@message":"seen"`)) {
			err = fmt.Errorf("got %s, want the document", log)
		}
		return err
	})
	p.Terminate()
	files, err := os.ReadDir(p.Dir)
	if err != nil || len(files) != 1 || s.index.Count() != 0 {
		t.Errorf("got %v, %v kept and %d documents indexed, want the log alone", files, err, s.index.Count())
	}
}
