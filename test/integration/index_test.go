package integration

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

// searchIndex is a test's indices on an Elasticsearch or OpenSearch.
type searchIndex struct {
	t      *testing.T
	url    string
	prefix string
}

// newIndex returns the indices of prefix, which are deleted at the end.
func newIndex(t *testing.T, url, prefix string) *searchIndex {
	t.Helper()
	x := &searchIndex{t, url, prefix}
	t.Cleanup(func() {
		// Where it fails, a shared server keeps an index.
		_, _ = x.send(context.WithoutCancel(t.Context()), http.MethodDelete, "/"+prefix+"*", nil)
	})
	return x
}

// send asks the server; any other status than 200 and 201 is an error.
func (x *searchIndex) send(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, x.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	reply, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusCreated {
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, bytes.TrimSpace(reply))
	}
	return reply, nil
}

// ask sends a request whose reply it decodes into reply.
func (x *searchIndex) ask(method, path, body string, reply any) {
	x.t.Helper()
	if err := x.try(method, path, body, reply); err != nil {
		x.t.Fatal(err)
	}
}

func (x *searchIndex) try(method, path, body string, reply any) error {
	text, err := x.send(x.t.Context(), method, path, []byte(body))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, reply); err != nil {
		return fmt.Errorf("%s %s: %w in %s", method, path, err, text)
	}
	return nil
}

// count returns how many documents match query. It fails for a moment while a new
// index has no shard yet.
func (x *searchIndex) count(query string) (int, error) {
	if err := x.try(http.MethodPost, "/"+x.prefix+"*/_refresh", "", new(struct{})); err != nil {
		return 0, err
	}
	var reply struct {
		Count int `json:"count"`
	}
	err := x.try(http.MethodPost, "/"+x.prefix+"*/_count", `{"query":`+query+`}`, &reply)
	return reply.Count, err
}

// awaitCount waits until the indices hold n documents.
func (x *searchIndex) awaitCount(n int, check func()) {
	x.t.Helper()
	await(x.t, patience, func() error {
		check()
		got, err := x.count(`{"match_all":{}}`)
		if err == nil && got < n {
			err = fmt.Errorf("indices %s*: got %d documents, want %d", x.prefix, got, n)
		}
		return err
	})
}

// wantIDs checks that the indices hold the documents of want, once each, and no
// other. An id in two of the daily indices counts twice.
func (x *searchIndex) wantIDs(want map[string]bool) {
	x.t.Helper()
	got := make(map[string]int)
	path, body := "/"+x.prefix+"*/_search?scroll=1m", `{"size":5000,"_source":false,"sort":["_doc"]}`
	for {
		var page struct {
			Scroll string `json:"_scroll_id"`
			Hits   struct {
				Hits []struct {
					ID string `json:"_id"`
				} `json:"hits"`
			} `json:"hits"`
		}
		x.ask(http.MethodPost, path, body, &page)
		for _, hit := range page.Hits.Hits {
			got[hit.ID]++
		}
		path, body = "/_search/scroll", fmt.Sprintf(`{"scroll":"1m","scroll_id":%q}`, page.Scroll)
		if len(page.Hits.Hits) == 0 {
			x.ask(http.MethodDelete, "/_search/scroll", fmt.Sprintf(`{"scroll_id":%q}`, page.Scroll), new(struct{}))
			break
		}
	}
	missing, doubled, foreign := 0, 0, 0
	for id := range want {
		if got[id] == 0 {
			missing++
		}
	}
	for id, n := range got {
		if !want[id] {
			foreign++
		} else if n > 1 {
			doubled++
		}
	}
	if missing+doubled+foreign > 0 {
		x.t.Errorf("indices %s*: got %d of %d ids missing, %d more than once, %d never put", x.prefix, missing, len(want), doubled, foreign)
	}
}
