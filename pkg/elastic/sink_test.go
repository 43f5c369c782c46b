package elastic

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shipperd/shipperd/pkg/elastic/elasticfake"
	"github.com/shipperd/shipperd/pkg/pipeline"
	"github.com/shipperd/shipperd/pkg/pipeline/pipelinetest"
	"github.com/shipperd/shipperd/pkg/record"
)

func want[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func rejectAs(status int, kind string) *elasticfake.ItemError {
	return &elasticfake.ItemError{Status: status, Type: kind, Reason: "failed to parse field [status] of type [long]"}
}

// blocking is a script that refuses the documents of one index, as a block on it does.
func blocking(index string) func(*elasticfake.Request) elasticfake.Fault {
	return func(*elasticfake.Request) elasticfake.Fault {
		return elasticfake.Fault{Item: func(_ int, d elasticfake.Document) *elasticfake.ItemError {
			if d.Index == index {
				return rejectAs(403, typeClusterBlock)
			}
			return nil
		}}
	}
}

func TestWriteIndexesAndCountsDuplicates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, full := range []bool{false, true} {
			w := newWorld(t, &elasticfake.Server{Full: full}, nil)
			r := makeRecord("a", today, 100)
			r.Events[7].Outcome = record.Filtered
			w.write(r, makeRecord("b", "cwl-2026.11.23", 100))
			want(t, "outcomes", outcomes(r), map[string]int{"indexed": 99, "filtered": 1})
			want(t, "documents", w.server.Count(), 199)
			again := makeRecord("a", today, 100)
			w.write(again)
			want(t, "outcomes", outcomes(again), map[string]int{"indexed": 1, "duplicate": 99})
			want(t, "requests", w.server.Requests(), 2)
			want(t, "document", string(w.server.Documents(today)["a-3"]), string(r.Doc(&r.Events[3])))
		}
	})
}

func TestBytesOnTheWireAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, gzip := range []string{"off", "on"} {
			w := newWorld(t, &elasticfake.Server{}, func(c *Config) { c.Gzip = gzip })
			w.write(makeRecord("a", today, 100))
			raw, wire := w.sum("bulk_request_bytes", "raw"), w.sum("bulk_request_bytes", "wire")
			if gzip == "off" && wire != raw || gzip == "on" && (wire == 0 || wire >= raw) {
				t.Errorf("gzip %s: got %v bytes, %v on the wire", gzip, raw, wire)
			}
		}
	})
}

func TestSinkKeepsTheContract(t *testing.T) {
	pipelinetest.TestSink(t, today, func(t *testing.T) pipeline.Sink {
		return newWorld(t, &elasticfake.Server{}, nil).sink
	})
}

func TestWriteOfNothingSendsNothing(t *testing.T) {
	w := newWorld(t, &elasticfake.Server{}, nil)
	w.write()
	w.write(makeRecord("a", today, 0))
	want(t, "requests", w.server.Requests(), 0)
}

// Scenario: Elasticsearch 1.
func TestItem429SendsOnlyTheRefusedAgainAndShrinksTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		server := &elasticfake.Server{Script: func(*elasticfake.Request) elasticfake.Fault {
			return elasticfake.Fault{Item: func(i int, _ elasticfake.Document) *elasticfake.ItemError {
				if i%10 < 3 && time.Since(began) < time.Minute {
					return rejectAs(429, "es_rejected_execution_exception")
				}
				return nil
			}}
		}}
		w := newWorld(t, server, nil)
		var batches sync.WaitGroup
		for b := range 20 {
			batches.Go(func() { w.write(makeRecord(fmt.Sprint(b), today, 500)) })
		}
		<-time.After(30 * time.Second)
		want(t, "window", w.metric("bulk_window", ""), 1)
		batches.Wait()
		want(t, "documents", server.Count(), 20*500)
		for b := range 20 {
			for i := range 500 {
				if n := server.Applied(today, fmt.Sprintf("%d-%d", b, i)); n != 1 {
					t.Fatalf("document %d-%d: got %d times, want once", b, i, n)
				}
			}
		}
		want(t, "dead letters", len(w.letters.all()), 0)
		want(t, "item errors", w.metric("bulk_item_errors_total", "es_rejected") > 0, true)
	})
}

func TestRetryAfterIsAFloorOfUpToAMinute(t *testing.T) {
	for header, floor := range map[string]time.Duration{"7": 7 * time.Second, "3600": time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, &elasticfake.Server{Script: func(r *elasticfake.Request) elasticfake.Fault {
				if r.Number == 1 {
					return elasticfake.Fault{Status: 429, Type: "circuit_breaking_exception", RetryAfter: header}
				}
				return elasticfake.Fault{}
			}}, nil)
			began := time.Now()
			w.write(makeRecord("a", today, 3))
			if took := time.Since(began); took < floor || took > floor*5/4+time.Second {
				t.Errorf("Retry-After %s: got %v, want a little more than %v", header, took, floor)
			}
		})
	}
}

