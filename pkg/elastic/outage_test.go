package elastic

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shipperd/shipperd/pkg/elastic/elasticfake"
	"github.com/shipperd/shipperd/pkg/record"
)

// until has script's fault happen for d from now on, and counts the bulk requests of
// each host and minute.
func until(d time.Duration, script func(*elasticfake.Request) elasticfake.Fault) (server *elasticfake.Server, minutes map[string][]int) {
	began, minutes := time.Now(), make(map[string][]int)
	return &elasticfake.Server{Script: func(r *elasticfake.Request) elasticfake.Fault {
		for len(minutes[r.Host]) <= int(time.Since(began)/time.Minute) {
			minutes[r.Host] = append(minutes[r.Host], 0)
		}
		minutes[r.Host][len(minutes[r.Host])-1]++
		if time.Since(began) >= d {
			return elasticfake.Fault{}
		}
		return script(r)
	}}, minutes
}

func TestBackoffIsFullJitterBelowADoublingCeiling(t *testing.T) {
	w := newWorld(t, &elasticfake.Server{}, nil)
	const batches = 2000
	for failures, ceiling := 1, 2*firstBackoff; failures < 12; failures, ceiling = failures+1, min(2*ceiling, lastBackoff) {
		var sum, most time.Duration
		for i := range batches {
			r := makeRecord(fmt.Sprint(i), today, 1)
			wait := newBatch(w.sink, w.sink.collect(nil, []*record.Record{r})).backoff(failures, 0)
			sum, most = sum+wait, max(most, wait)
		}
		if mean := sum / batches; most > ceiling || mean < ceiling*45/100 || mean > ceiling*55/100 {
			t.Errorf("failure %d: got waits of %s on average and %s at most, want half of %s and no more than it", failures, mean, most, ceiling)
		}
	}
}

// Scenario: Elasticsearch 2.
//
// A storm of ten minutes, and as many batches as wait on a quiet site when it has
// lasted for long: each is an event or two.
func TestStormIsMetWithFewRequestsAndEndsQuickly(t *testing.T) {
	for name, fault := range map[string]elasticfake.Fault{
		"429":     {Status: 429, Type: "es_rejected_execution_exception"},
		"503":     {Status: 503},
		"502":     {Status: 502},
		"refused": {Refused: true},
		"reset":   {Reset: true},
		"hung":    {Damage: elasticfake.Hung},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const storm, many = 10 * time.Minute, 200
				began := time.Now()
				server, minutes := until(storm, func(*elasticfake.Request) elasticfake.Fault { return fault })
				w := newWorld(t, server, nil)
				var batches sync.WaitGroup
				for b := range many {
					batches.Go(func() {
						<-time.After(time.Duration(b) * time.Second)
						w.write(makeRecord(fmt.Sprint(b), today, 2))
					})
				}
				<-time.After(storm - time.Second)
				want(t, "sink_up in the storm", w.metric("sink_up", ""), 0)
				want(t, "dead letters", len(w.letters.all()), 0)
				batches.Wait()
				want(t, "documents", server.Count(), 2*many)
				longest := 30 * time.Second
				if fault.Damage == elasticfake.Hung {
					longest += w.sink.config.Timeout // of the last request in the storm
				}
				if took := time.Since(began) - storm; took > longest {
					t.Errorf("got all through %v after the storm, want within %v", took, longest)
				}
				for minute, n := range minutes["127.0.0.1:9200"][:10] {
					if most := 6; minute > 1 && n > most {
						t.Errorf("minute %d: got %d requests, want at most %d", minute, n, most)
					}
				}
				want(t, "lines at the first failure", w.logged("bulk requests fail"), 1)
				want(t, "lines at recovery", w.logged("get through again"), 1)
				want(t, "sink_up", w.metric("sink_up", ""), 1)
			})
		})
	}
}

// Of three endpoints one is away, for ten minutes.
func TestBrokenEndpointIsLeftOutAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const outage = 10 * time.Minute
		server, minutes := until(outage, func(r *elasticfake.Request) elasticfake.Fault {
			return elasticfake.Fault{Refused: r.Host == "c:9200"}
		})
		w := newWorld(t, server, func(c *Config) { c.Endpoints = []string{"a:9200", "b:9200/es", "c:9200"} })
		var batches sync.WaitGroup
		for i := range 12 * 120 {
			batches.Go(func() {
				<-time.After(time.Duration(i) * 500 * time.Millisecond)
				sent := time.Now()
				w.write(makeRecord(fmt.Sprint(i), today, 1))
				if took := time.Since(sent); took > 5*time.Second {
					t.Errorf("batch %d took %v, want it to go to another endpoint soon", i, took)
				}
			})
		}
		batches.Wait()
		for minute := 1; minute < 10; minute++ {
			if n := minutes["c:9200"][minute]; n > 60/15 {
				t.Errorf("minute %d: got %d requests to the endpoint that is away, want one in 15 s", minute, n)
			}
		}
		for _, host := range []string{"a:9200", "b:9200", "c:9200"} {
			if n := minutes[host][11]; n < 35 || n > 45 {
				t.Errorf("got %d requests to %s in the minute after, want a third of 120", n, host)
			}
		}
	})
}

