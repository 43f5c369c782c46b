package elastic

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shipperd/shipperd/pkg/elastic/elasticfake"
	"github.com/shipperd/shipperd/pkg/record"
)

// overHTTP puts the world's endpoints behind a real server.
func (w *world) overHTTP(server *httptest.Server, c TLSConfig) {
	w.t.Helper()
	transport, err := newTransport(c, 8)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range w.sink.endpoints.all {
		e.base = transport
		if e.url, err = parseEndpoint(server.URL); err != nil {
			w.t.Fatal(err)
		}
	}
}

// Scenario: Elasticsearch 9.
//
// The server answers before it has read the body, and the body's
// buffer must not be used again while net/http still sends it. Every document
// carries a checksum of its own bytes.
func TestEarlyRepliesDoNotCorruptBodies(t *testing.T) {
	server := &elasticfake.Server{
		Early: func(number int) int { return []int{0, 429, 413}[number%3] },
		Script: func(r *elasticfake.Request) elasticfake.Fault {
			for _, d := range r.Docs {
				if sum := fmt.Sprintf("%x", sha256.Sum256(d.Source)); d.ID != sum {
					t.Errorf("document %s arrived as %s", d.ID, sum)
				}
			}
			return elasticfake.Fault{}
		},
	}
	w := newWorld(t, server, nil)
	listening := httptest.NewServer(server)
	defer listening.Close()
	w.overHTTP(listening, TLSConfig{})
	pad := make([]byte, 1000)
	for i := range pad {
		pad[i] = 'a' + byte(i%26)
	}
	attempts := 0
	var mu sync.Mutex
	var senders sync.WaitGroup
	for sender := range 4 {
		senders.Go(func() {
			for n := range 60 {
				r := &record.Record{}
				for i := range 300 {
					document := fmt.Sprintf(`{"sender":%d,"n":%d,"i":%d,"@message":"%s"}`, sender, n, i, pad)
					addEvent(r, today, fmt.Sprintf("%x", sha256.Sum256([]byte(document))), document)
				}
				docs := w.sink.collect(nil, []*record.Record{r})
				reply := w.sink.send(t.Context(), w.sink.endpoints.all[0], docs, n%2 == 0)
				w.sink.recycle(reply)
				mu.Lock()
				attempts++
				mu.Unlock()
			}
		})
	}
	senders.Wait()
	want(t, "attempts", attempts, 240)
	if server.Count() == 0 {
		t.Error("got no document through")
	}
}

func TestBodyIsReleasedOnlyWhenNobodyReadsIt(t *testing.T) {
	var p bodies
	r := makeRecord("a", today, 1)
	x := (&indices{byName: map[string]*index{}}).find(today)
	b := p.build([]doc{{record: r, event: &r.Events[0], index: x}}, false)
	reader := b.reader()
	b.release()
	if got, _ := p.buffers.Get().(*body); got != nil {
		t.Fatal("the buffer is free while a reader is open")
	}
	_ = reader.Close()
	_ = reader.Close()
	want(t, "references", b.refs.Load(), 0)
}

func TestDamageOverHTTP(t *testing.T) {
	for damage := elasticfake.Lost; damage <= elasticfake.Hung; damage++ {
		if damage == elasticfake.Slow {
			continue // a byte a second, in real time
		}
		server := &elasticfake.Server{Script: func(*elasticfake.Request) elasticfake.Fault {
			return elasticfake.Fault{Damage: damage}
		}}
		w := newWorld(t, server, func(c *Config) { c.Timeout = 200 * time.Millisecond })
		listening := httptest.NewServer(server)
		w.overHTTP(listening, TLSConfig{})
		docs := w.sink.collect(nil, []*record.Record{makeRecord("a", today, 10)})
		reply := w.sink.send(t.Context(), w.sink.endpoints.all[0], docs, false)
		if reply.class != unknown {
			t.Errorf("damage %d: got %v, %v, want unknown", damage, reply.class, reply.err)
		}
		want(t, "documents", server.Count(), 10)
		if n := cap(reply.body); n > 4<<20 {
			t.Errorf("damage %d: got a buffer of %d bytes, want it bounded", damage, n)
		}
		listening.Close()
	}
}

func TestTLSWithCustomAuthorityAndClientCertificate(t *testing.T) {
	server := &elasticfake.Server{}
	w := newWorld(t, server, nil)
	listening := httptest.NewUnstartedServer(server)
	listening.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS13}
	listening.StartTLS()
	defer listening.Close()
	dir := t.TempDir()
	ca := writePEM(t, dir, "ca.pem", "CERTIFICATE", listening.Certificate().Raw)
	cert, key := clientCertificate(t, dir)
	docs := w.sink.collect(nil, []*record.Record{makeRecord("a", today, 10)})
	for _, test := range []struct {
		tls  TLSConfig
		want class
	}{
		{TLSConfig{}, unreachable},
		{TLSConfig{CAFile: ca, CertFile: cert, KeyFile: key}, accepted},
	} {
		w.overHTTP(listening, test.tls)
		reply := w.sink.send(t.Context(), w.sink.endpoints.all[0], docs, true)
		if reply.class != test.want {
			t.Errorf("%+v: got %v, %v, want %v", test.tls, reply.class, reply.err, test.want)
		}
	}
	if _, err := newTransport(TLSConfig{CAFile: key}, 1); err == nil {
		t.Error("a key was taken for an authority")
	}
}

// clientCertificate returns the files of a self-signed certificate and its key.
func clientCertificate(t *testing.T, dir string) (cert, key string) {
	t.Helper()
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, secret.Public(), secret)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	return writePEM(t, dir, "cert.pem", "CERTIFICATE", raw), writePEM(t, dir, "key.pem", "PRIVATE KEY", pkcs8)
}

func writePEM(t *testing.T, dir, name, kind string, content []byte) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func BenchmarkWrite(b *testing.B) {
	for _, compress := range []string{"off", "on"} {
		b.Run("gzip "+compress, func(b *testing.B) { benchmarkWrite(b, compress) })
	}
}

func benchmarkWrite(b *testing.B, compress string) {
	const events = 2000
	answer := []byte(`{"errors":false,"items":[` + strings.Repeat(`{"create":{"status":201}},`, events-1) + `{"create":{"status":201}}]}`)
	w := worldBefore(b, roundTrip(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(answer))}, r.Body.Close()
	}), func(c *Config) { c.Gzip = compress })
	r := makeRecord("a", today, events)
	b.ReportAllocs()
	b.SetBytes(int64(len(r.Text)))
	for b.Loop() {
		for i := range r.Events {
			r.Events[i].Outcome = record.Pending
		}
		if err := w.sink.Write(b.Context(), []*record.Record{r}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(events*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
