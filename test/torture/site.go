package torture

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/shipperd/shipperd/pkg/elastic/elasticfake"
	"github.com/shipperd/shipperd/pkg/killpoint"
	"github.com/shipperd/shipperd/pkg/kinesis/kinesisfake"
	"github.com/shipperd/shipperd/pkg/record"
)

const (
	streamName = "torture"
	shards     = 3 // at first
	// patience is how long everything may take to arrive once nobody is killed.
	patience = 3 * time.Minute
)

// site is a stream, an index and a daemon between them.
type site struct {
	service *kinesisfake.Service
	stream  *kinesisfake.Stream
	search  *elasticfake.Server
	servers []*http.Server
	daemon  *daemon
	random  *rand.Rand    // of the load; its goroutine's alone
	closed  chan struct{} // by close

	mu   sync.Mutex
	sent map[string]bool // identities: index/id of events, shard/sequence of broken records

	points     map[string]int
	kills      int
	terms      int
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
	s.daemon, err = newDaemon(ctx, binary, dir, kinesisURL, searchURL, settings...)
	return s, err
}

// serve answers on a free port of the loopback interface.
func (s *site) serve(ctx context.Context, handler http.Handler) (url string, err error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	s.servers = append(s.servers, server)
	go func() { _ = server.Serve(listener) }() // ends with Close
	return "http://" + listener.Addr().String(), nil
}

func (s *site) close() (err error) {
	close(s.closed)
	for _, server := range s.servers {
		err = errors.Join(err, server.Close())
	}
	return err
}

// maxBody is the largest request that the index takes: large events are over it
// alone, so that their originals become dead letters.
const maxBody = 96 << 10

// refuse has the index take some documents in reduced form only: events are named
// after what becomes of them.
func refuse(_ int, d elasticfake.Document) *elasticfake.ItemError {
	kind, _, _ := strings.Cut(d.ID, "-")
	if kind == "poison" && bytes.Contains(d.Source, []byte(`"ingested"`)) {
		return &elasticfake.ItemError{Status: http.StatusBadRequest, Type: "mapper_parsing_exception", Reason: "failed to parse"}
	}
	return nil
}

// torture kills daemons while records come, until there are no more deaths; then
// it lets the last daemon finish and counts.
func (s *site) torture(ctx context.Context, next func() (death, bool)) error {
	s.search.MaxBody = maxBody
	s.search.Script = func(r *elasticfake.Request) elasticfake.Fault {
		if r.Number%20 == 19 {
			return elasticfake.Fault{Status: http.StatusTooManyRequests}
		}
		return elasticfake.Fault{Item: refuse}
	}
	loading, stop := context.WithCancel(ctx)
	loaded := make(chan error, 1)
	go func() { loaded <- s.load(loading, 100*time.Millisecond) }()
	err := s.killAll(ctx, next)
	if err == nil {
		err = s.finish(ctx)
	}
	stop()
	return errors.Join(err, <-loaded)
}

func (s *site) killAll(ctx context.Context, next func() (death, bool)) error {
	for {
		d, ok := next()
		if !ok || ctx.Err() != nil {
			return ctx.Err()
		}
		if err := s.live(ctx, d); err != nil {
			return err
		}
	}
}

// live lets one daemon live and die.
func (s *site) live(ctx context.Context, d death) error {
	var more []string
	if d.point != "" {
		more = append(more, fmt.Sprintf("%s=%s:%d", killpoint.Variable, d.point, d.nth))
	}
	if err := s.daemon.start(ctx, more...); err != nil {
		return err
	}
	e, ended := s.daemon.wait(d.after)
	switch {
	case ended && !e.killed:
		return fmt.Errorf("shipperd ended by itself with code %d", e.code)
	case !ended && (d.term || drainPoint(d.point)):
		return s.terminate(ctx, d)
	case !ended: // a shard's end, say, did not come: any moment is a good one
		d.point = ""
		var err error
		if e, err = s.daemon.kill(); err != nil {
			return err
		}
	}
	s.died(d.point, e)
	return nil
}

// drainPoint says whether a point is reached while the daemon drains.
func drainPoint(point string) bool {
	return point == killpoint.CheckpointLastSave || point == killpoint.CheckpointLastSaved || point == killpoint.LettersClosed
}