// Scenario: Elasticsearch 10.
//
// The flood stage of all nodes: every document of every index is refused, for two
// hours, which is longer than blocked_after.
func TestDiskFullOnAllIndicesIsWaitedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const full, indices = 2 * time.Hour, 3
		began := time.Now()
		server, minutes := until(full, func(*elasticfake.Request) elasticfake.Fault {
			return elasticfake.Fault{Item: func(int, elasticfake.Document) *elasticfake.ItemError { return rejectAs(429, typeClusterBlock) }}
		})
		w := newWorld(t, server, nil)
		var records []*record.Record
		var batches sync.WaitGroup
		for i := range 30 {
			r := makeRecord(fmt.Sprint(i), fmt.Sprintf("cwl-2026.11.%d", 20+i%indices), 100)
			records = append(records, r)
			batches.Go(func() {
				<-time.After(time.Duration(i) * time.Minute)
				w.write(r)
			})
		}
		<-time.After(full - time.Second)
		want(t, "sink_paused", w.metric("sink_paused", "blocked"), indices)
		batches.Wait()
		want(t, "outcomes", outcomes(records...), map[string]int{"indexed": 3000})
		want(t, "dead letters", len(w.letters.all()), 0)
		if took := time.Since(began) - full; took > 30*time.Second {
			t.Errorf("got all through %v after there was room, want within 30s", took)
		}
		for minute, n := range minutes["127.0.0.1:9200"][:120] {
			if most := indices * 60 / 15; minute > 2 && n > most {
				t.Errorf("minute %d: got %d requests, want one for each index in 15 s", minute, n)
			}
		}
		want(t, "pauses", w.logged("paused"), indices)
		want(t, "resumes", w.logged("resumed"), indices)
		want(t, "sink_paused", w.metric("sink_paused", ""), 0)
	})
}

// Scenario: Elasticsearch 20.
//
// Late events are of many days, each of which has its index.
func TestLateEventsOfManyDaysGoInOneRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, &elasticfake.Server{}, nil)
		var records []*record.Record
		for day := range 30 {
			records = append(records, makeRecord(fmt.Sprint(day), fmt.Sprintf("cwl-2026.10.%02d", 1+day), 10))
		}
		w.write(records...)
		want(t, "requests", w.server.Requests(), 1)
		want(t, "outcomes", outcomes(records...), map[string]int{"indexed": 300})
	})
}

// One of two endpoints leads elsewhere, or has other credentials. It must not close the
// gate of the cluster, which the other opens again for one document a second.
func TestEndpointThatRefusesAllIsLeftOut(t *testing.T) {
	for _, status := range []int{301, 401, 404} {
		synctest.Test(t, func(t *testing.T) {
			var refusing atomic.Value // the part of their names that those have which refuse
			refusing.Store("bad")
			server := &elasticfake.Server{Script: func(r *elasticfake.Request) elasticfake.Fault {
				if strings.Contains(r.Host, refusing.Load().(string)) {
					return elasticfake.Fault{Status: status}
				}
				return elasticfake.Fault{}
			}}
			w := newWorld(t, server, func(c *Config) { c.Endpoints = []string{"http://bad:9200", "http://good:9200"} })
			began := time.Now()
			for i := range 200 {
				w.write(makeRecord(fmt.Sprint("r", i), today, 50))
			}
			if took := time.Since(began); took > time.Minute || w.logs.Len() == 0 || w.logs.Len() > 10 {
				t.Errorf("status %d: got 10,000 documents in %v with %d lines, want a minute and some", status, took, w.logs.Len())
			}
			refusing.Store("")
			var writes sync.WaitGroup
			writes.Go(func() { w.write(makeRecord("last", today, 50)) })
			<-time.After(time.Minute)
			want(t, "paused when all refuse", w.metric("sink_paused", ""), 1)
			refusing.Store("none")
			writes.Wait()
			want(t, "paused in the end", w.metric("sink_paused", ""), 0)
		})
	}
}
