package torture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/shipperd/shipperd/test/daemon"
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
	says          string // what must be in the daemon's log, unless it is empty
}

// faults is the table. Those that take a minute are under way first.
func faults() []fault {
	return slices.Concat(networkFaults(), kinesisFaults(), searchFaults(), payloadFaults())
}

// faultRuns are under way at a time: they wait for backoffs and deadlines.
const faultRuns = 8

// faults has the daemon meet every kind of fault, each on a site of its own. The error
// names those that lost or doubled an event, or had no effect.
func (r *run) faults(ctx context.Context, table []fault) error {
	failed := make([]error, len(table))
	var group errgroup.Group
	group.SetLimit(faultRuns)
	for i, f := range table {
		group.Go(func() error {
			if err := r.onSite(ctx, 1, f.settings, func(s *site) error { return f.run(ctx, s) }); err != nil {
				failed[i] = fmt.Errorf("fault %q: %w", f.name, err)
				return nil
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			r.report.FaultKinds++
			return nil
		})
	}
	return errors.Join(group.Wait(), errors.Join(failed...))
}

func (f *fault) run(ctx context.Context, s *site) error {
	if f.inject != nil {
		f.inject(s)
	}
	if f.then != nil {
		if err := s.deliver(ctx, (*site).usual, nil); err != nil {
			return fmt.Errorf("before the fault: %w", err)
		}
		return s.deliver(ctx, f.then, f)
	}
	if f.load != nil {
		return s.deliver(ctx, f.load, f)
	}
	return s.deliver(ctx, (*site).usual, f)
}

// shows says whether the fault is to be seen in the daemon's metrics and log.
func (f *fault) shows(d *daemon.Daemon, m daemon.Metrics) bool {
	if m.Sum(f.metric, f.label) <= f.above {
		return false
	}
	log, err := d.Log()
	return err == nil && bytes.Contains(log, []byte(f.says))
}

// usual puts some records of usual events on the stream.
func (s *site) usual() error {
	for number := range 5 {
		if err := s.putEvents(number, s.stream.Shards()[0], "good", 20, ""); err != nil {
			return err
		}
	}
	return nil
}

// deliver runs a daemon until all that was put on the stream has arrived, and f, if
// there is one, has shown; then it stops the daemon and counts.
func (s *site) deliver(ctx context.Context, load func(*site) error, f *fault) (err error) {
	if err := load(s); err != nil {
		return err
	}
	if err := s.daemon.Start(ctx); err != nil {
		return err
	}
	defer func() {
		_, drainErr := s.drain()
		err = errors.Join(err, drainErr)
		if s.count(); s.duplicated > 0 {
			err = errors.Join(err, fmt.Errorf("%d documents are there twice", s.duplicated))
		}
	}()
	var missing []string
	shown := f == nil
	for deadline := time.Now().Add(daemon.Patience); time.Now().Before(deadline) && pause(ctx, 200*time.Millisecond); {
		m, err := s.daemon.Scrape(ctx)
		switch {
		case errors.Is(err, daemon.ErrUnbalanced):
			return err
		case err != nil:
			continue // it is not up yet
		}
		s.seen = m
		shown = shown || f.shows(s.daemon, m)
		if missing, err = s.missing(s.known()); err != nil {
			return err
		}
		if len(missing) == 0 && shown && m.Sum("shipperd_events_in_flight") == 0 {
			return nil
		}
	}
	if s.lost = len(missing); s.lost > 0 {
		return fmt.Errorf("%d events are lost: %s …", s.lost, strings.Join(missing[:min(3, s.lost)], " "))
	}
	return fmt.Errorf("it changed nothing: %s{%s} is not above %v, or the log does not say %q", f.metric, f.label, f.above, f.says)
}
