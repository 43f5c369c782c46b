package deadletter

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/shipperd/shipperd/pkg/disk/disktest"
	"github.com/shipperd/shipperd/pkg/record"
)

// TestLettersSurviveAFaultAtAnyCallOfASegmentsLife fails each system call in turn, or
// cuts the power before it: of the recovery of a torn segment, a Put, the close and a
// replay. It ends with the first number that no call has.
func TestLettersSurviveAFaultAtAnyCallOfASegmentsLife(t *testing.T) {
	for _, cause := range []error{syscall.ENOSPC, syscall.EIO, nil} {
		made := true
		calls := 0
		for ; made; calls++ {
			for seed := range uint64(10) {
				t.Run(fmt.Sprintf("call %d, %v, seed %d", calls, cause, seed), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { made = testLife(t, calls, cause, rand.New(rand.NewPCG(uint64(calls), seed))) })
				})
			}
		}
		if calls < 12 {
			t.Errorf("got %d calls: the life has lost a part", calls)
		}
	}
}

// testLife lets call n fail, or cuts the power before it where cause is nil, and says
// whether there was such a call.
func testLife(t *testing.T, n int, cause error, r *rand.Rand) (made bool) {
	fsys := &disktest.FS{}
	torn := encode(letter("torn"))
	fsys.Put("dead/0000000001.ndjson.open", string(encode(letter("old")))+string(torn[:len(torn)/2]))
	// The letters that have to be there now, and those that can be.
	must, may := []string{"old"}, []string(nil)
	call := 0
	fsys.Fault = func(string, string) error {
		if call++; call-1 != n {
			return nil
		}
		made = true
		if cause == nil {
			checkLetters(t, fsys.PowerCut(r), must, may, true)
		}
		return cause
	}

	var s *Store
	retry(t, func() (err error) {
		s, err = Open(t.Context(), fsys, testConfig, zap.NewNop(), prometheus.NewRegistry())
		return err
	})
	may = []string{"new"}
	if err := s.Put(t.Context(), letter("new")); err != nil {
		t.Fatal(err)
	}
	must, may = []string{"old", "new"}, nil
	_ = s.Close() // what it leaves open is recovered
	var a *Archive
	retry(t, func() (err error) {
		a, err = OpenArchive(t.Context(), fsys, testConfig, zap.NewNop())
		return err
	})
	must, may = []string{"new"}, []string{"old"}
	retry(t, func() error {
		for _, segment := range segments(t, a) {
			if err := a.Settle(segment, func(l *record.Letter) bool { return l.ID == "old" }); err != nil {
				return err
			}
		}
		return nil
	})
	fsys.Fault = nil
	if cause == nil {
		may = nil // else it can come back with the power, and is delivered as a duplicate
	}
	checkLetters(t, fsys.PowerCut(r), must, may, cause == nil)
	return made
}

// retry does what a process that is started again does.
func retry(t *testing.T, do func() error) {
	t.Helper()
	if do() == nil {
		return
	}
	if err := do(); err != nil {
		t.Fatalf("the second time, without a fault: %v", err)
	}
}

// checkLetters looks at what a restarted machine finds. After a failed fsync nothing
// can be told of the rest of a line, else there must not be one.
func checkLetters(t *testing.T, fsys *disktest.FS, must, may []string, whole bool) {
	t.Helper()
	a := mustOpenArchive(t, fsys)
	var got []string
	for _, s := range segments(t, a) {
		for l, err := range a.Letters(s) {
			if err == nil {
				got = append(got, l.ID)
			} else if whole {
				t.Error(err)
			}
		}
	}
	for _, id := range must {
		if !slices.Contains(got, id) {
			t.Errorf("got letters %q, want %q among them", got, id)
		}
	}
	for _, id := range got {
		if !slices.Contains(must, id) && !slices.Contains(may, id) {
			t.Errorf("got letters %q, of which %q was never put or is done", got, id)
		}
	}
}
