package elastic

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// The wait between two probes of a closed gate, or of a broken endpoint: from a
// second, doubled, to 15 s. Full throughput is promised 30 s after a recovery, so
// that half of it may pass unnoticed.
const (
	firstProbe = time.Second
	lastProbe  = 15 * time.Second
)

// pauseReason is why a gate is closed; a metrics label.
type pauseReason string

const (
	pauseUnauthorized  pauseReason = "unauthorized"
	pauseForbidden     pauseReason = "forbidden"
	pauseNotFound      pauseReason = "not_found"
	pauseBlocked       pauseReason = "blocked"
	pauseRefused       pauseReason = "refused"       // documents in every form
	pauseUnanswered    pauseReason = "unanswered"    // a document alone, time and again
	pauseMisconfigured pauseReason = "misconfigured" // any other answer that no bulk endpoint gives
)

var pauseReasons = [...]pauseReason{ //nolint:gochecknoglobals // a table
	pauseUnauthorized, pauseForbidden, pauseNotFound, pauseBlocked,
	pauseRefused, pauseUnanswered, pauseMisconfigured,
}

// advice says what a person can do about a closed gate.
func (r pauseReason) advice() string {
	switch r {
	case pauseUnauthorized:
		return "check elasticsearch.auth: the user name, the password file or key file, or the role"
	case pauseForbidden:
		return "allow the user or role to create and write these indices; the domain's access policy counts too"
	case pauseNotFound:
		return "check the path of elasticsearch.endpoints and the cluster's action.auto_create_index"
	case pauseBlocked:
		return "free disk space or remove the block (index.blocks.*, cluster.blocks.*)"
	case pauseRefused:
		return "look at the error: a shard limit, a closed index, a missing ingest pipeline, an alias"
	case pauseUnanswered:
		return "look at the cluster's log for this index; requests with one document get no usable reply"
	case pauseMisconfigured:
		return "check that elasticsearch.endpoints leads to Elasticsearch and not to another service"
	}
	return ""
}

// gate holds documents back while an index, or the whole cluster, cannot take
// them, and lets one probe through at a time. The zero value is open.
type gate struct {
	accepted atomic.Int64 // Unix nanoseconds: when the last document was taken
	refused  atomic.Int64 // when one was last refused in every form that had not been before

	mu       sync.Mutex
	reason   pauseReason // empty while it is open
	since    time.Time
	fault    fault // what closed it
	interval time.Duration
	probeAt  time.Time
	probing  bool
	proven   time.Time // when the youngest request was sent of which a document was taken
}

// ready returns when it is worth while to call enter; zero while it is open.
func (g *gate) ready(now time.Time) time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.reason == "":
		return time.Time{}
	case g.probing:
		return now.Add(g.interval)
	}
	return g.probeAt
}

// enter asks to pass. With probe the caller holds the only probe and must end it
// with open, pause or leave. force passes in any case, without being a probe.
func (g *gate) enter(now time.Time, force bool) (pass, probe bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.reason == "":
		return true, false
	case !g.probing && !now.Before(g.probeAt):
		g.probing = true
		return true, true
	}
	return force, false
}

// leave ends a probe that told nothing.
func (g *gate) leave(now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.probing {
		g.probing = false
		g.probeAt = now.Add(g.interval)
	}
}

// pause closes the gate, or keeps it closed. It returns the reason until now,
// which is empty if it was open.
func (g *gate) pause(now time.Time, reason pauseReason, f fault) pauseReason {
	g.mu.Lock()
	defer g.mu.Unlock()
	was := g.reason
	g.fault = f
	if was != reason {
		g.reason, g.since = reason, now
	}
	switch {
	case was == "":
		g.interval, g.probeAt = firstProbe, now.Add(firstProbe)
	case g.probing: // others that were under way tell nothing new
		g.probing = false
		g.interval = min(2*g.interval, lastProbe)
		g.probeAt = now.Add(g.interval)
	}
	return was
}

