package elastic

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log" //nolint:depguard // the type of net/http
	"math/big"
	"net"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/shipperd/shipperd/pkg/elastic/elasticfake"
	"github.com/shipperd/shipperd/pkg/record"
)

// Whoever sits between us and the cluster has no certificate for its name from an
// authority that we trust.
func TestThreat13OnlyTheClusterItselfIsTrusted(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*x509.Certificate)
		most   uint16
		known  bool // its authority is elasticsearch.tls.ca_file
		want   int  // documents
	}{
		"the cluster":          {known: true, want: 1},
		"an unknown authority": {},
		"another host": {known: true, change: func(c *x509.Certificate) {
			c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 2)}
		}},
		"expired": {known: true, change: func(c *x509.Certificate) {
			c.NotAfter = time.Now().Add(-time.Minute)
		}},
		"not valid yet": {known: true, change: func(c *x509.Certificate) {
			c.NotBefore = time.Now().Add(time.Hour)
		}},
		"TLS 1.1": {known: true, most: tls.VersionTLS11},
	} {
		t.Run(name, func(t *testing.T) {
			template := &x509.Certificate{
				SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(2 * time.Hour),
				IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
				ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
			}
			if test.change != nil {
				test.change(template)
			}
			key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
			if err != nil {
				t.Fatal(err)
			}
			server := &elasticfake.Server{}
			listening := httptest.NewUnstartedServer(server)
			listening.Config.ErrorLog = log.New(io.Discard, "", 0) // the handshakes that we refuse
			listening.TLS = &tls.Config{
				Certificates: []tls.Certificate{{Certificate: [][]byte{raw}, PrivateKey: key}},
				MinVersion:   tls.VersionTLS10, MaxVersion: test.most, // what a client must refuse
			}
			listening.StartTLS()
			defer listening.Close()
			c := TLSConfig{}
			if test.known {
				c.CAFile = writePEM(t, t.TempDir(), "ca.pem", "CERTIFICATE", raw)
			}
			w := newWorld(t, server, nil)
			w.overHTTP(listening, c)
			docs := w.sink.collect(nil, []*record.Record{makeRecord("a", today, 1)})
			reply := w.sink.send(t.Context(), w.sink.endpoints.all[0], docs, false)
			if server.Count() != test.want || (reply.class == accepted) != (test.want > 0) {
				t.Errorf("got %v, %v and %d documents there, want %d", reply.class, reply.err, server.Count(), test.want)
			}
		})
	}
}
