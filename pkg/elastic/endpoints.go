package elastic

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"
)

// breakAfter is how many failures in a row open an endpoint's breaker.
const breakAfter = 5

// endpoint is one address of the cluster. It is an esapi.Transport, one attempt a call.
type endpoint struct {
	url  *url.URL
	base http.RoundTripper
	auth auth

	// Guarded by endpoints.mu.
	inFlight int
	turn     int // of its last request
	failures int // in a row
	probeAt  time.Time
	probing  bool
}

func (e *endpoint) String() string { return e.url.String() }

// Perform sends the request to this endpoint. It implements esapi.Transport.
func (e *endpoint) Perform(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	request.URL.Scheme, request.URL.Host = e.url.Scheme, e.url.Host
	request.URL.Path = e.url.Path + request.URL.Path
	request.Host = e.url.Host
	request.Header.Set("User-Agent", "shipperd")
	var content *body
	if r, ok := request.Body.(*bodyReader); ok {
		content = r.body
		request.ContentLength = int64(content.size)
		request.GetBody = func() (io.ReadCloser, error) { return content.reader(), nil }
		if content.encoding != "" {
			request.Header.Set("Content-Encoding", content.encoding)
		}
	}
	if err := e.auth.authorize(request.Context(), request, content); err != nil {
		if request.Body != nil {
			_ = request.Body.Close()
		}
		return nil, err
	}
	return e.base.RoundTrip(request)
}

// endpoints spreads requests: to the one with the fewest in flight, in turn among
// equals. Each has a breaker: a node that is dead, or busy without end, gets one
// probe now and then, however many batches wait for it.
type endpoints struct {
	all []*endpoint

	mu   sync.Mutex
	turn int
}

// pick returns an endpoint, to be given back with done, or how long it takes until
// one may be probed. force takes a broken one too.
func (p *endpoints) pick(now time.Time, force bool) (*endpoint, time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var best *endpoint
	wait := lastProbe
	p.turn++
	for _, e := range p.all {
		if e.failures >= breakAfter && !force {
			if e.probing || now.Before(e.probeAt) {
				wait = min(wait, max(e.probeAt.Sub(now), firstProbe))
				continue
			}
		}
		if best == nil || e.inFlight < best.inFlight || e.inFlight == best.inFlight && e.turn < best.turn {
			best = e
		}
	}
	if best == nil {
		return nil, wait
	}
	best.inFlight++
	best.turn = p.turn
	best.probing = best.failures >= breakAfter
	return best, 0
}

// done gives e back. failed means that it took nothing; retryAfter is what it said
// about that.
func (p *endpoints) done(e *endpoint, now time.Time, failed bool, retryAfter time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e.inFlight--
	e.probing = false
	if !failed {
		e.failures = 0
		return
	}
	if e.failures++; e.failures >= breakAfter {
		e.probeAt = now.Add(max(min(firstProbe<<min(e.failures-breakAfter, 10), lastProbe), retryAfter))
	}
}

// othersWell says whether an endpoint other than e has not failed at its last request.
func (p *endpoints) othersWell(e *endpoint) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.all, func(other *endpoint) bool { return other != e && other.failures == 0 })
}

// refresh has every endpoint's credentials renewed.
func (p *endpoints) refresh() error {
	var errs []error
	for _, e := range p.all {
		errs = append(errs, e.auth.refresh())
	}
	return errors.Join(errs...)
}

// secrets returns all that must not be seen in a log.
func (p *endpoints) secrets() []string {
	var all []string
	for _, e := range p.all {
		all = append(all, e.auth.secrets()...)
	}
	return all
}

func newEndpoints(ctx context.Context, c Config, base http.RoundTripper) (*endpoints, error) {
	p := &endpoints{}
	for _, raw := range c.Endpoints {
		u, err := parseEndpoint(raw)
		if err != nil {
			return nil, fmt.Errorf("endpoints: %w", err)
		}
		a, err := newAuth(ctx, c.Auth, u)
		if err != nil {
			return nil, fmt.Errorf("endpoint %s: %w", u.Host, err)
		}
		p.all = append(p.all, &endpoint{url: u, base: base, auth: a})
	}
	return p, nil
}
