package deadletter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/shipperd/shipperd/pkg/disk"
	"github.com/shipperd/shipperd/pkg/disk/disktest"
	"github.com/shipperd/shipperd/pkg/record"
	"github.com/shipperd/shipperd/pkg/setting"
)

var testConfig = Config{Dir: "dead", MaxSize: setting.GiB}

func letter(id string) record.Letter {
	return record.Letter{
		Reason: record.ReasonRejected, Time: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC),
		Index: "cwl-2026.11.01", ID: id, Shard: "shardId-000000000000", Sequence: "4959",
		Status: 400, ErrorType: "mapper_parsing_exception", ErrorReason: "failed to parse",
		Document: json.RawMessage(`{"@message":"<` + id + `> & \u00e9"}`),
	}
}

func sized(id string, size int) record.Letter {
	l := letter(id)
	l.Document = json.RawMessage(`"` + strings.Repeat("x", size) + `"`)
	return l
}

// opened is a store with what it logs and measures.
type opened struct {
	*Store
	logs *observer.ObservedLogs
	reg  *prometheus.Registry
}

func mustOpen(t *testing.T, fsys disk.FS, c Config) opened {
	t.Helper()
	core, logs := observer.New(zap.InfoLevel)
	reg := prometheus.NewRegistry()
	s, err := Open(t.Context(), fsys, c, zap.New(core), reg)
	if err != nil {
		t.Fatal(err)
	}
	return opened{Store: s, logs: logs, reg: reg}
}

func (o opened) put(t *testing.T, letters ...record.Letter) {
	t.Helper()
	if err := o.Put(t.Context(), letters...); err != nil {
		t.Fatal(err)
	}
}

func (o opened) close(t *testing.T) {
	t.Helper()
	if err := o.Close(); err != nil {
		t.Error(err)
	}
}

func (o opened) metric(t *testing.T, name string) float64 {
	t.Helper()
	families, err := o.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "shipperd_dead_letters_"+name {
			return family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}

// ids reads all closed segments of the folder on fsys as another process does.
func ids(t *testing.T, fsys disk.FS) []string {
	t.Helper()
	a := mustOpenArchive(t, fsys)
	defer func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}()
	var found []string
	for _, s := range segments(t, a) {
		for l, err := range a.Letters(s) {
			if err != nil {
				t.Error(err)
			}
			found = append(found, l.ID)
		}
	}
	return found
}

func mustOpenArchive(t *testing.T, fsys disk.FS) *Archive {
	t.Helper()
	a, err := OpenArchive(t.Context(), fsys, testConfig, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func segments(t *testing.T, a *Archive) []Segment {
	t.Helper()
	s, err := a.Segments()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLetterIsDurableWhenPutReturns(t *testing.T) {
	fsys := &disktest.FS{}
	want := letter("1")
	mustOpen(t, fsys, testConfig).put(t, want)
	for seed := range uint64(20) {
		a := mustOpenArchive(t, fsys.PowerCut(rand.New(rand.NewPCG(0, seed))))
		var got []record.Letter
		for _, s := range segments(t, a) {
			for l, err := range a.Letters(s) {
				if err != nil {
					t.Error(err)
				}
				got = append(got, l)
			}
		}
		if diff := cmp.Diff([]record.Letter{want}, got); diff != "" {
			t.Fatalf("letters after a power cut (-want +got):\n%s", diff)
		}
	}
}

// TestLettersAfterAFaultBetweenAnyTwoCalls fails each system call of a Put in
// turn, and cuts the power before it.
func TestLettersAfterAFaultBetweenAnyTwoCalls(t *testing.T) {
	const calls = 4 // of the first Put: open, syncdir, write, sync
	for _, first := range []bool{true, false} {
		for n := range calls {
			for _, cause := range []error{syscall.ENOSPC, syscall.EIO, nil} {
				for seed := range uint64(10) {
					t.Run(fmt.Sprintf("first %v, call %d, %v, seed %d", first, n, cause, seed), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) { testFault(t, first, n, cause, rand.New(rand.NewPCG(uint64(n), seed))) })
					})
				}
			}
		}
	}
}

