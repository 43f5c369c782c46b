package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
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
)

const fileName = "state/checkpoint.json"

var testStream = Identity{
	ARN:     "arn:aws:kinesis:eu-central-1:123456789012:stream/logs",
	Created: time.Date(2026, 11, 1, 8, 30, 0, 250e6, time.UTC),
	Routing: "r1",
}

func after(sequence string) Position {
	return Position{Kind: AfterSequence, Sequence: sequence, Arrival: time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)}
}

// open opens the file on fsys as a new process would, and returns its log too.
func open(t *testing.T, fsys *disktest.FS, id Identity) (*File, *observer.ObservedLogs, error) {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	f, err := OpenFile(t.Context(), fsys, Config{File: fileName}, id, zap.New(core), prometheus.NewRegistry())
	return f, logs, err
}

func mustOpen(t *testing.T, fsys *disktest.FS, id Identity) *File {
	t.Helper()
	f, _, err := open(t, fsys, id)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func save(t *testing.T, f *File, positions map[string]Position) {
	t.Helper()
	if err := f.Save(t.Context(), positions); err != nil {
		t.Fatal(err)
	}
}

func load(t *testing.T, f *File) map[string]Position {
	t.Helper()
	positions, err := f.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return positions
}

func closeFile(t *testing.T, f *File) {
	t.Helper()
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

func TestPositionsOutliveTheProcess(t *testing.T) {
	fsys := &disktest.FS{}
	f := mustOpen(t, fsys, testStream)
	if got := load(t, f); len(got) != 0 {
		t.Errorf("a new file has positions: %v", got)
	}
	save(t, f, map[string]Position{"a": after("1"), "b": {Kind: AtTimestamp, Time: testStream.Created}, "gone": after("9")})
	save(t, f, map[string]Position{"a": after("12"), "c": {Kind: TrimHorizon}, "d": {Kind: ShardEnd}})
	if err := f.Forget(t.Context(), []string{"gone", "never there"}); err != nil {
		t.Error(err)
	}
	closeFile(t, f)

	got := load(t, mustOpen(t, fsys.PowerCut(rand.New(rand.NewPCG(1, 1))), testStream))
	want := map[string]Position{
		"a": after("12"), "b": {Kind: AtTimestamp, Time: testStream.Created}, "c": {Kind: TrimHorizon}, "d": {Kind: ShardEnd},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("positions after a restart (-want +got):\n%s", diff)
	}
}

func TestLoadedMapIsTheCallers(t *testing.T) {
	f := mustOpen(t, &disktest.FS{}, testStream)
	save(t, f, map[string]Position{"a": after("1")})
	delete(load(t, f), "a")
	if got := load(t, f); len(got) != 1 {
		t.Errorf("got %v after the caller changed its map", got)
	}
}

// TestFileIsThePreviousOrTheNewOne cuts the power, or fails a call, between any two
// system calls.
//
// Scenario: Kinesis T26.
func TestFileIsThePreviousOrTheNewOne(t *testing.T) {
	const calls = 5 // open, write, sync, rename, syncdir
	for n := range calls + 1 {
		for _, cause := range []error{syscall.ENOSPC, syscall.EIO, nil} {
			for seed := range uint64(20) {
				t.Run(fmt.Sprintf("call %d, %v, seed %d", n, cause, seed), func(t *testing.T) {
					testFault(t, n, cause, calls, rand.New(rand.NewPCG(uint64(n), seed)))
				})
			}
		}
	}
}

// testFault lets call n of a Save fail, or cuts the power before it when cause is nil.
func testFault(t *testing.T, n int, cause error, calls int, r *rand.Rand) {
	fsys := &disktest.FS{}
	f := mustOpen(t, fsys, testStream)
	save(t, f, map[string]Position{"a": after("1")})

	cut, call := fsys, 0
	fsys.Fault = func(string, string) error {
		call++
		if call-1 != n {
			return nil
		}
		if cause == nil {
			cut = fsys.PowerCut(r)
		}
		return cause
	}
	err := f.Save(t.Context(), map[string]Position{"a": after("2")})
	if cause == nil && call != calls {
		t.Fatalf("got %d calls in a save, want %d", call, calls)
	}
	if cause != nil && n < calls && !errors.Is(err, cause) {
		t.Errorf("got error %v, want %v", err, cause)
	}
	fsys.Fault = nil
	if cause != nil || n == calls {
		cut = fsys.PowerCut(r)
	}
	got := load(t, mustOpen(t, cut, testStream))["a"].Sequence
	if got != "1" && got != "2" {
		t.Errorf("got position %q, want the previous or the new one", got)
	}
	if n == calls && got != "2" {
		t.Errorf("a save that returned nil is not durable: got position %q", got)
	}
	if cause == nil {
		return
	}
	save(t, f, map[string]Position{"a": after("3")})
	if got := load(t, mustOpen(t, fsys.PowerCut(r), testStream))["a"].Sequence; got != "3" {
		t.Errorf("got position %q after the fault has passed, want 3", got)
	}
}

// Scenario: Kinesis T26.
// Scenario: Kinesis T8.
func TestSecondProcessWaitsForTheLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fsys := &disktest.FS{}
		first := mustOpen(t, fsys, testStream)
		time.AfterFunc(89500*time.Millisecond, func() {
			save(t, first, map[string]Position{"a": after("7")})
			closeFile(t, first)
		})
		start := time.Now()
		second, logs, err := open(t, fsys, testStream)
		if err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(start); waited != 90*time.Second {
			t.Errorf("got the lock after %v, want 1m30s", waited)
		}
		if got := load(t, second)["a"].Sequence; got != "7" {
			t.Errorf("got position %q, want 7, which the first process saved at its end", got)
		}
		if logs.Len() != 1 {
			t.Errorf("got %d log lines while waiting, want 1", logs.Len())
		}
	})
}

func TestWaitingForTheLockEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fsys := &disktest.FS{}
		mustOpen(t, fsys, testStream)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err := OpenFile(ctx, fsys, Config{File: fileName}, testStream, zap.NewNop(), prometheus.NewRegistry())
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got error %v, want the deadline", err)
		}
	})
}

func TestOtherStreamIsRefused(t *testing.T) {
	fsys := &disktest.FS{}
	f := mustOpen(t, fsys, testStream)
	save(t, f, map[string]Position{"a": after("1")})
	closeFile(t, f)

	other := testStream
	other.ARN += "2"
	if _, _, err := open(t, fsys, other); !errors.Is(err, ErrOtherStream) {
		t.Fatalf("got error %v, want ErrOtherStream", err)
	}
	if got := load(t, mustOpen(t, fsys, testStream)); len(got) != 1 {
		t.Errorf("got %v for the own stream afterwards, want its position and no lock", got)
	}
}

// Scenario: Kinesis T13.
func TestStreamMadeAnewStartsOverAndKeepsTheOldPositions(t *testing.T) {
	fsys := &disktest.FS{}
	f := mustOpen(t, fsys, testStream)
	behind := Position{Kind: AfterSequence, Sequence: "5", Arrival: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)}
	save(t, f, map[string]Position{"a": after("900"), "b": behind})
	closeFile(t, f)

	remade := testStream
	remade.Created = time.Date(2026, 11, 3, 0, 0, 0, 0, time.UTC)
	for range 2 { // nothing is saved at first: a restart comes to the same
		f = mustOpen(t, fsys, remade)
		if got := load(t, f); len(got) != 0 {
			t.Errorf("got positions %v of the old stream", got)
		}
		gap, ok := f.Remade()
		if want := (Gap{From: behind.Arrival, To: remade.Created}); !ok || gap != want {
			t.Errorf("got gap %v, %v, want %v", gap, ok, want)
		}
		closeFile(t, f)
	}
	f = mustOpen(t, fsys, remade)
	save(t, f, map[string]Position{"a": {Kind: TrimHorizon}})
	closeFile(t, f)
	f = mustOpen(t, fsys, remade)
	if _, ok := f.Remade(); ok {
		t.Error("the gap is reported again after positions were saved")
	}
	if got := f.state.Former.Shards["a"].Sequence; got != "900" {
		t.Errorf("got old position %q kept aside, want 900", got)
	}
}

func TestCreationTimeIsComparedInSeconds(t *testing.T) {
	fsys := &disktest.FS{}
	f := mustOpen(t, fsys, testStream)
	save(t, f, map[string]Position{"a": after("1")})
	closeFile(t, f)
	same := testStream
	same.Created = same.Created.Truncate(time.Second)
	if _, remade := mustOpen(t, fsys, same).Remade(); remade {
		t.Error("milliseconds made another stream of it")
	}
}

