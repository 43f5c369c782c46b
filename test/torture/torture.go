// Package torture kills the real daemon, over real HTTP, and counts what is lost.
//
// A site is a Kinesis stream and an index in this process, which stay up, and
// shipperd beside them, which does not: it is killed at the points that package
// killpoint names and at random moments, is told to stop at random moments, and
// started again on the same files, while the stream's shards split and merge. In
// the end every event has to be in the index, once, or in the dead letters.
//
// The table of faults (faults.go) has the endpoints fail in every way that is
// known; each kind must show in the daemon's metrics, and nothing may be lost. An
// outage and bombs (memory.go) have to leave its memory within a bound.
package torture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/shipperd/shipperd/pkg/killpoint"
	"github.com/shipperd/shipperd/test/daemon"
)

// sites are tortured at a time: a daemon waits most of its life.
const sites = 4

// Options says how much.
type Options struct {
	Kills int
	Seed  uint64
	Log   io.Writer // what is going on; one line a minute
}

// Report is what came of it.
type Report struct {
	Events     int
	Kills      int
	Points     map[string]int // kills by point; "" is a random moment
	Drains     int            // that were asked for by SIGTERM, and ended in time
	FaultKinds int            // that showed, and lost nothing
	Lost       int
	Duplicated int
	Resent     int // documents that were sent although they were there
	WorstRSS   int64
	WorstDrain time.Duration
}

// WriteTo writes the figures, one a line.
func (r *Report) WriteTo(w io.Writer) (int64, error) {
	n, err := fmt.Fprintf(w, `events           %d
kills            %d
named points     %d of %d
drains           %d
fault kinds      %d
lost             %d
duplicated       %d
resent per kill  %.1f
worst RSS        %d MiB
worst drain      %.2f s
`, r.Events, r.Kills, r.pointsHit(), len(killpoint.Points()), r.Drains, r.FaultKinds, r.Lost, r.Duplicated,
		float64(r.Resent)/float64(max(1, r.Kills)), r.WorstRSS>>20, r.WorstDrain.Seconds())
	return int64(n), err
}

func (r *Report) pointsHit() int { return len(killpoint.Points()) - len(r.missed()) }

// missed returns the points at which nothing was killed.
func (r *Report) missed() []string {
	return slices.DeleteFunc(killpoint.Points(), func(point string) bool { return r.Points[point] > 0 })
}

// add takes in what came of one site.
func (r *Report) add(s *site) {
	r.Events += len(s.sent)
	r.Kills += s.kills
	r.Drains += s.drains
	for point, n := range s.points {
		r.Points[point] += n
	}
	r.Lost += s.lost
	r.Duplicated += s.duplicated
	r.Resent += s.resent
	r.WorstRSS = max(r.WorstRSS, s.worstRSS)
	r.WorstDrain = max(r.WorstDrain, s.worstDrain)
}

// Build builds the daemon with its kill points into dir and returns its path.
func Build(ctx context.Context, dir string) (string, error) {
	binary := filepath.Join(dir, "shipperd")
	return binary, daemon.Build(ctx, binary, "-tags", "killpoint")
}

// Run tortures o.Kills daemons to death. Meanwhile others meet every kind of fault, an
// outage that fills their memory, and bombs. There is a report in any case. The error
// is that of the harness, or says in which way a daemon has failed.
func Run(ctx context.Context, binary string, o Options) (*Report, error) {
	run := &run{binary: binary, options: o, deaths: deaths(o), report: Report{Points: make(map[string]int)}}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return run.faults(ctx, faults()) })
	group.Go(func() error { return run.memory(ctx) })
	for i := range min(sites, max(1, o.Kills/5)) {
		group.Go(func() error {
			return run.onSite(ctx, o.Seed+uint64(i), nil, func(s *site) error { return s.torture(ctx, run.next) })
		})
	}
	err := group.Wait()
	if missed := run.report.missed(); len(missed) > 0 {
		fmt.Fprintf(o.Log, "points that no daemon was killed at: %s\n", strings.Join(missed, ", "))
	}
	if run.report.WorstRSS > worstMemory {
		err = errors.Join(err, fmt.Errorf("a daemon had %d MiB of memory, want at most %d", run.report.WorstRSS>>20, worstMemory>>20))
	}
	return &run.report, err
}

// memory has daemons suffer what could make them grow.
func (r *run) memory(ctx context.Context) error {
	for name, suffer := range map[string]func(*site, context.Context) error{"outage": (*site).outage, "bombs": (*site).bombs} {
		if err := r.onSite(ctx, 1, nil, func(s *site) error {
			err := suffer(s, ctx)
			fmt.Fprintf(r.options.Log, "%s: at most %d MiB of memory\n", name, s.worstRSS>>20)
			return err
		}); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// run is one run of the torture.
type run struct {
	binary  string
	options Options

	mu     sync.Mutex
	report Report
	deaths []death // to come
}

// onSite calls do with a new site, whose figures go into the report. Where that
// fails the site's files stay.
func (r *run) onSite(ctx context.Context, seed uint64, settings []string, do func(*site) error) error {
	dir, err := os.MkdirTemp("", "shipperd-torture-")
	if err != nil {
		return err
	}
	s, err := newSite(ctx, r.binary, dir, seed, settings...)
	if err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	err = errors.Join(do(s), s.close())
	r.mu.Lock()
	r.report.add(s)
	r.mu.Unlock()
	if err != nil {
		return fmt.Errorf("%w; its files are in %s", err, dir)
	}
	return os.RemoveAll(dir)
}

// next returns how the next daemon is to end, as long as there are kills to come.
func (r *run) next() (death, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.deaths) == 0 {
		return death{}, false
	}
	d := r.deaths[0]
	r.deaths = r.deaths[1:]
	if len(r.deaths)%100 == 0 {
		fmt.Fprintf(r.options.Log, "%d daemons are to end\n", len(r.deaths))
	}
	return d, true
}

// death is how one daemon ends.
type death struct {
	point string        // killed when it comes here; empty: at a random moment
	nth   int           // for the nth time
	after time.Duration // a random moment; the latest one where there is a point
	term  bool          // by SIGTERM, to drain
}

// deaths returns every point in turn and as many random moments, in random order,
// and a SIGTERM for each five kills.
func deaths(o Options) []death {
	r := rand.New(rand.NewPCG(o.Seed, 1))
	points := killpoint.Points()
	var all []death
	for i := range o.Kills {
		d := death{after: time.Duration(r.Int64N(int64(3 * time.Second)))}
		if i%3 > 0 {
			d = death{point: points[(i-i/3)%len(points)], nth: 1 + r.IntN(2), after: 5 * time.Second}
			if drainPoint(d.point) {
				d.nth, d.after = 1, time.Second
			}
		}
		all = append(all, d)
		if i%5 == 4 {
			all = append(all, death{after: time.Duration(r.Int64N(int64(4 * time.Second))), term: true})
		}
	}
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}
