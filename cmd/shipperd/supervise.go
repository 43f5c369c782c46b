package main

import (
	"context"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/shipperd/shipperd/pkg/admin"
	"github.com/shipperd/shipperd/pkg/config"
)

// statusInterval is how often the service manager is told how it goes, where it
// asks for no watchdog.
const statusInterval = 10 * time.Second

// supervise tells the service manager how it goes, and takes over a new
// configuration at SIGHUP, until ctx ends. running ends when the drain begins.
//
// READY is said at once, not when the first record was read: a stream that is away
// at boot would else let systemd kill and restart the daemon without end.
func (d *daemon) supervise(ctx, running context.Context, reload func() (*config.Loaded, error)) error {
	interval := statusInterval
	if watchdog, err := sd.SdWatchdogEnabled(false); err != nil {
		d.log.Warn("the service manager's watchdog is misconfigured", zap.Error(err))
	} else if watchdog > 0 {
		interval = watchdog / 2 // as sd_watchdog_enabled(3) asks
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	stopping := running.Done()
	d.notify(sd.SdNotifyReady, d.status(running))
	for {
		select {
		case <-tick.C:
			d.notify(d.watchdog(), d.status(running))
		case <-hangup:
			d.notify(sd.SdNotifyReloading, d.status(running))
			d.reload(reload)
			d.notify(sd.SdNotifyReady, d.status(running))
		case <-stopping:
			stopping = nil
			d.notify(sd.SdNotifyStopping, d.status(running))
		case <-ctx.Done():
			return nil
		}
	}
}

// watchdog is silent about a process that is stuck, so that it is restarted.
func (d *daemon) watchdog() string {
	if err := admin.Health(d.progress); err != nil {
		d.log.Error("a stage is stuck; the watchdog is not fed", zap.Error(err))
		return ""
	}
	return sd.SdNotifyWatchdog
}

func (d *daemon) status(running context.Context) string {
	if err := d.ready(running); err != nil {
		return "STATUS=" + err.Error()
	}
	return "STATUS=reading " + d.config.Kinesis.Name()
}

// notify sends states to the service manager, if there is one.
func (d *daemon) notify(states ...string) {
	if _, err := sd.SdNotify(false, strings.Trim(strings.Join(states, "\n"), "\n")); err != nil {
		d.log.Warn("the service manager cannot be told how it goes", zap.Error(err))
	}
}

// reloadMetrics show how the last reload went.
type reloadMetrics struct {
	successful, timestamp prometheus.Gauge
	hash                  *prometheus.GaugeVec
}

func newReloadMetrics(reg prometheus.Registerer, loaded *config.Loaded) reloadMetrics {
	m := reloadMetrics{
		successful: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "shipperd_config_last_reload_successful", Help: "1 while the configuration file's last reading was valid, else 0 and the one before is in effect.",
		}),
		timestamp: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "shipperd_config_last_reload_success_timestamp_seconds", Help: "When a valid configuration was last read.",
		}),
		hash: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "shipperd_config_hash_info", Help: "1; the label tells configurations apart, as last read.",
		}, []string{"hash"}),
	}
	reg.MustRegister(m.successful, m.timestamp, m.hash)
	m.succeeded(loaded)
	return m
}

func (m reloadMetrics) succeeded(loaded *config.Loaded) {
	m.successful.Set(1)
	m.timestamp.SetToCurrentTime()
	m.hash.Reset()
	m.hash.WithLabelValues(loaded.Hash()).Set(1)
}

// reload takes over what can be taken over while records flow: the log level, the
// drop rules and the databases. Passwords and keys are read again by whoever uses
// them. A configuration that is wrong changes nothing.
func (d *daemon) reload(load func() (*config.Loaded, error)) {
	loaded, err := load()
	if err == nil {
		err = d.documents.SetDrop(loaded.Config.Groups)
	}
	if err != nil {
		d.reloads.successful.Set(0)
		d.log.Error("the new configuration is wrong; the old one stays in effect", zap.Error(err))
		return
	}
	level, err := loaded.Config.Log.ZapLevel()
	if err == nil { // Load has validated it
		d.level.SetLevel(level)
	}
	if err := d.enricher.Reload(); err != nil {
		d.log.Warn("a new database cannot be loaded, the old one stays in use", zap.Error(err))
	}
	d.reloads.succeeded(loaded)
	d.log.Info("the configuration was read again", zap.Strings("need_a_restart", needRestart(d.settings, loaded.Settings)))
}

// needRestart returns the keys that have changed and that only a restart takes over.
func needRestart(before, after []config.Setting) []string {
	values := make(map[string]string, len(before))
	for _, s := range before {
		values[s.Key] = s.Value
	}
	keys := []string{}
	for _, s := range after {
		old, known := values[s.Key]
		delete(values, s.Key)
		if known && old == s.Value || s.Key == "log.level" || strings.HasSuffix(s.Key, ".drop") {
			continue
		}
		keys = append(keys, s.Key)
	}
	for key := range values {
		keys = append(keys, key)
	}
	return keys
}
