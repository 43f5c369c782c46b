package elastic

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/shipperd/shipperd/pkg/record"
)

// realServers calls test with every server whose URL is given.
func realServers(t *testing.T, test func(t *testing.T, w *world, url string)) {
	for _, variable := range []string{"SHIPPERD_TEST_ELASTICSEARCH", "SHIPPERD_TEST_OPENSEARCH"} {
		t.Run(variable, func(t *testing.T) {
			url := os.Getenv(variable)
			if url == "" {
				t.Skipf("%s holds no URL of a server", variable)
			}
			c := DefaultConfig()
			c.Endpoints = []string{url}
			w := &world{t: t, letters: &letterBox{}}
			var err error
			w.sink, err = New(t.Context(), c, Deps{
				Letters: w.letters, Draining: make(chan struct{}), Log: zap.NewNop(), Registerer: prometheus.NewRegistry(),
			})
			if err != nil {
				t.Fatal(err)
			}
			test(t, w, url)
		})
	}
}

// call sends one request to a real server and decodes the reply.
func call(t *testing.T, method, url, body string, into any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode >= 300 {
		t.Fatalf("%s %s: got %d %s, %v", method, url, response.StatusCode, content, err)
	}
	if into != nil {
		if err := json.Unmarshal(content, into); err != nil {
			t.Fatal(err)
		}
	}
}

// freshIndex names an index that is removed at the end.
func freshIndex(t *testing.T, url, name string) string {
	t.Helper()
	name = fmt.Sprintf("cwl-test-%s-%d", name, time.Now().UnixNano())
	t.Cleanup(func() {
		request, err := http.NewRequest(http.MethodDelete, url+"/"+name, nil)
		if err != nil {
			t.Fatal(err)
		}
		if response, err := http.DefaultClient.Do(request); err == nil {
			_ = response.Body.Close()
		}
	})
	return name
}

func TestRealServerTakesEveryDocumentOnce(t *testing.T) {
	realServers(t, func(t *testing.T, w *world, url string) {
		index := freshIndex(t, url, "once")
		for pass, wanted := range []string{"indexed", "duplicate"} {
			var records []*record.Record
			for b := range 4 {
				r := makeRecord(fmt.Sprint(b), index, 500)
				if pass == 1 {
					r.Arrival = time.Now().Add(time.Minute) // looked up, and found the same
				}
				records = append(records, r)
			}
			if err := w.sink.Write(t.Context(), records); err != nil {
				t.Fatal(err)
			}
			want(t, "outcomes", outcomes(records...), map[string]int{wanted: 2000})
		}
		var count struct {
			Count int `json:"count"`
		}
		call(t, http.MethodPost, url+"/"+index+"/_refresh", "", nil)
		call(t, http.MethodGet, url+"/"+index+"/_count", "", &count)
		want(t, "count", count.Count, 2000)
	})
}

func TestRealServerTakesAConflictingDocumentReduced(t *testing.T) {
	realServers(t, func(t *testing.T, w *world, url string) {
		index := freshIndex(t, url, "conflict")
		call(t, http.MethodPut, url+"/"+index, `{"mappings":{"properties":{"n":{"type":"long"}}}}`, nil)
		r := &record.Record{}
		addEvent(r, index, "good", `{"n":1,"@id":"good","@message":"m"}`)
		addEvent(r, index, "object", `{"n":{"a":1},"@id":"object","@message":"m","@log_group":"g"}`)
		addEvent(r, index, `quoted\"\u00e9\\`, `{"n":"word","@id":"q","@message":"m"}`)
		if err := w.sink.Write(t.Context(), []*record.Record{r}); err != nil {
			t.Fatal(err)
		}
		want(t, "outcomes", outcomes(r), map[string]int{"indexed": 1, "indexed reduced": 2})
		var got struct {
			Source json.RawMessage `json:"_source"`
		}
		call(t, http.MethodGet, url+"/"+index+"/_doc/object", "", &got)
		var document struct {
			Group    string `json:"@log_group"`
			Shipperd struct {
				Rejected rejection `json:"rejected"`
			} `json:"shipperd"`
		}
		if err := json.Unmarshal(got.Source, &document); err != nil {
			t.Fatal(err)
		}
		said := document.Shipperd.Rejected
		if document.Group != "g" || said.Type != "mapper_parsing_exception" || said.Field != "n" || said.Fields != `{"n":{"a":1}}` {
			t.Errorf("got %s", got.Source)
		}
		if bytes.Contains(got.Source, []byte("HTTP/1.1")) {
			t.Errorf("the reason quotes the request: %s", got.Source)
		}
		want(t, "dead letters", len(w.letters.all()), 0)
	})
}

// Scenario: Elasticsearch 17.
func TestRealServerIsSparedAFieldExplosion(t *testing.T) {
	realServers(t, func(t *testing.T, w *world, url string) {
		index := freshIndex(t, url, "explosion")
		r := makeRecord("a", index, 5)
		var keys strings.Builder
		for i := range 1200 {
			fmt.Fprintf(&keys, `"key%d":%d,`, i, i)
		}
		addEvent(r, index, "many", "{"+keys.String()+`"@id":"many","@message":"m"}`)
		if err := w.sink.Write(t.Context(), []*record.Record{r}); err != nil {
			t.Fatal(err)
		}
		want(t, "outcomes", outcomes(r), map[string]int{"indexed": 5, "indexed reduced": 1})
	})
}

func TestRealServerFindsACollision(t *testing.T) {
	realServers(t, func(t *testing.T, w *world, url string) {
		index := freshIndex(t, url, "collision")
		call(t, http.MethodPut, url+"/"+index+"/_create/a-1", `{"@log_group":"another"}`, nil)
		r := makeRecord("a", index, 3)
		r.Arrival = time.Now().Add(time.Minute)
		if err := w.sink.Write(t.Context(), []*record.Record{r}); err != nil {
			t.Fatal(err)
		}
		want(t, "outcomes", outcomes(r), map[string]int{"indexed": 2, "dead_lettered": 1})
	})
}

func TestRealServerBlockOfOneIndexEndsWithTheBlock(t *testing.T) {
	realServers(t, func(t *testing.T, w *world, url string) {
		blocked, open := freshIndex(t, url, "blocked"), freshIndex(t, url, "open")
		call(t, http.MethodPut, url+"/"+blocked, `{"settings":{"index.blocks.write":true}}`, nil)
		r, other := makeRecord("a", blocked, 20), makeRecord("b", open, 20)
		done := make(chan error)
		go func() { done <- w.sink.Write(t.Context(), []*record.Record{r, other}) }()
		probed := time.After(2 * time.Second)
		select {
		case err := <-done:
			t.Fatalf("Write: got %v while its index is blocked", err)
		case <-probed:
		}
		call(t, http.MethodPut, url+"/"+blocked+"/_settings", `{"index.blocks.write":false}`, nil)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		want(t, "outcomes", outcomes(r, other), map[string]int{"indexed": 40})
	})
}

func TestRealServerTellsItsEngine(t *testing.T) {
	realServers(t, func(t *testing.T, w *world, _ string) {
		e, err := w.sink.Engine(t.Context())
		if err != nil || e.Version == "" || !strings.Contains(strings.ToLower(t.Name()), e.Distribution) {
			t.Errorf("got %+v, %v", e, err)
		}
	})
}
