package simulate

import (
	"errors"
	"hash/fnv"
	"math/rand/v2"
	"syscall"
	"time"
)

// plan is what a seed decides in advance.
type plan struct {
	shards  int
	records int           // on the stream before the calm
	spread  time.Duration // over which they come
	reshard int           // of 1,000 records, how many are followed by a split or merge
	calm    time.Duration // from then on nothing fails, and nobody is killed
	lives   int           // the last one is not killed
	memory  int64         // of the pipeline's budget
	record  int64         // more than any record decodes to
	rate    int64         // bytes a second that a shard gives
	weekend int           // the life after which nobody runs the daemon for longer than records are kept; none is 0
	remake  int           // the record after which the stream is deleted and made again; none is 0
	gzip    string        // of requests
	letters int64         // quota of the dead letters; 0 is none that matters
	quiet   bool          // nothing comes after the calm

	kinesis, search, item, disk, slow int // of 1,000 calls or documents, how many go wrong
	outages                           []outage
}

// outage is a time in which a peer does nothing else.
type outage struct {
	kind     string
	from, to time.Duration
}

// The outages.
const (
	searchDown     = "search down"     // no connection
	searchStorm    = "search storm"    // 429, with Retry-After
	searchLocked   = "search 401"      // credentials that are refused
	searchMissing  = "search 404"      // an endpoint that leads elsewhere
	searchBlocked  = "search blocked"  // the whole cluster is read-only
	indexBlocked   = "index blocked"   // one index is read-only
	indexFlooded   = "index flooded"   // the same for lack of disk
	indexForbidden = "index forbidden" // one index may not be written
	endpointDown   = "endpoint down"   // one of the two endpoints
	kinesisDown    = "kinesis down"
	kinesisDenied  = "kinesis denied"
	diskFull       = "disk full"
)

func newPlan(r *rand.Rand) plan {
	weather := func(most int) int { return []int{0, 0, most / 8, most / 2, most}[r.IntN(5)] }
	p := plan{
		shards:  1 + r.IntN(3),
		records: 10 + r.IntN(40),
		spread:  time.Duration(2+r.IntN(25)) * time.Second,
		reshard: []int{0, 50, 150}[r.IntN(3)],
		lives:   1 + r.IntN(5),
		memory:  int64(1+r.IntN(4)) << 20,
		record:  64 << 10,
		rate:    2 << 20,
		kinesis: weather(400), search: weather(400), item: weather(200), disk: weather(400), slow: weather(60),
		gzip:  "off",
		quiet: r.IntN(2) == 0,
	}
	if r.IntN(6) == 0 {
		p.lives, p.weekend = p.lives+1, 1+r.IntN(p.lives)
	}
	if r.IntN(6) == 0 {
		p.remake = 1 + r.IntN(p.records)
	}
	if r.IntN(8) == 0 {
		p.gzip = "on"
	}
	if r.IntN(4) == 0 {
		p.letters = 1 + r.Int64N(2000) // a letter has up to 900 bytes
	}
	p.calm = p.spread + time.Duration(10+r.IntN(50))*time.Second
	kinds := []string{
		searchDown, searchStorm, searchLocked, searchMissing, searchBlocked, indexBlocked,
		indexFlooded, indexForbidden, endpointDown, kinesisDown, kinesisDenied, diskFull,
	}
	for range r.IntN(4) {
		from := time.Duration(r.Int64N(int64(p.calm)))
		p.outages = append(p.outages, outage{
			kind: kinds[r.IntN(len(kinds))],
			from: from, to: min(p.calm, from+time.Duration(r.Int64N(int64(40*time.Second)))),
		})
	}
	return p
}

// under says whether an outage of this kind is on.
func (w *world) under(kind string) bool {
	now := w.elapsed()
	for _, o := range w.plan.outages {
		if o.kind == kind && o.from <= now && now < o.to {
			return true
		}
	}
	return false
}

// calm says whether the bad time is over.
func (w *world) calm() bool { return w.elapsed() >= w.plan.calm }

// happens draws whether something goes wrong that does so of 1,000 times permille.
func (w *world) happens(r *rand.Rand, permille int) bool {
	return r.IntN(1000) < permille && !w.calm()
}

// ending is how a life ends: when the process comes to a point for the nth time,
// or after a time.
type ending struct {
	point string
	nth   int
	after time.Duration
	term  bool // by SIGTERM; else by a kill
	power bool // with the machine: what was not synced is lost
}

// points are where a process can be killed: before a call has its effect, and
// after it, before the process knows.
func points() []string {
	all := []string{"search", "search replied"}
	for _, op := range []string{"DescribeStreamSummary", "ListShards", "GetShardIterator", "GetRecords"} {
		all = append(all, op, op+" replied")
	}
	for _, op := range []string{"open", "write", "sync", "rename", "syncdir"} {
		all = append(all, "checkpoint "+op, "letters "+op)
	}
	return append(all, "letters truncate", "letters remove")
}

func newEnding(r *rand.Rand) ending {
	e := ending{after: time.Duration(r.Int64N(int64(40 * time.Second))), term: r.IntN(5) == 0, power: r.IntN(2) == 0}
	if r.IntN(3) > 0 {
		all := points()
		e.point, e.nth = all[r.IntN(len(all))], 1+r.IntN(8)
	}
	return e
}

// draw returns a generator for one call of a peer.
func (w *world) draw(peer string, call int) *rand.Rand {
	name := fnv.New64a()
	_, _ = name.Write([]byte(peer)) // never fails
	return rand.New(rand.NewPCG(w.seed, name.Sum64()+uint64(call)))
}

// latency draws how long a call is under way, in each direction.
func (w *world) latency(r *rand.Rand) time.Duration {
	d := time.Millisecond + time.Duration(r.Int64N(int64(40*time.Millisecond)))
	if w.happens(r, w.plan.slow) {
		d += time.Duration(r.Int64N(int64(8 * time.Second)))
	}
	return d
}

// once is a source of random numbers that are always the same.
type once uint64

// Uint64 implements rand.Source.
func (o once) Uint64() uint64 { return uint64(o) }

// What disktest's PowerCut leaves with these: everything, as when only the process
// was killed, and what was synced alone.
const (
	everything = once(1<<64 - 1)
	syncedOnly = once(1 << 32)
)

var (
	errDead = errors.New("this process was killed")
	errFull = syscall.ENOSPC
)
