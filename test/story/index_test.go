package story

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/shipperd/shipperd/pkg/demo"
)

// object is a JSON object.
type object = map[string]any

// index is the indices of one engine that begin with a prefix.
type index struct {
	t      *testing.T
	url    string
	prefix string
}

// newIndex returns the indices of prefix, which are deleted at the end with their
// template.
func newIndex(t *testing.T, url, prefix string) *index {
	t.Helper()
	x := &index{t, url, prefix}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		for _, path := range []string{"/" + prefix + "-*", "/_index_template/shipperd-" + prefix} {
			// Where it fails, a shared server keeps it.
			_, _ = x.send(ctx, http.MethodDelete, path, nil)
		}
	})
	return x
}

// send asks the server; any other status than 200 is an error.
func (x *index) send(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
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
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s %s: %s: %.2000s", method, path, body, resp.Status, reply)
	}
	return reply, err
}

// refresh lets searches see all that was indexed.
func (x *index) refresh() {
	x.t.Helper()
	if _, err := x.send(x.t.Context(), http.MethodPost, "/"+x.prefix+"-*/_refresh", nil); err != nil {
		x.t.Fatal(err)
	}
}

// reply is what a search returns.
type reply struct {
	Shards struct {
		Failed int `json:"failed"`
	} `json:"_shards"`
	Hits struct {
		Total struct {
			Value int `json:"value"`
		} `json:"total"`
		Hits []struct {
			Source json.RawMessage `json:"_source"`
		} `json:"hits"`
	} `json:"hits"`
	Aggregations json.RawMessage `json:"aggregations"`
}

func (x *index) search(body object) (r reply) {
	x.t.Helper()
	body["track_total_hits"] = true
	text, err := json.Marshal(body)
	if err != nil {
		x.t.Fatal(err)
	}
	found, err := x.send(x.t.Context(), http.MethodPost, "/"+x.prefix+"-*/_search", text)
	if err != nil {
		x.t.Fatal(err)
	}
	if err := json.Unmarshal(found, &r); err != nil || r.Shards.Failed > 0 {
		x.t.Fatalf("search %s: got %d shards that failed, %v in %.2000s", text, r.Shards.Failed, err, found)
	}
	return r
}

// identities counts the documents by the identities of their events.
func (x *index) identities() map[string]int {
	x.t.Helper()
	const most = 10_000 // that a search returns without a scroll
	r := x.search(object{"size": most, "_source": []string{"@log_group", "@log_stream", "@timestamp", "@message"}})
	if r.Hits.Total.Value > most {
		x.t.Fatalf("got %d documents, more than one search returns", r.Hits.Total.Value)
	}
	counts := make(map[string]int)
	for _, hit := range r.Hits.Hits {
		var doc struct {
			Group   string    `json:"@log_group"`
			Stream  string    `json:"@log_stream"`
			Time    time.Time `json:"@timestamp"`
			Message string    `json:"@message"`
		}
		if err := json.Unmarshal(hit.Source, &doc); err != nil {
			x.t.Fatalf("%s: %v", hit.Source, err)
		}
		counts[identity(demo.Event{Group: doc.Group, Stream: doc.Stream, Time: doc.Time, Message: doc.Message})]++
	}
	return counts
}
