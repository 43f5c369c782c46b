package format

import (
	"bytes"
	"strconv"
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

// Fields collects the typed fields of one event as JSON, one reused buffer per
// root; it allocates nothing once its buffers have grown. A name may be written
// once per object: engines refuse documents with duplicate keys. Names are
// constants that need no escaping; values are any bytes. Empty strings are left out.
//
// One goroutine uses it at a time.
type Fields struct {
	roots  [rootCount][]byte
	ips    []byte // related.ip: `,"a","b",`
	users  []byte // related.user, likewise
	lookup *enrich.Lookup
}

// NewFields returns an empty Fields. Without an Enricher addresses are typed but
// nothing is looked up.
func NewFields(e *enrich.Enricher) *Fields { return &Fields{lookup: e.Lookup()} }

// Reset makes f empty for the next event.
func (f *Fields) Reset() {
	for i := range f.roots {
		f.roots[i] = f.roots[i][:0]
	}
	f.ips, f.users = f.ips[:0], f.users[:0]
}

// AppendTo appends the roots that hold something, each followed by a comma:
// `"source":{…},"user":{…},`.
func (f *Fields) AppendTo(dst []byte) []byte {
	for i, members := range f.roots {
		root := Root(i)
		related := root == Related && len(f.ips)+len(f.users) > 0
		if len(members) == 0 && !related {
			continue
		}
		dst = append(dst, '"')
		dst = append(dst, root.String()...)
		dst = append(dst, `":{`...)
		dst = append(dst, members...)
		if root == Related {
			dst = appendList(dst, "ip", f.ips)
			dst = appendList(dst, "user", f.users)
		}
		dst = append(dst[:len(dst)-1], "},"...)
	}
	return dst
}

func appendList(dst []byte, name string, list []byte) []byte {
	if len(list) == 0 {
		return dst
	}
	dst = append(dst, '"')
	dst = append(dst, name...)
	dst = append(dst, `":[`...)
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

// Address writes what a log line calls the address of root: .address always, and
// .ip, .scope, .geo and .as when it is one. It returns nil when it is none.
func (f *Fields) Address(root Root, text []byte) *enrich.Address {
	f.String(root, "address", text)
	a := f.lookup.Address(text)
	if a == nil {
		return nil
	}
	f.Members(root, `"ip":"`)
	f.Members(root, a.Text)
	f.Members(root, `","scope":"`)
	f.Members(root, a.Scope.String())
	f.Members(root, `",`)
	f.Members(root, a.Members)
	f.ips = appendUnique(f.ips, []byte(a.Text))
	return a
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
		f.ips = appendUnique(f.ips, []byte(a.Text))
	}
}

// appendUnique appends value as a string to a list `,"a","b",` unless it is in
// it. A comma before a quote stands only between two values: inside one every
// quote has a backslash before it.
func appendUnique(list, value []byte) []byte {
	if len(list) == 0 {
		list = append(list, ',')
	}
	start := len(list)
	list = append(jsonraw.AppendString(list, value), ',')
	if bytes.Contains(list[:start], list[start-1:]) {
		return list[:start]
	}
	return list
}
