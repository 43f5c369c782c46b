package elasticfake

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/shipperd/shipperd/test/servers"
)

// two are documents of two indices, INDEX-1 and INDEX-2.
const two = `{"create":{"_index":"INDEX-1","_id":"x"}}
{"k":1}
{"create":{"_index":"INDEX-2","_id":"y"}}
{"k":2,"l":3}
`

// create is a request of one document.
func create(id, document string) string {
	return `{"create":{"_index":"INDEX-1","_id":"` + id + "\"}}\n" + document + "\n"
}

const bulkPath = "/_bulk?filter_path=errors,items.*.status,items.*.error"

// conformance is what the fake and the real servers answer to the same requests, one
// after the other. INDEX stands for a name that no other run has.
var conformance = []struct {
	method, path, body string
	gzip               bool
	status             int
	want               []string // in the body, whose keys are sorted
}{
	{"POST", bulkPath, two, false, 200, []string{`{"errors":false,"items":[{"create":{"status":201}},{"create":{"status":201}}]}`}},
	{"POST", bulkPath, two, false, 200, []string{`"errors":true`, `"type":"version_conflict_engine_exception"},"status":409`}},
	{"POST", "/_bulk", two, false, 200, []string{`"_id":"y"`, `"status":409`, `"took":`}},
	{"POST", bulkPath, two, true, 200, []string{`"status":409`}},
	{"POST", bulkPath, create("z", `{"k`), false, 200, []string{`"type":"mapper_parsing_exception"},"status":400`}},
	{"POST", bulkPath, create("z", `[1]`), false, 200, []string{`"type":"mapper_parsing_exception"},"status":400`}},
	{"POST", bulkPath, create(strings.Repeat("i", 512), `{}`), false, 200, []string{`"status":201`}},
	{"POST", bulkPath, create(strings.Repeat("i", 513), `{}`), false, 400, []string{`"type":"action_request_validation_exception"`}},
	{"POST", bulkPath, "", false, 400, []string{`"type":"parse_exception"`}},
	{"POST", bulkPath, strings.TrimSpace(two), false, 400, []string{`"type":"illegal_argument_exception"`, "must be terminated by a newline"}},
	{"POST", bulkPath, "{\"upsert\":{}}\n{}\n", false, 400, []string{`"status":400`}},
	{"POST", "/_mget", `{"docs":[{"_index":"INDEX-2","_id":"y","_source":["l"]},{"_index":"INDEX-2","_id":"z"}]}`, false, 200,
		[]string{`"_source":{"l":3}`, `"found":true}`, `"_id":"z"`, `"found":false}`}},
	{"GET", "/INDEX-*/_count", "", false, 200, []string{`"count":3`}},
	{"GET", "/INDEX-2/_count", "", false, 200, []string{`"count":1`}},
	{"POST", "/INDEX-2/_search", `{"size":1}`, false, 200, []string{`"_source":{"k":2,"l":3}`, `"total":{"relation":"eq","value":1}`}},
	{"GET", "/_index_template/INDEX", "", false, 404, []string{`"type":"resource_not_found_exception"`}},
	{"PUT", "/_index_template/INDEX", `{"index_patterns":["INDEX-none-*"],"priority":7}`, false, 200, []string{`"acknowledged":true`}},
	{"GET", "/_index_template/INDEX", "", false, 200, []string{`"name":"INDEX"`, `"priority":7`}},
	{"GET", "/", "", false, 200, []string{`"number":"`}},
}

// TestServerConforms holds the fake to the real servers.
func TestServerConforms(t *testing.T) {
	overBoth(func() *Server { return &Server{} }, func(_ *Server, transport http.RoundTripper, url string) {
		t.Run(url, func(t *testing.T) { testConformance(t, transport, url) })
	})
	t.Run("Elasticsearch", func(t *testing.T) { testConformance(t, refreshing{}, servers.Elasticsearch(t)) })
	t.Run("OpenSearch", func(t *testing.T) { testConformance(t, refreshing{}, servers.OpenSearch(t)) })
}

// refreshing has real servers show at once what they hold.
type refreshing struct{}

// RoundTrip implements http.RoundTripper.
func (refreshing) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, "/_bulk") {
		query := r.URL.Query()
		query.Set("refresh", "true")
		r.URL.RawQuery = query.Encode()
	}
	return http.DefaultTransport.RoundTrip(r)
}

func testConformance(t *testing.T, transport http.RoundTripper, url string) {
	index := fmt.Sprintf("cwl-conformance-%d", time.Now().UnixNano())
	name := strings.NewReplacer("INDEX", index)
	t.Cleanup(func() { // a fake knows neither
		_, _ = ask(t, transport, url, "DELETE", "/"+index+"-1,"+index+"-2", "", false)
		_, _ = ask(t, transport, url, "DELETE", "/_index_template/"+index, "", false)
	})
	for _, test := range conformance {
		status, got := ask(t, transport, url, test.method, name.Replace(test.path), name.Replace(test.body), test.gzip)
		for _, want := range test.want {
			if want = name.Replace(want); status != test.status || !strings.Contains(sorted(got), want) {
				t.Errorf("%s %s %.60q: got %d %.500s, want %d with %s", test.method, test.path, test.body, status, sorted(got), test.status, want)
			}
		}
	}
}

// sorted returns JSON with the keys of its objects in order.
func sorted(text string) string {
	var value any
	if json.Unmarshal([]byte(text), &value) != nil {
		return text
	}
	out, _ := json.Marshal(value) // it was JSON
	return string(out)
}

// ask sends one request and returns status and body, or 0 and the error.
func ask(t *testing.T, transport http.RoundTripper, url, method, path, body string, zipped bool) (int, string) {
	t.Helper()
	if zipped {
		body = zip(body)
	}
	// A clean-up asks after the test's own context has ended.
	r, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), method, url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if zipped {
		r.Header.Set("Content-Encoding", "gzip")
	}
	response, err := transport.RoundTrip(r)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return response.StatusCode, err.Error()
	}
	return response.StatusCode, string(content)
}

func zip(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return b.String()
}
