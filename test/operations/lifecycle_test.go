package operations

import (
	"errors"
	"fmt"
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
