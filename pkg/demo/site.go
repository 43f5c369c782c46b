package demo

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"time"
)

// The site's log groups, and the AWS account that owns them.
const (
	AccessLogGroup     = "AccessLogGroup"
	SSHLogGroup        = "SSHLogGroup"
	CloudTrailLogGroup = "CloudTrailLogGroup"
	VPCFlowLogGroup    = "VPCFlowLogGroup"

	Account = "123456789012"
	Region  = "us-east-1"
)

// Event is one log event.
type Event struct {
	Group, Stream string
	ID            string // 56 digits, as CloudWatch's
	Time          time.Time
	Message       string
}

// server is one of the site's web servers.
type server struct {
	instance, network, name, address string
}

// The site's servers, and those who come: half of a documentation network visits,
// one administrator works, four attack.
const (
	administrator = "192.0.2.10"
	scanner       = "203.0.113.66"
	guesser       = "203.0.113.7"
	stealer       = "203.0.113.66" // the scanner's address again: that is what one is to find
)

func servers() []server {
	return []server{
		{"i-0123456789abcdef0", "eni-0123456789abcdef0", "ip-192-0-2-21", "192.0.2.21"},
		{"i-0123456789abcdef1", "eni-0123456789abcdef1", "ip-192-0-2-22", "192.0.2.22"},
	}
}

// phase is a stretch of the story.
type phase uint8

const (
	quiet   phase = iota // visitors, and the administrator at work
	scan                 // somebody looks for holes in the web servers
	guess                // somebody guesses passwords of the shop
	breakIn              // a botnet tries SSH
	account              // a stolen access key is tried out
	phases
)

// phaseEvents is how long a phase lasts: short, so that a demo of a thousand
// events shows the whole story.
const phaseEvents = 200

// Site makes log events. It is not safe for concurrent use.
type Site struct {
	random  *rand.Rand
	servers []server
	now     time.Time
	seed    uint64
	count   uint64
}

// NewSite returns the site of seed, whose first event happens at start.
func NewSite(seed uint64, start time.Time) *Site {
	return &Site{
		random:  rand.New(rand.NewPCG(seed, 0)),
		servers: servers(),
		now:     start.UTC().Truncate(time.Millisecond),
		seed:    seed,
	}
}

// Next returns the next event; times do not go back.
func (s *Site) Next() Event {
	now := phase(s.count / phaseEvents % uint64(phases))
	e := s.event(now)
	e.ID, e.Time = s.id(), s.now
	s.count++
	s.now = s.now.Add(time.Duration(s.random.Int64N(int64(2 * Step)))).Truncate(time.Millisecond)
	return e
}

// event chooses who does what. In an attack's phase two of three events are the
// attacker's.
func (s *Site) event(now phase) Event {
	at := pick(s, s.servers)
	attack := now != quiet && s.chance(2, 3)
	kind := s.random.IntN(10)
	switch {
	case attack && now == account:
		return s.cloudTrail(s.theft())
	case attack && kind < 3: // the attack as the network sees it
		return s.flow(at, s.attackFlow(now, at))
	case attack && now == breakIn:
		return s.sshd(at, s.attackOnSSH())
	case attack:
		return s.access(at, s.attackOnWeb(now))
	case kind < 5:
		return s.access(at, s.visit())
	case kind < 8:
		return s.flow(at, s.usualFlow(at))
	case kind < 9:
		return s.sshd(at, s.login())
	default:
		return s.cloudTrail(s.routine())
	}
}

// id returns the event's id, built like CloudWatch's: the time in milliseconds
// above 144 bits that tell events of the same millisecond apart.
func (s *Site) id() string {
	id := big.NewInt(s.now.UnixMilli())
	id.Lsh(id, 80).Or(id, new(big.Int).SetUint64(s.seed))
	id.Lsh(id, 64).Or(id, new(big.Int).SetUint64(s.count))
	return id.String()
}

func (s *Site) chance(n, of int) bool { return s.random.IntN(of) < n }

// visitor returns one of the addresses that come to shop.
func (s *Site) visitor() string {
	n := 1 + s.random.IntN(60)
	if s.chance(1, 5) {
		return fmt.Sprintf("2001:db8:%x::%x", 0x10+n%4, n)
	}
	return fmt.Sprintf("198.51.100.%d", n)
}

// bot returns one of the addresses that try SSH, the first ones most often.
func (s *Site) bot() string {
	return fmt.Sprintf("203.0.113.%d", 100+s.random.IntN(1+s.random.IntN(20)))
}

// highPort returns a port that a client may have.
func (s *Site) highPort() int { return 32768 + s.random.IntN(28000) }

func pick[T any](s *Site, from []T) T { return from[s.random.IntN(len(from))] }
