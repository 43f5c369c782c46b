package format

import (
	"bytes"
	"fmt"
	"time"

	"github.com/shipperd/shipperd/pkg/enrich"
	"github.com/shipperd/shipperd/pkg/jsonraw"
)

// Root is one of the document's objects that hold typed fields. A message's own
// key never has such a name at the root.
type Root uint8

// The roots, in the order in which AppendTo writes them.
const (
	Source Root = iota
	Destination
	User
	UserAgent
	HTTP
	URL
	Network
	Event
	Cloud
	Related
	Observer
	AWS
	Shipperd
	ECS
	rootCount
)

// String returns the root's name in documents.
func (r Root) String() string {
	return [...]string{"source", "destination", "user", "user_agent", "http", "url", "network", "event", "cloud",
		"related", "observer", "aws", "shipperd", "ecs"}[r]
}

// Roots lists all roots.
func Roots() []Root {
	roots := make([]Root, rootCount)
	for i := range roots {
		roots[i] = Root(i)
	}
	return roots
}

// maxValue cuts typed strings, in bytes: the ignore_above of the index template.
// What is longer could not be searched for, and one URL of a megabyte would be
// written several times. @message has the whole.
const maxValue = 8191

// The times that RFC 3339 can write, in Unix milliseconds: the years 0 to 9999.
const (
	minTime  = -62_167_219_200_000
	maxTime  = 253_402_300_799_999
	dayMilli = 24 * 60 * 60 * 1000
)

// Fields collects the typed fields of one event as JSON, in one reused buffer; it
// allocates nothing once that has grown. A name may be written once per object:
// engines refuse documents with duplicate keys. Names are constants that need no
// escaping; values are any bytes. Empty strings are left out.
//
// Roots may be written in any order and come back to, but one that is not the last
// in the buffer has to be moved there first: a parser writes each in one go.
//
// One goroutine uses it at a time.
type Fields struct {
	buf      []byte // the roots, each followed by a comma; the one under way is open
	current  Root   // under way; rootCount: none
	begun    uint32 // a bit for each root in buf
	starts   [rootCount]int
	openings [rootCount]string // `"source":{`
	ingested int64             // event.ingested, Unix seconds; 0: none
	plain    bool              // no value of the line needs an escape
	ips      []*enrich.Address // related.ip
	users    []byte            // related.user: `,"a","b",`
	owned    bool              // cloud.account is to be written
	region   []byte            // cloud.region
	lookup   *enrich.Lookup

	day     int64                    // of the last time that was written, counted from minTime
	date    [len("2006-01-02T")]byte // the same, as text
	scratch []byte                   // an unescaped string
	moved   []byte                   // a root

	accountID, account []byte // the last one that was written, and its members
}

// NewFields returns an empty Fields. Without an Enricher addresses are typed but
// nothing is looked up.
func NewFields(e *enrich.Enricher) *Fields {
	f := &Fields{lookup: e.Lookup(), day: -1, current: rootCount}
	for i := range f.openings {
		f.openings[i] = `"` + Root(i).String() + `":{`
	}
	return f
}

// Reset makes f empty for the next event.
func (f *Fields) Reset() {
	f.buf, f.current, f.begun, f.plain = f.buf[:0], rootCount, 0, false
	f.ips, f.users = f.ips[:0], f.users[:0]
	f.owned, f.region = false, f.region[:0]
}

// SetIngested sets the time of event.ingested, which from then on every event has, to
// the second.
func (f *Fields) SetIngested(at time.Time) {
	if at.Unix() != f.ingested {
		f.ingested = at.Unix()
		f.openings[Event] = at.UTC().Format(`"event":{"ingested":"2006-01-02T15:04:05Z",`)
	}
}

// begin returns what is written already, up to the members of root. What is appended to
// it becomes part of root when it is given to end.
func (f *Fields) begin(root Root) []byte {
	if root != f.current {
		f.enter(root)
	}
	return f.buf
}

// end takes back what begin has given.
func (f *Fields) end(b []byte) { f.buf = b }

func (f *Fields) enter(root Root) {
	b := f.leave()
	f.current = root
	if f.begun&(1<<root) != 0 {
		f.moveLast(root)
		return
	}
	f.begun |= 1 << root
	f.starts[root] = len(b)
	f.buf = append(b, f.openings[root]...)
}

// leave closes the root under way, or takes it back if nothing is in it.
func (f *Fields) leave() []byte {
	if f.current != rootCount {
		before := len(f.buf)
		f.buf = closeObject(f.buf, f.starts[f.current])
		if len(f.buf) < before {
			f.begun &^= 1 << f.current
		}
		f.current = rootCount
	}
	return f.buf
}

