package integration

import (
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/shipperd/shipperd/pkg/demo"
	"github.com/shipperd/shipperd/test/daemon"
	"github.com/shipperd/shipperd/test/servers"
)

// proxy passes connections on to a server, and can take the server away.
type proxy struct {
	t      *testing.T
	target string
	addr   string

	mu       sync.Mutex
	listener net.Listener
	conns    map[net.Conn]bool
}

// newProxy returns a proxy before the server at rawURL.
func newProxy(t *testing.T, rawURL string) *proxy {
	t.Helper()
	target, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	port, err := servers.FreePort(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, target: target.Host, addr: "127.0.0.1:" + port, conns: make(map[net.Conn]bool)}
	p.open()
	t.Cleanup(p.cut)
	return p
}

func (p *proxy) url() string { return "http://" + p.addr }

// open lets connections through.
func (p *proxy) open() {
	p.t.Helper()
	l, err := new(net.ListenConfig).Listen(p.t.Context(), "tcp", p.addr)
	if err != nil {
		p.t.Fatal(err)
	}
	p.mu.Lock()
	p.listener = l
	p.mu.Unlock()
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return // cut
			}
			server, err := new(net.Dialer).DialContext(p.t.Context(), "tcp", p.target)
			if err != nil {
				client.Close()
				continue
			}
			p.mu.Lock()
			p.conns[client], p.conns[server] = true, true
			p.mu.Unlock()
			go p.pass(client, server)
			go p.pass(server, client)
		}
	}()
}

func (p *proxy) pass(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	to.Close()
	from.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, to)
	delete(p.conns, from)
}

// cut breaks all connections, also in the middle of a reply, and refuses new ones.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listener.Close()
	for c := range p.conns {
		c.Close()
	}
}

// outage is how long the index is away: a minute, or SHIPPERD_TEST_OUTAGE.
func outage(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("SHIPPERD_TEST_OUTAGE")
	if text == "" {
		return time.Minute
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("SHIPPERD_TEST_OUTAGE: %v", err)
	}
	return d
}

const recordsRead = "shipperd_kinesis_records_total"

// awaitNoReading waits until no record has been read for five seconds, many times
// as long as the source is idle between two reads, and returns the metrics.
func awaitNoReading(d *daemon.Test) daemon.Metrics {
	last, since := d.Scrape(), time.Now()
	d.Await(func() error {
		m := d.Scrape()
		if m.Sum(recordsRead) != last.Sum(recordsRead) {
			last, since = m, time.Now()
		}
		if quiet := time.Since(since); quiet < 5*time.Second {
			return fmt.Errorf("%.0f records read, the last %v ago, want 5s", m.Sum(recordsRead), quiet)
		}
		last = m
		return nil
	})
	return last
}

func TestIndexAwayStopsReadingAtTheBudgetAndLosesNothing(t *testing.T) {
	t.Parallel()
	const before, during = 2000, 30000
	name := uniqueName(t)
	kinesisURL, searchURL := servers.Kinesis(t), servers.Elasticsearch(t)
	stream, index := newStream(t, kinesisURL, name, 4), daemon.NewIndex(t, searchURL, name)
	p := newProxy(t, searchURL)
	d := prepare(t, kinesisURL, p.url(), name, "SHIPPERD_PIPELINE_MEMORY=16MiB")
	d.Start()
	ids := stream.load(demo.Options{Events: before, Start: aroundMidnight})
	awaitCount(t, index, before, d)

	p.cut()
	for id := range stream.load(demo.Options{Events: during, Seed: 1, Start: aroundMidnight}) {
		ids[id] = true
	}
	stopped := awaitNoReading(d)
	if held, limit := stopped.Sum("shipperd_in_flight_bytes"), stopped.Sum("shipperd_memory_limit_bytes"); held < limit/2 {
		t.Errorf("with reading stopped: got %.0f bytes in flight, want at least half of %.0f", held, limit)
	}
	// The collector lets memory swing; what grows is higher in the second half.
	var peaks [2]float64
	for half := range peaks {
		watch(t, outage(t)/2, func() {
			peaks[half] = max(peaks[half], d.Scrape().Sum("process_resident_memory_bytes")/(1<<20))
			d.Get("/healthz") // an outage of the index does not make the daemon unhealthy
		})
	}
	if peaks[1] > 1.1*peaks[0] {
		t.Errorf("resident memory: got at most %.1f MiB in the first half of the outage and %.1f MiB in the second, want no growth", peaks[0], peaks[1])
	}
	end := d.Scrape()
	if got, want := end.Sum(recordsRead), stopped.Sum(recordsRead); got != want {
		t.Errorf("records read at the end of the outage: got %.0f, want %.0f as at its beginning", got, want)
	}
	if received := end.Sum("shipperd_events_received_total"); received >= before+during {
		t.Errorf("got all %.0f events read, want reading stopped by the budget", received)
	}
	t.Logf("with reading stopped: %.0f of %d events received, resident memory at most %.1f MiB",
		end.Sum("shipperd_events_received_total"), before+during, max(peaks[0], peaks[1]))

	p.open()
	awaitCount(t, index, before+during, d)
	wantIDs(t, index, ids)
	if waited := d.Scrape().Sum("shipperd_backpressure_seconds_total"); waited < outage(t).Seconds() {
		t.Errorf("got %.1f s of backpressure, want %v at least", waited, outage(t))
	}
	d.Terminate()
}