// Scenario: Elasticsearch 4.
func TestPoisonDocumentsAreReducedAndTheRestIsUntouched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &elasticfake.Server{Script: func(*elasticfake.Request) elasticfake.Fault {
			return elasticfake.Fault{Item: func(_ int, d elasticfake.Document) *elasticfake.ItemError {
				if strings.HasSuffix(d.ID, "7") && bytes.Contains(d.Source, []byte(`"status":`)) {
					return rejectAs(400, "mapper_parsing_exception")
				}
				return nil
			}}
		}}
		w := newWorld(t, server, nil)
		r := makeRecord("a", today, 20)
		w.write(r)
		want(t, "outcomes", outcomes(r), map[string]int{"indexed": 18, "indexed reduced": 2})
		want(t, "requests", server.Requests(), 2)
		var got map[string]any
		if err := json.Unmarshal(server.Documents(today)["a-7"], &got); err != nil {
			t.Fatal(err)
		}
		want(t, "reduced document", got, map[string]any{
			"@id": "a-7", "@timestamp": "2026-11-22T10:00:00.000Z", "@message": "GET /7",
			"@owner": "123456789012", "@log_group": "AccessLogGroup", "@log_stream": "i-0",
			"event": map[string]any{"kind": "pipeline_error"},
			"shipperd": map[string]any{"rejected": map[string]any{
				"type": "mapper_parsing_exception", "reason": "failed to parse field [status] of type [long]",
				"field": "status", "fields": `{"status":207,"host":"192.0.2.7"}`,
			}},
		})
		want(t, "events_reduced_total", w.metric("events_reduced_total", "mapper_parsing"), 2)
		want(t, "dead letters", len(w.letters.all()), 0)
	})
}

func TestRefusedWithFieldsTheSixAloneAreSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &elasticfake.Server{Script: func(*elasticfake.Request) elasticfake.Fault {
			return elasticfake.Fault{Item: func(_ int, d elasticfake.Document) *elasticfake.ItemError {
				if bytes.Contains(d.Source, []byte(`"event"`)) || bytes.Contains(d.Source, []byte(`"status"`)) {
					return rejectAs(400, "illegal_argument_exception")
				}
				return nil
			}}
		}}
		w := newWorld(t, server, nil)
		r := makeRecord("a", today, 1)
		w.write(r)
		want(t, "outcomes", outcomes(r), map[string]int{"indexed reduced": 1})
		want(t, "document", string(server.Documents(today)["a-0"]), `{"@id":"a-0","@timestamp":"2026-11-22T10:00:00.000Z",`+
			`"@message":"GET /0","@owner":"123456789012","@log_group":"AccessLogGroup","@log_stream":"i-0"}`)
	})
}

// What is refused in every form, and what comes after it too, is the index's fault:
// nothing is a dead letter, and after the repair the documents arrive whole.
func TestRefusedInEveryFormPausesTheIndex(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		server := &elasticfake.Server{Script: func(*elasticfake.Request) elasticfake.Fault {
			return elasticfake.Fault{Item: func(_ int, d elasticfake.Document) *elasticfake.ItemError {
				if d.Index == today && time.Since(began) < time.Hour {
					return rejectAs(400, "index_closed_exception")
				}
				return nil
			}}
		}}
		w := newWorld(t, server, nil)
		r, other := makeRecord("a", today, 50), makeRecord("b", "cwl-2026.11.21", 50)
		records := []*record.Record{r, other}
		var batches sync.WaitGroup
		batches.Go(func() { w.write(r, other) })
		for i := range 6 {
			r := makeRecord(fmt.Sprint("later", i), today, 1)
			records = append(records, r)
			batches.Go(func() {
				<-time.After(time.Duration(i) * 10 * time.Minute)
				w.write(r)
			})
		}
		<-time.After(time.Minute)
		want(t, "other index", len(server.Documents("cwl-2026.11.21")), 50)
		want(t, "sink_paused", w.metric("sink_paused", "refused"), 1)
		if name, age, stuck := w.monitor.Stuck(time.Second); stuck {
			t.Errorf("%s looks stuck for %v while its index is paused", name, age)
		}
		batches.Wait()
		want(t, "outcomes", outcomes(records...), map[string]int{"indexed": 106})
		want(t, "dead letters", len(w.letters.all()), 0)
		if took := time.Since(began) - time.Hour; took > 30*time.Second {
			t.Errorf("got all through %v after the repair, want within 30s", took)
		}
		want(t, "pauses", w.logged("paused"), 1)
		want(t, "resumes", w.logged("resumed"), 1)
		want(t, "sink_paused", w.metric("sink_paused", ""), 0)
	})
}

