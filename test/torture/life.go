package torture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/shipperd/shipperd/pkg/elastic/elasticfake"
	"github.com/shipperd/shipperd/pkg/killpoint"
	"github.com/shipperd/shipperd/test/daemon"
)

// maxBody is the largest request that the index takes: large events are over it
// alone, so that their originals become dead letters.
const maxBody = 96 << 10

// refuse has the index take some documents in reduced form only: events are named
// after what becomes of them.
func refuse(_ int, d elasticfake.Document) *elasticfake.ItemError {
	kind, _, _ := strings.Cut(d.ID, "-")
	if kind == "poison" && bytes.Contains(d.Source, []byte(`"ingested"`)) {
		return &elasticfake.ItemError{Status: http.StatusBadRequest, Type: "mapper_parsing_exception", Reason: "failed to parse"}
	}
	return nil
}

// torture kills daemons while records come, until there are no more deaths; then
// it lets the last daemon finish and counts.
func (s *site) torture(ctx context.Context, next func() (death, bool)) error {
	s.search.MaxBody = maxBody
	s.search.Script = func(r *elasticfake.Request) elasticfake.Fault {
		if r.Number%20 == 19 {
			return elasticfake.Fault{Status: http.StatusTooManyRequests}
		}
		// Most daemons end with requests under way.
		return elasticfake.Fault{Item: refuse, Delay: time.Duration(r.Number%7) * 50 * time.Millisecond}
	}
	loading, stop := context.WithCancel(ctx)
	loaded := make(chan error, 1)
	go func() { loaded <- s.load(loading, 100*time.Millisecond) }()
	err := s.killAll(ctx, next)
	if err == nil {
		err = s.finish(ctx)
	}
	stop()
	return errors.Join(err, <-loaded)
}

func (s *site) killAll(ctx context.Context, next func() (death, bool)) error {
	for {
		d, ok := next()
		if !ok || ctx.Err() != nil {
			return ctx.Err()
		}
		if err := s.live(ctx, d); err != nil {
			return err
		}
	}
}

// live lets one daemon live and die.
func (s *site) live(ctx context.Context, d death) error {
	var more []string
	if d.point != "" {
		more = append(more, fmt.Sprintf("%s=%s:%d", killpoint.Variable, d.point, d.nth))
	}
	if err := s.daemon.Start(ctx, more...); err != nil {
		return err
	}
	state := s.wait(d.after)
	switch {
	case state != nil && !daemon.Killed(state):
		return fmt.Errorf("shipperd ended by itself: %v", state)
	case state == nil && (d.term || drainPoint(d.point)):
		return s.terminate(ctx, d)
	case state == nil: // a shard's end, say, did not come: any moment is a good one
		d.point = ""
		if err := s.daemon.Kill(); err != nil {
			return err
		}
	}
	s.died(d.point)
	return nil
}

// drainPoint says whether a point is reached while the daemon drains.
func drainPoint(point string) bool {
	return point == killpoint.CheckpointLastSave || point == killpoint.CheckpointLastSaved || point == killpoint.LettersClosed
}

// terminate stops the daemon, which may be killed at a point of its drain.
func (s *site) terminate(ctx context.Context, d death) error {
	state, err := s.drain()
	switch {
	case state != nil && daemon.Killed(state) && d.point != "":
		s.died(d.point)
		return nil
	case err != nil:
		return err
	case d.point == "":
		return nil
	}
	return s.live(ctx, death{after: d.after}) // it has not come there; one kill is owed
}

func (s *site) died(point string) {
	s.kills++
	s.points[point]++
}

// wait returns how the daemon has ended, nil if it has not in this time, and notes
// its memory meanwhile.
func (s *site) wait(limit time.Duration) *os.ProcessState {
	for deadline := time.Now().Add(limit); ; {
		s.notePeak()
		left := time.Until(deadline)
		if state := s.daemon.Wait(min(left, 50*time.Millisecond)); state != nil || left <= 0 {
			return state
		}
	}
}

func (s *site) notePeak() {
	if bytes, err := s.daemon.PeakBytes(); err == nil { // else it has ended
		s.worstRSS = max(s.worstRSS, bytes)
	}
}

// drainLimit is pipeline.drain_timeout and what the last commit may take.
const drainLimit = 31 * time.Second

// drain sends SIGTERM; the daemon has to end with code 0 in time.
func (s *site) drain() (*os.ProcessState, error) {
	s.notePeak()
	began := time.Now()
	if err := s.daemon.Signal(syscall.SIGTERM); err != nil {
		return nil, err
	}
	state := s.wait(drainLimit)
	took := time.Since(began)
	switch {
	case state == nil:
		return nil, errors.Join(fmt.Errorf("shipperd has not ended %s after SIGTERM", drainLimit), s.daemon.Kill())
	case state.ExitCode() != 0:
		return state, fmt.Errorf("shipperd ended %s after SIGTERM: %v, want code 0", took, state)
	}
	s.drains++
	s.worstDrain = max(s.worstDrain, took)
	return state, nil
}

// finish lets a last daemon deliver the rest.
func (s *site) finish(ctx context.Context) error {
	if err := s.daemon.Start(ctx); err != nil {
		return err
	}
	return s.end(ctx)
}

// end waits until all that was put on the stream until now has arrived, stops the
// daemon, and counts.
func (s *site) end(ctx context.Context) error {
	deadline := time.Now().Add(daemon.Patience)
	for known := s.known(); ; {
		missing, err := s.missing(known)
		if err != nil {
			return err
		}
		if len(missing) == 0 || time.Now().After(deadline) || !pause(ctx, time.Second) {
			s.lost = len(missing)
			break
		}
	}
	_, err := s.drain()
	s.count()
	return err
}
