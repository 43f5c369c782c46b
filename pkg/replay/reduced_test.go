package replay

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/shipperd/shipperd/pkg/elastic"
	"github.com/shipperd/shipperd/pkg/record"
)

// oneDocument decodes a payload into one document that quotes its message.
type oneDocument struct{}

func (oneDocument) Decode(r *record.Record) error {
	var payload struct {
		LogEvents []struct{ Message string }
	}
	if err := json.Unmarshal(r.Data, &payload); err != nil {
		return err
	}
	message := payload.LogEvents[0].Message
	if message == "unreadable" {
		return fmt.Errorf("message %q", message)
	}
	r.Text = fmt.Appendf(nil, `{"@message":%q}`, message)
	r.Events = []record.Event{{DocEnd: uint32(len(r.Text))}}
	return nil
}

func TestReducedDocumentsAreOverwrittenOnlyAsTheyWereFound(t *testing.T) {
	document := func(n int, message string) string {
		return fmt.Sprintf(`{"_index":"cwl-2026.11.20","_id":"%d","_seq_no":%d,"_primary_term":2,"_source":{"@id":"%d","@timestamp":"2026-11-20T10:11:12.123Z","@message":%q}}`, n, n+100, n, message)
	}
	pages := []string{
		document(1, "a") + "," + document(2, "b") + "," + document(3, "unreadable") + "," +
			strings.Replace(document(4, "d"), "2026-11", "+012026-11", 1),
		document(5, "e"),
		"",
	}
	var bulk strings.Builder
	cleared := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(err)
		}
		switch {
		case r.Method == http.MethodDelete:
			cleared = true
			fmt.Fprint(w, `{}`)
		case r.URL.Path == "/_bulk":
			bulk.Write(body)
			statuses := map[bool]string{true: `{"index":{"status":200}},{"index":{"status":409}}`, false: `{"index":{"status":400}}`}
			fmt.Fprintf(w, `{"items":[%s]}`, statuses[strings.Contains(string(body), `"_id":"1"`)])
		case r.Method == http.MethodPost && r.URL.Path != "/_search/scroll":
			// Amazon's domains look at no parameters in the URL of a signed POST.
			fmt.Fprintf(w, `{"hits":{"hits":[%s]}}`, pages[0])
		default:
			if r.Method == http.MethodGet && !strings.Contains(string(body), "shipperd.rejected.type") {
				t.Errorf("got the search %s, want one for reduced documents", body)
			}
			fmt.Fprintf(w, `{"_scroll_id":"s","hits":{"hits":[%s]}}`, pages[0])
			pages = pages[1:]
		}
	}))
	defer server.Close()
	config := elastic.DefaultConfig()
	config.Endpoints = []string{server.URL}
	sink, err := elastic.New(t.Context(), config, elastic.Deps{Log: zap.NewNop(), Registerer: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	reports := 0
	r := Reduced{Sink: sink, Decoder: oneDocument{}, Index: "cwl*", Report: func(ReducedProgress) { reports++ }}
	p, err := r.Run(t.Context())
	if want := (ReducedProgress{Found: 5, Repaired: 1, Changed: 1, Refused: 3}); err != nil || p != want {
		t.Errorf("got %+v, %v, want %+v", p, err, want)
	}
	if !cleared || reports != 2 {
		t.Errorf("got the scroll cleared: %t, %d reports, want true and 2", cleared, reports)
	}
	want := `{"index":{"_id":"1","_index":"cwl-2026.11.20","if_primary_term":2,"if_seq_no":101}}
{"@message":"a"}
`
	if !strings.HasPrefix(bulk.String(), want) {
		t.Errorf("got the request %s, want it to begin with %s", bulk.String(), want)
	}
}