func TestChangedRoutingIsLoggedOnce(t *testing.T) {
	fsys := &disktest.FS{}
	f := mustOpen(t, fsys, testStream)
	save(t, f, map[string]Position{"a": after("1")})
	closeFile(t, f)

	changed := testStream
	changed.Routing = "r2"
	f, logs, err := open(t, fsys, changed)
	if err != nil {
		t.Fatal(err)
	}
	if logs.FilterMessageSnippet("routing").Len() != 1 {
		t.Errorf("got log %v, want one line about the routing", logs.All())
	}
	save(t, f, map[string]Position{"a": after("2")})
	closeFile(t, f)
	if _, logs, _ = open(t, fsys, changed); logs.Len() != 0 {
		t.Errorf("got log %v after positions were saved under the new routing", logs.All())
	}
}

func TestUnreadableFileStopsTheStartAndStays(t *testing.T) {
	fsys := &disktest.FS{}
	f := mustOpen(t, fsys, testStream)
	save(t, f, map[string]Position{"a": after("1")})
	good := string(read(t, fsys))
	for name, data := range map[string]string{
		"empty":             "",
		"cut":               good[:len(good)/2],
		"zeros":             strings.Repeat("\x00", len(good)),
		"later version":     strings.Replace(good, `"version": 1`, `"version": 2`, 1),
		"no version":        `{"shards":{}}`,
		"unknown key":       strings.Replace(good, `"routing"`, `"rooting"`, 1),
		"two of them":       good + good,
		"unknown kind":      strings.Replace(good, "AFTER_SEQUENCE_NUMBER", "AT_SEQUENCE_NUMBER", 1),
		"no number":         strings.Replace(good, `"sequence": "1"`, `"sequence": "1e3"`, 1),
		"no sequence":       strings.Replace(good, `"sequence": "1",`, ``, 1),
		"time without time": strings.Replace(good, "AFTER_SEQUENCE_NUMBER", "AT_TIMESTAMP", 1),
	} {
		t.Run(name, func(t *testing.T) {
			if data == good {
				t.Fatal("the case changes nothing")
			}
			fsys := &disktest.FS{}
			fsys.Put(fileName, data)
			if _, _, err := open(t, fsys, testStream); !errors.Is(err, ErrUnreadable) {
				t.Errorf("got error %v, want ErrUnreadable", err)
			}
			if got := string(read(t, fsys)); got != data {
				t.Errorf("the file has changed to %q", got)
			}
		})
	}
}

func read(t *testing.T, fsys *disktest.FS) []byte {
	t.Helper()
	data, err := disk.ReadFile(fsys, fileName)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Scenario: Kinesis T8.
func TestPositionNeverMovesBack(t *testing.T) {
	const long = "49590338271490256608559692538361571095921575989136588898"
	order := []Position{{Kind: TrimHorizon}, after("9"), after("10"), after(long[:55]), after(long), {Kind: ShardEnd}}
	for i, stored := range order {
		for j, p := range order {
			f := mustOpen(t, &disktest.FS{}, testStream)
			save(t, f, map[string]Position{"a": stored})
			save(t, f, map[string]Position{"a": p, "b": after("1")})
			if want := order[max(i, j)]; load(t, f)["a"] != want {
				t.Errorf("stored %v, saved %v: got %v, want %v", stored, p, load(t, f)["a"], want)
			}
			if len(load(t, f)) != 2 {
				t.Errorf("stored %v, saved %v: the other shard was not saved", stored, p)
			}
			if got := testutil.ToFloat64(f.regressions) == 1; got != (j < i) {
				t.Errorf("stored %v, saved %v: got counted %v, want %v", stored, p, got, j < i)
			}
		}
	}
}

func TestEndedContextSavesNothing(t *testing.T) {
	fsys := &disktest.FS{}
	f := mustOpen(t, fsys, testStream)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Save(ctx, map[string]Position{"a": after("1")}); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want that of the context", err)
	}
	if names := fsys.Names(); len(names) != 0 {
		t.Errorf("got files %v, want none", names)
	}
}

func FuzzFileState(f *testing.F) {
	state, err := (&fileState{}).bind(testStream, zap.NewNop())
	if err != nil {
		f.Fatal(err)
	}
	state.Shards["a"] = after("42")
	state.Former = &formerStream{Shards: map[string]Position{"b": {Kind: ShardEnd}}}
	seed, err := state.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte(`{"version":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := decodeState(data)
		if err != nil {
			if !errors.Is(err, ErrUnreadable) {
				t.Fatalf("got error %v, want ErrUnreadable", err)
			}
			return
		}
		again, err := s.encode()
		if err != nil {
			t.Fatalf("encode what was decoded: %v", err)
		}
		back, err := decodeState(again)
		if diff := cmp.Diff(s, back); err != nil || diff != "" {
			t.Fatalf("decoded twice: %v\n%s", err, diff)
		}
	})
}
