package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/shipperd/shipperd/pkg/deadletter"
	"github.com/shipperd/shipperd/pkg/disk"
	"github.com/shipperd/shipperd/pkg/disk/disktest"
	"github.com/shipperd/shipperd/pkg/record"
	"github.com/shipperd/shipperd/pkg/setting"
)

// index is a sink that refuses some ids and takes each other id once.
type index struct {
	documents map[string]string
	refuse    map[string]bool
	partly    map[string]bool // indexed, but the whole of it is a letter
	kept      *Kept
	writes    int
	fail      error // of the second write
}

func (x *index) Write(ctx context.Context, records []*record.Record) error {
	if x.writes++; x.writes > 1 && x.fail != nil {
		return x.fail
	}
	for _, r := range records {
		for i := range r.Events {
			e := &r.Events[i]
			id := string(r.ID(e))
			letter := record.Letter{Shard: r.Shard, Sequence: r.Sequence, Index: e.Index, ID: id}
			switch _, there := x.documents[e.Index+"/"+id]; {
			case x.refuse[id]:
				e.Outcome = record.DeadLettered
				if err := x.kept.Put(ctx, letter); err != nil {
					return err
				}
			case there:
				e.Outcome = record.Duplicate
			default:
				e.Outcome = record.Indexed
				x.documents[e.Index+"/"+id] = string(r.Doc(e))
				if x.partly[id] {
					if err := x.kept.Put(ctx, letter); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

// words decodes each word into an event.
type words struct{ broken bool }

func (w *words) Decode(r *record.Record) error {
	if w.broken {
		return errors.New("still no payload")
	}
	for word := range strings.FieldsSeq(string(r.Data)) {
		if word == "panic" {
			panic(word)
		}
		e := record.Event{Index: "cwl-2026.11.20", IDStart: uint32(len(r.Text))}
		r.Text = append(r.Text, word...)
		e.IDEnd, e.DocStart = uint32(len(r.Text)), uint32(len(r.Text))
		r.Text = fmt.Appendf(r.Text, "{%q:1}", word)
		e.DocEnd = uint32(len(r.Text))
		r.Events = append(r.Events, e)
	}
	return nil
}

func letter(reason, id string, n int) record.Letter {
	message, err := json.Marshal(map[string]string{"@message": id})
	if err != nil {
		panic(err)
	}
	return record.Letter{
		Reason: reason, Time: time.Unix(1_700_000_000, 0), Index: "cwl-2026.11.20", ID: id,
		Shard: "shard-0", Sequence: fmt.Sprint(n), Document: message,
	}
}

// rig stores letters on a disk in memory and replays them.
type rig struct {
	fsys   disktest.FS
	index  *index
	replay Replay
}

func newRig(t *testing.T, letters ...record.Letter) *rig {
	t.Helper()
	g := &rig{}
	kept := &Kept{}
	g.index = &index{documents: map[string]string{}, refuse: map[string]bool{}, partly: map[string]bool{}, kept: kept}
	store, err := deadletter.Open(t.Context(), &g.fsys, deadletter.Config{Dir: "letters", MaxSize: setting.GiB}, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range letters {
		if err := store.Put(t.Context(), l); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	g.replay = Replay{Sink: g.index, Kept: kept, NewDecoder: func() Decoder { return &words{} }, Report: func(Progress) {}}
	return g
}

func (g *rig) open(t *testing.T) *deadletter.Archive {
	t.Helper()
	archive, err := deadletter.OpenArchive(t.Context(), &g.fsys, deadletter.Config{Dir: "letters", MaxSize: setting.GiB}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	return archive
}

// run replays and returns what it said and how many letters are left.
func (g *rig) run(t *testing.T) (p Progress, left int, err error) {
	t.Helper()
	archive := g.open(t)
	g.replay.Archive = archive
	p, err = g.replay.Run(t.Context())
	segments, listErr := archive.Segments()
	if listErr != nil {
		t.Fatal(listErr)
	}
	for _, s := range segments {
		for _, err := range archive.Letters(s) {
			if err != nil {
				t.Fatal(err)
			}
			left++
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return p, left, err
}

func TestRepairedLettersAreDeliveredOnceAndGone(t *testing.T) {
	g := newRig(t, letter(record.ReasonRejected, "a", 1), letter(record.ReasonRejected, `b"`, 2),
		record.Letter{Reason: record.ReasonUndecodable, Time: time.Now(), Shard: "shard-0", Sequence: "3", Data: []byte("c d")})
	p, left, err := g.run(t)
	if err != nil || p.Sent != 3 || p.Delivered != 3 || left != 0 {
		t.Errorf("got %+v, %d left, %v; want 3 of 3 delivered and none left", p, left, err)
	}
	if got := g.index.documents[`cwl-2026.11.20/b\"`]; got != `{"@message":"b\""}` {
		t.Errorf("got the documents %v", g.index.documents)
	}
	if len(g.index.documents) != 4 {
		t.Errorf("got %d documents, want 4", len(g.index.documents))
	}
	if p, _, err := g.run(t); err != nil || p.Sent != 0 {
		t.Errorf("got %+v, %v for a second replay, want nothing to send", p, err)
	}
}

func TestWhatIsStillUndeliverableStays(t *testing.T) {
	g := newRig(t, letter(record.ReasonRejected, "a", 1), letter(record.ReasonRejected, "bad", 2), letter(record.ReasonTooLarge, "large", 3),
		record.Letter{Reason: record.ReasonUndecodable, Time: time.Now(), Shard: "shard-0", Sequence: "4", Data: []byte("c")})
	g.index.refuse["bad"], g.index.partly["large"] = true, true
	g.replay.NewDecoder = func() Decoder { return &words{broken: true} }
	p, left, err := g.run(t)
	if err != nil || p.Delivered != 1 || p.Kept() != 3 || left != 3 || p.Why != "still no payload" {
		t.Errorf("got %+v, %d left, %v; want 1 delivered, 3 left, and why", p, left, err)
	}
}

// What holds the id is not what the letter holds: another event, or this one with its
// message cut.
func TestLetterStaysWhereTheIndexHoldsSomethingElseUnderItsID(t *testing.T) {
	for _, reason := range []string{record.ReasonCollision, record.ReasonTooLarge} {
		g := newRig(t, letter(reason, "a", 1))
		g.index.documents["cwl-2026.11.20/a"] = `{"@message":"another"}`
		p, left, err := g.run(t)
		if err != nil || p.Delivered != 0 || left != 1 || !strings.Contains(p.Why, "--index-suffix") {
			t.Errorf("%s: got %+v, %d left, %v; want the letter to stay, and what to do", reason, p, left, err)
		}
		g.replay.IndexSuffix = "-whole"
		if p, left, err := g.run(t); err != nil || p.Delivered != 1 || left != 0 || g.index.documents["cwl-2026.11.20-whole/a"] == "" {
			t.Errorf("%s: got %+v, %d left, %v with a suffix; want it delivered", reason, p, left, err)
		}
	}
}

func TestLineThatIsNoLetterHoldsNoOthersBack(t *testing.T) {
	g := newRig(t, letter(record.ReasonRejected, "a", 1))
	f, err := g.fsys.OpenFile("letters/0000000001.ndjson", os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	line, err := json.Marshal(letter(record.ReasonRejected, "b", 2))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(append([]byte("garbled\n"), append(line, '\n')...)); err != nil {
		t.Fatal(err)
	}
	g.replay.Archive = g.open(t)
	p, err := g.replay.Run(t.Context())
	if err != nil || p.Sent != 3 || p.Delivered != 2 || !strings.Contains(p.Why, "0000000001.ndjson:2") {
		t.Errorf("got %+v, %v; want the letters around the line delivered, and where it is", p, err)
	}
	if err := g.replay.Archive.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := disk.ReadFile(&g.fsys, "letters/0000000001.ndjson")
	if err != nil || string(content) != "garbled\n" {
		t.Errorf("got %q, %v left; want the line alone", content, err)
	}
}

// The letter of a record that a decoder has panicked at may be the first one.
func TestRecordThatPanicsHoldsNoOthersBack(t *testing.T) {
	g := newRig(t, record.Letter{Reason: record.ReasonPanic, Time: time.Now(), Shard: "shard-0", Sequence: "1", Data: []byte("panic")},
		record.Letter{Reason: record.ReasonUndecodable, Time: time.Now(), Shard: "shard-0", Sequence: "2", Data: []byte("b")})
	p, left, err := g.run(t)
	if err != nil || p.Sent != 2 || p.Delivered != 1 || left != 1 || !strings.Contains(p.Why, "panic") {
		t.Errorf("got %+v, %d left, %v; want one delivered, the other left, and why", p, left, err)
	}
}

func TestFilterAndSuffix(t *testing.T) {
	g := newRig(t, letter(record.ReasonReadOnly, "a", 1), letter(record.ReasonRejected, "b", 2))
	g.replay.Filter = deadletter.Filter{Reasons: []string{record.ReasonReadOnly}}
	g.replay.IndexSuffix = "-late"
	p, left, err := g.run(t)
	if err != nil || p.Delivered != 1 || p.Skipped != 1 || left != 1 {
		t.Errorf("got %+v, %d left, %v; want 1 delivered, 1 skipped, 1 left", p, left, err)
	}
	if _, ok := g.index.documents["cwl-2026.11.20-late/a"]; !ok {
		t.Errorf("got the documents %v, want a in the index with the suffix", g.index.documents)
	}
}

func TestReplayThatFailsLosesNothing(t *testing.T) {
	letters := make([]record.Letter, 0, batchLetters+5)
	for n := range cap(letters) {
		letters = append(letters, letter(record.ReasonRejected, fmt.Sprint("id", n), n))
	}
	g := newRig(t, letters...)
	g.index.fail = errors.New("the index is away")
	if _, left, err := g.run(t); !errors.Is(err, g.index.fail) || left != len(letters) {
		t.Errorf("got %v and %d letters left, want the failure and all %d", err, left, len(letters))
	}
	g.index.fail = nil
	p, left, err := g.run(t)
	if err != nil || p.Delivered != len(letters) || left != 0 || len(g.index.documents) != len(letters) {
		t.Errorf("got %+v, %d left, %d documents, %v; want %d delivered once each", p, left, len(g.index.documents), err, len(letters))
	}
}