func testFault(t *testing.T, first bool, n int, cause error, r *rand.Rand) {
	fsys := &disktest.FS{}
	s := mustOpen(t, fsys, testConfig)
	before := []string{"old"}
	s.put(t, letter("old"))
	if first { // in its segment
		s.close(t)
		s = mustOpen(t, fsys, testConfig)
	}
	var cut *disktest.FS
	call := 0
	fsys.Fault = func(string, string) error {
		call++
		if call-1 != n {
			return nil
		}
		cut = fsys.PowerCut(r)
		return cause
	}
	s.put(t, letter("new"))
	fsys.Fault = nil

	both := append(before[:1:1], "new")
	if cut != nil { // the call was made
		if got := ids(t, cut); !cmp.Equal(got, before) && !cmp.Equal(got, both) {
			t.Errorf("power cut before call %d: got letters %q, want %q or %q", n, got, before, both)
		}
	}
	if got := ids(t, fsys.PowerCut(r)); !cmp.Equal(got, both) {
		t.Errorf("after Put returned: got letters %q, want %q", got, both)
	}
	if cause != nil && cut != nil && (s.logs.Len() != 2 || s.metric(t, "blocked") != 0) {
		t.Errorf("got log %v and blocked %v, want the failure and the recovery, and 0", s.logs.All(), s.metric(t, "blocked"))
	}
}

func TestConcurrentPutsShareOneFsync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		syncs := 0
		fsys := &disktest.FS{Fault: func(op, _ string) error {
			if op == "sync" {
				mu.Lock()
				syncs++
				mu.Unlock()
				<-time.After(10 * time.Millisecond) // fake time: what a disk takes
			}
			return nil
		}}
		s := mustOpen(t, fsys, testConfig)
		start := time.Now()
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() { s.put(t, letter(fmt.Sprint(i))) })
		}
		all.Wait()
		// The first one writes what has come by then, the second all the rest.
		if syncs > 2 || time.Since(start) > 20*time.Millisecond {
			t.Errorf("got %d fsyncs in %v for 100 letters at once, want 2 in 20 ms", syncs, time.Since(start))
		}
		if got := testutil.ToFloat64(s.metrics.written.WithLabelValues(record.ReasonRejected)); got != 100 {
			t.Errorf("got %v letters counted, want 100", got)
		}
	})
}

// Scenario: Elasticsearch 22.
func TestThreat17FullStoreBlocksUntilThereIsRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fsys := &disktest.FS{}
		s := mustOpen(t, fsys, Config{Dir: testConfig.Dir, MaxSize: 10 << 10})
		s.put(t, sized("big", 9<<10))

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := s.Put(ctx, sized("impatient", 4<<10)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got error %v from a full store, want that of the context", err)
		}
		if s.metric(t, "blocked") != 1 || s.logs.Len() != 1 {
			t.Errorf("got blocked %v and log %v, want 1 and one line", s.metric(t, "blocked"), s.logs.All())
		}
		time.AfterFunc(time.Hour, func() {
			a := mustOpenArchive(t, fsys)
			for _, segment := range segments(t, a) {
				if err := a.Settle(segment, func(*record.Letter) bool { return true }); err != nil {
					t.Error(err)
				}
			}
			if err := a.Close(); err != nil {
				t.Error(err)
			}
		})
		start := time.Now()
		s.put(t, sized("patient", 4<<10))
		if waited := time.Since(start); waited < time.Hour || waited > time.Hour+lastRetry {
			t.Errorf("waited %v for room, want an hour and one retry at most", waited)
		}
		if s.metric(t, "blocked") != 0 || s.logs.Len() != 2 {
			t.Errorf("got blocked %v and log %v, want 0 and a second line", s.metric(t, "blocked"), s.logs.All())
		}
		s.close(t)
		if got := ids(t, fsys); !cmp.Equal(got, []string{"patient"}) {
			t.Errorf("got letters %q, want the patient one alone", got)
		}
	})
}

