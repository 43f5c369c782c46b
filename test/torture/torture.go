// Package torture kills the real daemon, over real HTTP, and counts what is lost.
//
// A site is a Kinesis stream and an index in this process, which stay up, and
// shipperd beside them, which does not: it is killed at the points that package
// killpoint names and at random moments, is told to stop at random moments, and
// started again on the same files, while the stream's shards split and merge. In
// the end every event has to be in the index, once, or in the dead letters.
//
// The table of faults (faults.go) has the endpoints fail in every way that is
// known; each kind must show in the daemon's metrics, and nothing may be lost.
package torture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/shipperd/shipperd/pkg/killpoint"
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
	Terms      int            // drains that were asked for
	FaultKinds int
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
worst drain      %.1f s
`, r.Events, r.Kills, r.pointsHit(), len(killpoint.Points()), r.Terms, r.FaultKinds, r.Lost, r.Duplicated,
		float64(r.Resent)/float64(max(1, r.Kills)), r.WorstRSS>>20, r.WorstDrain.Seconds())
	return int64(n), err
}

func (r *Report) pointsHit() int {
	hit := 0
	for _, point := range killpoint.Points() {
		if r.Points[point] > 0 {
			hit++
		}
	}
	return hit
}

// add takes in what came of one site.
func (r *Report) add(s *site) {
	r.Events += len(s.sent)
	r.Kills += s.kills
	r.Terms += s.terms
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
	build := exec.CommandContext(ctx, "go", "build", "-tags", "killpoint", "-o", binary, "github.com/shipperd/shipperd/cmd/shipperd")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		return "", fmt.Errorf("build shipperd: %w", err)
	}
	return binary, nil
}

// Run tortures o.Kills daemons to death. Its error is that of the harness, or a
// daemon that ended in a way it must not.
func Run(ctx context.Context, binary string, o Options) (*Report, error) {
	report := &Report{Points: make(map[string]int)}
	var mu sync.Mutex // of report and the turns
	turns := deaths(o)
	next := func() (death, bool) {
		mu.Lock()
		defer mu.Unlock()
		if len(turns) == 0 {
			return death{}, false
		}
		d := turns[0]
		turns = turns[1:]
		if done := o.Kills - len(turns); done > 0 && done%100 == 0 {
			fmt.Fprintf(o.Log, "%d of %d kills\n", done, o.Kills)
		}
		return d, true
	}
	group, ctx := errgroup.WithContext(ctx)
	for i := range min(sites, max(1, o.Kills/5)) {
		group.Go(func() error {
			dir, err := os.MkdirTemp("", "shipperd-torture-")
			if err != nil {
				return err
			}
			s, err := newSite(ctx, binary, dir, o.Seed+uint64(i))
			if err != nil {
				return errors.Join(err, os.RemoveAll(dir))
			}
			if err := errors.Join(s.torture(ctx, next), s.close()); err != nil {
				return fmt.Errorf("%w; its files are in %s", err, dir)
			}
			mu.Lock()
			defer mu.Unlock()
			report.add(s)
			return os.RemoveAll(dir)
		})
	}
	return report, group.Wait()
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
