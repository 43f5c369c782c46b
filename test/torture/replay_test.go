package torture

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/shipperd/shipperd/pkg/elastic/elasticfake"
	"github.com/shipperd/shipperd/test/daemon"
)

// The states of an index that refuses some events.
const (
	broken   = iota // in every form
	silent          // it takes them, and does not answer
	repaired        // it takes them
)

// TestRepairedAndReplayedNoLetterIsLeft has an index refuse events in every form. After
// its repair a replay that is killed before it knows that the index has the letters, and
// another one, bring the running daemon's count of them to 0.
//
// Scenario: Elasticsearch 22.
func TestRepairedAndReplayedNoLetterIsLeft(t *testing.T) {
	takesAMinute(t)
	s := newTestSite(t)
	var state atomic.Int32
	neverTaken(s)
	refuseRejected := s.search.Script
	s.search.Script = func(r *elasticfake.Request) elasticfake.Fault {
		isRejected := func(d elasticfake.Document) bool { return strings.HasPrefix(d.ID, "rejected-") }
		switch {
		case state.Load() == broken:
			return refuseRejected(r)
		case state.Load() == silent && slices.ContainsFunc(r.Docs, isRejected):
			return elasticfake.Fault{Damage: elasticfake.Hung}
		}
		return elasticfake.Fault{}
	}

	const refused = 50
	load := func(s *site) error {
		go s.keepComing()
		return s.putEvents(0, s.stream.Shards()[0], "rejected", refused, "")
	}
	if err := s.deliver(t.Context(), load, &fault{metric: letters, label: `reason="rejected"`, above: refused - 1}); err != nil {
		t.Fatal(err)
	}
	if err := s.daemon.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.awaitLetters(t, refused)

	state.Store(silent)
	ctx, kill := context.WithCancel(t.Context())
	defer kill()
	killed := s.daemon.Command(ctx, "replay")
	if err := killed.Start(); err != nil {
		t.Fatal(err)
	}
	daemon.Await(t, daemon.Patience, func() error {
		if s.search.Applied(days[0], "rejected-0-0") == 0 {
			return errors.New("the letters have not been sent")
		}
		return nil
	})
	kill()
	if err := killed.Wait(); err == nil {
		t.Error("the replay ended before it was killed")
	}
	s.awaitLetters(t, refused)

	state.Store(repaired)
	for _, want := range []int{refused, 0} { // the second one has nothing to do
		out, err := s.daemon.Command(t.Context(), "replay").CombinedOutput()
		if want := fmt.Sprintf("%d letters sent, %d delivered", want, want); err != nil || !strings.Contains(string(out), want) {
			t.Errorf("got %v, %s, want %s", err, out, want)
		}
		s.awaitLetters(t, 0)
	}
	if _, err := s.drain(); err != nil {
		t.Error(err)
	}
	for i := range refused {
		if index, id := days[i%len(days)], fmt.Sprintf("rejected-0-%d", i); s.search.Documents(index)[id] == nil {
			t.Errorf("%s is not in %s", id, index)
		}
	}
	if s.count(); s.duplicated > 0 {
		t.Errorf("got %d documents twice, want none", s.duplicated)
	}
}

// awaitLetters waits until the running daemon counts so many dead letters.
func (s *site) awaitLetters(t *testing.T, want float64) {
	t.Helper()
	daemon.Await(t, daemon.Patience, func() error {
		m, err := s.daemon.Scrape(t.Context())
		if got := m.Sum("shipperd_dead_letters_documents"); err == nil && got != want {
			err = fmt.Errorf("got %v dead letters, want %v", got, want)
		}
		return err
	})
}
