package admin

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/shipperd/shipperd/pkg/progress"
)

func newDeps() Deps {
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: "shipperd_test_total", Help: "For tests."}))
	return Deps{Gatherer: registry, Progress: &progress.Monitor{}, Ready: func() error { return nil }, Log: zap.NewNop()}
}

func TestEndpoints(t *testing.T) {
	notReady := newDeps()
	notReady.Ready = func() error { return errors.New("draining") }
	for _, tt := range []struct {
		method, path, body string
		deps               Deps
		status             int
		want               string
	}{
		{method: "GET", path: "/metrics", status: 200, want: "shipperd_test_total 0"},
		{method: "HEAD", path: "/metrics", status: 200},
		{method: "GET", path: "/healthz", status: 200, want: "ok"},
		{method: "GET", path: "/readyz", status: 200, want: "ok"},
		{method: "GET", path: "/readyz", deps: notReady, status: 503, want: "draining"},
		{method: "GET", path: "/healthz", deps: notReady, status: 200, want: "ok"},
		{method: "GET", path: "/", status: 200, want: "/metrics"},
		{method: "GET", path: "/debug/pprof/", status: 404},
		{method: "POST", path: "/metrics", body: "x", status: 405},
		{method: "DELETE", path: "/metrics", status: 405},
		{method: "GET", path: "/metrics", body: "x", status: 413},
	} {
		t.Run(tt.method+tt.path, func(t *testing.T) {
			deps := tt.deps
			if deps.Gatherer == nil {
				deps = newDeps()
			}
			w := httptest.NewRecorder()
			r := httptest.NewRequestWithContext(t.Context(), tt.method, tt.path, strings.NewReader(tt.body))
			newServer(newHandler(deps)).Handler.ServeHTTP(w, r)
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) {
				t.Errorf("got %d %q, want %d and %q", w.Code, w.Body.String(), tt.status, tt.want)
			}
		})
	}
}

func TestHealthFailsForWorkThatDoesNotMoveAndForNoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m progress.Monitor
		waiting, working := m.Begin("waiting"), m.Begin("working")
		waiting.Wait()
		<-time.After(stuckLimit)
		if err := Health(&m); err != nil {
			t.Errorf("got %v at the limit", err)
		}
		<-time.After(time.Second)
		if err := Health(&m); err == nil || !strings.Contains(err.Error(), `"working"`) {
			t.Errorf("got %v, want the working task named", err)
		}
		working.Work()
		if err := Health(&m); err != nil {
			t.Errorf("got %v after a step", err)
		}
		working.End()
		<-time.After(time.Hour)
		if err := Health(&m); err != nil {
			t.Errorf("got %v with one task that waits", err)
		}
	})
}

func TestSlowHeaderIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, conn := net.Pipe()
		server := newServer(newHandler(newDeps()))
		var serving sync.WaitGroup
		serving.Go(func() { _ = server.Serve(&oneConn{conn: conn, closed: make(chan struct{})}) })
		start := time.Now()
		if _, err := io.WriteString(client, "GET /metrics HTTP/1.1\r\nHost:"); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, client) // ends when the server closes
		if took, want := time.Since(start), 5*time.Second; took != want {
			t.Errorf("got the connection closed after %s, want %s", took, want)
		}
		server.Close()
		serving.Wait()
	})
}

// oneConn is a listener with one connection.
type oneConn struct {
	conn   net.Conn
	once   sync.Once
	closed chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	if conn := l.conn; conn != nil {
		l.conn = nil
		return conn, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}

func (l *oneConn) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }

// freeAddress returns an address that nobody listens on, for a moment.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// start serves until the test ends and returns the address.
func start(t *testing.T, config Config, deps Deps) string {
	t.Helper()
	config.Listen = freeAddress(t)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, config, deps) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	dialer := &net.Dialer{}
	for listening := 0; listening < 2; {
		address := cmp.Or([]string{config.Listen, config.HealthListen}[listening], config.Listen)
		if conn, err := dialer.DialContext(t.Context(), "tcp", address); err == nil {
			conn.Close()
			listening++
			continue
		}
		select {
		case err := <-served:
			t.Fatalf("serve: %v", err)
		default:
		}
	}
	return config.Listen
}

// get returns the status of a page, named without its scheme, on a connection of its
// own.
func get(t *testing.T, page string, header http.Header) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+page, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = header
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}

