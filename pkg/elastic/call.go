package elastic

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"time"
)

// callBytes bounds the reply to a Call: a page of search hits is the largest.
const callBytes = 64 << 20

// Call is a request of administration: anything but bulk requests.
type Call struct {
	Method string
	Path   string // with its query
	Header http.Header
	Body   []byte // JSON, unless Header has another Content-Type; nil: none
}

// RefusedError is an answer of another status than 2xx. Its words are the server's own,
// scrubbed.
type RefusedError struct {
	Status       int
	Type, Reason string
}

func (r *RefusedError) Error() string {
	return fmt.Sprintf("status %d: %s: %s", r.Status, r.Type, r.Reason)
}

// Call sends one request, whatever the window and the breakers say, with the
// sink's own endpoints and credentials, and returns the reply's body. The error is
// a *RefusedError, or says why there is no answer; it holds no secret.
func (s *Sink) Call(ctx context.Context, c Call) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, c.Method, c.Path, http.NoBody)
	if err != nil {
		return nil, err
	}
	if c.Body != nil {
		body := plainBody(c.Body)
		defer body.release()
		request.Body = body.reader()
		request.Header.Set("Content-Type", "application/json")
	}
	maps.Copy(request.Header, c.Header)
	e, _ := s.endpoints.pick(time.Now(), true)
	status, content, err := exchange(request, e)
	s.endpoints.done(e, time.Now(), status == 0, 0)
	switch {
	case err != nil:
		return nil, errors.New(s.scrub(err.Error()))
	case status < http.StatusOK || status >= http.StatusMultipleChoices:
		return nil, s.refusal(status, content)
	}
	return content, nil
}

func exchange(request *http.Request, e *endpoint) (status int, content []byte, err error) {
	response, err := e.Perform(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	content, err = readAll(nil, response.Body, callBytes)
	return response.StatusCode, content, err
}

// refusal reads why a request was refused: Elasticsearch says it in an object,
// Kibana in a string beside it, a proxy in HTML.
func (s *Sink) refusal(status int, content []byte) *RefusedError {
	var reply struct {
		Error   json.RawMessage `json:"error"`
		Message string          `json:"message"`
	}
	if json.Unmarshal(content, &reply) != nil {
		return &RefusedError{Status: status, Type: http.StatusText(status), Reason: s.scrub(string(bytes.TrimSpace(content)))}
	}
	f := parseFault(status, reply.Error, s.scrub)
	if f.kind == "" {
		f.kind = http.StatusText(status)
	}
	if reply.Message != "" {
		f.reason = s.scrub(reply.Message)
	}
	return &RefusedError{Status: status, Type: f.kind, Reason: f.reason}
}
