package format

import (
	"bytes"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

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

// Fields collects the typed fields of one event as JSON, one reused buffer per
// root; it allocates nothing once its buffers have grown. A name may be written
// once per object: engines refuse documents with duplicate keys. Names are
// constants that need no escaping; values are any bytes. Empty strings are left out.
//
// One goroutine uses it at a time.
type Fields struct {
	roots  [rootCount][]byte // each begins with its opening, `"source":{`
	opened [rootCount]int    // the lengths of the openings
	ips    []byte            // related.ip: `,"a","b",`
	users  []byte            // related.user, likewise
	owned  bool              // cloud.account is written
	placed bool              // cloud.region is written
	lookup *enrich.Lookup

	current Root                     // between begin and end
	day     int64                    // of the last time that was written, counted from minTime
	date    [len("2006-01-02T")]byte // the same, as text
	scratch []byte                   // an unescaped string

	accountID, account []byte // the last one that was written, and its members
}

// NewFields returns an empty Fields. Without an Enricher addresses are typed but
// nothing is looked up.
func NewFields(e *enrich.Enricher) *Fields {
	f := &Fields{lookup: e.Lookup(), day: -1}
	for i := range f.roots {
		f.roots[i] = append(f.roots[i], `"`+Root(i).String()+`":{`...)
		f.opened[i] = len(f.roots[i])
	}
	return f
}

// Reset makes f empty for the next event.
func (f *Fields) Reset() {
	for i := range f.roots {
		f.roots[i] = f.roots[i][:f.opened[i]]
	}
	f.ips, f.users = f.ips[:0], f.users[:0]
	f.owned, f.placed = false, false
}

// AppendTo appends the roots that hold something, each followed by a comma:
// `"source":{…},"user":{…},`.
func (f *Fields) AppendTo(dst []byte) []byte {
	for i, root := range f.roots {
		related := Root(i) == Related && len(f.ips)+len(f.users) > 0
		if len(root) == f.opened[i] && !related {
			continue
		}
		dst = append(dst, root...)
		if related {
			dst = appendList(dst, `"ip":[`, f.ips)
			dst = appendList(dst, `"user":[`, f.users)
		}
		dst = append(dst[:len(dst)-1], "},"...)
	}
	return dst
}

func appendList(dst []byte, opening string, list []byte) []byte {
	if len(list) == 0 {
		return dst
	}
	dst = append(dst, opening...)
	dst = append(dst, list[1:len(list)-1]...)
	return append(dst, "],"...)
}

func (f *Fields) name(root Root, name string) []byte {
	b := append(f.roots[root], '"')
	b = append(b, name...)
	return append(b, `":`...)
}

// String writes value, cut to 8,191 bytes.
func (f *Fields) String(root Root, name string, value []byte) {
	if len(value) == 0 {
		return
	}
	b := jsonraw.AppendString(f.name(root, name), cut(value))
	f.roots[root] = append(b, ',')
}

// Keyword writes a value of ours that needs no escaping.
func (f *Fields) Keyword(root Root, name, value string) {
	b := append(f.name(root, name), '"')
	b = append(b, value...)
	f.roots[root] = append(b, `",`...)
}

// cut shortens value to maxValue, at the start of a character.
func cut(value []byte) []byte {
	if len(value) <= maxValue {
		return value
	}
	end := maxValue
	for end > maxValue-utf8.UTFMax && !utf8.RuneStart(value[end]) {
		end--
	}
	return value[:end]
}

// Int writes a number.
func (f *Fields) Int(root Root, name string, value int64) {
	f.roots[root] = append(strconv.AppendInt(f.name(root, name), value, 10), ',')
}

// digits writes a number of digits, without the zeros before it that JSON does not know.
func (f *Fields) digits(root Root, name string, digits []byte) {
	for len(digits) > 1 && digits[0] == '0' {
		digits = digits[1:]
	}
	f.Raw(root, name, digits)
}

// Bool writes true or false.
func (f *Fields) Bool(root Root, name string, value bool) {
	f.roots[root] = append(strconv.AppendBool(f.name(root, name), value), ',')
}

// Raw writes a value that is valid JSON already.
func (f *Fields) Raw(root Root, name string, json []byte) {
	f.roots[root] = append(append(f.name(root, name), json...), ',')
}

// Members adds ready members of our own, each followed by a comma, such as
// `"kind":"event","category":["authentication"],`.
func (f *Fields) Members(root Root, members string) {
	f.roots[root] = append(f.roots[root], members...)
}

// Open begins an object inside root; what follows goes into it until Close. An
// object that stays empty is left out.
func (f *Fields) Open(root Root, name string) {
	f.roots[root] = append(f.name(root, name), '{')
}

// Close ends the object that was opened last.
func (f *Fields) Close(root Root) {
	b := f.roots[root]
	if last := len(b) - 1; b[last] == '{' {
		name := len(b) - len(`":{`)
		f.roots[root] = b[:bytes.LastIndexByte(b[:name], '"')]
		return
	}
	f.roots[root] = append(b[:len(b)-1], "},"...)
}

// Time writes a time, given in Unix milliseconds, in UTC. A year that RFC 3339
// cannot write is left out.
func (f *Fields) Time(root Root, name string, ms int64) {
	if ms < minTime || ms > maxTime {
		return
	}
	// Lines come in the order of time, so that the date is nearly always the last one.
	day := (ms - minTime) / dayMilli
	if day != f.day {
		f.day = day
		time.UnixMilli(ms).UTC().AppendFormat(f.date[:0], "2006-01-02T")
	}
	b := append(f.name(root, name), '"')
	b = append(b, f.date[:]...)
	rest := int((ms - minTime) % dayMilli)
	b = append(appendDigits(b, rest/3_600_000), ':')
	b = append(appendDigits(b, rest/60_000%60), ':')
	b = append(appendDigits(b, rest/1000%60), '.', '0'+byte(rest/100%10))
	f.roots[root] = append(appendDigits(b, rest%100), `Z",`...)
}

func appendDigits(dst []byte, n int) []byte { return append(dst, '0'+byte(n/10), '0'+byte(n%10)) }

// JSONString writes value if it is a valid JSON string, cut like String's.
func (f *Fields) JSONString(root Root, name string, value []byte) {
	inside, ok := jsonraw.Inside(value)
	if !ok || len(inside) == 0 {
		return
	}
	if len(inside) <= maxValue && (bytes.IndexByte(inside, '\\') < 0 || !halved(value)) {
		f.Raw(root, name, value)
		return
	}
	f.scratch = jsonraw.Unescape(f.scratch[:0], inside)
	f.String(root, name, f.scratch)
}

// halved says whether a valid JSON string may have half of a surrogate pair.
func halved(value []byte) bool {
	_, escapes := jsonraw.String(value, 0)
	return escapes == jsonraw.Surrogate
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
	f.roots[Cloud] = append(f.roots[Cloud], f.account...)
}

// Region writes cloud.region. The first one stands.
func (f *Fields) Region(name []byte) {
	if !f.placed && len(name) > 0 {
		f.placed = true
		f.String(Cloud, "region", name)
	}
}

// Address writes what a log line calls the address of root: .address, and when it
// is one .ip, .scope, .geo and .as. An IPv4 address inside IPv6 is unwrapped, so
// that one client has one name. It returns nil for a word that is no address.
func (f *Fields) Address(root Root, text []byte) *enrich.Address {
	a := f.lookup.Address(text)
	f.address(root, text, a)
	return a
}

// address is Address for a text that has been looked up.
func (f *Fields) address(root Root, text []byte, a *enrich.Address) {
	if a == nil {
		f.String(root, "address", text)
		return
	}
	f.Members(root, a.Members)
	f.ips = appendUnique(f.ips, a.Text)
}

// UserAgent writes user_agent: the string itself and what it says.
func (f *Fields) UserAgent(text []byte) {
	f.String(UserAgent, "original", text)
	f.Members(UserAgent, f.lookup.UserAgent(text))
}

// RelatedUser adds a name to related.user.
func (f *Fields) RelatedUser(name []byte) {
	if len(name) > 0 {
		f.users = appendUnique(f.users, cut(name))
	}
}

// RelatedIP adds an address to related.ip, when text is one.
func (f *Fields) RelatedIP(text []byte) {
	if a := f.lookup.Address(text); a != nil {
		f.ips = appendUnique(f.ips, a.Text)
	}
}

// appendUnique appends value as a string to a list `,"a","b",` unless it is in
// it. A comma before a quote stands only between two values: inside one every
// quote has a backslash before it.
func appendUnique[T ~string | ~[]byte](list []byte, value T) []byte {
	if len(list) == 0 {
		list = append(list, ',')
	}
	start := len(list)
	list = append(jsonraw.AppendString(list, []byte(value)), ',')
	if start > 1 && bytes.Contains(list[:start], list[start-1:]) {
		return list[:start]
	}
	return list
}
