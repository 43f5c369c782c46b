package elasticfake

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// overBoth calls test with a server in process, and with another one over HTTP.
func overBoth(configured func() *Server, test func(s *Server, transport http.RoundTripper, url string)) {
	s := configured()
	test(s, s, "http://fake")
	s = configured()
	server := httptest.NewServer(s)
	defer server.Close()
	test(s, http.DefaultTransport, server.URL)
}

func TestLargeBodiesAreRefusedAsTheyComeAndInflated(t *testing.T) {
	overBoth(func() *Server { return &Server{MaxBody: 1000} }, func(_ *Server, transport http.RoundTripper, url string) {
		for times, want := range map[int]int{1: http.StatusOK, 50: http.StatusRequestEntityTooLarge} {
			for _, zipped := range []bool{false, true} {
				status, body := ask(t, transport, url, "POST", bulkPath, strings.Repeat(two, times), zipped)
				if status != want {
					t.Errorf("%d times, gzip %v: got %d %s, want %d", times, zipped, status, body, want)
				}
			}
		}
	})
}

func TestWhatTheFakeCannotDoIsNoHandler(t *testing.T) {
	overBoth(func() *Server { return &Server{} }, func(_ *Server, transport http.RoundTripper, url string) {
		for method, path := range map[string]string{"POST": "/_index_template/_simulate", "DELETE": "/a"} {
			if status, body := ask(t, transport, url, method, path, "{}", false); status != http.StatusMethodNotAllowed {
				t.Errorf("%s %s: got %d %s, want 405", method, path, status, body)
			}
		}
	})
}

func TestFaultsChangeTheOutcome(t *testing.T) {
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
		overBoth(func() *Server { return &Server{Script: func(*Request) Fault { return test.fault }} }, func(s *Server, transport http.RoundTripper, url string) {
			status, body := ask(t, transport, url, "POST", bulkPath, two, false)
			if status != test.status || !strings.Contains(body, test.want) || s.Count() != test.count {
				t.Errorf("%+v: got %d %s and %d documents, want %d with %q and %d",
					test.fault, status, body, s.Count(), test.status, test.want, test.count)
			}
		})
	}
}