// Scenario: Elasticsearch 4.
//
// Where no other document comes, none can show that these are at fault, and all that
// waits for them would wait for ever: the end of their shard, its children.
func TestRefusedInEveryFormWithNoOthersEndsInDeadLetters(t *testing.T) {
	for name, fault := range map[string]elasticfake.Fault{
		"items": {Item: func(int, elasticfake.Document) *elasticfake.ItemError {
			return rejectAs(400, "mapper_parsing_exception")
		}},
		"requests": {Status: 400, Type: "mapper_parsing_exception"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, &elasticfake.Server{Script: func(*elasticfake.Request) elasticfake.Fault { return fault }}, nil)
				ctx, stop := context.WithTimeout(t.Context(), time.Hour)
				defer stop()
				time.AfterFunc(14*time.Minute, func() {
					want(t, "dead letters before blocked_after", len(w.letters.all()), 0)
				})
				began, r := time.Now(), makeRecord("a", today, 3)
				if err := w.sink.Write(ctx, []*record.Record{r}); err != nil {
					t.Fatal(err)
				}
				want(t, "outcomes", outcomes(r), map[string]int{"dead_lettered": 3})
				if took := time.Since(began); took < 15*time.Minute || took > 17*time.Minute {
					t.Errorf("got dead letters after %v, want after blocked_after", took)
				}
				l := w.letters.all()[2]
				want(t, "reason", l.Reason, record.ReasonRejected)
				want(t, "error type", l.ErrorType, "mapper_parsing_exception")
				want(t, "sink_paused", w.metric("sink_paused", ""), 0)
			})
		})
	}
}

// A document that an index refuses in every form, again, after others passed, is a
// dead letter with the error of its original.
func TestRefusedInEveryFormWhileOthersPassIsADeadLetter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &elasticfake.Server{Script: func(*elasticfake.Request) elasticfake.Fault {
			return elasticfake.Fault{Item: func(_ int, d elasticfake.Document) *elasticfake.ItemError {
				if d.ID == "a-3" {
					return rejectAs(400, "mapper_parsing_exception")
				}
				return nil
			}}
		}}
		w := newWorld(t, server, nil)
		r := makeRecord("a", today, 5)
		go func() {
			for i := range 10 {
				w.write(makeRecord(fmt.Sprint("later", i), today, 1))
				<-time.After(5 * time.Second)
			}
		}()
		w.write(r)
		want(t, "outcomes", outcomes(r), map[string]int{"indexed": 4, "dead_lettered": 1})
		l := w.letters.all()[0]
		want(t, "reason", l.Reason, record.ReasonRejected)
		want(t, "error type", l.ErrorType, "mapper_parsing_exception")
		want(t, "document", string(l.Document), string(r.Doc(&r.Events[3])))
		<-time.After(time.Hour)
	})
}

// Scenario: Elasticsearch 5.
func Test413HalvesAndLearnsTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &elasticfake.Server{MaxBody: 1 << 20}
		w := newWorld(t, server, nil)
		pad := strings.Repeat("x", 900)
		for b := range 20 {
			r := &record.Record{Sequence: fmt.Sprint(b)}
			for i := range 4000 {
				addEvent(r, today, fmt.Sprintf("%d-%d", b, i), fmt.Sprintf(`{"@id":"%d-%d","@message":"%s"}`, b, i, pad))
			}
			w.write(r)
		}
		want(t, "documents", server.Count(), 80_000)
		refused, all := w.metric("bulk_requests_total", `"413"`), w.metric("bulk_requests_total", "")
		if refused > 0.03*all+3 {
			t.Errorf("got %v of %v requests refused with 413, want under 3 %%", refused, all)
		}
	})
}

// Scenario: Elasticsearch 5.
func Test413OfOneDocumentCutsItAndKeepsTheOriginal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &elasticfake.Server{MaxBody: 1 << 20}
		w := newWorld(t, server, nil)
		r := makeRecord("a", today, 2)
		addEvent(r, today, "large", `{"k":"v","@id":"large","@message":"`+strings.Repeat("ü", 2<<20)+`"}`)
		if err := w.sink.Write(t.Context(), []*record.Record{r}); err != nil {
			t.Fatal(err)
		}
		want(t, "outcomes", outcomes(r), map[string]int{"indexed": 2, "indexed reduced": 1})
		l := w.letters.all()
		want(t, "letters", len(l), 1)
		want(t, "reason", l[0].Reason, record.ReasonTooLarge)
		want(t, "original", len(l[0].Document), len(r.Doc(&r.Events[2])))
		var got struct {
			Message string `json:"@message"`
		}
		if err := json.Unmarshal(server.Documents(today)["large"], &got); err != nil || len(got.Message) != maxMessage {
			t.Errorf("got a message of %d bytes, %v, want %d", len(got.Message), err, maxMessage)
		}
	})
}

// Scenario: Elasticsearch 6.
//
// Requests are cut by their size before compression.
func TestRequestLimitCountsBytesBeforeCompression(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &elasticfake.Server{Script: func(r *elasticfake.Request) elasticfake.Fault {
			if r.Raw > requestBytes || r.Wire > 1<<20 {
				t.Errorf("got a request of %d bytes, %d compressed", r.Raw, r.Wire)
			}
			return elasticfake.Fault{}
		}}
		w := newWorld(t, server, func(c *Config) { c.Gzip = "on" })
		r := &record.Record{}
		for i := range 1000 {
			addEvent(r, today, fmt.Sprint(i), `{"@message":"`+strings.Repeat("a", 20_000)+`"}`)
		}
		w.write(r)
		want(t, "requests", server.Requests(), 4)
	})
}

