package document

import (
	"bytes"
	"slices"

	"github.com/shipperd/shipperd/pkg/cloudwatch"
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
	label   []byte // the name as a JSON string, and a colon
	kind    Kind
	value   []byte          // its text, valid JSON
	escapes jsonraw.Escapes // of the value, when it is a string
	copied  []byte          // an object or array as appendValue writes it; nil where only the text counts
	// isRun says that this stands for all members of text[start:end], which are to be
	// written just so. Nothing else is set then.
	isRun      bool
	start, end int // in the text that was read
}

// objects reads JSON objects of messages and writes them as JSON.stringify(JSON.parse(text))
// would: of repeated names the last counts, numbers are those of float64, no white
// space. Most of CloudTrail's bytes are written so already and are copied as they
// stand. Its buffers are reused. Once tooComplex is set, what was written is of no use.
type objects struct {
	table      *kindIndex
	mendNames  bool // those that an index refuses or splits; see mend
	dropDollar bool // of the names that read sees: some subscriptions write it before their fields'
	tree       jsonraw.Tree
	text       []byte            // that was read
	event      *cloudwatch.Event // whose text that is; nil for another text
	members    []member
	prints     []uint64 // of the names of members, as far as these have been settled
	seen       uint64   // a bit for each of prints
	copies     []byte   // of values
	names      []byte   // texts of names that were mended
	open       []written
	keys       int
	tooComplex bool
}

// written is a member of an object that is being written: where it starts.
type written struct {
	mark  uint64 // fingerprint of its name
	start int
}

// reset makes o ready for the next event.
func (o *objects) reset() {
	o.copies, o.names, o.keys, o.tooComplex = o.copies[:0], o.names[:0], 0, false
	o.forget()
}

// forget lets go of what was read last.
func (o *objects) forget() {
	o.members, o.prints, o.seen, o.tree.Members = o.members[:0], o.prints[:0], 0, o.tree.Members[:0]
}

// read sets members to those of the object at text[i] and returns the index after it,
// negative if that is no valid JSON. marks are those of the text, if it has any.
func (o *objects) read(text []byte, i int, marks []uint32) (end int) {
	if end = o.scan(text, i, marks); end >= 0 {
		o.addAll()
	}
	return end
}

// scan is read without setting members.
func (o *objects) scan(text []byte, i int, marks []uint32) (end int) {
	o.forget()
	o.text, o.event = text, nil
	end = o.tree.Read(text, i, marks, o.table.names)
	o.tooComplex = o.tooComplex || end == jsonraw.TooDeep
	return end
}

// addAll sets members to those that have been scanned.
func (o *objects) addAll() {
	o.members = o.members[:0]
	all := o.tree.Members
	for i := 0; i < len(all) && o.add(&all[i]); i += 1 + int(all[i].Inner) {
		o.settle()
	}
}

// add adds a member of the first level, or returns false when that is too complex.
func (o *objects) add(t *jsonraw.Member) (ok bool) {
	key := t.Key(o.text)
	if o.keys++; o.keys > maxKeys || len(key) > maxName {
		o.tooComplex = true
		return false
	}
	m := o.push()
	m.name, m.value, m.copied, m.escapes, m.isRun = key, t.Value(o.text), nil, t.Escapes, false
	m.start, m.end = int(t.Start), int(t.End)
	m.kind = o.table.kindOf(t, o.text)
	// Without white space the label stands in the text as it is to be written.
	label, tight := t.Label(o.text)
	if m.label = label; !tight || t.KeyEscapes != jsonraw.Plain || !o.plain(key, o.dropDollar) {
		m.name, m.label = o.mend(key, o.dropDollar)
		m.kind = o.table.find(m.name)
	}
	if t.Height > 0 && (m.kind == Unknown || m.kind == Object || m.kind == Objects) {
		if t.Simple() && t.Height < maxDepth && o.keys+int(t.Inner) <= maxKeys {
			o.keys += int(t.Inner)
			m.copied = m.value
		} else {
			from := len(o.copies)
			o.copies, _ = o.appendValue(o.copies, o.text, m.end-len(m.value), 1)
			m.copied = o.copies[from:]
		}
	}
	return !o.tooComplex
}

// push returns a new member, to be filled in.
func (o *objects) push() *member {
	if len(o.members) < cap(o.members) {
		o.members = o.members[:len(o.members)+1]
	} else {
		o.members = append(o.members, member{})
	}
	return &o.members[len(o.members)-1]
}

// addRun adds a member of the first level that is to be written as it stands.
func (o *objects) addRun(t *jsonraw.Member) {
	if n := len(o.members); n > 0 && o.members[n-1].isRun && o.members[n-1].end+1 == int(t.Start) {
		o.members[n-1].end = int(t.End)
		return
	}
	m := o.push()
	m.isRun, m.start, m.end = true, int(t.Start), int(t.End)
}

// settle moves the last member to the place of one of the same name if there is one.
func (o *objects) settle() {
	last := len(o.members) - 1
	mark := jsonraw.Fingerprint(o.members[last].name)
	if bit := uint64(1) << (mark >> 58); o.seen&bit == 0 {
		o.seen |= bit
	} else {
		for i, p := range o.prints {
			if p == mark && bytes.Equal(o.members[i].name, o.members[last].name) {
				o.members[i] = o.members[last]
				o.members = o.members[:last]
				return
			}
		}
	}
	o.prints = append(o.prints, mark)
}

