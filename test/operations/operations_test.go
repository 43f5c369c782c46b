// Package operations runs the real binary between the fakes of the stream and of
// the index, and holds what operators rely on: how it ends, what it shows, which
// permissions it uses, what it never says, and what it is made of.
package operations

import (
	"fmt"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/shipperd/shipperd/pkg/elastic/elasticfake"
	"github.com/shipperd/shipperd/pkg/kinesis/kinesisfake"
	"github.com/shipperd/shipperd/test/daemon"
)

// binary is the path of the shipperd under test, built as releases are.
var binary string

func TestMain(m *testing.M) { os.Exit(daemon.Main(m, &binary)) }

const streamName = "logs"

// site is a stream and an index.
type site struct {
	service *kinesisfake.Service
	stream  *kinesisfake.Stream
	index   *elasticfake.Server
	peers   daemon.Peers
}

// newSite serves a stream of one shard and an index. Hook and script may be nil.
func newSite(t *testing.T, hook kinesisfake.Hook, script func(*elasticfake.Request) elasticfake.Fault) *site {
	t.Helper()
	s := &site{service: &kinesisfake.Service{Hook: hook}, index: &elasticfake.Server{Script: script}}
	s.stream = s.service.Create(streamName, 1)
	kinesis, index := httptest.NewServer(s.service), httptest.NewServer(s.index)
	t.Cleanup(kinesis.Close)
	t.Cleanup(index.Close)
	s.peers = daemon.Peers{Stream: streamName, Region: kinesisfake.Region, Kinesis: kinesis.URL, Search: index.URL}
	return s
}

// daemon prepares a shipperd between the two. settings are further variables.
func (s *site) daemon(t *testing.T, settings ...string) *daemon.Test {
	t.Helper()
	return daemon.NewTest(t, binary, s.peers, settings...)
}

// put puts a record with one event for each message on the stream. Events are of
// one day, and their ids are their messages.
func (s *site) put(messages ...string) {
	var events []string
	for _, m := range messages {
		events = append(events, fmt.Sprintf(`{"id":%q,"timestamp":1763632800000,"message":%q}`, m, m))
	}
	s.stream.Put(s.stream.Shards()[0], fmt.Appendf(nil,
		`{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"AccessLogGroup","logStream":"i-1","logEvents":[%s]}`,
		strings.Join(events, ",")))
}