// Scenario: Elasticsearch 7.
// Scenario: Elasticsearch 8.
// Scenario: Elasticsearch 16.
//
// Whatever happens to the reply, the documents are sent again and counted as
// duplicates; nothing is doubled, nothing panics.
func TestDamagedRepliesAreUnknownAndSentAgain(t *testing.T) {
	for damage := elasticfake.Lost; damage <= elasticfake.Hung; damage++ {
		t.Run(fmt.Sprint(damage), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := &elasticfake.Server{Script: func(r *elasticfake.Request) elasticfake.Fault {
					if r.Number <= 2 {
						return elasticfake.Fault{Damage: damage}
					}
					return elasticfake.Fault{}
				}}
				w := newWorld(t, server, nil)
				r := makeRecord("a", today, 50)
				w.write(r)
				want(t, "outcomes", outcomes(r), map[string]int{"duplicate": 50})
				want(t, "requests", server.Requests(), 3)
				want(t, "retries_total", w.metric("retries_total", "unknown"), 2)
			})
		})
	}
}

// Rule 5.
func TestThreeUnknownRepliesHalveUntilOneDocumentPausesItsIndex(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &elasticfake.Server{Script: func(r *elasticfake.Request) elasticfake.Fault {
			for _, d := range r.Docs {
				if d.ID == "a-5" {
					return elasticfake.Fault{Reset: true}
				}
			}
			return elasticfake.Fault{}
		}}
		w := newWorld(t, server, nil)
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Minute)
		defer stop()
		r := makeRecord("a", today, 8)
		if err := w.sink.Write(ctx, []*record.Record{r}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Write: got %v, want the deadline", err)
		}
		want(t, "outcomes", outcomes(r), map[string]int{"indexed": 7, "pending": 1})
		want(t, "sink_paused", w.metric("sink_paused", "unanswered"), 1)
	})
}

// Rule 5: an item 5xx that lasts, while others pass, ends in a dead letter or in
// reduced form; alone it waits for ever.
func TestItem5xxThatLastsTakesThePathOfItem400(t *testing.T) {
	for _, others := range []bool{true, false} {
		for _, form := range []string{"indexed reduced", "dead_lettered"} {
			synctest.Test(t, func(t *testing.T) {
				server := &elasticfake.Server{Script: func(*elasticfake.Request) elasticfake.Fault {
					return elasticfake.Fault{Item: func(_ int, d elasticfake.Document) *elasticfake.ItemError {
						if d.ID == "a-0" && (form == "dead_lettered" || bytes.Contains(d.Source, []byte(`"status"`))) {
							return rejectAs(500, "null_pointer_exception")
						}
						return nil
					}}
				}}
				w := newWorld(t, server, nil)
				ctx, stop := context.WithTimeout(t.Context(), 20*time.Minute)
				defer stop()
				r := makeRecord("a", today, 1)
				go func() {
					for i := 0; others && ctx.Err() == nil; i++ {
						w.write(makeRecord(fmt.Sprint("other", i), today, 1))
						<-time.After(10 * time.Second)
					}
				}()
				began := time.Now()
				err := w.sink.Write(ctx, []*record.Record{r})
				if !others {
					want(t, "error", errors.Is(err, context.DeadlineExceeded), true)
					want(t, "outcomes", outcomes(r), map[string]int{"pending": 1})
					return
				}
				want(t, "outcomes", outcomes(r), map[string]int{form: 1})
				if took := time.Since(began); took < failingLong || took > failingLong+time.Minute {
					t.Errorf("got it settled after %v, want after %v", took, failingLong)
				}
				for _, l := range w.letters.all() {
					want(t, "reason", l.Reason, record.ReasonUnprocessable)
					want(t, "status", l.Status, 500)
				}
				<-ctx.Done()
				<-time.After(time.Minute)
			})
		}
	}
}

func TestRequest400IsBisectedToThePoisonDocument(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, poison := range []string{"a-0", "a-777", "a-999"} {
			server := &elasticfake.Server{Script: func(r *elasticfake.Request) elasticfake.Fault {
				for _, d := range r.Docs {
					if d.ID == poison && bytes.Contains(d.Source, []byte(`"status"`)) {
						return elasticfake.Fault{Status: 400, Type: "x_content_parse_exception", Reason: "x"}
					}
				}
				return elasticfake.Fault{}
			}}
			w := newWorld(t, server, nil)
			r := makeRecord("a", today, 1000)
			w.write(r)
			want(t, "outcomes", outcomes(r), map[string]int{"indexed": 999, "indexed reduced": 1})
			if n := server.Requests(); n > 22 {
				t.Errorf("got %d requests, want at most 22 = 1 + 2 x log2(1000) + 1", n)
			}
			want(t, "pauses", w.logged("paused"), 0)
		}
	})
}

