package torture

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/shipperd/shipperd/pkg/elastic/elasticfake"
	"github.com/shipperd/shipperd/test/daemon"
)

// worstMemory bounds the daemon's memory, whatever comes: the collector lets the budget
// of 64 MiB, or a bomb that inflates to the cap of 64 MiB, double, and the program
// takes as much again.
const worstMemory = 192 << 20

// outage has ten times the budget come in while the index is away, through shards
// enough to read it all within ten seconds.
func (s *site) outage(ctx context.Context) error {
	const budget = 32 << 20
	s.stream = s.service.Create("wide", 16)
	s.daemon.Env = append(s.daemon.Env, "SHIPPERD_KINESIS_STREAM=wide", fmt.Sprintf("SHIPPERD_PIPELINE_MEMORY=%dMiB", budget>>20))
	var down atomic.Bool
	down.Store(true)
	s.search.Script = func(*elasticfake.Request) elasticfake.Fault {
		if down.Load() {
			return elasticfake.Fault{Status: http.StatusServiceUnavailable}
		}
		return elasticfake.Fault{}
	}
	if err := s.putNoise(10 * budget); err != nil {
		return err
	}
	if err := s.daemon.Start(ctx); err != nil {
		return err
	}
	most := 0.0
	for range 50 {
		if !pause(ctx, 200*time.Millisecond) {
			return ctx.Err()
		}
		m, err := s.daemon.Scrape(ctx)
		if errors.Is(err, daemon.ErrUnbalanced) {
			return err
		}
		most = max(most, m.Sum("shipperd_in_flight_bytes"))
	}
	if most < budget/2 { // the rest is reserved for replies of up to 10 MiB
		return fmt.Errorf("at most %.0f bytes were in flight: the budget of %d was not used up", most, budget)
	}
	down.Store(false)
	return s.end(ctx)
}

// putNoise puts messages of this many bytes on the stream, in which gzip finds little.
func (s *site) putNoise(size int) error {
	const message = 64 << 10
	noise := make([]byte, 16*message)
	for i := range noise {
		noise[i] = 'a' + byte(s.random.IntN(26))
	}
	open := s.stream.Shards()
	for number := 0; size > 0; number++ {
		rest := string(noise[number%16*message:][:message])
		if err := s.putEvents(number, open[number%len(open)], "good", 5, rest); err != nil {
			return err
		}
		size -= 5 * message
	}
	return nil
}

// hostile is an event as an attacker or a forger writes it.
type hostile struct {
	id    string
	json  string // the message, in a payload
	found string // its text in the index
}

func hostileEvents() []hostile {
	var keys strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&keys, `"k%d":1,`, i)
	}
	quoted := func(id, message string) hostile {
		text, _ := json.Marshal(message) // a string always has a JSON form
		return hostile{id, string(text), message}
	}
	return []hostile{
		quoted("depth", strings.Repeat(`{"a":`, 20_000)+"1"+strings.Repeat("}", 20_000)),
		quoted("keys", "{"+keys.String()+`"last":1}`),
		quoted("line", strings.Repeat("x", 1<<20)),
		{"invalid", "\"before \xff\xfe after\"", "before \ufffd\ufffd after"},
	}
}

// bombs sends hostile events, and a record of 1 MiB that inflates to 1 GiB. The shard
// has to go on, and all of it has to be found.
func (s *site) bombs(ctx context.Context) error {
	shard, index := s.stream.Shards()[0], days[0]
	day, err := time.Parse(dayLayout, index)
	if err != nil {
		return err
	}
	for _, h := range hostileEvents() {
		event := fmt.Sprintf(`{"id":%q,"timestamp":%d,"message":%s}`, h.id, day.UnixMilli(), h.json)
		if err := s.putPayload(shard, event, index+"/"+h.id); err != nil {
			return err
		}
	}
	forged, err := bomb(1 << 10)
	if err != nil {
		return err
	}
	s.putBroken(shard, forged)
	if err := s.deliver(ctx, (*site).usual, &fault{metric: letters, label: `reason="oversize"`}); err != nil {
		return err
	}
	for _, h := range hostileEvents() {
		var document struct {
			Message string `json:"@message"`
		}
		if err := json.Unmarshal(s.search.Documents(index)[h.id], &document); err != nil {
			return fmt.Errorf("event %s: %w", h.id, err)
		}
		if document.Message != h.found {
			return fmt.Errorf("event %s: got %d bytes of text, want those %d that were sent", h.id, len(document.Message), len(h.found))
		}
	}
	return nil
}
