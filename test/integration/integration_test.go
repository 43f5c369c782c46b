// Package integration runs the real binary between real servers: CloudWatch Logs
// events or their records go in at one end, and every event has to be in the
// index, once, at the other, whatever happens in between.
//
// It takes the servers of package servers: those that the environment names, a
// compose file's for example, or its own. Each test has a stream, an index prefix
// and files of its own, so that all can run at the same time.
package integration

import (
	"crypto/rand"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/shipperd/shipperd/test/daemon"
	"github.com/shipperd/shipperd/test/servers"
)

// binary is the path of the shipperd under test, which TestMain builds.
var binary string

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		os.Exit(m.Run()) // every test asks for a server and is skipped
	}
	os.Exit(daemon.Main(m, &binary))
}

// uniqueName returns a name for t's stream, log groups and indices that no other
// test or run has.
func uniqueName(t *testing.T) string {
	t.Helper()
	name := strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name()))
	return "it-" + name[:min(40, len(name))] + "-" + strings.ToLower(rand.Text()[:8])
}

// watch calls look until d is over, for what must stay so.
func watch(t *testing.T, d time.Duration, look func()) {
	t.Helper()
	end := time.Now().Add(d)
	daemon.Await(t, d+time.Minute, func() error {
		look()
		if left := time.Until(end); left > 0 {
			return fmt.Errorf("%v left", left)
		}
		return nil
	})
}

// eachEngine runs a test on every search engine, beside the others.
func eachEngine(t *testing.T, test func(t *testing.T, kinesisURL, searchURL string)) {
	t.Helper()
	for name, url := range map[string]func(testing.TB) string{"elasticsearch": servers.Elasticsearch, "opensearch": servers.OpenSearch} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, servers.Kinesis(t), url(t))
		})
	}
}

// prepare prepares a daemon that reads the stream of a name at kinesisURL and writes into
// the indices of that prefix at searchURL.
func prepare(t *testing.T, kinesisURL, searchURL, name string, settings ...string) *daemon.Test {
	t.Helper()
	peers := daemon.Peers{Stream: name, Region: region, Kinesis: kinesisURL, Search: searchURL}
	return daemon.NewTest(t, binary, peers, append(settings, "SHIPPERD_DOCUMENTS_INDEX_PREFIX="+name)...)
}
