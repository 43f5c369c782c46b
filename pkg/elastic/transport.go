package elastic

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	// connectionLife bounds how long a connection is used: a domain that is
	// resized or moved changes its addresses in DNS, which live for 60 s.
	connectionLife = 60 * time.Second
	dialTimeout    = 5 * time.Second
	tlsTimeout     = 5 * time.Second
)

// newTransport returns the network: HTTP/1.1 over connections of bounded life.
// It never follows a redirect, which would carry our credentials elsewhere.
func newTransport(c TLSConfig, concurrency int) (http.RoundTripper, error) {
	config, err := newTLS(c)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: dialTimeout, Control: refuseForbidden}
	return &rotating{make: func() *http.Transport {
		return &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         dialer.DialContext,
			TLSClientConfig:     config.Clone(),
			TLSHandshakeTimeout: tlsTimeout,
			MaxIdleConns:        4 * concurrency,
			MaxIdleConnsPerHost: concurrency,
			IdleConnTimeout:     connectionLife,
			// A filtered reply has 26 bytes a document; inflating it costs more than
			// it saves, and a small reply must not become a large one here.
			DisableCompression: true,
		}
	}}, nil
}

func newTLS(c TLSConfig) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("tls.ca_file: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls.ca_file: %s holds no certificate", c.CAFile)
		}
	}
	if c.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("tls.cert_file: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// refuseForbidden looks at the address that a name led to.
func refuseForbidden(_, address string, _ syscall.RawConn) error {
	resolved, err := netip.ParseAddrPort(address)
	if err == nil && forbidden(resolved.Addr()) {
		return fmt.Errorf("%w: %s is a link-local address", errNotSent, resolved.Addr())
	}
	return nil
}

// rotating replaces its transport every connectionLife. What is under way on the
// old one ends there; its connections close as they become idle.
type rotating struct {
	make func() *http.Transport

	mu      sync.Mutex
	current *http.Transport
	born    time.Time
}

// RoundTrip implements http.RoundTripper.
func (r *rotating) RoundTrip(request *http.Request) (*http.Response, error) {
	return r.transport(time.Now()).RoundTrip(request)
}

func (r *rotating) transport(now time.Time) *http.Transport {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.current == nil || now.Sub(r.born) >= connectionLife {
		if r.current != nil {
			r.current.CloseIdleConnections()
		}
		r.current, r.born = r.make(), now
	}
	return r.current
}