// terminate stops the daemon, which may be killed at a point of its drain.
func (s *site) terminate(ctx context.Context, d death) error {
	e, took, err := s.daemon.terminate()
	switch {
	case e.killed && d.point != "":
		s.died(d.point, e)
		return nil
	case err != nil:
		return err
	}
	s.terms++
	s.worstDrain, s.worstRSS = max(s.worstDrain, took), max(s.worstRSS, e.rss)
	if d.point == "" {
		return nil
	}
	return s.live(ctx, death{after: d.after}) // it has not come there; one kill is owed
}

func (s *site) died(point string, e end) {
	s.kills++
	s.points[point]++
	s.worstRSS = max(s.worstRSS, e.rss)
}

// finish lets a daemon deliver the rest, stops it, and counts.
func (s *site) finish(ctx context.Context) error {
	if err := s.daemon.start(ctx); err != nil {
		return err
	}
	deadline := time.Now().Add(patience)
	for known := s.known(); ; {
		missing, err := s.missing(known)
		if err != nil {
			return err
		}
		if len(missing) == 0 || time.Now().After(deadline) || !pause(ctx, time.Second) {
			s.lost = len(missing)
			break
		}
	}
	e, took, err := s.daemon.terminate()
	s.terms++
	s.worstDrain, s.worstRSS = max(s.worstDrain, took), max(s.worstRSS, e.rss)
	s.count()
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
	names, err := filepath.Glob(filepath.Join(s.daemon.letters(), "*.ndjson*"))
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

// load puts a record on the stream every interval, and splits and merges shards,
// until ctx ends.
func (s *site) load(ctx context.Context, interval time.Duration) error {
	for number := 0; pause(ctx, interval); number++ {
		if err := s.put(number); err != nil {
			return err
		}
		if s.random.IntN(25) == 0 {
			open := s.stream.Shards()
			if i := s.random.IntN(len(open)); len(open) > 5 {
				s.stream.Merge(open[i], open[(i+1)%len(open)])
			} else {
				s.stream.Split(open[i])
			}
		}
	}
	return nil
}

// days are the indices that events go to.
var days = []string{"cwl-2026.11.20", "cwl-2026.11.21", "cwl-2026.11.22"} //nolint:gochecknoglobals // a table

// put puts a record of any kind on one of the open shards.
func (s *site) put(number int) error {
	open := s.stream.Shards()
	shard := open[s.random.IntN(len(open))]
	events := 1 + s.random.IntN(40)
	switch s.random.IntN(50) {
	case 0:
		s.putBroken(shard, []byte("this is no payload"))
		return nil
	case 1:
		return s.putEvents(number, shard, "large", 1, strings.Repeat("x", maxBody))
	case 2, 3:
		return s.putEvents(number, shard, "poison", 1+events/10, "")
	}
	return s.putEvents(number, shard, "good", events, "")
}

// putBroken puts a record on a shard that cannot be decoded.
func (s *site) putBroken(shard string, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent[shard+"/"+s.stream.Put(shard, data)] = true
}

// putEvents puts a record on a shard, with events of several days, each with rest
// in its message.
func (s *site) putEvents(number int, shard, kind string, events int, rest string) error {
	var text strings.Builder
	var identities []string
	for i := range events {
		index, id := days[i%len(days)], fmt.Sprintf("%s-%d-%d", kind, number, i)
		day, err := time.Parse("cwl-2006.01.02", index)
		if err != nil {
			return err
		}
		identities = append(identities, index+"/"+id)
		if i > 0 {
			text.WriteByte(',')
		}
		fmt.Fprintf(&text, `{"id":%q,"timestamp":%d,"message":"line %d of record %d%s"}`, id, day.UnixMilli(), i, number, rest)
	}
	data, err := compress(`{"messageType":"DATA_MESSAGE","owner":"123456789012","logGroup":"site","logStream":"s","subscriptionFilters":["f"],"logEvents":[` + text.String() + `]}`)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, identity := range identities {
		s.sent[identity] = true
	}
	s.stream.Put(shard, data)
	return nil
}

func compress(text string) ([]byte, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write([]byte(text))
	err = errors.Join(err, z.Close())
	return b.Bytes(), err
}

// pause waits for d, and says whether ctx let it.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