// moveLast moves a closed root to the end and opens it again.
func (f *Fields) moveLast(root Root) {
	start, end := f.starts[root], len(f.buf)
	for r, other := range f.starts {
		if f.begun&(1<<r) != 0 && other > start {
			end = min(end, other)
		}
	}
	f.moved = append(f.moved[:0], f.buf[start:end]...)
	f.buf = append(append(f.buf[:start], f.buf[end:]...), f.moved...)
	for r, other := range f.starts {
		if other > start {
			f.starts[r] -= end - start
		}
	}
	f.starts[root] = len(f.buf) - (end - start)
	f.buf = f.buf[:len(f.buf)-1]
	f.buf[len(f.buf)-1] = ','
}

// AppendTo appends the roots that hold something, each followed by a comma:
// `"source":{…},"user":{…},`.
func (f *Fields) AppendTo(dst []byte) []byte {
	if f.ingested != 0 && f.begun&(1<<Event) == 0 {
		f.enter(Event)
	}
	dst = append(dst, f.leave()...)
	if f.owned || len(f.region) > 0 {
		dst = append(dst, f.openings[Cloud]...)
		if f.owned {
			dst = append(dst, f.account...)
		}
		dst = escaped(dst, `"region":"`, f.region)
		dst = append(dst[:len(dst)-1], "},"...)
	}
	if len(f.ips)+len(f.users) > 0 {
		dst = append(dst, f.openings[Related]...)
		dst = f.appendRelated(dst)
		dst = append(dst[:len(dst)-1], "},"...)
	}
	return dst
}

func (f *Fields) appendRelated(dst []byte) []byte {
	if len(f.ips) > 0 {
		dst = append(dst, `"ip":[`...)
		for _, a := range f.ips {
			dst = append(append(append(dst, '"'), a.Text...), `",`...)
		}
		dst = append(dst[:len(dst)-1], "],"...)
	}
	if len(f.users) > 0 {
		dst = append(append(dst, `"user":[`...), f.users[1:len(f.users)-1]...)
		dst = append(dst, "],"...)
	}
	return dst
}

// Members adds ready members of our own, each followed by a comma, such as
// `"kind":"event","category":["authentication"],`.
func (f *Fields) Members(root Root, members string) {
	f.end(append(f.begin(root), members...))
}

// String writes a string of the line: quoted for a root that has nothing else from it.
func (f *Fields) String(root Root, label string, value []byte) {
	if len(value) > 0 {
		f.end(f.quoted(f.begin(root), label, value))
	}
}

// Account writes cloud.account.id, if id is one. The first one stands: a line knows
// better than the subscription that delivered it.
func (f *Fields) Account(id []byte) {
	if f.owned || len(id) == 0 {
		return
	}
	if !bytes.Equal(id, f.accountID) {
		if _, ok := long(id); !ok {
			return
		}
		f.accountID = append(f.accountID[:0], id...)
		f.account = fmt.Appendf(f.account[:0], `"account":{"id":"%s"},`, id)
	}
	f.owned = true
}

// Region writes cloud.region. The first one stands.
func (f *Fields) Region(name []byte) {
	if len(f.region) == 0 {
		f.region = append(f.region, name...)
	}
}

// Address writes what a log line calls the address of root: .address, and when it
// is one .ip, .scope, .geo and .as. An IPv4 address inside IPv6 is unwrapped, so
// that one client has one name. It returns nil for a word that is no address.
func (f *Fields) Address(root Root, text []byte) *enrich.Address {
	a := f.lookup.Address(text)
	if len(text) > 0 {
		f.end(f.appendAddress(f.begin(root), text, a))
	}
	return a
}

// appendAddress is Address for a text that has been looked up.
func (f *Fields) appendAddress(b, text []byte, a *enrich.Address) []byte {
	if a == nil {
		return f.quoted(b, `"address":"`, text)
	}
	f.addIP(a)
	return append(b, a.Members...)
}

// UserAgent writes user_agent: the string itself and what it says.
func (f *Fields) UserAgent(text []byte) {
	if len(text) > 0 {
		f.end(append(f.quoted(f.begin(UserAgent), `"original":"`, text), f.lookup.UserAgent(text)...))
	}
}

// RelatedUser adds a name to related.user.
func (f *Fields) RelatedUser(name []byte) {
	if len(name) == 0 {
		return
	}
	if len(f.users) == 0 {
		f.users = append(f.users, ',')
	}
	// A comma before a quote stands only between two values: inside one every quote has
	// a backslash before it.
	start := len(f.users)
	f.users = append(jsonraw.AppendString(f.users, cut(name)), ',')
	if start > 1 && bytes.Contains(f.users[:start], f.users[start-1:]) {
		f.users = f.users[:start]
	}
}

func (f *Fields) addIP(a *enrich.Address) {
	for _, known := range f.ips {
		if known.IP == a.IP {
			return
		}
	}
	f.ips = append(f.ips, a)
}