// Threat 14: the endpoint is held or broken by anybody who reaches the port.
func TestThreat14AbuseLeavesMetricsAnswering(t *testing.T) {
	address := start(t, DefaultConfig(), newDeps())
	dialer := &net.Dialer{}
	dial := func(send string) net.Conn {
		conn, err := dialer.DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		if _, err := io.WriteString(conn, send); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	for i := range 1000 { // idle, and slow-loris
		dial([]string{"", "GET /metrics HTTP/1.1\r\nX-a: "}[i%2])
	}
	if got := get(t, address+"/metrics", http.Header{}); got != http.StatusOK {
		t.Errorf("got %d beside 1,000 idle connections, want 200", got)
	}
	if got := get(t, address+"/metrics", http.Header{"X-Large": {strings.Repeat("a", 64<<10)}}); got != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("got %d for a header of 64 KiB, want 431", got)
	}
	conn := dial("POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n")
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || !strings.Contains(line, "405") {
		t.Errorf("got %q, %v for a POST of 1 GB, want 405 before its body", line, err)
	}
	if got := get(t, address+"/metrics", http.Header{}); got != http.StatusOK {
		t.Errorf("got %d afterwards, want 200", got)
	}
}

func TestWebConfigAsksForAPassword(t *testing.T) {
	file := filepath.Join(t.TempDir(), "web.yaml")
	// bcrypt of "test", at the lowest cost
	const users = "basic_auth_users:\n  prometheus: $2a$04$Iab4ONYz1YbWnQdM8BQvYuLLj2eHqFTKG/8ZWYmuE0hLhs1.GRbOi\n"
	if err := os.WriteFile(file, []byte(users), 0o600); err != nil {
		t.Fatal(err)
	}
	config := DefaultConfig()
	config.WebConfig = file
	if err := config.Validate(); err != nil {
		t.Fatal(err)
	}
	config.HealthListen = freeAddress(t)
	address := start(t, config, newDeps())
	for url, want := range map[string]int{
		address + "/metrics": http.StatusUnauthorized, address + "/healthz": http.StatusUnauthorized,
		config.HealthListen + "/healthz": http.StatusOK, config.HealthListen + "/metrics": http.StatusNotFound,
	} {
		if got := get(t, url, http.Header{}); got != want {
			t.Errorf("%s: got %d without a password, want %d", url, got, want)
		}
	}
}

func TestPublicAddressWithoutUsersIsWarnedOf(t *testing.T) {
	for listen, want := range map[string]int{"127.0.0.1:0": 0, "localhost:0": 0, "[::1]:0": 0, ":0": 1, "0.0.0.0:0": 1} {
		core, logs := observer.New(zap.WarnLevel)
		deps := newDeps()
		deps.Log = zap.New(core)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_ = Serve(ctx, Config{Listen: listen}, deps) // ends at once, or cannot listen
		if got := logs.Len(); got != want {
			t.Errorf("%s: got %d warnings, want %d", listen, got, want)
		}
	}
}

func TestProfilesAndPlainHealthAreOnTheLoopbackInterfaceOnly(t *testing.T) {
	for address, ok := range map[string]bool{"127.0.0.1:6060": true, "[::1]:6060": true, "0.0.0.0:6060": false, ":6060": false, "10.0.0.1:6060": false} {
		for _, c := range []Config{{PprofListen: address}, {HealthListen: address}} {
			c.Listen = "127.0.0.1:9477"
			if err := c.Validate(); (err == nil) != ok {
				t.Errorf("%+v: got %v, want accepted: %v", c, err, ok)
			}
		}
	}
	w := httptest.NewRecorder()
	newPprofHandler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/debug/pprof/goroutine?debug=1", http.NoBody))
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "goroutine profile") {
		t.Errorf("got %d %.60q, want a profile", w.Code, w.Body.String())
	}
}

func TestConfigNamesAWebConfigThatCannotBeUsed(t *testing.T) {
	c := DefaultConfig()
	c.WebConfig = filepath.Join(t.TempDir(), "absent")
	if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), "admin.web_config: ") {
		t.Errorf("got error %v, want one of admin.web_config", err)
	}
	c.WebConfig, c.PprofListen = "", "127.0.0.1"
	if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), "admin.pprof_listen: ") {
		t.Errorf("got error %v for an address without a port, want one of admin.pprof_listen", err)
	}
}

func TestAddressInUseIsAnErrorThatNamesItsKey(t *testing.T) {
	taken := start(t, DefaultConfig(), newDeps())
	for key, c := range map[string]Config{
		"admin.listen": {Listen: taken}, "admin.health_listen": {Listen: "127.0.0.1:0", HealthListen: taken}, "admin.pprof_listen": {Listen: "127.0.0.1:0", PprofListen: taken},
	} {
		if err := Serve(t.Context(), c, newDeps()); err == nil || !strings.HasPrefix(err.Error(), key+": ") {
			t.Errorf("got error %v, want one of %s", err, key)
		}
	}
}

func ExampleConfig_Validate() {
	fmt.Println(Config{Listen: "9477"}.Validate())
	fmt.Println(Config{Listen: "127.0.0.1:94770"}.Validate())
	// Output:
	// admin.listen: "9477" is no address; write it as 127.0.0.1:9477
	// admin.listen: "127.0.0.1:94770" is no address; write it as 127.0.0.1:9477
}