func TestRequest400OfEverythingPausesTheSink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		server := &elasticfake.Server{Script: func(*elasticfake.Request) elasticfake.Fault {
			if time.Since(began) < 10*time.Minute {
				return elasticfake.Fault{Status: 400, Type: "illegal_argument_exception", Reason: "unrecognized parameter"}
			}
			return elasticfake.Fault{}
		}}
		w := newWorld(t, server, nil)
		r := makeRecord("a", today, 1000)
		w.write(r)
		want(t, "outcomes", outcomes(r)["indexed"]+outcomes(r)["indexed reduced"], 1000)
		if n := outcomes(r)["indexed reduced"]; n > 1 {
			t.Errorf("got %d documents reduced, want at most the one that probed", n)
		}
		want(t, "dead letters", len(w.letters.all()), 0)
		want(t, "pauses", w.logged("paused"), 1)
		want(t, "resumes", w.logged("resumed"), 1)
	})
}

// Scenario: Elasticsearch 10.
func TestReadOnlyIndexDoesNotStopTheOthers(t *testing.T) {
	for _, status := range []int{403, 429} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			server := &elasticfake.Server{Script: func(r *elasticfake.Request) elasticfake.Fault {
				return elasticfake.Fault{Item: func(_ int, d elasticfake.Document) *elasticfake.ItemError {
					if d.Index == today && time.Since(began) < 10*time.Minute {
						if time.Since(began) > 500*time.Millisecond && len(r.Docs) > 1 {
							t.Errorf("got %d documents with one of the blocked index, want it to probe alone", len(r.Docs))
						}
						return rejectAs(status, typeClusterBlock)
					}
					return nil
				}}
			}}
			w := newWorld(t, server, nil)
			blocked, open := makeRecord("a", today, 100), makeRecord("b", "cwl-2026.11.21", 100)
			var batches sync.WaitGroup
			batches.Go(func() { w.write(blocked, open) })
			batches.Go(func() {
				<-time.After(time.Minute)
				w.write(makeRecord("c", today, 5), makeRecord("d", "cwl-2026.11.21", 5))
			})
			for i := range 50 {
				batches.Go(func() {
					<-time.After(time.Duration(i) * time.Second)
					sent := time.Now()
					w.write(makeRecord(fmt.Sprint(i), "cwl-2026.11.21", 10))
					if took := time.Since(sent); took > 100*time.Millisecond {
						t.Errorf("another index waited for %v", took)
					}
				})
			}
			batches.Wait()
			want(t, "outcomes", outcomes(blocked, open), map[string]int{"indexed": 200})
			want(t, "dead letters", len(w.letters.all()), 0)
			if n := server.Requests(); n > 50+10*60/15+20 {
				t.Errorf("got %d requests, want one probe in 15 s", n)
			}
			want(t, "window", w.metric("bulk_window", "") >= 2, true)
		})
	}
}

// Scenario: Elasticsearch 10.
func TestIndexBlockedForLongWhileOthersPassEndsInDeadLetters(t *testing.T) {
	for _, others := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			server := &elasticfake.Server{Script: blocking(today)}
			w := newWorld(t, server, nil)
			ctx, stop := context.WithTimeout(t.Context(), time.Hour)
			defer stop()
			go func() {
				for i := 0; others && ctx.Err() == nil; i++ {
					w.write(makeRecord(fmt.Sprint("other", i), "cwl-2026.11.21", 1))
					<-time.After(20 * time.Second)
				}
			}()
			r := makeRecord("a", today, 30)
			began := time.Now()
			err := w.sink.Write(ctx, []*record.Record{r})
			if !others {
				want(t, "error", errors.Is(err, context.DeadlineExceeded), true)
				want(t, "dead letters", len(w.letters.all()), 0)
				return
			}
			want(t, "outcomes", outcomes(r), map[string]int{"dead_lettered": 30})
			if took := time.Since(began); took < 15*time.Minute || took > 16*time.Minute {
				t.Errorf("got dead letters after %v, want after blocked_after", took)
			}
			want(t, "reason", w.letters.all()[29].Reason, record.ReasonReadOnly)
			want(t, "error type", w.letters.all()[29].ErrorType, typeClusterBlock)
			<-ctx.Done()
			<-time.After(time.Minute)
		})
	}
}

// Scenario: Elasticsearch 11.
// Nobody probes the index of yesterday once its documents are dead letters: the pause
// must not be shown for ever.
func TestPauseThatHoldsNothingBackEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, &elasticfake.Server{Script: blocking("cwl-2026.11.21")}, nil)
		var batches sync.WaitGroup
		batches.Go(func() { w.write(makeRecord("a", "cwl-2026.11.21", 3)) })
		for i := range 60 {
			<-time.After(time.Minute/2 + time.Duration(i))
			w.write(makeRecord(fmt.Sprint("other", i), today, 1))
			if i == 28 {
				want(t, "paused while documents wait", w.metric("sink_paused", "blocked"), 1)
			}
		}
		batches.Wait()
		want(t, "dead letters", len(w.letters.all()), 3)
		<-time.After(time.Minute)
		w.write(makeRecord("last", today, 1))
		want(t, "paused when none has waited for blocked_after", w.metric("sink_paused", "blocked"), 0)
		want(t, "lines about it", w.logged("nothing waits"), 1)
	})
}

