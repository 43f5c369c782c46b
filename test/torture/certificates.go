package torture

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"sync"
	"time"
)

// refusals are how often a certificate that has expired is shown before it is renewed.
const refusals = 3

// certificates is an authority, and the certificate of one address. The first one
// has a short life, the second one a long one.
type certificates struct {
	template *x509.Certificate
	root     *x509.Certificate
	key      *ecdsa.PrivateKey // of all of them

	mu      sync.Mutex
	current tls.Certificate
	expires time.Time
	refused int
}

func newCertificates(address string, life time.Duration) (*certificates, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	c := &certificates{key: key, template: &x509.Certificate{SerialNumber: big.NewInt(2), IPAddresses: []net.IP{net.ParseIP(address)}}}
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	raw, err := x509.CreateCertificate(rand.Reader, root, root, key.Public(), key)
	if err != nil {
		return nil, err
	}
	if c.root, err = x509.ParseCertificate(raw); err != nil {
		return nil, err
	}
	return c, c.renewLocked(life)
}

// renewLocked makes another certificate.
func (c *certificates) renewLocked(life time.Duration) error {
	c.expires = time.Now().Add(life)
	c.template.NotAfter = c.expires
	raw, err := x509.CreateCertificate(rand.Reader, c.template, c.root, c.key.Public(), c.key)
	c.current = tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: c.key}
	return err
}

// authority returns the authority's certificate as PEM.
func (c *certificates) authority() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.root.Raw})
}

func (c *certificates) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if time.Now().After(c.expires) {
			if c.refused++; c.refused > refusals {
				if err := c.renewLocked(time.Hour); err != nil {
					return nil, err
				}
			}
		}
		current := c.current
		return &current, nil
	}}
}
