// Package admin serves what an operator and a supervisor ask of the process:
// /metrics, /healthz and /readyz, and on listeners of their own, if at all, the
// profiles of net/http/pprof, and /healthz without TLS and users. It answers GET and
// HEAD, changes nothing and asks no peer.
package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog" //nolint:depguard // exporter-toolkit's interface; what it says goes to zap
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/exporter-toolkit/web"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/shipperd/shipperd/pkg/progress"
)

// Config is the section admin of the configuration.
type Config struct {
	Listen       string `yaml:"listen"`        // host:port of /metrics, /healthz and /readyz
	WebConfig    string `yaml:"web_config"`    // file of TLS and users for Listen, in the format of Prometheus exporters; read at every request
	HealthListen string `yaml:"health_listen"` // host:port of /healthz alone, on the loopback interface; empty: none
	PprofListen  string `yaml:"pprof_listen"`  // host:port of the profiles, on the loopback interface; empty: none
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config { return Config{Listen: "127.0.0.1:9477"} }

// Validate reports every value that cannot work, by its key.
func (c Config) Validate() error {
	var errs []error
	if _, err := hostOf(c.Listen); err != nil {
		errs = append(errs, fmt.Errorf("admin.listen: %q is no address; write it as 127.0.0.1:9477", c.Listen))
	}
	if c.WebConfig != "" {
		if err := web.Validate(c.WebConfig); err != nil {
			errs = append(errs, fmt.Errorf("admin.web_config: %w", err))
		}
	}
	if c.HealthListen != "" && !isLoopback(c.HealthListen) {
		errs = append(errs, fmt.Errorf("admin.health_listen: %q is not on the loopback interface, and it has no users; write it as 127.0.0.1:9478", c.HealthListen))
	}
	if c.PprofListen != "" && !isLoopback(c.PprofListen) {
		errs = append(errs, fmt.Errorf("admin.pprof_listen: %q is not on the loopback interface, and profiles hold log data; write it as 127.0.0.1:6060", c.PprofListen))
	}
	return errors.Join(errs...)
}

// isLoopback says whether address can be reached from this machine only.
func isLoopback(address string) bool {
	host, err := hostOf(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// hostOf returns the host of host:port, if the port is one.
func hostOf(address string) (host string, err error) {
	host, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	return host, err
}

// stuckLimit is how long a stage may be at work without a step: twice the longest
// deadline of a single call, 30 s.
const stuckLimit = time.Minute

// Deps is what the endpoints answer from.
type Deps struct {
	Gatherer prometheus.Gatherer
	Progress *progress.Monitor
	// Ready returns nil when records are read, else why not.
	Ready func() error
	Log   *zap.Logger
}

// Serve listens as config says until ctx ends. Its error is about an address or
// the web configuration.
func Serve(ctx context.Context, config Config, deps Deps) error {
	log := deps.Log.Named("admin")
	if !isLoopback(config.Listen) && config.WebConfig == "" {
		log.Warn("metrics are served to other machines without TLS and users; set admin.web_config, or listen on 127.0.0.1",
			zap.String("listen", config.Listen))
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return serve(ctx, "admin.listen", config.Listen, config.WebConfig, newHandler(deps), log)
	})
	if config.HealthListen != "" {
		group.Go(func() error {
			return serve(ctx, "admin.health_listen", config.HealthListen, "", newHealthHandler(deps.Progress), log)
		})
	}
	if config.PprofListen != "" {
		group.Go(func() error { return serve(ctx, "admin.pprof_listen", config.PprofListen, "", newPprofHandler(), log) })
	}
	return group.Wait()
}

// shutdownTimeout lets a scrape that is under way end.
const shutdownTimeout = time.Second

func serve(ctx context.Context, key, address, webConfig string, handler http.Handler, log *zap.Logger) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%s: %w; stop what listens there, or choose another port", key, err)
	} else if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	reports := slog.New(reporter{log})
	server := newServer(handler)
	server.ErrorLog = slog.NewLogLogger(reports.Handler(), slog.LevelWarn)
	stop := context.AfterFunc(ctx, func() {
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		if server.Shutdown(limited) != nil {
			server.Close()
		}
	})
	defer stop()
	err = web.Serve(newLimitedListener(listener, maxConnections), server, &web.FlagConfig{WebConfigFile: &webConfig}, reports)
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("%s: serve %s: %w", key, address, err)
}

// newServer returns a server that slow or idle clients cannot hold: every phase of
// a connection has its limit.
func newServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           readOnly(handler),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      time.Minute, // a CPU profile takes 30 s
		IdleTimeout:       time.Minute, // scrapes come every 15 to 60 s
		MaxHeaderBytes:    8 << 10,
	}
}

// readOnly refuses what is no GET or HEAD, and bodies of any kind.
func readOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		switch {
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
		case r.ContentLength != 0:
			w.Header().Set("Connection", "close") // the body is not read
			http.Error(w, "no body is taken", http.StatusRequestEntityTooLarge)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func newHandler(deps Deps) http.Handler {
	mux := newHealthHandler(deps.Progress)
	mux.Handle("/metrics", promhttp.HandlerFor(deps.Gatherer, promhttp.HandlerOpts{EnableOpenMetrics: true, MaxRequestsInFlight: 8}))
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, deps.Ready())
	})
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, "shipperd\n\n/metrics\n/healthz\n/readyz\n") // the client has gone if it fails
	})
	return mux
}

func newHealthHandler(monitor *progress.Monitor) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, Health(monitor)) })
	return mux
}

// Health returns nil while every stage moves or waits for something declared, else
// which one is stuck. The service watchdog asks the same.
func Health(monitor *progress.Monitor) error {
	if name, age, stuck := monitor.Stuck(stuckLimit); stuck {
		return fmt.Errorf("%q has not moved for %s", name, age.Round(time.Second))
	}
	return nil
}

func answer(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, err)
		return
	}
	fmt.Fprintln(w, "ok")
}

func newPprofHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}