func TestConfigurationFaultsPauseAndNothingIsADeadLetter(t *testing.T) {
	for name, fault := range map[string]elasticfake.Fault{
		"unauthorized":  {Status: 401, Type: "security_exception", Reason: "missing authentication"},
		"forbidden":     {Status: 403, Type: "security_exception", Reason: "no permissions"},
		"not_found":     {Status: 404, Type: "index_not_found_exception", Reason: "no such index"},
		"blocked":       {Status: 403, Type: typeClusterBlock, Reason: "cluster read-only"},
		"misconfigured": {Status: 302},
	} {
		for _, item := range []bool{false, true} {
			if item && name == "misconfigured" {
				continue
			}
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				server := &elasticfake.Server{Script: func(*elasticfake.Request) elasticfake.Fault {
					switch {
					case time.Since(began) > 2*time.Hour:
						return elasticfake.Fault{}
					case item:
						return elasticfake.Fault{Item: func(int, elasticfake.Document) *elasticfake.ItemError {
							return &elasticfake.ItemError{Status: fault.Status, Type: fault.Type, Reason: fault.Reason}
						}}
					}
					return fault
				}}
				w := newWorld(t, server, nil)
				records := []*record.Record{makeRecord("a", today, 10), makeRecord("b", today, 10)}
				var batches sync.WaitGroup
				for _, r := range records {
					batches.Go(func() { w.write(r) })
				}
				<-time.After(time.Hour)
				want(t, name+": sink_paused", w.metric("sink_paused", name), 1)
				batches.Wait()
				want(t, "outcomes", outcomes(records...), map[string]int{"indexed": 20})
				want(t, "dead letters", len(w.letters.all()), 0)
				want(t, "pauses", w.logged("paused"), 1)
				want(t, "resumes", w.logged("resumed"), 1)
				if took := time.Since(began) - 2*time.Hour; took > 30*time.Second {
					t.Errorf("got all through %v after the repair, want within 30s", took)
				}
				if n := server.Requests(); n > 2*3600/15+20 {
					t.Errorf("got %d requests in two hours, want one probe in 15 s", n)
				}
			})
		}
	}
}

// Scenario: Elasticsearch 16.
//
// This is also the contract of draining.
func TestDrainingTriesOnceMoreAndThenGivesUp(t *testing.T) {
	for name, test := range map[string]struct {
		fault elasticfake.Fault
		heals bool
	}{
		"unreachable":        {elasticfake.Fault{Refused: true}, false},
		"paused":             {elasticfake.Fault{Status: 401, Type: "security_exception"}, false},
		"blocked":            {elasticfake.Fault{Status: 403, Type: typeClusterBlock}, false},
		"unreachable, heals": {elasticfake.Fault{Refused: true}, true},
		"paused, heals":      {elasticfake.Fault{Status: 401, Type: "security_exception"}, true},
		"busy, heals":        {elasticfake.Fault{Status: 429, RetryAfter: "60"}, true},
		"index paused": {elasticfake.Fault{Item: func(int, elasticfake.Document) *elasticfake.ItemError {
			return rejectAs(404, "index_not_found_exception")
		}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				drain := time.Now().Add(10*time.Minute + time.Second)
				tries := 0
				server := &elasticfake.Server{Script: func(*elasticfake.Request) elasticfake.Fault {
					if !time.Now().Before(drain) {
						if tries++; test.heals {
							return elasticfake.Fault{}
						}
					}
					return test.fault
				}}
				w := newWorld(t, server, nil)
				r := makeRecord("a", today, 10)
				go func() {
					<-time.After(time.Until(drain))
					close(w.draining)
				}()
				err := w.sink.Write(t.Context(), []*record.Record{r})
				took := time.Since(drain)
				if took > 100*time.Millisecond {
					t.Errorf("Write went on for %v after the drain began", took)
				}
				want(t, "tries", tries, 1)
				if test.heals {
					want(t, "error", err, nil)
					want(t, "outcomes", outcomes(r), map[string]int{"indexed": 10})
					return
				}
				want(t, "gave up", errors.Is(err, errDraining), true)
				want(t, "outcomes", outcomes(r), map[string]int{"pending": 10})
			})
		})
	}
}

func TestContextEndsEveryWait(t *testing.T) {
	for name, fault := range map[string]elasticfake.Fault{
		"backoff": {Status: 429},
		"breaker": {Refused: true},
		"gate":    {Status: 401, Type: "security_exception"},
		"hung":    {Damage: elasticfake.Hung},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, &elasticfake.Server{Script: func(*elasticfake.Request) elasticfake.Fault { return fault }}, nil)
			ctx, stop := context.WithTimeout(t.Context(), 95*time.Second)
			defer stop()
			began := time.Now()
			err := w.sink.Write(ctx, []*record.Record{makeRecord("a", today, 10)})
			want(t, name+": deadline", errors.Is(err, context.DeadlineExceeded), true)
			want(t, name+": took", time.Since(began), 95*time.Second)
			want(t, name+": in flight", w.metric("bulk_requests_in_flight", ""), 0)
		})
	}
}

