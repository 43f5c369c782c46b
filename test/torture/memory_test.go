package torture

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shipperd/shipperd/pkg/elastic/elasticfake"
)

// worstOutage bounds the daemon's memory: the collector lets a budget of 32 MiB, or a
// bomb that inflates to the cap of 64 MiB, double, and the program takes as much again.
const worstOutage = 192 << 20

// TestMemoryIsBoundedWhileTheIndexIsDown has ten times the budget come in meanwhile.
func TestMemoryIsBoundedWhileTheIndexIsDown(t *testing.T) {
	s, err := newSite(t.Context(), built(t), t.TempDir(), 1, "SHIPPERD_PIPELINE_MEMORY=32MiB")
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	var down atomic.Bool
	down.Store(true)
	s.search.Script = func(*elasticfake.Request) elasticfake.Fault {
		if down.Load() {
			return elasticfake.Fault{Status: http.StatusServiceUnavailable}
		}
		return elasticfake.Fault{}
	}
	noise := make([]byte, 3000)
	random := rand.New(rand.NewPCG(1, 1))
	in := 0
	for number := range 1000 {
		for i := range noise {
			noise[i] = 'a' + byte(random.IntN(26)) // so that gzip saves little
		}
		if err := s.putEvents(number, s.stream.Shards()[number%shards], "good", 100, string(noise)); err != nil {
			t.Fatal(err)
		}
		in += 100 * len(noise)
	}
	if err := s.daemon.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	most := 0.0
	for range 80 {
		pause(t.Context(), 250*time.Millisecond)
		if m, err := s.daemon.scrape(t.Context()); err == nil {
			most = max(most, m.sum("shipperd_in_flight_bytes", ""))
		} else if errors.Is(err, errUnbalanced) {
			t.Error(err)
		}
	}
	down.Store(false)
	for deadline := time.Now().Add(patience); ; {
		missing, err := s.missing(s.known())
		if err != nil {
			t.Fatal(err)
		}
		if len(missing) == 0 {
			break
		}
		if time.Now().After(deadline) || !pause(t.Context(), time.Second) {
			t.Fatalf("got %d events missing %s after the outage", len(missing), patience)
		}
	}
	e, _, err := s.daemon.terminate()
	if err != nil {
		t.Error(err)
	}
	t.Logf("%d MiB of messages came in while the index was down; at most %d MiB were in flight; worst RSS %d MiB", in>>20, int(most)>>20, e.rss>>20)
	if most < 16<<20 { // the rest is reserved for replies of up to 10 MiB
		t.Errorf("got at most %.0f bytes in flight: the budget was not used up, and nothing is tested", most)
	}
	if e.rss > worstOutage {
		t.Errorf("got %d MiB of memory, want at most %d", e.rss>>20, worstOutage>>20)
	}
}

// TestBombsAreBoundedAndTheirTextIsKept sends what attackers can write into a log,
// and a record that only a forger can.
func TestBombsAreBoundedAndTheirTextIsKept(t *testing.T) {
	s, err := newSite(t.Context(), built(t), t.TempDir(), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	var keys strings.Builder
	for i := range 100_000 {
		keys.WriteString(`"k` + itoa(i) + `":1,`)
	}
	messages := map[string]string{
		"depth-0":   strings.Repeat(`{"a":`, 20_000) + "1" + strings.Repeat("}", 20_000),
		"keys-0":    "{" + keys.String() + `"last":1}`,
		"line-0":    strings.Repeat("x", 1<<20),
		"invalid-0": "before \xff\xfe after",
	}
	for id, message := range messages {
		quoted := bytes.NewBuffer(nil)
		encoder := json.NewEncoder(quoted)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(strings.ToValidUTF8(message, "")); err != nil {
			t.Fatal(err)
		}
		text := strings.TrimSpace(quoted.String())
		if id == "invalid-0" {
			text = `"` + message + `"` // as a forger writes it
		}
		data, err := compress(`{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"g","logStream":"s","subscriptionFilters":[],"logEvents":[{"id":"` +
			id + `","timestamp":1795089600000,"message":` + text + `}]}`)
		if err != nil {
			t.Fatal(err)
		}
		s.stream.Put(s.stream.Shards()[0], data)
		s.sent["cwl-2026.11.19/"+id] = true
	}
	s.putBroken(s.stream.Shards()[0], bomb(t))
	if err := s.deliver(t.Context(), (&fault{}).usual, &fault{metric: letters, label: `reason="oversize"`}); err != nil {
		t.Fatal(err)
	}
	for id, want := range messages {
		var document struct {
			Message string `json:"@message"`
		}
		if err := json.Unmarshal(s.search.Documents("cwl-2026.11.19")[id], &document); err != nil {
			t.Errorf("%s: %v", id, err)
		}
		if want = strings.ReplaceAll(strings.ToValidUTF8(want, "\ufffd"), "\ufffd", ""); strings.ReplaceAll(document.Message, "\ufffd", "") != want {
			t.Errorf("%s: got %d bytes of text, want those %d that were sent", id, len(document.Message), len(want))
		}
	}
	t.Logf("worst RSS %d MiB", s.worstRSS>>20)
	if s.worstRSS > worstOutage {
		t.Errorf("got %d MiB of memory, want at most %d", s.worstRSS>>20, worstOutage>>20)
	}
}

// bomb returns 1 GiB, gzipped to 1 MiB.
func bomb(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	chunk := make([]byte, 1<<20)
	for range 1 << 10 {
		if _, err := z.Write(chunk); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
