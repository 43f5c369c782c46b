package admin

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// certificate makes one for 127.0.0.1, its own authority, for servers and clients.
func certificate(t *testing.T, dir, name string) (pair tls.Certificate, authority *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	write(t, filepath.Join(dir, name+".crt"), string(certPEM))
	write(t, filepath.Join(dir, name+".key"), string(keyPEM))
	if pair, err = tls.X509KeyPair(certPEM, keyPEM); err != nil {
		t.Fatal(err)
	}
	authority = x509.NewCertPool()
	authority.AppendCertsFromPEM(certPEM)
	return pair, authority
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestWebConfigAsksForAClientCertificate(t *testing.T) {
	dir := t.TempDir()
	_, server := certificate(t, dir, "server")
	known, _ := certificate(t, dir, "known")
	stranger, _ := certificate(t, dir, "stranger")
	file := filepath.Join(dir, "web.yaml")
	write(t, file, `tls_server_config:
  cert_file: server.crt
  key_file: server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: known.crt
`)
	core, logs := observer.New(zap.WarnLevel)
	deps := newDeps()
	deps.Log = zap.New(core)
	address := start(t, Config{WebConfig: file}, deps)

	for name, test := range map[string]struct {
		certificates []tls.Certificate
		ok           bool
	}{
		"none": {nil, false}, "a stranger's": {[]tls.Certificate{stranger}, false}, "a known one": {[]tls.Certificate{known}, true},
	} {
		client := &http.Client{Transport: &http.Transport{
			DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: server, Certificates: test.certificates},
		}}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address+"/metrics", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(r)
		if (err == nil) != test.ok {
			t.Errorf("with %s: got error %v, want success %v", name, err, test.ok)
		}
		if err == nil {
			response.Body.Close()
		}
	}
	if logs.Len() == 0 {
		t.Error("got no log line of the refused clients")
	}
}

func TestBrokenWebConfigLetsNobodyInAndIsLogged(t *testing.T) {
	file := filepath.Join(t.TempDir(), "web.yaml")
	write(t, file, "{}\n")
	core, logs := observer.New(zap.WarnLevel)
	deps := newDeps()
	deps.Log = zap.New(core)
	address := start(t, Config{WebConfig: file}, deps)
	if got := get(t, address+"/metrics", http.Header{}); got != http.StatusOK {
		t.Fatalf("got %d, want 200", got)
	}
	write(t, file, "basic_auth_users: 7\n")
	if got := get(t, address+"/metrics", http.Header{}); got != http.StatusInternalServerError {
		t.Errorf("got %d with a broken web configuration, want 500", got)
	}
	if logs.Len() != 1 {
		t.Errorf("got log %v, want one line", logs.All())
	}
}

func TestConnectionsBeyondTheLimitWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &endless{}
		l := newLimitedListener(inner, 2)
		first, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Accept(); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Minute, func() {
			first.Close()
			first.Close() // gives its place back once
		})
		began := time.Now()
		if _, err := l.Accept(); err != nil || time.Since(began) != time.Minute {
			t.Errorf("got %v after %v, want the third connection after 1m0s", err, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		context.AfterFunc(ctx, func() { l.Close() })
		if conn, err := l.Accept(); err == nil {
			t.Errorf("got the connection %v, want the end of the listener", conn)
		}
	})
}

// endless is a listener that always has a connection.
type endless struct{ oneConn }

func (*endless) Accept() (net.Conn, error) {
	client, server := net.Pipe()
	return server, client.Close()
}

func (*endless) Close() error { return nil }