// replayAll takes all letters out of the closed segments.
func replayAll(t *testing.T, fsys disk.FS) {
	t.Helper()
	a := mustOpenArchive(t, fsys)
	for _, segment := range segments(t, a) {
		if err := a.Settle(segment, func(*record.Letter) bool { return true }); err != nil {
			t.Error(err)
		}
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}

// What waits for room is in the budget of its batch; its lines are in none.
func TestPutsThatWaitForAFullStoreTakeLittleMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mustOpen(t, &disktest.FS{}, Config{Dir: testConfig.Dir, MaxSize: 1 << 10})
		s.put(t, sized("full", 1<<10))
		letters := make([]record.Letter, 2000) // 5 MB in each put
		for i := range letters {
			letters[i] = sized(fmt.Sprint(i), 2500)
		}
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		var puts sync.WaitGroup
		for range 10 {
			puts.Go(func() {
				if err := s.Put(ctx, letters...); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got error %v, want that of the deadline", err)
				}
			})
		}
		<-time.After(time.Minute)
		runtime.GC()
		runtime.ReadMemStats(&after)
		if got := int64(after.HeapAlloc) - int64(before.HeapAlloc); got > 5<<20 {
			t.Errorf("got %d MiB for 50 MB of letters that wait, want 5 at most", got>>20)
		}
		puts.Wait()
		s.close(t)
	})
}

func TestReplayedSegmentCountsNoMoreWhenItsNumberComesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fsys := &disktest.FS{}
		s := mustOpen(t, fsys, Config{Dir: testConfig.Dir, MaxSize: 10 << 10})
		for range 20 { // each time the only segment's number is free again
			s.put(t, sized("1", 4<<10))
			<-time.After(2 * segmentAge) // it closes by age
			replayAll(t, fsys)
		}
		if got := s.metric(t, "bytes"); got != 0 {
			t.Errorf("got %v bytes, want 0", got)
		}
		s.close(t)
	})
}

func TestSegmentThatCouldNotBeClosedIsClosedLater(t *testing.T) {
	for name, next := range map[string]record.Letter{"by the next letter": letter("2"), "when the store is full": sized("2", 9<<10)} {
		synctest.Test(t, func(t *testing.T) {
			var failing atomic.Bool
			fsys := &disktest.FS{Fault: func(op, _ string) error {
				if op == "rename" && failing.Load() {
					return syscall.EIO
				}
				return nil
			}}
			s := mustOpen(t, fsys, Config{Dir: testConfig.Dir, MaxSize: 10 << 10})
			s.put(t, sized("1", 4<<10))
			failing.Store(true)
			<-time.After(2 * segmentAge)
			failing.Store(false)
			if names := fsys.Names(); !cmp.Equal(names, []string{"dead/0000000001.ndjson.open"}) {
				t.Fatalf("%s: got files %q, want the segment left open", name, names)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			_ = s.Put(ctx, next) // there is room for one of them only
			replayAll(t, fsys)
			if names := fsys.Names(); slices.Contains(names, "dead/0000000001.ndjson.open") || slices.Contains(names, "dead/0000000001.ndjson") {
				t.Errorf("%s: got files %q, want the first segment replayed", name, names)
			}
			s.close(t)
		})
	}
}

func TestLetterLargerThanTheQuotaGoesIntoAnEmptyStore(t *testing.T) {
	s := mustOpen(t, &disktest.FS{}, Config{Dir: testConfig.Dir, MaxSize: 1 << 10})
	s.put(t, sized("giant", 2<<10))
}

func TestTornLastLineIsCutAtOpen(t *testing.T) {
	whole := string(encode(letter("1")))
	for _, torn := range []string{"", whole[:1], whole[:len(whole)/2], whole[:len(whole)-1], "\x00\x00\x00"} {
		fsys := &disktest.FS{}
		fsys.Put("dead/0000000007.ndjson.open", whole+torn)
		s := mustOpen(t, fsys, testConfig)
		if got := s.metric(t, "bytes"); got != float64(len(whole)) {
			t.Errorf("after %q: got %v bytes, want %d", torn, got, len(whole))
		}
		s.put(t, letter("2"))
		s.close(t)
		if got := ids(t, fsys); !cmp.Equal(got, []string{"1", "2"}) {
			t.Errorf("after %q: got letters %q, want 1 and 2", torn, got)
		}
		if names := fsys.Names(); !cmp.Equal(names, []string{"dead/0000000007.ndjson", "dead/0000000008.ndjson"}) {
			t.Errorf("after %q: got files %q", torn, names)
		}
	}
}

func TestSegmentOfATornLineAloneGoes(t *testing.T) {
	fsys := &disktest.FS{}
	fsys.Put("dead/0000000001.ndjson.open", `{"reason":"rej`)
	mustOpen(t, fsys, testConfig)
	if names := fsys.Names(); len(names) != 0 {
		t.Errorf("got files %q, want none", names)
	}
}

func TestSegmentClosesByAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fsys := &disktest.FS{}
		s := mustOpen(t, fsys, testConfig)
		s.put(t, letter("1"))
		<-time.After(segmentAge - time.Nanosecond)
		if got := ids(t, fsys); len(got) != 0 {
			t.Errorf("got letters %q of the open segment", got)
		}
		<-time.After(time.Nanosecond)
		synctest.Wait()
		if got := ids(t, fsys); len(got) != 1 {
			t.Errorf("got letters %q at %v, want 1", got, segmentAge)
		}
		s.put(t, letter("2")) // begins another
		s.close(t)
		if got := ids(t, fsys); len(got) != 2 {
			t.Errorf("got letters %q, want 1 and 2", got)
		}
	})
}

