package simulate

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/shipperd/shipperd/pkg/elastic/elasticfake"
)

// quietWorld is a world in which nothing goes wrong but what plan says.
func quietWorld(t *testing.T, p plan) (*world, *observer.ObservedLogs) {
	w := newWorld(t, 1)
	p.shards, p.spread, p.lives, p.gzip, p.quiet = w.plan.shards, time.Second, 1, "off", true
	w.plan = p
	core, logs := observer.New(zap.InfoLevel)
	w.log = zap.New(core)
	return w, logs
}

// lines returns how many lines of the log begin with text.
func lines(logs *observer.ObservedLogs, text string) (n int) {
	for _, entry := range logs.All() {
		if strings.HasPrefix(entry.Message, text) {
			n++
		}
	}
	return n
}

// Two hours without the index, while the stream is full. Reading stops when memory is
// used up; afterwards it has 90 % of what the shards give, from 30 s on at the latest.
//
// Scenario: Kinesis T14.
// Scenario: Elasticsearch 3.
func TestTwoHoursWithoutTheIndex(t *testing.T) {
	const (
		rate    = 128 << 10 // of a shard
		memory  = 2 << 20
		size    = 64 << 10 // of a record
		backlog = 8 << 20  // of a shard
		begins  = 10 * time.Second
		ends    = begins + 2*time.Hour
	)
	for kind, reason := range map[string]string{
		searchDown: "", searchStorm: "", searchLocked: "unauthorized", searchMissing: "not_found", searchBlocked: "blocked",
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w, logs := quietWorld(t, plan{
					memory: memory, record: 8 * size, rate: rate, calm: ends,
					outages: []outage{{kind: kind, from: begins, to: ends}},
				})
				shards := w.stream.Shards()
				for i := range len(shards) * backlog / size {
					time.AfterFunc(begins+time.Duration(i), func() { w.putLarge(shards[i%len(shards)], i, size) })
				}
				time.AfterFunc(ends-time.Second, func() {
					w.checkOutage(kind, reason, ends)
				})
				w.run()
				// All of it at 90 % of the rate, and 10 s until a quiet stream is seen to be settled.
				if took, most := w.elapsed()-ends, 40*time.Second+backlog*time.Second/(rate*9/10); took > most {
					t.Errorf("got all through %v after the outage, want within %v", took, most)
				}
				first, last := "bulk requests fail", "bulk requests get through again"
				if reason != "" {
					first, last = "paused", "resumed"
				}
				if n, m := lines(logs, first), lines(logs, last); n != 1 || m != 1 {
					t.Errorf("got %d lines at the first failure and %d at the recovery, want 1 and 1", n, m)
				}
			})
		})
	}
}

// putLarge puts a record of one event on a shard.
func (w *world) putLarge(shard string, number, size int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	event := fmt.Sprintf("%s/%s-%d-0", w.days[0], good, number)
	payload := w.payload([]string{event})
	payload = strings.Replace(payload, "line of", strings.Repeat("x", size-len(payload)), 1)
	sequence := w.stream.Put(shard, []byte(payload))
	w.truth.add(w.truth.stream().shard(shard), sequence, &sent{events: []string{event}})
}

// checkOutage looks at the last hour of an outage.
func (w *world) checkOutage(kind, reason string, ends time.Duration) {
	w.mu.Lock()
	calls := slices.Clone(w.trace)
	w.mu.Unlock()
	var reads, requests int
	for _, line := range calls {
		var at int64
		var peer string
		if _, err := fmt.Sscan(line, &at, &peer); err != nil {
			w.Error(err)
		}
		if time.Duration(at) < ends-time.Hour {
			continue
		}
		switch peer {
		case "GetRecords":
			reads++
		case "search":
			requests++
		}
	}
	if reads > 0 {
		w.Errorf("%s: got %d reads in the last hour, want none: memory is used up", kind, reads)
	}
	if most := 2 * 3600 / 15; requests > most || requests == 0 {
		w.Errorf("%s: got %d requests in the last hour, want some, and one to each endpoint in 15 s at most", kind, requests)
	}
	sink := w.sums(w.life.daemon.sink)
	if up, paused := sink["shipperd_sink_up"], sink["shipperd_sink_paused"]; up != 0 || paused != 0 && reason == "" || paused != 1 && reason != "" {
		w.Errorf("%s: got up %v and paused %v", kind, up, paused)
	}
	if name, age, stuck := w.life.daemon.monitor.Stuck(stuckLimit); stuck {
		w.Errorf("task %q has been at work without a step for %s: the health check would fail", name, age)
	}
}

// At ten events a second an event is found after a poll, a batch's age and the ways
// there and back.
//
// Scenario: Elasticsearch 20.
func TestEventsOfAQuietStreamAreFoundSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const events, most = 600, 1250*time.Millisecond + time.Second + 4*41*time.Millisecond
		w, _ := quietWorld(t, plan{memory: 16 << 20, record: 64 << 10, rate: 2 << 20, calm: 2 * time.Minute})
		shards, sent := w.stream.Shards(), make(map[string]time.Time)
		late := 0
		w.search.Script = func(r *elasticfake.Request) elasticfake.Fault {
			w.mu.Lock()
			defer w.mu.Unlock()
			for _, d := range r.Docs {
				if time.Since(sent[d.ID]) > most {
					late++
				}
			}
			return elasticfake.Fault{}
		}
		for i := range events {
			time.AfterFunc(10*time.Second+time.Duration(i)*100*time.Millisecond, func() {
				w.putLarge(shards[i%len(shards)], i, 500)
				w.mu.Lock()
				defer w.mu.Unlock()
				sent[fmt.Sprintf("%s-%d-0", good, i)] = time.Now()
			})
		}
		w.run()
		if late > events/100 {
			t.Errorf("got %d of %d events later than %s, want 1 in 100 at most", late, events, most)
		}
	})
}
