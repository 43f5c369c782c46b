package elasticfake

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

const two = `{"create":{"_index":"a-1","_id":"x"}}
{"k":1}
{"create":{"_index":"a-2","_id":"y"}}
{"k":2,"l":3}
`

// ask sends one request, over HTTP or without, and returns status and body.
func ask(t *testing.T, s *Server, overHTTP bool, method, path, body string, header ...string) (int, string) {
	t.Helper()
	base, transport := "http://fake", http.RoundTripper(s)
	if overHTTP {
		server := httptest.NewServer(s)
		defer server.Close()
		base, transport = server.URL, http.DefaultTransport
	}
	r, err := http.NewRequestWithContext(t.Context(), method, base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
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

func TestServerAnswersAsElasticsearchDoes(t *testing.T) {
	const filter = "?filter_path=errors,items.*.status,items.*.error"
	for _, overHTTP := range []bool{false, true} {
		s := &Server{MaxBody: 1000}
		for _, test := range []struct {
			method, path, body string
			header             []string
			status             int
			want               string // in the body
		}{
			{"POST", "/_bulk" + filter, two, nil, 200, `{"errors":false,"items":[{"create":{"status":201}},{"create":{"status":201}}]}`},
			{"POST", "/_bulk" + filter, two, nil, 200, `"type":"version_conflict_engine_exception"},"status":409`},
			{"POST", "/_bulk", two, nil, 200, `"_id":"y"`},
			{"POST", "/_bulk", zip(two), []string{"Content-Encoding", "gzip"}, 200, `"status":409`},
			{"POST", "/_bulk", zip(strings.Repeat(two, 50)), []string{"Content-Encoding", "gzip"}, 413, ""},
			{"POST", "/_bulk", strings.Repeat(two, 50), nil, 413, ""},
			{"POST", "/_bulk", "", nil, 400, "illegal_argument_exception"},
			{"POST", "/_bulk", strings.TrimSpace(two), nil, 400, "must be terminated by a newline"},
			{"POST", "/_bulk", "{\"upsert\":{}}\n{}\n", nil, 400, "malformed action"},
			{"POST", "/_bulk", "{\"create\":{\"_index\":\"a\",\"_id\":\"1\"}}\n{\"k\n", nil, 200, `mapper_parsing_exception`},
			{"GET", "/a-*/_count", "", nil, 200, `{"count":2}`},
			{"GET", "/a-1/_count", "", nil, 200, `{"count":1}`},
			{"POST", "/a-*/_search", `{"size":1}`, nil, 200, `"hits":[{"_id":"x","_index":"a-1","_source":{"k":1}}],"total":{"relation":"eq","value":2}`},
			{"POST", "/_mget", `{"docs":[{"_index":"a-2","_id":"y","_source":["l"]},{"_index":"a-2","_id":"z"}]}`, nil, 200,
				`{"docs":[{"_id":"y","_index":"a-2","_source":{"l":3},"found":true},{"_id":"z","_index":"a-2","found":false}]}`},
			{"GET", "/", "", nil, 200, `"number":"7.10.2"`},
			{"GET", "/_index_template/t", "", nil, 404, "resource_not_found_exception"},
			{"PUT", "/_index_template/t", `{"priority":7}`, nil, 200, "acknowledged"},
			{"GET", "/_index_template/t", "", nil, 200, `{"index_templates":[{"index_template":{"priority":7},"name":"t"}]}`},
			{"POST", "/_index_template/_simulate", "{}", nil, 405, "no handler found"},
			{"DELETE", "/a", "", nil, 405, "no handler found"},
		} {
			status, body := ask(t, s, overHTTP, test.method, test.path, test.body, test.header...)
			if status != test.status || !strings.Contains(body, test.want) {
				t.Errorf("%s %s %.40q: got %d %s, want %d with %s", test.method, test.path, test.body, status, body, test.status, test.want)
			}
		}
	}
}

func TestFaultsChangeTheOutcome(t *testing.T) {
	for _, overHTTP := range []bool{false, true} {
		for _, test := range []struct {
			fault  Fault
			status int
			want   string
			count  int // documents that were applied all the same
		}{
			{Fault{Status: 503}, 503, "<html>", 0},
			{Fault{Status: 429, Type: "x", RetryAfter: "3"}, 429, `"type":"x"`, 0},
			{Fault{Reset: true}, 0, "", 0},
			{Fault{Refused: true}, 0, "", 0},
			{Fault{Item: func(i int, _ Document) *ItemError {
				return map[int]*ItemError{1: {Status: 429, Type: "queue"}}[i]
			}}, 200, `"type":"queue"},"status":429`, 1},
			{Fault{Damage: Lost}, 0, "", 2},
			{Fault{Damage: Torn}, 200, "unexpected EOF", 2},
			{Fault{Damage: NotJSON}, 200, "<html>", 2},
			{Fault{Damage: Empty}, 200, "", 2},
			{Fault{Damage: Itemless}, 200, `{"errors":true}`, 2},
		} {
			s := &Server{Script: func(*Request) Fault { return test.fault }}
			status, body := ask(t, s, overHTTP, "POST", "/_bulk?filter_path=x", two)
			if status != test.status || !strings.Contains(body, test.want) || s.Count() != test.count {
				t.Errorf("%+v: got %d %s and %d documents, want %d with %q and %d",
					test.fault, status, body, s.Count(), test.status, test.want, test.count)
			}
		}
	}
}