func TestSegmentClosesBySize(t *testing.T) {
	fsys := &disktest.FS{}
	s := mustOpen(t, fsys, testConfig)
	a := mustOpenArchive(t, fsys)
	for i, want := range []int{0, 1, 1, 2} {
		s.put(t, sized(fmt.Sprint(i), segmentBytes/2))
		if got := len(segments(t, a)); got != want {
			t.Errorf("got %d closed segments after %d letters of half a segment, want %d", got, i+1, want)
		}
	}
}

func TestTableCountsIdentities(t *testing.T) {
	fsys := &disktest.FS{}
	s := mustOpen(t, fsys, testConfig)
	ofRecord := record.Letter{Reason: record.ReasonUndecodable, Time: letter("").Time.Add(-time.Hour), Shard: "s", Sequence: "1", Data: []byte{0xff}}
	otherIndex := letter("1")
	otherIndex.Index = "cwl-2026.11.02"
	s.put(t, letter("1"), letter("2"), ofRecord, otherIndex)
	s.put(t, letter("1"), ofRecord)
	for range 2 {
		if got := s.metric(t, "documents"); got != 4 {
			t.Errorf("got %v documents, want 4", got)
		}
		if got, want := s.metric(t, "oldest_timestamp_seconds"), float64(ofRecord.Time.Unix()); got != want {
			t.Errorf("got oldest %v, want %v", got, want)
		}
		s.close(t)
		s = mustOpen(t, fsys, testConfig)
	}
	a := mustOpenArchive(t, fsys)
	for _, segment := range segments(t, a) {
		if err := a.Settle(segment, func(l *record.Letter) bool { return l.ID == "1" || l.ID == "" }); err != nil {
			t.Error(err)
		}
	}
	if got := s.metric(t, "documents"); got != 1 {
		t.Errorf("got %v documents after a replay, want 1", got)
	}
	if got, want := s.metric(t, "bytes"), float64(len(encode(letter("2")))); got != want {
		t.Errorf("got %v bytes after a replay, want %v", got, want)
	}
}

