package integration

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/shipperd/shipperd/test/daemon"
)

// awaitCount waits until the indices hold n documents, while the daemon accounts for
// every event.
func awaitCount(t *testing.T, x *daemon.Index, n int, d *daemon.Test) {
	t.Helper()
	d.Await(func() error {
		d.Scrape()
		got, err := x.Count(`{"match_all":{}}`)
		if err == nil && got < n {
			err = fmt.Errorf("indices %s*: got %d documents, want %d", x.Prefix, got, n)
		}
		return err
	})
}

// wantIDs checks that the indices hold the documents of want, once each, and no
// other. An id in two of the daily indices counts twice.
func wantIDs(t *testing.T, x *daemon.Index, want map[string]bool) {
	t.Helper()
	got := make(map[string]int)
	path, body := "/"+x.Prefix+"*/_search?scroll=1m", `{"size":5000,"_source":false,"sort":["_doc"]}`
	for {
		var page struct {
			Scroll string `json:"_scroll_id"`
			Hits   struct {
				Hits []struct {
					ID string `json:"_id"`
				} `json:"hits"`
			} `json:"hits"`
		}
		x.Ask(http.MethodPost, path, body, &page)
		for _, hit := range page.Hits.Hits {
			got[hit.ID]++
		}
		path, body = "/_search/scroll", fmt.Sprintf(`{"scroll":"1m","scroll_id":%q}`, page.Scroll)
		if len(page.Hits.Hits) == 0 {
			x.Ask(http.MethodDelete, "/_search/scroll", fmt.Sprintf(`{"scroll_id":%q}`, page.Scroll), new(struct{}))
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
		t.Errorf("indices %s*: got %d of %d ids missing, %d more than once, %d never put", x.Prefix, missing, len(want), doubled, foreign)
	}
}