// A probe that neither passes nor is refused leaves the gate to the next one.
func TestProbeThatTellsNothingIsFollowedByAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		server := &elasticfake.Server{Script: func(*elasticfake.Request) elasticfake.Fault {
			return elasticfake.Fault{Item: func(int, elasticfake.Document) *elasticfake.ItemError {
				switch took := time.Since(began); {
				case took < 10*time.Second:
					return rejectAs(403, typeClusterBlock)
				case took < 20*time.Second:
					return rejectAs(429, "es_rejected_execution_exception")
				}
				return nil
			}}
		}}
		w := newWorld(t, server, nil)
		ctx, stop := context.WithTimeout(t.Context(), 15*time.Second)
		defer stop()
		var batches sync.WaitGroup
		batches.Go(func() {
			err := w.sink.Write(ctx, []*record.Record{makeRecord("a", today, 10)})
			want(t, "deadline", errors.Is(err, context.DeadlineExceeded), true)
		})
		batches.Go(func() { w.write(makeRecord("b", today, 10)) })
		batches.Wait()
		if took := time.Since(began); took > time.Minute {
			t.Errorf("got all through after %v, want a minute at most", took)
		}
	})
}

func TestHalvesDoNotShareRoom(t *testing.T) {
	w := newWorld(t, &elasticfake.Server{}, nil)
	docs := w.sink.collect(nil, []*record.Record{makeRecord("a", today, 4)})
	b := newBatch(w.sink, docs)
	u := b.units[0]
	b.units = nil
	b.halve(u, 0, rejected)
	b.units[0].docs = append(b.units[0].docs, docs[3])
	want(t, "first of the right half", b.units[1].docs[0].id(), "a-2")
}

// Scenario: Elasticsearch 22.
func TestFullDeadLettersBlockTheBatchAndLookLikeAWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, &elasticfake.Server{MaxBody: 5000}, nil)
		w.letters.full = make(chan struct{})
		r := &record.Record{}
		addEvent(r, today, "large", `{"@message":"`+strings.Repeat("x", 100_000)+`"}`)
		go func() {
			<-time.After(time.Hour)
			if name, age, stuck := w.monitor.Stuck(time.Minute); stuck {
				t.Errorf("%s looks stuck for %v", name, age)
			}
			want(t, "outcomes", outcomes(r), map[string]int{"pending": 1})
			close(w.letters.full)
		}()
		if err := w.sink.Write(t.Context(), []*record.Record{r}); err != nil {
			t.Fatal(err)
		}
		want(t, "outcomes", outcomes(r), map[string]int{"dead_lettered": 1})
	})
}

// Rule 7.
func TestCollisionsAreFoundAndDeadLettered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, &elasticfake.Server{}, nil)
		<-time.After(time.Hour)
		r := makeRecord("a", today, 4)
		r.Arrival = time.Now()
		same := string(r.Doc(&r.Events[0]))
		w.server.Put(today, "a-0", same)
		w.server.Put(today, "a-1", strings.Replace(same, "i-0", "i-1", 1))
		w.server.Put(today, "a-2", `{"other":"shape"}`)
		w.write(r)
		want(t, "outcomes", outcomes(r), map[string]int{"indexed": 1, "duplicate": 2, "dead_lettered": 1})
		want(t, "letter", w.letters.all()[0].ID, "a-1")
		want(t, "reason", w.letters.all()[0].Reason, record.ReasonCollision)
		want(t, "collisions", w.metric("bulk_collisions_total", ""), 1)
		want(t, "lines", w.logged("another event has the same id"), 1)
	})
}

func TestRereadRecordsAndOwnResendsAreNotLookedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, &elasticfake.Server{Script: func(r *elasticfake.Request) elasticfake.Fault {
			if r.Number == 0 {
				t.Errorf("got a request for %s, want none", r.Path)
			}
			if r.Number == 2 {
				return elasticfake.Fault{Damage: elasticfake.Lost}
			}
			return elasticfake.Fault{}
		}}, nil)
		w.server.Put(today, "old-0", `{"@log_group":"another"}`)
		old := makeRecord("old", today, 1) // arrived an hour before the start
		w.write(old)
		<-time.After(time.Hour)
		resent := makeRecord("new", today, 1)
		resent.Arrival = time.Now()
		w.write(resent)
		want(t, "outcomes", outcomes(old, resent), map[string]int{"duplicate": 2})
	})
}

// Scenario: Elasticsearch 18.
//
// What decode hands over arrives as it is, and every line is JSON.
func FuzzBodyIsNDJSON(f *testing.F) {
	f.Add("cwl-2026.11.22", "id", "message")
	f.Add("a\"b", "\x00\u2028\\", "\xff\n")
	f.Fuzz(func(t *testing.T, name, id, message string) {
		quoted, _ := json.Marshal(id)
		text, _ := json.Marshal(message)
		r := &record.Record{}
		addEvent(r, name, string(quoted[1:len(quoted)-1]), `{"@message":`+string(text)+`,"k":1}`)
		d := doc{record: r, event: &r.Events[0], index: (&indices{byName: map[string]*index{}}).find(name)}
		for _, d.form = range []form{whole, reduced, bare} {
			d.fault = &fault{kind: id, reason: message, field: name, cut: len(id)%2 == 1}
			lines := bytes.Split(d.appendLines(nil), []byte{'\n'})
			if len(lines) != 3 || len(lines[2]) != 0 || !json.Valid(lines[0]) || !json.Valid(lines[1]) {
				t.Fatalf("form %d: got %q, want two lines of JSON", d.form, lines)
			}
			var action struct {
				Create struct {
					Index string `json:"_index"`
					ID    string `json:"_id"`
				} `json:"create"`
			}
			var valid string
			_ = json.Unmarshal(quoted, &valid)
			if err := json.Unmarshal(lines[0], &action); err != nil || action.Create.ID != valid || d.id() != valid {
				t.Errorf("got id %q, %q, want %q", action.Create.ID, d.id(), valid)
			}
		}
		if d.form = whole; d.size() < len(d.appendLines(nil))-5*len(name) {
			t.Errorf("got size %d for %d bytes", d.size(), len(d.appendLines(nil)))
		}
	})
}

func TestRequestsOfABatchFollowTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		running, most := 0, 0
		server := &elasticfake.Server{Script: func(*elasticfake.Request) elasticfake.Fault {
			mu.Lock()
			defer mu.Unlock()
			running++
			most = max(most, running)
			time.AfterFunc(10*time.Millisecond, func() {
				mu.Lock()
				defer mu.Unlock()
				running--
			})
			return elasticfake.Fault{}
		}}
		w := newWorld(t, server, func(c *Config) { c.MaxRequests = 5 })
		var batches sync.WaitGroup
		for b := range 200 {
			batches.Go(func() { w.write(makeRecord(fmt.Sprint(b), today, 1)) })
		}
		batches.Wait()
		want(t, "most in flight", most, 5)
		want(t, "window", w.metric("bulk_window", ""), 5)
		want(t, "in flight", w.metric("bulk_requests_in_flight", ""), 0)
	})
}

// Scenario: Elasticsearch 13.
func TestEngineIsFoundInEveryGuise(t *testing.T) {
	roots := map[string]Engine{
		`{"version":{"number":"7.10.2","build_flavor":"oss"},"tagline":"You Know, for Search"}`: {"elasticsearch", "7.10.2"},
		`{"version":{"number":"8.1.0"},"tagline":"You Know, for Search"}`:                       {"elasticsearch", "8.1.0"},
		`{"version":{"number":"2.19.6","distribution":"opensearch"}}`:                           {"opensearch", "2.19.6"},
		`{"version":{"number":"7.10.2"},"tagline":"` + openSearchTagline + `"}`:                 {"opensearch", "7.10.2"},
	}
	for root, engine := range roots {
		w := newWorld(t, &elasticfake.Server{Root: root}, nil)
		got, err := w.sink.Engine(t.Context())
		want(t, root, got, engine)
		want(t, "error", err, nil)
	}
	for _, status := range []int{401, 403, 404} {
		w := newWorld(t, &elasticfake.Server{Script: func(*elasticfake.Request) elasticfake.Fault {
			return elasticfake.Fault{Status: status, Type: "security_exception"}
		}}, nil)
		got, err := w.sink.Engine(t.Context())
		want(t, "engine", got, Engine{})
		want(t, "error", err, nil)
	}
	realReplies(t, func(engine string, r *realReply) {
		if r.Case != "root" {
			return
		}
		w := newWorld(t, &elasticfake.Server{Root: string(r.Body)}, nil)
		got, err := w.sink.Engine(t.Context())
		if got.Distribution+"-"+got.Version != engine || err != nil {
			t.Errorf("got %v, %v, want %s", got, err, engine)
		}
	})
}

func TestSameSeedSameRequests(t *testing.T) {
	run := func() (trace []string) {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			server := &elasticfake.Server{Script: func(r *elasticfake.Request) elasticfake.Fault {
				trace = append(trace, fmt.Sprint(time.Since(began), r.Docs[0].ID, len(r.Docs)))
				return elasticfake.Fault{
					Delay:  time.Duration(r.Number*r.Number) * 100 * time.Microsecond,
					Status: []int{0, 429, 0, 502}[r.Number%4],
				}
			}}
			w := newWorld(t, server, nil)
			var batches sync.WaitGroup
			for b := range 8 {
				batches.Go(func() {
					<-time.After(time.Duration(b) * 1001 * time.Nanosecond)
					w.write(makeRecord(fmt.Sprint(b), today, 10))
				})
			}
			batches.Wait()
		})
		return trace
	}
	want(t, "second run", run(), run())
}

func TestMetricNamesAreGolden(t *testing.T) {
	w := newWorld(t, &elasticfake.Server{}, nil)
	w.write(makeRecord("a", today, 1))
	families, err := w.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range families {
		names = append(names, f.GetName())
	}
	slices.Sort(names)
	want(t, "metrics", names, []string{
		"shipperd_bulk_collisions_total", "shipperd_bulk_documents", "shipperd_bulk_item_errors_total",
		"shipperd_bulk_items_total", "shipperd_bulk_request_bytes", "shipperd_bulk_request_duration_seconds",
		"shipperd_bulk_requests_in_flight", "shipperd_bulk_requests_total", "shipperd_bulk_window",
		"shipperd_events_reduced_total", "shipperd_retries_total", "shipperd_sink_paused", "shipperd_sink_up",
	})
}
