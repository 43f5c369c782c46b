package torture

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// fault is one way in which something fails.
type fault struct {
	name     string
	settings []string            // of the daemon
	inject   func(s *site)       // before the first daemon starts
	load     func(s *site) error // what is put on the stream; nil: some usual records
	then     func(s *site) error // between a first daemon, that delivers all, and a second one
	// metric and label name the series that must come above a value, which without the
	// fault they never do.
	metric, label string
	above         float64
}

// faults is the table.
func faults() []fault {
	return append(append(kinesisFaults(), searchFaults()...), payloadFaults()...)
}

// faultRuns are under way at a time: they wait for backoffs and deadlines.
const faultRuns = 8

// RunFaults has the daemon meet every kind of fault, each on a site of its own, and
// returns how many there are. Its error names those that lost or doubled an event,
// or had no effect.
func RunFaults(ctx context.Context, binary string) (int, error) {
	table := faults()
	failed := make([]error, len(table))
	var group errgroup.Group
	group.SetLimit(faultRuns)
	for i, f := range table {
		group.Go(func() error {
			if err := f.run(ctx, binary); err != nil {
				failed[i] = fmt.Errorf("fault %q: %w", f.name, err)
			}
			return nil
		})
	}
	return len(table), errors.Join(group.Wait(), errors.Join(failed...))
}

func (f *fault) run(ctx context.Context, binary string) (err error) {
	dir, err := os.MkdirTemp("", "shipperd-fault-")
	if err != nil {
		return err
	}
	s, err := newSite(ctx, binary, dir, 1, f.settings...)
	if err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	defer func() {
		if err = errors.Join(err, s.close()); err != nil {
			err = fmt.Errorf("%w; its files are in %s", err, dir)
			return
		}
		err = os.RemoveAll(dir)
	}()
	if f.inject != nil {
		f.inject(s)
	}
	if f.then != nil {
		if err := s.deliver(ctx, f.usual, nil); err != nil {
			return fmt.Errorf("before the fault: %w", err)
		}
		return s.deliver(ctx, f.then, f)
	}
	load := f.load
	if load == nil {
		load = f.usual
	}
	return s.deliver(ctx, load, f)
}

// usual puts some records of usual events on the stream.
func (f *fault) usual(s *site) error {
	for number := range 5 {
		if err := s.putEvents(number, s.stream.Shards()[0], "good", 20, ""); err != nil {
			return err
		}
	}
	return nil
}

// deliver runs a daemon until all that was put on the stream has arrived, and f has
// shown; then it stops the daemon and counts.
func (s *site) deliver(ctx context.Context, load func(*site) error, f *fault) (err error) {
	if err := load(s); err != nil {
		return err
	}
	if err := s.daemon.start(ctx); err != nil {
		return err
	}
	defer func() {
		e, _, endErr := s.daemon.terminate()
		s.worstRSS = max(s.worstRSS, e.rss)
		if s.count(); s.duplicated > 0 {
			endErr = errors.Join(endErr, fmt.Errorf("%d documents are there twice", s.duplicated))
		}
		err = errors.Join(err, endErr)
	}()
	var missing []string
	shown := f == nil
	for deadline := time.Now().Add(patience); time.Now().Before(deadline) && pause(ctx, 200*time.Millisecond); {
		m, err := s.daemon.scrape(ctx)
		switch {
		case errors.Is(err, errUnbalanced):
			return err
		case err != nil:
			continue // it is not up yet
		}
		shown = shown || m.sum(f.metric, f.label) > f.above
		if missing, err = s.missing(s.known()); err != nil {
			return err
		}
		if len(missing) == 0 && shown && m.sum("shipperd_events_in_flight", "") == 0 {
			return nil
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("%d events are lost: %s …", len(missing), strings.Join(missing[:min(3, len(missing))], " "))
	}
	return fmt.Errorf("it changed nothing: %s{%s} is not above %v", f.metric, f.label, f.above)
}
