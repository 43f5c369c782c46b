package elastic

import (
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"
)

// maxReason and maxKind bound what is kept of an error, in bytes.
const (
	maxReason = 512
	maxKind   = 128
)

// fault is what the index has against a document. Nothing decides by its reason,
// which quotes the document and, from Elasticsearch 7.10.2, our own request.
type fault struct {
	status int
	kind   string // the error's type
	reason string // scrubbed and cut
	field  string // the field that the reason names, for people

	since     time.Time // of the first failure that may be the document's own
	refusedAt time.Time // when it was first refused in its barest form
	verdict   string    // why it is a dead letter, once it is
	lettered  bool      // its original is a dead letter already
	cut       bool      // @message must be cut to fit
}

type errorJSON struct {
	Type     string     `json:"type"`
	Reason   string     `json:"reason"`
	CausedBy *errorJSON `json:"caused_by"`
}

// parseFault reads an error of a reply, which is an object or a mere string.
func parseFault(status int, raw []byte, scrub func(string) string) fault {
	f := fault{status: status}
	var e errorJSON
	if json.Unmarshal(raw, &e) != nil {
		_ = json.Unmarshal(raw, &e.Reason) // neither: there is none
	}
	reason := e.Reason
	if e.CausedBy != nil {
		reason += ": " + e.CausedBy.Reason
	}
	f.kind = cut(e.Type, maxKind)
	f.field = scrub(fieldOf(e.Reason))
	f.reason = scrub(reason)
	return f
}

// faultKind returns an error's type alone.
func faultKind(raw []byte) string {
	var e struct {
		Type string `json:"type"`
	}
	_ = json.Unmarshal(raw, &e) // a mere string has no type
	return e.Type
}

// fieldOf finds NAME in "failed to parse field [NAME] of type [long]". Whatever an
// attacker makes of that is a value in his own document.
func fieldOf(reason string) string {
	_, rest, _ := strings.Cut(reason, "field [")
	name, _, ok := strings.Cut(rest, "]")
	if !ok {
		return ""
	}
	return name
}

// scrub makes an error of the server or the network fit to be kept: no part of a
// quoted request, none of our secrets, no control characters, no more than
// maxReason bytes.
func (s *Sink) scrub(reason string) string {
	reason = cut(reason, 16*maxReason) // what follows is not worth looking at
	for _, mark := range []string{"[Source: (", "authorization:", "x-amz-", "http/1."} {
		if i := indexFold(reason, mark); i >= 0 {
			reason = reason[:i] + "[quoted request removed]"
		}
	}
	for _, secret := range s.endpoints.secrets() {
		if secret != "" {
			reason = strings.ReplaceAll(reason, secret, "[redacted]")
		}
	}
	reason = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return ' '
		}
		return r
	}, reason)
	return cut(reason, maxReason)
}

// indexFold is strings.Index, blind to the case of ASCII letters.
func indexFold(s, substring string) int {
	for i := range len(s) - len(substring) + 1 {
		if strings.EqualFold(s[i:i+len(substring)], substring) {
			return i
		}
	}
	return -1
}

// cut shortens text to at most size bytes of whole characters.
func cut(text string, size int) string {
	if len(text) <= size {
		return text
	}
	for size > 0 && !utf8.RuneStart(text[size]) {
		size--
	}
	return text[:size]
}
