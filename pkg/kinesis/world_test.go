package kinesis

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/shipperd/shipperd/pkg/checkpoint"
	"github.com/shipperd/shipperd/pkg/kinesis/kinesisfake"
	"github.com/shipperd/shipperd/pkg/progress"
	"github.com/shipperd/shipperd/pkg/record"
)

var _ API = (*kinesisfake.Service)(nil)

// world is a service with one stream, and all that a source of it needs. Its
// pipeline settles each record at once, unless held says otherwise.
type world struct {
	*testing.T
	service *kinesisfake.Service
	stream  *kinesisfake.Stream
	config  Config
	store   *store
	budget  *budget
	monitor *progress.Monitor
	logs    *observer.ObservedLogs
	reg     *prometheus.Registry // of the latest run
	source  *Source              // of the latest run

	mu       sync.Mutex
	got      []string // data in the order of emit; "end of SHARD" for sentinels
	held     bool     // records are emitted and stay in flight
	holding  []*record.Record
	refuse   error                // of emit
	onRecord func(*record.Record) // called before a record is taken in
}

func newWorld(t *testing.T, shards int) *world {
	w := &world{
		T:       t,
		service: &kinesisfake.Service{},
		config:  DefaultConfig(),
		store:   &store{rows: make(map[string]checkpoint.Position)},
		budget:  &budget{total: 64 << 20},
		monitor: new(progress.Monitor),
	}
	w.config.Stream, w.config.Seed = "logs", 1
	w.stream = w.service.Create("logs", shards)
	return w
}

// run reads for d, as one process would, and returns Run's error.
func (w *world) run(d time.Duration) error {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), d)
	defer cancel()
	if err := w.open(ctx); err != nil {
		return err
	}
	err := w.source.Run(ctx, w.emit)
	if name, age, stuck := w.monitor.Stuck(0); stuck {
		w.Errorf("task %q is at work after Run, for %s", name, age)
	}
	return err
}

// open makes the source, with logs and metrics of its own.
func (w *world) open(ctx context.Context) error {
	core, logs := observer.New(zapcore.InfoLevel)
	w.logs, w.reg = logs, prometheus.NewRegistry()
	stream, err := Open(ctx, w.service, w.config, w.monitor, zap.New(core), w.reg)
	if err != nil {
		return err
	}
	w.source = NewSource(stream, w.store, w.budget, new(record.Pool))
	return nil
}

// mustRun is run where nothing may fail.
func (w *world) mustRun(d time.Duration) {
	w.Helper()
	if err := w.run(d); err != nil {
		w.Fatalf("run: %v", err)
	}
}

func (w *world) emit(r *record.Record) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.onRecord != nil {
		w.onRecord(r)
	}
	if w.refuse != nil {
		w.budget.Release(r.Charged)
		return w.refuse
	}
	if r.Ended != nil {
		w.got = append(w.got, "end of "+short(r.Shard))
	} else {
		w.got = append(w.got, string(r.Data))
	}
	w.holding = append(w.holding, r)
	if !w.held {
		w.settleLocked()
	}
	return nil
}

// settle settles what is in flight, in order, and all that follows at once.
func (w *world) settle() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held = false
	w.settleLocked()
}

func (w *world) settleLocked() {
	for _, r := range w.holding {
		w.budget.Release(r.Charged)
		if r.Ended == nil {
			w.store.set(r.Shard, checkpoint.Position{Kind: checkpoint.AfterSequence, Sequence: r.Sequence, Arrival: r.Arrival})
			continue
		}
		w.store.set(r.Shard, checkpoint.Position{Kind: checkpoint.ShardEnd})
		close(r.Ended)
	}
	w.holding = nil
}

// crash forgets what is in flight, as a killed process does.
func (w *world) crash() {
	w.holding, w.held = nil, false
	w.budget.used = 0
}

// seen returns what was emitted so far.
func (w *world) seen() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.got)
}

// at does something after d of the run that follows.
func (w *world) at(d time.Duration, do func()) { time.AfterFunc(d, do) }

// put adds records to a shard: their data is prefix and a number.
func (w *world) put(shard, prefix string, n int) {
	for i := range n {
		w.stream.Put(shard, []byte(prefix+strconv.Itoa(i)))
	}
}

