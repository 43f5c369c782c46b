package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"

	"github.com/shipperd/shipperd/pkg/config"
	"github.com/shipperd/shipperd/pkg/pipeline"
	"github.com/shipperd/shipperd/pkg/progress"
	"github.com/shipperd/shipperd/pkg/record"
)

// loadText loads a configuration from text, with what a daemon needs.
func loadText(t *testing.T, text string) (*config.Loaded, error) {
	t.Helper()
	return config.Load(writeFile(t, "kinesis: {stream: logs}\nelasticsearch: {endpoints: [search.example.com]}\n"+text))
}

func testDaemon(t *testing.T, text string) *daemon {
	t.Helper()
	loaded, err := loadText(t, text)
	if err != nil {
		t.Fatal(err)
	}
	d := newDaemon(loaded, io.Discard)
	if err := d.openDocuments(); err != nil {
		t.Fatal(err)
	}
	return d
}

// serviceManager is a NOTIFY_SOCKET.
type serviceManager struct{ conn *net.UnixConn }

func newServiceManager(t *testing.T) serviceManager {
	t.Helper()
	name := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", name)
	return serviceManager{conn}
}

// until reads messages until one has want in it.
func (m serviceManager) until(t *testing.T, want string) {
	t.Helper()
	if err := m.conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	var seen []string
	for buf := make([]byte, 4096); ; {
		n, err := m.conn.Read(buf)
		if err != nil {
			t.Fatalf("got %q, %v, want %q", seen, err, want)
		}
		seen = append(seen, string(buf[:n]))
		if strings.Contains(string(buf[:n]), want) {
			return
		}
	}
}

func TestServiceManagerIsTold(t *testing.T) {
	manager := newServiceManager(t)
	t.Setenv("WATCHDOG_USEC", "20000")
	t.Setenv("WATCHDOG_PID", fmt.Sprint(os.Getpid()))
	d := testDaemon(t, "")
	ctx, end := context.WithCancel(t.Context())
	running, drain := context.WithCancel(ctx)
	done := make(chan error)
	go func() {
		done <- d.supervise(ctx, running, func() (*config.Loaded, error) { return nil, errors.New("line 3 is wrong") })
	}()
	manager.until(t, "READY=1\nSTATUS=the stream or the checkpoint is not open yet")
	manager.until(t, "WATCHDOG=1")
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	manager.until(t, "RELOADING=1")
	manager.until(t, "READY=1")
	drain()
	manager.until(t, "STOPPING=1\nSTATUS=draining")
	manager.until(t, "WATCHDOG=1") // the drain may take longer than the watchdog's time
	end()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if got := testutil.ToFloat64(d.reloads.successful); got != 0 {
		t.Errorf("got the last reload shown as %v after a wrong file, want 0", got)
	}
}

func TestWatchdogIsNotFedForAStuckStage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &daemon{log: zap.NewNop(), progress: &progress.Monitor{}}
		task := d.progress.Begin("write")
		<-time.After(time.Hour)
		if got := d.watchdog(); got != "" {
			t.Errorf("got %q for a stage that has not moved for an hour", got)
		}
		task.Wait()
		if got := d.watchdog(); got != "WATCHDOG=1" {
			t.Errorf("got %q for a stage that waits", got)
		}
	})
}

// wedge is a source of one record and its decoder, which does not end before it is told.
type wedge struct{ release chan struct{} }

func (wedge) Run(ctx context.Context, emit func(*record.Record) error) error {
	if err := emit(&record.Record{Shard: "shard-0", Sequence: "1", Data: []byte("x")}); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

func (w wedge) Decode(*record.Record) error {
	<-w.release
	return errors.New("no payload")
}

func TestWedgedPipelineStopsTheWatchdogUntilItMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &daemon{log: zap.NewNop(), progress: &progress.Monitor{}}
		out, w := newDryOutput(io.Discard), wedge{release: make(chan struct{})}
		pipe := pipeline.New(pipeline.DefaultConfig(), pipeline.Deps{
			Source: w, NewDecoder: func() pipeline.Decoder { return w }, Sink: out.sink, DeadLetters: out.letters, Store: out.store,
			Budget: pipeline.NewBudget(1 << 20), Records: &record.Pool{}, Progress: d.progress, Workers: 1,
			Stream: "logs", Groups: []string{"other"}, Log: d.log, Registerer: prometheus.NewRegistry(),
		})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() {
			if err := pipe.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		for _, step := range []struct {
			after time.Duration
			then  func()
			want  string
		}{
			{30 * time.Second, func() {}, "WATCHDOG=1"},
			{31 * time.Second, func() { close(w.release) }, ""},
			{time.Hour, func() {}, "WATCHDOG=1"}, // it waits for records
		} {
			<-time.After(step.after)
			if got := d.watchdog(); got != step.want {
				t.Errorf("%v later: got %q, want %q", step.after, got, step.want)
			}
			step.then()
		}
		cancel()
		running.Wait()
	})
}

func TestReloadTakesOverWhatItCanAndNamesTheRest(t *testing.T) {
	d := testDaemon(t, "groups:\n  - {name: web, match: g, drop: [a]}\n")
	next, err := loadText(t, "log: {level: debug}\npipeline: {memory: 32MiB}\ngroups:\n  - {name: web, match: g, drop: [b]}\n")
	if err != nil {
		t.Fatal(err)
	}
	d.reload(func() (*config.Loaded, error) { return next, nil })
	if got := d.level.Level(); got != zap.DebugLevel {
		t.Errorf("got level %s, want debug", got)
	}
	if got := testutil.ToFloat64(d.reloads.successful); got != 1 {
		t.Errorf("got the reload shown as %v, want 1", got)
	}
	if got, want := needRestart(d.settings, next.Settings), []string{"pipeline.memory"}; !slices.Equal(got, want) {
		t.Errorf("got %v as in need of a restart, want %v", got, want)
	}
}

func TestWrongConfigurationKeepsTheOldOne(t *testing.T) {
	d := testDaemon(t, "")
	d.reload(func() (*config.Loaded, error) { return loadText(t, "log: {level: loud}\n") })
	if got := d.level.Level(); got != zap.InfoLevel {
		t.Errorf("got level %s, want info as before", got)
	}
	if got := testutil.ToFloat64(d.reloads.successful); got != 0 {
		t.Errorf("got the reload shown as %v, want 0", got)
	}
}
