package replay

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/shipperd/shipperd/pkg/elastic"
	"github.com/shipperd/shipperd/pkg/record"
)

// Reduced makes whole documents of those that an index took only in reduced form,
// from the messages that they still have. Fields that a subscription's pattern
// made are made again by the configuration's own.
type Reduced struct {
	Sink    *elastic.Sink
	Decoder Decoder
	Index   string // which indices, with *
	// Report is called after each page.
	Report func(ReducedProgress)
}

// ReducedProgress counts documents.
type ReducedProgress struct {
	Found    int
	Repaired int
	Changed  int // by somebody else meanwhile; left alone
	Refused  int // again, or their message says less than the document
}

const (
	// A page of messages of 1 MiB, the most that CloudWatch takes, stays below what a
	// reply may have.
	pageDocuments = 50
	// An overwriting request of usual documents; the smallest limit of a domain is 10 MiB.
	overwriteBytes = 4 << 20
	scrollFor      = "5m"
)

// hit is a reduced document. Those without the fields' text were too large: their
// message is cut, and a dead letter has the whole.
type hit struct {
	Index       string `json:"_index"`
	ID          string `json:"_id"`
	SeqNo       int64  `json:"_seq_no"`
	PrimaryTerm int64  `json:"_primary_term"`
	Source      struct {
		ID        string `json:"@id"`
		Timestamp string `json:"@timestamp"`
		Message   string `json:"@message"`
		Owner     string `json:"@owner"`
		Group     string `json:"@log_group"`
		Stream    string `json:"@log_stream"`
	} `json:"_source"`
}

// page is a reply to a search.
type page struct {
	Scroll string `json:"_scroll_id"`
	Hits   struct {
		Hits []hit `json:"hits"`
	} `json:"hits"`
}

// Run looks at every reduced document once. A document is overwritten only as long
// as it is the one that was found, so that Run may be stopped and repeated, and
// the daemon may run meanwhile.
func (r *Reduced) Run(ctx context.Context) (p ReducedProgress, err error) {
	query := map[string]any{
		"size": pageDocuments, "sort": []string{"_doc"}, "seq_no_primary_term": true, "_source": []string{"@*"},
		"query": map[string]any{"bool": map[string]any{"filter": []any{
			map[string]any{"exists": map[string]string{"field": "shipperd.rejected.type"}},
			map[string]any{"exists": map[string]string{"field": "shipperd.rejected.fields"}},
		}}},
	}
	var found page
	// Not a POST: Amazon's domains look at no parameters in the URL of a signed one.
	err = r.ask(ctx, http.MethodGet, "/"+url.PathEscape(r.Index)+"/_search?scroll="+scrollFor, query, &found)
	for err == nil && len(found.Hits.Hits) > 0 {
		if err = r.repair(ctx, found.Hits.Hits, &p); err != nil {
			break
		}
		r.Report(p)
		scroll := map[string]string{"scroll": scrollFor, "scroll_id": found.Scroll}
		found = page{}
		err = r.ask(ctx, http.MethodPost, "/_search/scroll", scroll, &found)
	}
	if found.Scroll != "" {
		// It ends by itself otherwise.
		_ = r.ask(context.WithoutCancel(ctx), http.MethodDelete, "/_search/scroll", map[string]string{"scroll_id": found.Scroll}, new(any))
	}
	if err != nil {
		return p, fmt.Errorf("repair reduced documents: %w", err)
	}
	return p, nil
}

func (r *Reduced) ask(ctx context.Context, method, path string, body, v any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	reply, err := r.Sink.Call(ctx, elastic.Call{Method: method, Path: path, Body: text})
	if err != nil {
		return err
	}
	return json.Unmarshal(reply, v)
}

// repair overwrites the documents of a page.
func (r *Reduced) repair(ctx context.Context, hits []hit, p *ReducedProgress) error {
	var body bytes.Buffer
	for i := range hits {
		p.Found++
		document := r.decode(&hits[i])
		if document == nil {
			p.Refused++
			continue
		}
		action, err := json.Marshal(map[string]any{"index": map[string]any{
			"_index": hits[i].Index, "_id": hits[i].ID, "if_seq_no": hits[i].SeqNo, "if_primary_term": hits[i].PrimaryTerm,
		}})
		if err != nil {
			return err
		}
		fmt.Fprintf(&body, "%s\n%s\n", action, document)
		if body.Len() >= overwriteBytes {
			if err := r.overwrite(ctx, &body, p); err != nil {
				return err
			}
		}
	}
	return r.overwrite(ctx, &body, p)
}

// decode returns the document that the message makes now, or nil: what is no event
// of one document any more stays as it is.
func (r *Reduced) decode(h *hit) []byte {
	type logEvent struct {
		ID        string `json:"id"`
		Timestamp int64  `json:"timestamp"`
		Message   string `json:"message"`
	}
	at, err := time.Parse(time.RFC3339, h.Source.Timestamp)
	if err != nil {
		return nil // no day of our own calendar
	}
	payload, err := json.Marshal(struct {
		Type    string     `json:"messageType"`
		Owner   string     `json:"owner"`
		Group   string     `json:"logGroup"`
		Stream  string     `json:"logStream"`
		Filters []string   `json:"subscriptionFilters"`
		Events  []logEvent `json:"logEvents"`
	}{
		"DATA_MESSAGE", h.Source.Owner, h.Source.Group, h.Source.Stream, []string{},
		[]logEvent{{h.Source.ID, at.UnixMilli(), h.Source.Message}},
	})
	if err != nil {
		return nil
	}
	rec := record.Record{Data: payload}
	if r.Decoder.Decode(&rec) != nil || len(rec.Events) != 1 || rec.Events[0].Outcome != record.Pending {
		return nil
	}
	return rec.Doc(&rec.Events[0])
}

// overwrite sends what body has and empties it.
func (r *Reduced) overwrite(ctx context.Context, body *bytes.Buffer, p *ReducedProgress) error {
	if body.Len() == 0 {
		return nil
	}
	content, err := r.Sink.Call(ctx, elastic.Call{
		Method: http.MethodPost, Path: "/_bulk?filter_path=items.*.status", Body: bytes.Clone(body.Bytes()),
		Header: http.Header{"Content-Type": {"application/x-ndjson"}},
	})
	if err != nil {
		return err
	}
	body.Reset()
	var reply struct {
		Items []struct {
			Index struct {
				Status int `json:"status"`
			} `json:"index"`
		} `json:"items"`
	}
	if err := json.Unmarshal(content, &reply); err != nil {
		return err
	}
	for _, item := range reply.Items {
		switch item.Index.Status {
		case http.StatusOK, http.StatusCreated:
			p.Repaired++
		case http.StatusConflict, http.StatusNotFound:
			p.Changed++
		default:
			p.Refused++
		}
	}
	return nil
}
