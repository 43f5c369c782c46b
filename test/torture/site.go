package torture

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/shipperd/shipperd/pkg/elastic/elasticfake"
	"github.com/shipperd/shipperd/pkg/kinesis/kinesisfake"
	"github.com/shipperd/shipperd/pkg/record"
	"github.com/shipperd/shipperd/test/daemon"
)

const (
	streamName = "torture"
	shards     = 3 // at first
)

// site is a stream, an index and a daemon between them.
type site struct {
	service *kinesisfake.Service
	stream  *kinesisfake.Stream
	search  *elasticfake.Server
	servers []*http.Server
	daemon  *daemon.Daemon
	random  *rand.Rand     // of the load; its goroutine's alone
	closed  chan struct{}  // by close
	seen    daemon.Metrics // the last scrape of deliver

	mu   sync.Mutex
	sent map[string]bool // identities: index/id of events, shard/sequence of broken records

	points     map[string]int
	kills      int
	drains     int
	lost       int
	duplicated int
	resent     int
	worstRSS   int64
	worstDrain time.Duration
}

func newSite(ctx context.Context, binary, dir string, seed uint64, settings ...string) (*site, error) {
	s := &site{
		service: &kinesisfake.Service{Throttle: true},
		search:  &elasticfake.Server{},
		random:  rand.New(rand.NewPCG(seed, 2)),
		closed:  make(chan struct{}),
		sent:    make(map[string]bool),
		points:  make(map[string]int),
	}
	s.stream = s.service.Create(streamName, shards)
	kinesisURL, err := s.serve(ctx, s.service)
	if err != nil {
		return nil, err
	}
	searchURL, err := s.serve(ctx, s.search)
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	s.daemon, err = daemon.New(ctx, binary, dir,
		daemon.Peers{Stream: streamName, Region: kinesisfake.Region, Kinesis: kinesisURL, Search: searchURL},
		append([]string{"SHIPPERD_ELASTICSEARCH_TEMPLATE=off", "SHIPPERD_PIPELINE_BATCH_MAX_AGE=200ms"}, settings...)...)
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// serve answers on a free port of the loopback interface.
func (s *site) serve(ctx context.Context, handler http.Handler) (url string, err error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := s.server(handler)
	go func() { _ = server.Serve(listener) }() // ends with Close
	return "http://" + listener.Addr().String(), nil
}

// server returns a server that ends with the site.
func (s *site) server(handler http.Handler) *http.Server {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, ErrorLog: zap.NewStdLog(zap.NewNop())}
	s.servers = append(s.servers, server)
	return server
}

func (s *site) close() (err error) {
	close(s.closed)
	for _, server := range s.servers {
		err = errors.Join(err, server.Close())
	}
	return err
}

// known returns what was put on the stream until now.
func (s *site) known() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for identity := range s.sent {
		all = append(all, identity)
	}
	return all
}

// missing returns which of the identities are neither in the index nor dead letters.
func (s *site) missing(identities []string) ([]string, error) {
	letters, err := s.letters()
	if err != nil {
		return nil, err
	}
	var missing []string
	for _, identity := range identities {
		index, id, _ := strings.Cut(identity, "/")
		if !letters[identity] && s.search.Applied(index, id) == 0 {
			missing = append(missing, identity)
		}
	}
	return missing, nil
}

// letters returns the identities of the dead letters.
func (s *site) letters() (map[string]bool, error) {
	all := make(map[string]bool)
	names, err := filepath.Glob(filepath.Join(s.daemon.Letters(), "*.ndjson*"))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			return s.letters() // it was closed a moment ago, and has another name
		} else if err != nil {
			return nil, err
		}
		for line := range bytes.Lines(data) {
			var l record.Letter
			switch {
			case json.Unmarshal(line, &l) != nil: // torn
			case l.Index != "":
				all[l.Index+"/"+l.ID] = true
			default:
				all[l.Shard+"/"+l.Sequence] = true
			}
		}
	}
	return all, nil
}

// count counts documents that are there twice, under the names of two indices, and
// those that were sent again.
func (s *site) count() {
	s.mu.Lock()
	defer s.mu.Unlock()
	stored := 0
	for identity := range s.sent {
		index, id, _ := strings.Cut(identity, "/")
		if n := s.search.Applied(index, id); n > 0 {
			stored++
			s.resent += n - 1
		}
	}
	s.duplicated = s.search.Count() - stored
}
