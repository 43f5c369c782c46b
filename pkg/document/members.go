package document

import (
	"bytes"
	"encoding/binary"

	"github.com/shipperd/shipperd/pkg/jsonraw"
)

// The limits of what a message's JSON may add to the index, in every dialect. An
// index refuses objects that nest deeper than 20 by default, and 1,000 fields in
// all; a message that passes these keeps @message and is flagged.
const (
	maxDepth = 20
	maxKeys  = 500
	maxName  = 256 // bytes of one name
)

// member is one member of a JSON object that was read.
type member struct {
	name    []byte // its text
	quoted  []byte // the name as a JSON string, or nil when name needs no escapes
	print   uint64
	value   []byte // JSON text
	escapes jsonraw.Escapes
}

// objects reads JSON objects of messages and writes them as JSON.stringify(JSON.parse(text))
// would: of repeated names the last counts, numbers are those of float64, no white
// space. Its buffers are reused. Once tooComplex is set, what was written is of no use.
type objects struct {
	mendNames  bool // those that an index refuses or splits; see mend
	dropDollar bool // the $ with which some subscriptions write the names of fields
	stack      []member
	names      []byte // texts of names that were written with escapes
	keys       int
	tooComplex bool
}

// reset makes o ready for the next event.
func (o *objects) reset() {
	o.stack, o.names, o.keys, o.tooComplex = o.stack[:0], o.names[:0], 0, false
}

// read pushes the members of the object at b[i] on the stack and returns the
// index where they start on it and the index after the object, -1 if that is no
// valid JSON. Values are checked.
func (o *objects) read(b []byte, i int) (base, end int) {
	base = len(o.stack)
	object := jsonraw.ReadObject(b, i)
	for object.Next() {
		if o.keys++; o.keys > maxKeys || len(object.Key) > maxName {
			o.tooComplex = true
			continue // the rest has to be valid JSON all the same
		}
		m := member{name: object.Key, value: object.Value, escapes: object.ValueEscapes}
		if object.KeyEscapes != jsonraw.Plain || !o.plain(object.Key) {
			m.name, m.quoted = o.mend(object.Key)
		}
		m.print = fingerprint(m.name)
		o.push(base, m)
	}
	if object.End() == jsonraw.TooDeep {
		o.tooComplex = true
	}
	return base, object.End()
}

// push adds m, in the place of a member of the same name if there is one: the last one
// counts.
func (o *objects) push(base int, m member) {
	for j := base; j < len(o.stack); j++ {
		if o.stack[j].print == m.print && bytes.Equal(o.stack[j].name, m.name) {
			o.stack[j] = m
			return
		}
	}
	o.stack = append(o.stack, m)
}

// fingerprint tells most names apart without comparing them: their length and
// their first and last eight bytes.
func fingerprint(name []byte) uint64 {
	n := len(name)
	if n >= 8 {
		head, tail := binary.LittleEndian.Uint64(name), binary.LittleEndian.Uint64(name[n-8:])
		return head*31 ^ tail ^ uint64(n)<<56
	}
	var x uint64
	for _, c := range name {
		x = x<<8 | uint64(c)
	}
	return x ^ uint64(n)<<56
}

// plain says whether a name without escapes can stay as it is.
func (o *objects) plain(name []byte) bool {
	if o.dropDollar && len(name) > 0 && name[0] == '$' {
		return false
	}
	return !o.mendNames || len(name) > 0 && bytes.IndexByte(name, '.') < 0
}

// mend returns the text of a name, and the text as a JSON string. Dots become '_',
// for an index takes them for a path, by which "source.ip" would lead into an object of
// ours; so does the empty name, which it refuses.
func (o *objects) mend(key []byte) (name, quoted []byte) {
	start := len(o.names)
	o.names = jsonraw.Unescape(o.names, key)
	if o.dropDollar {
		for start < len(o.names) && o.names[start] == '$' {
			start++
		}
	}
	if o.mendNames && start == len(o.names) {
		o.names = append(o.names, '_')
	}
	name = o.names[start:]
	for i, c := range name {
		if c == '.' && o.mendNames {
			name[i] = '_'
		}
	}
	start = len(o.names)
	o.names = jsonraw.AppendString(o.names, name)
	return name, o.names[start:]
}

// appendName appends the name and the colon.
func (m *member) appendName(dst []byte) []byte {
	if m.quoted != nil {
		return append(append(dst, m.quoted...), ':')
	}
	dst = append(dst, '"')
	dst = append(dst, m.name...)
	return append(dst, '"', ':')
}

// appendDollarName appends the name with a dollar before it, and the colon.
func (m *member) appendDollarName(dst []byte) []byte {
	dst = append(dst, '"', '$')
	if m.quoted != nil {
		return append(append(dst, m.quoted[1:]...), ':')
	}
	dst = append(dst, m.name...)
	return append(dst, '"', ':')
}

// hasDollar says whether $name is itself a member that has been read.
func (o *objects) hasDollar(name []byte) bool {
	for i := range o.stack {
		if rest, ok := bytes.CutPrefix(o.stack[i].name, []byte{'$'}); ok && bytes.Equal(rest, name) {
			return true
		}
	}
	return false
}

// appendValue appends valid JSON, at the given depth of objects and arrays.
func (o *objects) appendValue(dst, value []byte, escapes jsonraw.Escapes, depth int) []byte {
	switch value[0] {
	case '"':
		return appendQuoted(dst, value[1:len(value)-1], escapes)
	case '{':
		return o.appendObject(dst, value, depth+1)
	case '[':
		return o.appendArray(dst, value, depth+1)
	case 't', 'f', 'n':
		return append(dst, value...)
	}
	return appendJSONNumber(dst, value)
}

func (o *objects) appendObject(dst, value []byte, depth int) []byte {
	if depth > maxDepth {
		o.tooComplex = true
		return dst
	}
	base, _ := o.read(value, 0)
	dst = append(dst, '{')
	for j := base; j < len(o.stack) && !o.tooComplex; j++ {
		m := o.stack[j] // a copy: the stack may move
		dst = o.appendValue(m.appendName(dst), m.value, m.escapes, depth)
		dst = append(dst, ',')
	}
	o.stack = o.stack[:base]
	return closeWith(dst, '}')
}

func (o *objects) appendArray(dst, value []byte, depth int) []byte {
	if depth > maxDepth {
		o.tooComplex = true
		return dst
	}
	dst = append(dst, '[')
	a := jsonraw.ReadArray(value, 0)
	for {
		i, ok := a.Next()
		if !ok || o.tooComplex {
			return closeWith(dst, ']')
		}
		end, escapes := jsonraw.String(value, i)
		if end < 0 {
			end = jsonraw.Skip(value, i)
		}
		dst = o.appendValue(dst, value[i:end], escapes, depth)
		dst = append(dst, ',')
		a.Took(end)
	}
}

// closeWith puts the bracket in the place of the last comma, if there is one.
func closeWith(dst []byte, bracket byte) []byte {
	if last := len(dst) - 1; dst[last] == ',' {
		dst[last] = bracket
		return dst
	}
	return append(dst, bracket)
}

// appendQuoted appends a string by its inside. Halves of surrogate pairs are not
// passed on: an index may refuse them.
func appendQuoted(dst, inside []byte, escapes jsonraw.Escapes) []byte {
	if escapes == jsonraw.Surrogate {
		return jsonraw.AppendString(dst, jsonraw.Unescape(nil, inside))
	}
	dst = append(dst, '"')
	dst = append(dst, inside...)
	return append(dst, '"')
}
