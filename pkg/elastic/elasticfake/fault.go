package elasticfake

import (
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"time"
)

// Fault is what goes wrong with one request. The zero value is nothing.
type Fault struct {
	// Delay passes before the request has any effect.
	Delay time.Duration

	// Status, if it is not 0, answers the whole request; nothing is applied. An
	// empty Type makes a body as proxies send it.
	Status       int
	Type, Reason string
	RetryAfter   string
	// Refused has no connection made, Reset has it broken before a reply; nothing
	// is applied.
	Refused, Reset bool

	// Item refuses single documents; nil takes the document.
	Item func(i int, d Document) *ItemError

	// Damage is done to the reply after the documents were applied.
	Damage Damage
}

// ItemError is why a document was not taken.
type ItemError struct {
	Status       int
	Type, Reason string
}

// Damage is what becomes of a reply on its way.
type Damage uint8

// The kinds of damage.
const (
	Intact    Damage = iota
	Lost             // the connection breaks before the reply
	Torn             // the connection breaks within it
	Truncated        // its JSON ends early, its length fits
	Fewer            // one item is missing, as of a dropped action
	More             // one item too many
	NotJSON          // the HTML page of a proxy, with status 200
	Empty            // no body, with status 200
	Itemless         // {"errors":true} alone
	Huge             // 100 MB
	Slow             // a byte every second
	Hung             // there is none until the client gives up
)

func (f *Fault) item(i int, d Document) *ItemError {
	if f.Item == nil {
		return nil
	}
	return f.Item(i, d)
}

func (f *Fault) count(items []map[string]any) []map[string]any {
	switch {
	case f.Damage == Fewer && len(items) > 0:
		return items[:len(items)-1]
	case f.Damage == More && len(items) > 0:
		return append(items, items[0])
	}
	return items
}

// reply is a reply and what happens to it on its way.
type reply struct {
	status  int
	header  http.Header
	body    []byte
	padding int64         // spaces after the body
	torn    bool          // the connection breaks after the body
	pace    time.Duration // before each byte
}

func jsonReply(status int, body any) reply {
	text, ok := body.(string)
	content := []byte(text)
	if !ok {
		content, _ = json.Marshal(body) // of our own types
	}
	return reply{status: status, body: content,
		header: http.Header{"Content-Type": {"application/json; charset=UTF-8"}}}
}

func errorReply(status int, kind, reason, retryAfter string) reply {
	var r reply
	switch {
	case status == http.StatusRequestEntityTooLarge:
		r = reply{status: status, header: http.Header{}} // as Elasticsearch: no body at all
	case kind == "":
		r = reply{status: status, body: []byte("<html>" + cmp.Or(reason, http.StatusText(status)) + "</html>"),
			header: http.Header{"Content-Type": {"text/html"}}}
	default:
		cause := map[string]string{"type": kind, "reason": reason}
		r = jsonReply(status, map[string]any{"status": status, "error": map[string]any{
			"type": kind, "reason": reason, "root_cause": []any{cause},
		}})
	}
	if retryAfter != "" {
		r.header.Set("Retry-After", retryAfter)
	}
	return r
}

// hugeBytes is the size of a Huge reply.
const hugeBytes = 100_000_000

func (r *reply) damage(d Damage) {
	switch d {
	case Torn:
		r.body, r.torn = r.body[:len(r.body)/2], true
	case Truncated:
		r.body = r.body[:len(r.body)-len(r.body)/4-1]
	case NotJSON:
		r.body = []byte("<html><body>It works!</body></html>")
	case Empty:
		r.body = nil
	case Itemless:
		r.body = []byte(`{"errors":true}`)
	case Huge:
		r.padding = hugeBytes
	case Slow:
		r.pace = time.Second
	default: // not done to the body
	}
}

// length is what Content-Length says; a torn reply has promised more.
func (r *reply) length() int64 {
	n := int64(len(r.body)) + r.padding
	if r.torn {
		n++
	}
	return n
}

// next gives the body and its padding out.
func (r *reply) next(p []byte) (int, error) {
	switch {
	case len(r.body) > 0:
		n := copy(p, r.body)
		r.body = r.body[n:]
		return n, nil
	case r.padding > 0:
		n := min(int64(len(p)), r.padding)
		for i := range n {
			p[i] = ' '
		}
		r.padding -= n
		return int(n), nil
	case r.torn:
		return 0, io.ErrUnexpectedEOF
	}
	return 0, io.EOF
}

func (r *reply) setLength() { r.header.Set("Content-Length", strconv.FormatInt(r.length(), 10)) }
