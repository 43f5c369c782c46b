package servers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

const (
	installLimit = 10 * time.Minute // from empty caches about 30 s on a fast line
	startLimit   = 90 * time.Second // 5 s on an idle machine
	stopLimit    = 5 * time.Second
)

// Server is a running server.
type Server struct {
	URL      string
	Variable string // the environment variable that tells tests of it
	dir      string // its data, settings and log; removed by Stop
	cmd      *exec.Cmd
	ended    chan struct{}
}

// start installs r where it is not yet, starts it and waits until it answers.
// The server outlives ctx; Stop ends it.
func start(ctx context.Context, r recipe) (*Server, error) {
	installCtx, cancel := context.WithTimeout(ctx, installLimit)
	defer cancel()
	home, err := r.installed(installCtx)
	if err != nil {
		return nil, fmt.Errorf("install %s: %w", r.name, err)
	}
	dir, err := os.MkdirTemp("", "shipperd-"+r.name+"-")
	if err != nil {
		return nil, err
	}
	s := &Server{Variable: r.variable, dir: dir, ended: make(chan struct{})}
	if err := s.run(ctx, r, home); err != nil {
		err = fmt.Errorf("start %s: %w\n%s", r.name, err, s.logTail())
		s.Stop()
		return nil, err
	}
	return s, nil
}

func (s *Server) run(ctx context.Context, r recipe, home string) error {
	port, err := FreePort(ctx)
	if err != nil {
		return err
	}
	s.URL = "http://127.0.0.1:" + port
	cmd, err := r.command(context.WithoutCancel(ctx), home, s.dir, port)
	if err != nil {
		return err
	}
	log, err := os.Create(s.logFile())
	if err != nil {
		return err
	}
	defer log.Close()
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, log, log
	// A group of its own, so that Stop reaches what the server starts in turn, and
	// Ctrl-C at the terminal does not take the server away from under the tests.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(cmd.SysProcAttr)
	if err := cmd.Start(); err != nil {
		return err
	}
	s.cmd = cmd
	go func() {
		defer close(s.ended)
		_ = cmd.Wait() // how it ended is in its log
	}()
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	return Poll(ctx, func() error {
		select {
		case <-s.ended:
			cancel()
			return errors.New("it ended before it was ready")
		default:
			return answers(ctx, s.URL+r.probe)
		}
	})
}

// Stop ends the server and removes its data.
func (s *Server) Stop() {
	if s.cmd != nil {
		// Asked first: LocalStack ends the kinesis-mock that it started, which is in
		// a session of its own. kinesis-mock waits for its clients' connections.
		_ = s.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-s.ended:
		case <-time.After(stopLimit):
		}
		_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
		<-s.ended
	}
	_ = os.RemoveAll(s.dir)
}

func (s *Server) logFile() string { return filepath.Join(s.dir, "server.log") }

// logTail returns the end of the server's log, which says why it did not start.
func (s *Server) logTail() []byte {
	text, _ := os.ReadFile(s.logFile()) // absent: nothing to tell
	return bytes.TrimSpace(text[max(0, len(text)-2000):])
}

// Poll calls check every 50 ms until it returns nil or ctx ends; then it returns
// check's last error. It is the one way in which tests wait for other processes.
func Poll(ctx context.Context, check func() error) error {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-ticker.C:
		}
	}
}

func answers(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Close = true // an idle connection would delay the server's end
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, resp.Status)
	}
	return nil
}

// FreePort returns a port of 127.0.0.1 that nobody listens on. It lies below those
// that systems give to outgoing connections, or one of these could take it before
// the server does: a JVM needs seconds to get there.
func FreePort(ctx context.Context) (string, error) {
	const low, high = 20000, 32000
	for range 100 {
		port := strconv.Itoa(low + rand.IntN(high-low))
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", port))
		if err == nil {
			return port, l.Close()
		}
	}
	return "", errors.New("no free port on 127.0.0.1")
}
