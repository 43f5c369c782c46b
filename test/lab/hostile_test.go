package lab

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/shipperd/shipperd/pkg/deadletter"
	"github.com/shipperd/shipperd/pkg/disk"
	"github.com/shipperd/shipperd/pkg/replay"
	"github.com/shipperd/shipperd/pkg/setting"
)

// keyed returns JSON messages that have each of the keys once between them.
func keyed(messages, keysEach int) []string {
	list := make([]string, messages)
	for i := range list {
		var b strings.Builder
		fmt.Fprintf(&b, `{"number":%d,"word":"needle%d"`, i, i)
		for j := range keysEach {
			fmt.Fprintf(&b, `,"key%d":{"inner%d":%d}`, i*keysEach+j, j, j)
		}
		list[i] = b.String() + "}"
	}
	return list
}

// Threat 3: a flood of keys must not fill the mapping and turn others away.
func TestThreat3FieldExplosion(t *testing.T) {
	onEachEngineAndMapping(t, func(t *testing.T, e *engine, templated bool) {
		e.write("AccessLogGroup", "i-0abc", `203.0.113.9 - - [20/Nov/2026:10:11:12 +0000] "GET / HTTP/1.1" 200 5 "-" "-"`)
		before := e.fields()
		events := e.write("AppLogGroup", "app", keyed(500, 10)...) // 5,000 keys
		if got := e.count(`{"match_all":{}}`); got != 501 {
			t.Errorf("got %d documents, want 501", got)
		}
		for _, i := range []int{0, 250, 499} {
			if got := e.count(is("@message", fmt.Sprint("needle", i))); got != 1 {
				t.Errorf("got %d documents for message %d, want 1", got, i)
			}
		}
		if got := e.fields(); got > 1000 || templated && got != before {
			t.Errorf("got %d fields after %d, want at most 1,000, and none more with the template", got, before)
		}
		if !templated {
			return // it is full: what comes now is indexed reduced
		}
		e.wantWhole("5,000 keys", events)
		e.wantWhole("100,000 keys", e.write("AppLogGroup", "app", keyed(500, 200)...))
		if got := e.fields(); got != before {
			t.Errorf("got %d fields after 100,000 keys, want %d still", got, before)
		}
	})
}

func TestDocumentThatDoesNotFitIsReducedAndFound(t *testing.T) {
	onEachEngineAndMapping(t, func(t *testing.T, e *engine, _ bool) {
		good := `{"eventVersion":"1.08","eventSource":"iam.amazonaws.com","userIdentity":{"type":"IAMUser"}}`
		bad := `{"eventVersion":"1.08","eventSource":"iam.amazonaws.com","userIdentity":{"type":{"needle":1}}}`
		events := append(e.write("CloudTrailLogGroup", "s", good), e.write("CloudTrailLogGroup", "s", bad, good)...)
		if got := outcomes(events); got["indexed"] != 2 || got["indexed reduced"] != 1 {
			t.Fatalf("got %v, want one reduced", got)
		}
		for what, query := range map[string]string{
			"by why it was refused": is("shipperd.rejected.type", "mapper_parsing_exception"),
			"by its message":        is("@message", "needle"),
			"by its log group":      all(is("@log_group.keyword", "CloudTrailLogGroup"), is("event.kind", "pipeline_error")),
			"by its fields":         is("shipperd.rejected.fields", "needle"),
		} {
			if got := e.count(query); got != 1 {
				t.Errorf("%s: got %d, want 1", what, got)
			}
		}
	})
}

// Where a flattened field takes them, parameters become terms, which have a limit.
func TestParametersOfAnySizeAreAccepted(t *testing.T) {
	onEachEngine(t, func(_ *testing.T, e *engine) {
		e.install()
		var events []string
		for size := 31_500; size < 33_000; size += 50 {
			events = append(events, fmt.Sprintf(`{"eventVersion":"1.08","eventSource":"ssm.amazonaws.com","requestParameters":{"content":%q}}`, strings.Repeat("x", size)))
		}
		for _, parameters := range []string{`null`, `{}`, `{"a":null}`, `{"a":[[1],[null]]}`, `{"a":[{"b":null},"c"]}`, `{"":1}`, `{"..a":{"b.":1}}`, `"text"`} {
			events = append(events, `{"eventVersion":"1.08","eventSource":"ssm.amazonaws.com","requestParameters":`+parameters+`}`)
		}
		e.wantWhole("parameters", e.write("CloudTrailLogGroup", "s", events...))
	})
}