// hook intercepts calls of one operation, before the hooks that are there already.
func (w *world) hook(op string, hook kinesisfake.Hook) {
	before := w.service.Hook
	w.service.Hook = func(ctx context.Context, call kinesisfake.Call, next func() (any, error)) (any, error) {
		inner := next
		if before != nil {
			inner = func() (any, error) { return before(ctx, call, next) }
		}
		if call.Op == op {
			return hook(ctx, call, inner)
		}
		return inner()
	}
}

// answer intercepts GetRecords: change may alter each reply.
func (w *world) answer(change func(call kinesisfake.Call, out *sdk.GetRecordsOutput)) {
	w.hook(opRecords, func(_ context.Context, call kinesisfake.Call, next func() (any, error)) (any, error) {
		out, err := next()
		if err == nil {
			change(call, out.(*sdk.GetRecordsOutput))
		}
		return out, err
	})
}

// value returns a metric's value, of all its series with these label values together.
func (w *world) value(name string, labels ...string) float64 {
	w.Helper()
	families, err := w.reg.Gather()
	if err != nil {
		w.Fatal(err)
	}
	sum := 0.0
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			var values []string
			for _, l := range m.GetLabel() {
				values = append(values, l.GetValue())
			}
			if !slices.ContainsFunc(labels, func(l string) bool { return !slices.Contains(values, l) }) {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// lines returns the log, without fields.
func (w *world) lines() []string {
	var lines []string
	for _, entry := range w.logs.All() {
		lines = append(lines, entry.Message)
	}
	return lines
}

// short shortens a shard's name to its number.
func short(shard string) string {
	n, err := strconv.Atoi(shard[len("shardId-"):])
	if err != nil {
		return shard
	}
	return strconv.Itoa(n)
}

func shardName(n int) string {
	return "shardId-" + string(slices.Repeat([]byte("0"), 12-len(strconv.Itoa(n)))) + strconv.Itoa(n)
}

// seq returns prefix0 … prefix(n-1), what put puts.
func seq(prefix string, n int) []string {
	var all []string
	for i := range n {
		all = append(all, prefix+strconv.Itoa(i))
	}
	return all
}

// of returns those of all that begin with prefix and a digit.
func of(prefix string, all []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool {
		return len(s) <= len(prefix) || s[:len(prefix)] != prefix || s[len(prefix)] < '0' || s[len(prefix)] > '9'
	})
}

// store is a checkpoint.Store in memory.
type store struct {
	mu    sync.Mutex
	rows  map[string]checkpoint.Position
	saves int    // by the source
	fail  error  // of Save and Forget
	saved func() // called after each Save
}

func (s *store) Load(context.Context) (map[string]checkpoint.Position, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.rows), nil
}

func (s *store) Save(_ context.Context, rows map[string]checkpoint.Position) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return s.fail
	}
	s.saves++
	maps.Copy(s.rows, rows)
	if s.saved != nil {
		s.saved()
	}
	return nil
}

func (s *store) Forget(_ context.Context, shards []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return s.fail
	}
	for _, id := range shards {
		delete(s.rows, id)
	}
	return nil
}

// set is the pipeline's write.
func (s *store) set(shard string, p checkpoint.Position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows[shard] = p
}

func (s *store) get(shard string) checkpoint.Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rows[shard]
}

// kinds returns the kinds of all rows by the shard's number.
func (s *store) kinds() map[string]checkpoint.Kind {
	s.mu.Lock()
	defer s.mu.Unlock()
	kinds := make(map[string]checkpoint.Kind)
	for id, p := range s.rows {
		kinds[short(id)] = p.Kind
	}
	return kinds
}

// budget is a Budget that knows the most that it ever gave.
type budget struct {
	total int64

	mu      sync.Mutex
	used    int64
	peak    int64
	changed chan struct{} // closed by the next Release; nil while nobody waits
}

func (b *budget) Reserve(ctx context.Context, n int64) error {
	for {
		b.mu.Lock()
		if b.used+n <= b.total || b.used <= 0 {
			b.used += n
			b.peak = max(b.peak, b.used)
			b.mu.Unlock()
			return nil
		}
		if b.changed == nil {
			b.changed = make(chan struct{})
		}
		changed := b.changed
		b.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (b *budget) Charge(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used += n
	b.peak = max(b.peak, b.used)
}

func (b *budget) Release(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
}

func (b *budget) inUse() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}

var errRefused = errors.New("refused")
