// Package integration runs the real binary between real servers: CloudWatch Logs
// events or their records go in at one end, and every event has to be in the
// index, once, at the other, whatever happens in between.
//
// It takes the servers of package servers: those that the environment names, a
// compose file's for example, or its own. Each test has a stream, an index prefix
// and files of its own, so that all can run at the same time. These tests watch
// other processes, so they poll, through await alone.
package integration

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shipperd/shipperd/test/servers"
)

// binary is the path of the shipperd under test, which TestMain builds.
var binary string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if testing.Short() {
		return m.Run() // every test asks for a server and is skipped
	}
	dir, err := os.MkdirTemp("", "shipperd-integration-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "shipperd")
	build := exec.CommandContext(context.Background(), "go", "build", "-o", binary, "github.com/shipperd/shipperd/cmd/shipperd")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintf(os.Stderr, "build shipperd: %v\n", err)
		return 1
	}
	return m.Run()
}

// uniqueName returns a name for t's stream, log groups and indices that no other
// test or run has.
func uniqueName(t *testing.T) string {
	t.Helper()
	name := strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name()))
	return "it-" + name[:min(40, len(name))] + "-" + strings.ToLower(rand.Text()[:8])
}

// patience is how long a test waits for what takes seconds on an idle machine: a
// loaded one must not fail it.
const patience = 3 * time.Minute

// await polls check until it returns nil; after limit it fails with check's last
// error.
func await(t *testing.T, limit time.Duration, check func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if err := servers.Poll(ctx, check); err != nil {
		t.Fatal(err)
	}
}

// watch calls look until d is over, for what must stay so.
func watch(t *testing.T, d time.Duration, look func()) {
	t.Helper()
	end := time.Now().Add(d)
	await(t, d+time.Minute, func() error {
		look()
		if left := time.Until(end); left > 0 {
			return fmt.Errorf("%v left", left)
		}
		return nil
	})
}