// A mapping of before, in which names of events are numbers, is repaired in place.
func TestReducedDocumentsAreMadeWhole(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *engine) {
		e.server.Ask(http.MethodPut, "/"+e.index(), `{"settings":{"number_of_replicas":0},"mappings":{"properties":{"eventName":{"type":"long"}}}}`, new(any))
		events := e.write("CloudTrailLogGroup", "s", corpus(t, "invictus-ir-aws_dataset/CloudTrail/*.json")[:120]...)
		if got := outcomes(events); got["indexed reduced"] != len(events) {
			t.Fatalf("got %v, want all reduced", got)
		}
		e.server.Ask(http.MethodPut, "/"+e.index()+"/_mapping", `{"properties":{"eventName":{"type":"long","ignore_malformed":true}}}`, new(any))
		e.count(`{"match_all":{}}`) // refreshes
		r := replay.Reduced{Sink: e.sink, Decoder: e.decoder, Index: e.config.IndexPrefix + "*", Report: func(replay.ReducedProgress) {}}
		for _, want := range []int{len(events), 0} {
			p, err := r.Run(t.Context())
			if err != nil || p != (replay.ReducedProgress{Found: want, Repaired: want}) {
				t.Errorf("got %+v, %v, want %d found and repaired", p, err, want)
			}
			if got := e.count(`{"exists":{"field":"eventSource"}}`); got != len(events) {
				t.Errorf("got %d whole documents, want %d, once each", got, len(events))
			}
		}
	})
}

// A template in which log streams are numbers turns all other events away in every
// form. Its day's index keeps the mapping: the letters go beside it.
func TestReplayAfterTheTemplateWasRepaired(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *engine) {
		name := "/_index_template/shipperd-" + e.config.IndexPrefix
		e.server.Ask(http.MethodPut, name, `{"index_patterns":["`+e.config.IndexPrefix+`-*"],"priority":200,"template":{
			"settings":{"number_of_replicas":0},"mappings":{"properties":{"@log_stream":{"type":"long"}}}}}`, new(any))
		const refused = 20
		e.refuse(refused)

		e.server.Ask(http.MethodDelete, name, "", new(any))
		e.install()
		archive, err := deadletter.OpenArchive(t.Context(), disk.OS{}, deadletter.Config{Dir: e.dir, MaxSize: setting.GiB}, zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		defer archive.Close()
		kept := &replay.Kept{}
		r := replay.Replay{
			Archive: archive, Sink: e.newSink(kept), Kept: kept, IndexSuffix: "-repaired",
			NewDecoder: func() replay.Decoder { return e.decoder },
			Report:     func(replay.Progress) {},
		}
		for _, want := range []int{refused, 0} { // the second has nothing to do
			if p, err := r.Run(t.Context()); err != nil || p.Sent != want || p.Delivered != want {
				t.Errorf("got %+v, %v, want %d letters sent and delivered", p, err, want)
			}
		}
		if got := e.count(is("@message", "needle")); got != refused {
			t.Errorf("got %d documents, want %d, once each", got, refused)
		}
	})
}

// refuse writes events that become dead letters, because others of their index are
// accepted meanwhile, and closes the store.
func (e *engine) refuse(n int) {
	e.t.Helper()
	var messages []string
	for i := range n {
		messages = append(messages, fmt.Sprintf("needle %d", i))
	}
	records := e.records("g", "i-0abc", messages...)
	written := make(chan error)
	go func() { written <- e.sink.Write(e.t.Context(), records) }()
	for done := false; !done; {
		select {
		case err := <-written:
			if done = true; err != nil {
				e.t.Fatal(err)
			}
		case <-time.After(50 * time.Millisecond):
			e.wantWhole("of a stream whose name is a number", e.write("g", "17", "other"))
		}
	}
	if got := outcomes(records[0].Events); got["dead_lettered"] != n {
		e.t.Fatalf("got %v, want all %d dead letters", got, n)
	}
	if err := e.letters.Close(); err != nil {
		e.t.Fatal(err)
	}
}