// open opens the gate. It returns the reason and since when it was closed, or
// an empty reason if it was open.
func (g *gate) open() (pauseReason, time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	reason, since := g.reason, g.since
	g.reason, g.since, g.fault, g.probing = "", time.Time{}, fault{}, false
	return reason, since
}

// closed returns why and since when the gate is closed; an empty reason if it is open.
func (g *gate) closed() (pauseReason, time.Time, fault) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.reason, g.since, g.fault
}

// abandoned says whether the gate is closed, and nobody has probed since t: then
// nobody waits for it.
func (g *gate) abandoned(t time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.reason != "" && !g.probing && g.probeAt.Before(t)
}

// prove notes that a document of a request sent at that time was taken.
func (g *gate) prove(sent time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if sent.After(g.proven) {
		g.proven = sent
	}
}

// openSince says whether the gate is open, and took a document of a request that was
// sent after t.
func (g *gate) openSince(t time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.reason == "" && g.proven.After(t)
}

func (g *gate) acceptedSince(t time.Time) bool { return g.accepted.Load() > t.UnixNano() }

func (g *gate) refusedSince(t time.Time) bool { return g.refused.Load() > t.UnixNano() }

// pauseReasonOf names the reason of a blocked or paused answer.
func pauseReasonOf(c class, status int) pauseReason {
	switch {
	case c == blocked:
		return pauseBlocked
	case status == http.StatusUnauthorized:
		return pauseUnauthorized
	case status == http.StatusForbidden:
		return pauseForbidden
	case status == http.StatusNotFound:
		return pauseNotFound
	}
	return pauseMisconfigured
}

// pause closes a gate of the sink's and says so once.
func (s *Sink) pause(g *gate, what zap.Field, reason pauseReason, f fault) {
	was := g.pause(time.Now(), reason, f)
	if was == reason {
		return
	}
	if was != "" {
		s.metrics.paused[was].Dec()
	} else if g != &s.gate {
		s.paused.Add(1)
	}
	s.metrics.paused[reason].Inc()
	s.log.Error("paused; nothing is lost, it goes on by itself when this is mended", what,
		zap.String("reason", string(reason)), zap.Int("status", f.status),
		zap.String("error_type", f.kind), zap.String("error", f.reason),
		zap.String("advice", reason.advice()))
}

// resume opens a gate of the sink's, and says so if it was closed.
func (s *Sink) resume(g *gate, what zap.Field) { s.open(g, "resumed", what) }

func (s *Sink) open(g *gate, message string, what zap.Field) {
	reason, since := g.open()
	if reason == "" {
		return
	}
	if g != &s.gate {
		s.paused.Add(-1)
	}
	s.metrics.paused[reason].Dec()
	s.log.Info(message, what, zap.String("reason", string(reason)), zap.Duration("after", time.Since(since)))
}

// accepts notes that x took documents, of a request sent at that time.
func (s *Sink) accepts(x *index, now, sent time.Time) {
	x.gate.prove(sent)
	x.gate.accepted.Store(now.UnixNano())
	s.gate.accepted.Store(now.UnixNano())
	if s.paused.Load() > 0 {
		s.resume(&x.gate, zap.String("index", x.name))
		// A day that is over, and its documents dead letters, would be paused for ever.
		for _, old := range s.indices.abandoned(now.Add(-s.config.BlockedAfter)) {
			s.open(&old.gate, "nothing waits for it any more", zap.String("index", old.name))
		}
	}
}

// givenUp says whether x has been blocked for too long while others were not: one that
// is open took a document of a request sent since. It need not be of late: what waits
// for x uses memory up, and then nothing is read that another could accept. A request
// that was under way when all were blocked proves nothing.
func (s *Sink) givenUp(x *index, now time.Time) bool {
	reason, since, _ := x.gate.closed()
	return reason == pauseBlocked && now.Sub(since) >= s.config.BlockedAfter && s.indices.othersOpen(x, since)
}
