package story

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/shipperd/shipperd/pkg/demo"
	"github.com/shipperd/shipperd/test/daemon"
)

// object is a JSON object.
type object = map[string]any

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

// search asks the indices and counts all that it finds.
func search(t *testing.T, x *daemon.Index, body object) (r reply) {
	t.Helper()
	body["track_total_hits"] = true
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	x.Ask(http.MethodPost, "/"+x.Prefix+"-*/_search", string(text), &r)
	if r.Shards.Failed > 0 {
		t.Fatalf("search %s: got %d shards that failed", text, r.Shards.Failed)
	}
	return r
}

// identities counts the documents by the identities of their events.
func identities(t *testing.T, x *daemon.Index) map[string]int {
	t.Helper()
	const most = 10_000 // that a search returns without a scroll
	r := search(t, x, object{"size": most, "_source": []string{"@log_group", "@log_stream", "@timestamp", "@message"}})
	if r.Hits.Total.Value > most {
		t.Fatalf("got %d documents, more than one search returns", r.Hits.Total.Value)
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
			t.Fatalf("%s: %v", hit.Source, err)
		}
		counts[identity(demo.Event{Group: doc.Group, Stream: doc.Stream, Time: doc.Time, Message: doc.Message})]++
	}
	return counts
}
