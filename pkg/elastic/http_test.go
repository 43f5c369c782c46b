package elastic

import (
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
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
// The server answers before it has read the body, and net/http must not send what
// the records and the body's buffer are used for next. Every document carries a
// checksum of its own bytes.
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
				for i := range r.Text { // it is another record's now
					r.Text[i] = 'x'
				}
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

func TestReleasedBodyIsNotRead(t *testing.T) {
	var p bodies
	r := makeRecord("a", today, 10)
	x := (&indices{byName: map[string]*index{}}).find(today)
	var docs []doc
	for i := range r.Events {
		docs = append(docs, doc{record: r, event: &r.Events[i], index: x})
	}
	for _, compress := range []bool{false, true} {
		b := p.build(docs, compress)
		late, done := b.reader(), b.reader()
		if n, err := late.Read(make([]byte, 100)); n != 100 || err != nil {
			t.Fatalf("compress %v: got %d, %v, want the beginning", compress, n, err)
		}
		if n, err := done.Read(make([]byte, b.size)); n != b.size || err != nil {
			t.Fatalf("compress %v: got %d, %v, want %d bytes", compress, n, err, b.size)
		}
		b.release()
		if n, err := late.Read(make([]byte, 100)); n != 0 || !errors.Is(err, errReleased) {
			t.Errorf("compress %v: got %d, %v, want it cut off", compress, n, err)
		}
		if _, err := done.Read(make([]byte, 100)); !errors.Is(err, io.EOF) {
			t.Errorf("compress %v: got %v, want the end: net/http looks for it after the last byte", compress, err)
		}
	}
}

// However it is read, a body is the lines of its documents, and as long as it says.
func TestBodyIsTheLinesOfItsDocuments(t *testing.T) {
	var p bodies
	r := makeRecord("a", today, 30)
	x := (&indices{byName: map[string]*index{}}).find(today)
	var docs []doc
	var want []byte
	for i := range r.Events {
		d := doc{record: r, event: &r.Events[i], index: x, form: form(i % 3), fault: &fault{kind: "k"}}
		docs, want = append(docs, d), d.appendLines(want)
	}
	for _, most := range []int{1, 7, 100, 1 << 10, 1 << 20} {
		b := p.build(docs, false)
		got, err := io.ReadAll(&chunks{from: b.reader(), most: most})
		if err != nil || !bytes.Equal(got, want) || b.size != len(want) || b.sum() != sha256.Sum256(want) {
			t.Errorf("read by %d: got %d bytes that say to be %d, %v, want %d", most, len(got), b.size, err, len(want))
		}
	}
	b := p.build(docs, true)
	unzip, err := gzip.NewReader(b.reader())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(unzip); err != nil || !bytes.Equal(got, want) || b.raw != len(want) {
		t.Errorf("compressed: got %d bytes that say to be %d, %v, want %d", len(got), b.raw, err, len(want))
	}
}

// chunks reads few bytes at once.
type chunks struct {
	from io.Reader
	most int
}

func (c *chunks) Read(p []byte) (int, error) { return c.from.Read(p[:min(len(p), c.most)]) }

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