// plain says whether a name without escapes can stay as it is.
func (o *objects) plain(name []byte, dropDollar bool) bool {
	if dropDollar && len(name) > 0 && name[0] == '$' {
		return false
	}
	if !o.mendNames {
		return true
	}
	return len(name) > 0 && bytes.IndexByte(name, '.') < 0
}

// mend returns the text of a name, and its label. Dots become '_', for an index takes
// them for a path, by which "source.ip" would lead into an object of ours; so does the
// empty name, which it refuses.
func (o *objects) mend(key []byte, dropDollar bool) (name, label []byte) {
	start := len(o.names)
	o.names = jsonraw.Unescape(o.names, key)
	if dropDollar {
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
	o.names = append(jsonraw.AppendString(o.names, name), ':')
	return name, o.names[start:]
}

// appendDollarLabel appends the label of the name with a dollar before it.
func (m *member) appendDollarLabel(dst []byte) []byte {
	return append(append(dst, '"', '$'), m.label[1:]...)
}

// hasDollar says whether $name is itself a member that has been read.
func (o *objects) hasDollar(name []byte) bool {
	for i := range o.members {
		if rest, ok := bytes.CutPrefix(o.members[i].name, []byte{'$'}); ok && bytes.Equal(rest, name) {
			return true
		}
	}
	return false
}

// appendAsText appends the text of m's value as a string. Mostly it stands so already in
// the payload: there each mark of the text has a backslash before it.
func (o *objects) appendAsText(dst []byte, m *member) []byte {
	e := o.event
	if e == nil || len(e.Text)+len(e.Marks) != len(e.Message.Inside) { // an escape is longer
		return jsonraw.AppendString(dst, m.value)
	}
	start, end := m.end-len(m.value), m.end
	before, _ := slices.BinarySearch(e.Marks, uint32(start))
	inside, _ := slices.BinarySearch(e.Marks[before:], uint32(end))
	return appendQuoted(dst, e.Message.Inside[start+before:end+before+inside], jsonraw.Escaped)
}

// appendValue checks and appends the value at b[i], which lies at the given depth of
// objects and arrays. end is negative if it is no valid JSON.
func (o *objects) appendValue(dst, b []byte, i, depth int) (_ []byte, end int) {
	if i >= len(b) {
		return dst, jsonraw.Invalid
	}
	switch b[i] {
	case '"':
		end, escapes := jsonraw.String(b, i)
		if end < 0 {
			return dst, end
		}
		return appendQuoted(dst, b[i+1:end-1], escapes), end
	case '{', '[':
		if depth == maxDepth || o.tooComplex {
			o.tooComplex = true
			return dst, jsonraw.Skip(b, i)
		}
		if b[i] == '[' {
			return o.appendArray(dst, b, i, depth+1)
		}
		return o.appendObject(dst, b, i, depth+1)
	case 't', 'f', 'n':
		if end = jsonraw.Skip(b, i); end >= 0 {
			dst = append(dst, b[i:end]...)
		}
		return dst, end
	}
	if end = jsonraw.Skip(b, i); end >= 0 {
		dst = appendJSONNumber(dst, b[i:end])
	}
	return dst, end
}

func (o *objects) appendObject(dst, b []byte, i, depth int) (_ []byte, end int) {
	first := len(o.open)
	dst = append(dst, '{')
	object := jsonraw.ReadObject(b, i)
	for {
		i, ok := object.NextKey()
		if !ok {
			break
		}
		if o.keys++; o.keys > maxKeys || len(object.Key) > maxName {
			o.tooComplex = true
		}
		name, start := object.Key, len(dst)
		if object.KeyEscapes != jsonraw.Plain || !o.plain(name, false) {
			var label []byte
			name, label = o.mend(name, false)
			dst = append(dst, label...)
		} else {
			dst = append(append(append(dst, '"'), name...), '"', ':')
		}
		dst = o.begin(dst, start, first, jsonraw.Fingerprint(name))
		dst, end = o.appendValue(dst, b, i, depth)
		dst = append(dst, ',')
		object.Took(end)
	}
	o.open = o.open[:first]
	return closeWith(dst, '}'), object.End()
}

// begin notes the member whose name was written at start, and cuts out the one
// of the same name before it, if there is one among those that are open from first on.
func (o *objects) begin(dst []byte, start, first int, mark uint64) []byte {
	if o.tooComplex {
		return dst
	}
	for j := first; j < len(o.open); j++ {
		if o.open[j].mark != mark || !bytes.HasPrefix(dst[o.open[j].start:], dst[start:]) {
			continue
		}
		from, to := o.open[j].start, start
		if j+1 < len(o.open) {
			to = o.open[j+1].start
		}
		dst = append(dst[:from], dst[to:]...)
		start -= to - from
		o.open = append(o.open[:j], o.open[j+1:]...)
		for k := j; k < len(o.open); k++ {
			o.open[k].start -= to - from
		}
		break
	}
	o.open = append(o.open, written{mark, start})
	return dst
}

func (o *objects) appendArray(dst, b []byte, i, depth int) (_ []byte, end int) {
	dst = append(dst, '[')
	a := jsonraw.ReadArray(b, i)
	for {
		i, ok := a.Next()
		if !ok {
			return closeWith(dst, ']'), a.End()
		}
		dst, end = o.appendValue(dst, b, i, depth)
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
