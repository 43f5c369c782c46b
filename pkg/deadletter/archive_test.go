package deadletter

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"github.com/shipperd/shipperd/pkg/disk/disktest"
	"github.com/shipperd/shipperd/pkg/record"
)

func TestSettleKeepsWhatIsNotDone(t *testing.T) {
	garbled := "{\"reason\":\n"
	fsys := &disktest.FS{}
	fsys.Put("dead/0000000001.ndjson", string(encode(letter("1")))+garbled+string(encode(letter("2"))))
	fsys.Put("dead/0000000002.ndjson", string(encode(letter("3"))))
	fsys.Put("dead/0000000002.ndjson.tmp", "half of")
	fsys.Put("dead/notes.txt", "not ours")

	a := mustOpenArchive(t, fsys)
	for _, s := range segments(t, a) {
		if err := a.Settle(s, func(l *record.Letter) bool { return l.ID != "2" }); err != nil {
			t.Error(err)
		}
	}
	if got, want := fsys.Names(), []string{"dead/0000000001.ndjson", "dead/notes.txt"}; !cmp.Equal(got, want) {
		t.Errorf("got files %q, want %q", got, want)
	}
	var ids []string
	var errs []error
	for l, err := range a.Letters(segments(t, a)[0]) {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		ids = append(ids, l.ID)
	}
	if !cmp.Equal(ids, []string{"2"}) {
		t.Errorf("got letters %q, want 2", ids)
	}
	if len(errs) != 1 || !strings.Contains(errs[0].Error(), "0000000001.ndjson:1: ") {
		t.Errorf("got errors %v, want one that names the line", errs)
	}
}

// Whoever replays must know that a letter which was delivered is still there.
func TestSettleTellsOfEveryFault(t *testing.T) {
	for _, op := range []string{"open", "write", "sync", "rename", "remove", "syncdir"} {
		fsys := &disktest.FS{}
		fsys.Put("dead/0000000001.ndjson", string(encode(letter("1")))+string(encode(letter("2"))))
		fsys.Put("dead/0000000002.ndjson", string(encode(letter("3"))))
		a := mustOpenArchive(t, fsys)
		fsys.Fault = func(called, _ string) error {
			if called == op {
				return syscall.EIO
			}
			return nil
		}
		var errs []error
		for _, s := range segments(t, a) {
			errs = append(errs, a.Settle(s, func(l *record.Letter) bool { return l.ID != "2" }))
		}
		if err := errors.Join(errs...); !errors.Is(err, syscall.EIO) {
			t.Errorf("%s fails: got error %v, want that of the disk", op, err)
		}
	}
}

func TestArchiveThatCannotBeCleanedIsNotOpened(t *testing.T) {
	for name, op := range map[string]string{"dead/0000000001.ndjson.tmp": "remove", "dead/0000000001.ndjson.open": "remove"} {
		fsys := &disktest.FS{Fault: func(called, file string) error {
			if called == op && file == name {
				return syscall.EIO
			}
			return nil
		}}
		fsys.Put(name, string(encode(letter("1"))))
		if _, err := OpenArchive(t.Context(), fsys, testConfig, zap.NewNop()); !errors.Is(err, syscall.EIO) {
			t.Fatalf("%s of %s fails: got error %v, want that of the disk", op, name, err)
		}
		fsys.Fault = nil
		if err := mustOpenArchive(t, fsys).Close(); err != nil { // the lock was let go
			t.Error(err)
		}
	}
}

func TestGarbledLinesAreReportedAtOpen(t *testing.T) {
	fsys := &disktest.FS{}
	fsys.Put("dead/0000000001.ndjson", "what?\n"+string(encode(letter("1"))))
	if s := mustOpen(t, fsys, testConfig); s.logs.Len() != 1 {
		t.Errorf("got log %v, want one line", s.logs.All())
	}
}

func TestFilterChoosesLetters(t *testing.T) {
	l, ofRecord := letter("1"), record.Letter{Reason: record.ReasonPanic, Time: letter("").Time}
	for name, test := range map[string]struct {
		filter            Filter
		letter, recordToo bool
	}{
		"all":         {Filter{}, true, true},
		"reason":      {Filter{Reasons: []string{record.ReasonPanic, record.ReasonOversize}}, false, true},
		"one reason":  {Filter{Reasons: []string{record.ReasonPanic}}, false, true},
		"index":       {Filter{Index: "cwl-2026.*"}, true, false},
		"other index": {Filter{Index: "cwl-2025.*"}, false, false},
		"since":       {Filter{Since: l.Time}, true, true},
		"later":       {Filter{Since: l.Time.Add(time.Second)}, false, false},
		"until":       {Filter{Until: l.Time}, false, false},
		"before":      {Filter{Until: l.Time.Add(time.Second)}, true, true},
	} {
		if err := test.filter.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got, too := test.filter.Match(&l), test.filter.Match(&ofRecord); got != test.letter || too != test.recordToo {
			t.Errorf("%s: got %v for an event, %v for a record, want %v, %v", name, got, too, test.letter, test.recordToo)
		}
	}
	for _, wrong := range []Filter{{Reasons: []string{"bored"}}, {Index: "cwl-["}, {Since: l.Time, Until: l.Time}} {
		if wrong.Validate() == nil {
			t.Errorf("%v is accepted", wrong)
		}
	}
}

// FuzzSegment opens any bytes as a segment that a crash left: whole lines stay to
// the byte, and no reader fails.
func FuzzSegment(f *testing.F) {
	f.Add(string(encode(letter("1"))) + string(encode(letter("2")))[:20])
	f.Add("\n\n{}\nnull\n[]")
	f.Fuzz(func(t *testing.T, content string) {
		fsys := &disktest.FS{}
		fsys.Put("dead/0000000001.ndjson.open", content)
		s := mustOpen(t, fsys, testConfig)
		whole := content[:strings.LastIndexByte(content, '\n')+1]
		if got := s.metric(t, "bytes"); got != float64(len(whole)) {
			t.Fatalf("got %v bytes of %q, want %d", got, content, len(whole))
		}
		s.put(t, letter("after"))
		s.close(t)
		a := mustOpenArchive(t, fsys)
		read, found := 0, false
		for _, segment := range segments(t, a) {
			for l, err := range a.Letters(segment) {
				if err == nil && l.ID == "after" {
					found = true
				}
				read++
			}
		}
		if want := strings.Count(whole, "\n") + 1; read != want || !found {
			t.Fatalf("got %d lines of %q, the new letter %v, want %d and true", read, content, found, want)
		}
	})
}
