package elasticfake

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"
)

// errBroken is a connection that broke.
var errBroken = errors.New("connection reset by peer")

// serve answers r up to its reply. An error means that the connection breaks.
func (s *Server) serve(r *http.Request) (*reply, error) {
	number := 0
	if strings.HasSuffix(r.URL.Path, "/_bulk") {
		s.mu.Lock()
		s.number++
		number = s.number
		s.mu.Unlock()
		if s.Early != nil {
			if status := s.Early(number); status != 0 {
				answer := errorReply(status, "", "", "")
				return &answer, nil
			}
		}
	}
	request, status := s.read(r)
	if status != 0 {
		answer := errorReply(status, "illegal_argument_exception", "cannot read the body", "")
		return &answer, nil
	}
	request.Number = number
	if number != 0 && request.parse() != nil {
		request.Docs = nil // bulk says why
	}
	fault := Fault{}
	if s.Script != nil {
		s.script.Lock()
		fault = s.Script(request)
		s.script.Unlock()
	}
	if err := pause(r.Context(), fault.Delay); err != nil {
		return nil, err
	}
	switch {
	case fault.Refused:
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	case fault.Reset:
		return nil, errBroken
	}
	answer := s.answer(r, request, fault)
	switch answer.damage(fault.Damage); fault.Damage {
	case Lost:
		return nil, errBroken
	case Hung:
		<-r.Context().Done()
		return nil, context.Cause(r.Context())
	default:
		return &answer, nil
	}
}

// pause waits in the time of the caller, which may be fake.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer, err := s.serve(r)
	if err != nil {
		panic(http.ErrAbortHandler) // closes the connection without a reply
	}
	maps.Copy(w.Header(), answer.header)
	answer.setLength()
	w.Header().Set("Content-Length", answer.header.Get("Content-Length"))
	w.WriteHeader(answer.status)
	if _, err := io.Copy(flusher{w}, &replyBody{answer, r.Context().Done()}); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// replyBody gives a reply out, as slowly as it comes, until its request is done.
type replyBody struct {
	*reply
	done <-chan struct{}
}

func (b *replyBody) Read(p []byte) (int, error) {
	if b.pace == 0 {
		return b.next(p)
	}
	select {
	case <-b.done:
		return 0, errBroken
	case <-time.After(b.pace):
		return b.next(p[:min(len(p), 1)])
	}
}

// Close implements io.Closer.
func (b *replyBody) Close() error { return nil }

// flusher sends every write at once, so that what comes before a break arrives.
type flusher struct{ w http.ResponseWriter }

func (f flusher) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	if flush, ok := f.w.(http.Flusher); ok && err == nil {
		flush.Flush()
	}
	return n, err
}

// RoundTrip implements http.RoundTripper.
func (s *Server) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer r.Body.Close()
	}
	answer, err := s.serve(r)
	if err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: answer.status, Status: http.StatusText(answer.status), Header: answer.header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, ContentLength: answer.length(),
		Body: &replyBody{answer, r.Context().Done()}, Request: r,
	}, nil
}
