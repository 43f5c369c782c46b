package torture

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/shipperd/shipperd/pkg/killpoint"
)

// networkFaults are those of the way to the index: names and certificates.
func networkFaults() []fault {
	return []fault{
		{
			name: "search: its name leads elsewhere, the old address refuses everything",
			load: func(s *site) error { return s.move(false) }, metric: retries, label: `reason="busy"`,
		},
		{
			name: "search: its name leads elsewhere, the old address is dead",
			load: func(s *site) error { return s.move(true) }, metric: retries, label: `reason="unknown"`,
		},
		{
			name: "search: its name is not found for a while", load: missingName,
			metric: retries, label: `reason="unreachable"`, says: "no such host",
		},
		{
			name: "search: its certificate expires", load: expiringCertificate,
			metric: retries, label: `reason="unreachable"`, says: "certificate has expired",
		},
	}
}

// Where searchName leads to.
const (
	searchName = "search.torture.test"
	oldAddress = "127.0.0.1"
	newAddress = "127.0.0.2"
)

// move has the index, which is found by its name, go to another address after its
// first request. The old one is dead from then on, or answers for good that it is not
// available: then only the end of its connections leads away from it.
func (s *site) move(dead bool) error {
	names, err := s.resolve()
	if err != nil {
		return err
	}
	here, err := listen(oldAddress, 0)
	if err != nil {
		return err
	}
	there, err := listen(newAddress, here.Addr().(*net.TCPAddr).Port)
	if err != nil {
		return err
	}
	next, old := s.server(s.search), s.server(nil)
	old.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.search.Requests() == 0 {
			s.search.ServeHTTP(w, r)
			return
		}
		names.lead(newAddress, 0)
		if dead {
			_ = old.Close() // the listener and every connection
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	go func() { _ = old.Serve(here) }() // both end with the site
	go func() { _ = next.Serve(there) }()
	s.setSearch("http", searchName, here)
	go s.keepComing()
	return s.usual()
}

// missingName has the index's name found by the fourth request only.
func missingName(s *site) error {
	names, err := s.resolve()
	if err != nil {
		return err
	}
	listener, err := listen(oldAddress, 0)
	if err != nil {
		return err
	}
	names.lead(oldAddress, 6) // two of each request's: IPv4 and IPv6
	server := s.server(s.search)
	go func() { _ = server.Serve(listener) }() // ends with the site
	s.setSearch("http", searchName, listener)
	return s.usual()
}

// expiringCertificate has the index show a certificate that expires, and for a while
// nobody renews it.
func expiringCertificate(s *site) error {
	certificates, err := newCertificates(oldAddress, 2*time.Second)
	if err != nil {
		return err
	}
	file := filepath.Join(s.daemon.Dir, "ca.pem")
	if err := os.WriteFile(file, certificates.authority(), 0o600); err != nil {
		return err
	}
	listener, err := listen(oldAddress, 0)
	if err != nil {
		return err
	}
	server := s.server(s.search)
	server.SetKeepAlivesEnabled(false) // every request shows it
	server.TLSConfig = certificates.config()
	go func() { _ = server.ServeTLS(listener, "", "") }() // ends with the site
	s.setSearch("https", oldAddress, listener)
	s.daemon.Env = append(s.daemon.Env, "SHIPPERD_ELASTICSEARCH_TLS_CA_FILE="+file)
	go s.keepComing()
	return s.usual()
}

func listen(address string, port int) (net.Listener, error) {
	return net.ListenTCP("tcp", net.TCPAddrFromAddrPort(addrPort(address, port)))
}

func addrPort(address string, port int) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr(address), uint16(port))
}

// setSearch tells the daemon another address of the index.
func (s *site) setSearch(scheme, host string, listener net.Listener) {
	port := listener.Addr().(*net.TCPAddr).Port
	s.daemon.Env = append(s.daemon.Env, fmt.Sprintf("SHIPPERD_ELASTICSEARCH_ENDPOINTS=%s://%s:%d", scheme, host, port))
}

// resolve has the daemon ask a name server of its own.
func (s *site) resolve() (*names, error) {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(addrPort(oldAddress, 0)))
	if err != nil {
		return nil, err
	}
	n := &names{}
	n.lead(oldAddress, 0)
	go n.serve(conn)
	go func() {
		<-s.closed
		_ = conn.Close()
	}()
	s.daemon.Env = append(s.daemon.Env, killpoint.ResolverVariable+"="+conn.LocalAddr().String())
	return n, nil
}