func TestIdentitiesAreBounded(t *testing.T) {
	table := newTable()
	table.begin("a")
	table.begin("b")
	for i := range maxIdentities + 5 {
		table.add("ab"[i%2:i%2+1], stored{identity: uint64(i / 2), bytes: 1})
	}
	if got, want := table.documents(), maxIdentities/2+5; got != want {
		t.Errorf("got %d documents, want %d: half of what is told apart, and all beyond", got, want)
	}
	table.drop("a")
	table.drop("b")
	if table.documents() != 0 || table.held != 0 || table.bytes != 0 {
		t.Errorf("got %d documents, %d held, %d bytes in an empty table", table.documents(), table.held, table.bytes)
	}
}

func TestSecondStoreWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fsys := &disktest.FS{}
		first := mustOpen(t, fsys, testConfig)
		time.AfterFunc(1500*time.Millisecond, func() { first.close(t) })
		start := time.Now()
		second := mustOpen(t, fsys, testConfig)
		if waited := time.Since(start); waited != 2*time.Second || second.logs.Len() != 1 {
			t.Errorf("waited %v with log %v, want 2s with one line", waited, second.logs.All())
		}
	})
}

func TestDocumentIsKeptToTheByte(t *testing.T) {
	fsys := &disktest.FS{}
	s := mustOpen(t, fsys, testConfig)
	good, bad := letter("good"), letter("bad")
	good.Document = json.RawMessage("{\"@message\":\"<&>\\u2028 \\ud800 \xff\"}")
	bad.Document = json.RawMessage(`{"@message":`)
	bad.Arrival = time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC)
	s.put(t, good, bad)
	s.close(t)
	a := mustOpenArchive(t, fsys)
	var got []string
	for l, err := range a.Letters(segments(t, a)[0]) {
		if err != nil {
			t.Error(err)
		}
		got = append(got, string(l.Document)+string(l.Data))
	}
	if want := []string{string(good.Document), string(bad.Document)}; !cmp.Equal(got, want) {
		t.Errorf("got documents %q, want %q", got, want)
	}
}

func TestMetricNames(t *testing.T) {
	s := mustOpen(t, &disktest.FS{}, testConfig)
	families, err := s.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, family := range families {
		got = append(got, family.GetName())
	}
	want := []string{
		"shipperd_dead_letters_blocked", "shipperd_dead_letters_bytes", "shipperd_dead_letters_documents",
		"shipperd_dead_letters_limit_bytes", "shipperd_dead_letters_oldest_timestamp_seconds", "shipperd_dead_letters_written_total",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
	if problems, err := testutil.GatherAndLint(s.reg); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
}

func TestOnThisMachine(t *testing.T) {
	c := Config{Dir: filepath.Join(t.TempDir(), "a", "dead"), MaxSize: setting.GiB}
	s := mustOpen(t, disk.OS{}, c)
	s.put(t, letter("1"))
	a, err := OpenArchive(t.Context(), disk.OS{}, c, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	if got := segments(t, a); len(got) != 0 {
		t.Errorf("got segments %v beside a running store, want none", got)
	}
	s.close(t)
	found := segments(t, a)
	if len(found) != 1 {
		t.Fatalf("got segments %v, want one", found)
	}
	info, err := os.Stat(filepath.Join(c.Dir, found[0].Name))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v, want a file with mode 600", info, err)
	}
	if err := a.Settle(found[0], func(*record.Letter) bool { return true }); err != nil {
		t.Error(err)
	}
	if got := segments(t, a); len(got) != 0 {
		t.Errorf("got segments %v after all was settled", got)
	}
}

func TestConfigNamesItsMistakes(t *testing.T) {
	c := DefaultConfig()
	if err := c.Validate(); err != nil {
		t.Errorf("the defaults are refused: %v", err)
	}
	err := (&Config{MaxSize: setting.KiB}).Validate()
	for _, key := range []string{"dead_letters.dir: ", "dead_letters.max_size: "} {
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("got error %v, want %s", err, key)
		}
	}
}
