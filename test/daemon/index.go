package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"
)

// Index is the indices of one test on an Elasticsearch or OpenSearch: those whose
// names begin with its prefix.
type Index struct {
	URL    string
	Prefix string
	t      testing.TB
}

// NewIndex returns the indices of prefix, which are deleted at the end with the
// template that shipperd makes for them.
func NewIndex(t testing.TB, url, prefix string) *Index {
	t.Helper()
	x := &Index{url, prefix, t}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		for _, path := range []string{"/" + prefix + "*", "/_index_template/shipperd-" + prefix} {
			// Where it fails, a shared server keeps it.
			_, _ = x.Send(ctx, http.MethodDelete, path, nil)
		}
	})
	return x
}

// Send asks the server; any other status than 200 and 201 is an error.
func (x *Index) Send(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, x.URL+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	reply, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK && response.StatusCode != http.StatusCreated {
		err = fmt.Errorf("%s %s %.2000s: %s: %.2000s", method, path, body, response.Status, reply)
	}
	return reply, err
}

// Ask sends a request and decodes what comes back into reply.
func (x *Index) Ask(method, path, body string, reply any) {
	x.t.Helper()
	if err := x.ask(method, path, body, reply); err != nil {
		x.t.Fatal(err)
	}
}

func (x *Index) ask(method, path, body string, reply any) error {
	text, err := x.Send(x.t.Context(), method, path, []byte(body))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, reply); err != nil {
		return fmt.Errorf("%s %s: %w in %.2000s", method, path, err, text)
	}
	return nil
}

// Count returns how many documents match query, everything that was indexed before
// included. It fails for a moment while a new index has no shard yet.
func (x *Index) Count(query string) (int, error) {
	if err := x.ask(http.MethodPost, "/"+x.Prefix+"*/_refresh", "", new(struct{})); err != nil {
		return 0, err
	}
	var reply struct {
		Count int `json:"count"`
	}
	err := x.ask(http.MethodPost, "/"+x.Prefix+"*/_count", `{"query":`+query+`}`, &reply)
	return reply.Count, err
}
