package elastic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/elastic/go-elasticsearch/v7/esapi"
)

const (
	// A reply may have this much, and this much more for each document: a full one
	// has 245 bytes a document, the longest error in 390 real replies has 1,260.
	replyBytes     = 1 << 20
	replyItemBytes = 2 << 10

	// maxRetryAfter bounds what a server can make us wait.
	maxRetryAfter = 60 * time.Second
)

// filterPath asks for the status and the error of each item and nothing else. A
// proxy or a signed POST may lose it: the scanner takes full replies too.
const filterPath = "errors,items.*.status,items.*.error"

// reply is what became of one attempt. It is reused; its items point into body.
type reply struct {
	sent       time.Time
	class      class
	status     int
	fault      fault // of a whole request that failed
	retryAfter time.Duration
	items      []replyItem // as many as documents were sent, when class is accepted
	err        error       // why there is no reply, or none that can be trusted
	signal     signal      // for the window

	body    []byte
	scanner scanner
}

// send makes one attempt and classifies what came back.
func (s *Sink) send(ctx context.Context, e *endpoint, docs []doc, compress bool) *reply {
	r, ok := s.replies.Get().(*reply)
	if !ok {
		r = &reply{}
	}
	*r = reply{body: r.body[:0], scanner: r.scanner}
	b := s.bodies.build(docs, compress)
	defer b.release()

	r.sent = time.Now()
	r.exchange(ctx, s.config.Timeout, e, b, len(docs))
	s.metrics.request(r.status, time.Since(r.sent), b.raw, b.size, len(docs))

	kind := ""
	if r.status != 0 && r.err == nil && r.status != http.StatusOK {
		r.fault = parseFault(r.status, r.topError(), s.scrub)
		kind = r.fault.kind
	}
	r.class = classify(answer{status: r.status, kind: kind, err: r.err})
	r.classifyItems()
	if r.class == paused && (r.status == http.StatusUnauthorized || r.status == http.StatusForbidden) {
		if err := s.endpoints.refresh(); err != nil {
			r.fault.reason = s.scrub(err.Error())
		}
	}
	if (r.class == blocked || r.class == paused) && s.endpoints.othersWell(e) {
		r.class = busy // a fault of this endpoint, as long as the others do not say it too
	}
	return r
}

// recycle takes r back.
func (s *Sink) recycle(r *reply) {
	if cap(r.body) <= keepBytes {
		s.replies.Put(r)
	}
}

// exchange sends b and fills r with the reply as it came: status, items, err.
func (r *reply) exchange(ctx context.Context, timeout time.Duration, e *endpoint, b *body, docs int) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	response, err := esapi.BulkRequest{
		Body:       b.reader(),
		FilterPath: []string{filterPath},
		Header:     http.Header{"Content-Type": {"application/x-ndjson"}},
	}.Do(ctx, e)
	if err != nil {
		r.err = err
		return
	}
	defer response.Body.Close()
	r.status = response.StatusCode
	r.retryAfter = retryAfter(response.Header.Get("Retry-After"), time.Now())
	limit := replyBytes + docs*replyItemBytes
	if r.body, err = readAll(r.body, response.Body, limit); err != nil {
		r.err = fmt.Errorf("read reply: %w", err)
		return
	}
	if r.status != http.StatusOK {
		return
	}
	r.items, r.err = r.scanner.scan(r.body)
	if r.err == nil && len(r.items) != docs {
		r.err = fmt.Errorf("%w: %d items for %d documents", errReply, len(r.items), docs)
	}
}

// readAll appends all of from to into. More than limit bytes are an error.
func readAll(into []byte, from io.Reader, limit int) ([]byte, error) {
	for {
		if len(into) == cap(into) {
			into = append(into, 0)[:len(into)]
		}
		n, err := from.Read(into[len(into):cap(into)])
		into = into[:len(into)+n]
		switch {
		case len(into) > limit:
			return into, fmt.Errorf("%w: more than %d bytes", errReply, limit)
		case err == io.EOF:
			return into, nil
		case err != nil:
			return into, err
		}
	}
}

// classifyItems sets the class of every item, and the signal for the window: one
// item in a hundred that was refused for now counts as pressure.
func (r *reply) classifyItems() {
	switch r.class {
	case accepted:
	case busy, unreachable, unknown:
		r.signal = pressed
		return
	default:
		return
	}
	refused := 0
	for i := range r.items {
		item := &r.items[i]
		kind := ""
		if item.fault != nil && item.status != http.StatusConflict {
			kind = faultKind(item.fault)
		}
		item.class = classify(answer{item: true, status: item.status, kind: kind})
		if item.class == busy || item.class == failing {
			refused++
		}
	}
	r.signal = eased
	if 100*refused >= len(r.items) && refused > 0 {
		r.signal = pressed
	}
}

// endpointFailed says whether the endpoint takes nothing at all: it, or a proxy for
// it, gave no answer of its own, or is too busy for any. The breaker counts that.
func (r *reply) endpointFailed() bool {
	switch {
	case r.class == busy, r.status == 0, r.status == http.StatusBadGateway, r.status == http.StatusGatewayTimeout:
		return true
	}
	return r.err != nil && !errors.Is(r.err, errReply)
}

// topError returns the error of a reply to a whole request, if it is JSON.
func (r *reply) topError() []byte {
	var reply struct {
		Error json.RawMessage `json:"error"`
	}
	if json.Unmarshal(r.body, &reply) != nil {
		return nil // HTML of a proxy, or nothing, as with 413
	}
	return reply.Error
}

// retryAfter reads the header, seconds or a date, up to maxRetryAfter.
func retryAfter(header string, now time.Time) time.Duration {
	if header == "" {
		return 0
	}
	wait := time.Duration(0)
	if seconds, err := strconv.ParseUint(strings.TrimSpace(header), 10, 31); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if date, err := http.ParseTime(header); err == nil {
		wait = date.Sub(now)
	}
	return min(max(wait, 0), maxRetryAfter)
}
