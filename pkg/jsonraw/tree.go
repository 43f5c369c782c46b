package jsonraw

import "bytes"

// Member is one member of a JSON object that a Tree has read, by its place in the text.
type Member struct {
	// Start is the quote of the key, End the index after the value.
	Start, End    int32
	keyEnd, value int32 // index after the key's string, start of the value
	Inner         int32 // so many of the members that follow stand inside the value
	Name          Name  // of its key; 0 for one with escapes
	KeyEscapes    Escapes
	First         byte // of the value: it says what the value is
	shape
}

// shape is what is known of a value, or of a member.
type shape struct {
	Escapes Escapes // of a string
	Height  uint8   // how deep arrays and objects nest; 0: it is neither
	traits  traits
}

// traits are what a member and all that is inside its value have in common.
type traits uint8

const (
	exact     traits = 1 << iota // see Member.Exact
	unique                       // see Member.Unique
	simple                       // see Member.Simple
	allTraits = exact | unique | simple
)

// Exact says that the member stands in the text as JSON.stringify(JSON.parse(text))
// would write it, but for names that stand twice: no white space, no escapes in
// names, no half of a surrogate pair, no numbers but whole ones of up to 15 digits.
// All that is inside the value is Exact then, too.
func (m *Member) Exact() bool { return m.traits&exact != 0 }

// Unique says that no name stands twice in an object inside the value. A name with escapes
// may be another's twin, and counts as one; so does what would take too long to compare.
func (m *Member) Unique() bool { return m.traits&unique != 0 }

// Simple says that the member is Exact and Unique, and that of its name and those inside
// its value none is empty, has a dot or is long.
func (m *Member) Simple() bool { return m.traits == allTraits }

// Key returns the inside of the key's string.
func (m *Member) Key(text []byte) []byte { return text[m.Start+1 : m.keyEnd-1] }

// Label returns the key's string and its colon, and false where white space is between.
func (m *Member) Label(text []byte) (label []byte, ok bool) {
	return text[m.Start:m.value], m.value == m.keyEnd+1
}

// Value returns the text of the value, a string with its quotes.
func (m *Member) Value(text []byte) []byte { return text[m.value:m.End] }

// Tree is one JSON object, read in one pass: its members in the order of the text,
// repeated names included, those of nested objects right after the member that
// they stand in. To go through one level:
//
//	for i := 0; i < len(members); i += 1 + int(members[i].Inner) {
//		use(members[i], jsonraw.Within(members, i))
//	}
//
// It is to be reused; Members is valid until the next Read.
type Tree struct {
	Members []Member
	// Unique is what Member.Unique is of an object: no name stands twice in it.
	Unique bool

	text  []byte
	marks []uint32
	next  int // place in marks
	names *Names
}

const (
	// maxMembers bounds how many members a Tree keeps: 8 MiB of them, more than an event of
	// 1 MiB can have. Of an object with more, those of the first level are kept up to the
	// limit's double. keepMembers is how many it keeps room for.
	maxMembers  = 1 << 18
	keepMembers = 1 << 13
	// maxCompared is how many members' names are compared at most, for each may have to be
	// compared with all before it: a millisecond.
	maxCompared = 1000
	// maxSimpleName is the length of a name that is not yet long.
	maxSimpleName = 256
)

// Read reads the object at text[i] and returns the index after it, or Invalid or
// TooDeep. Members then has what was read before the fault: whole members only.
//
// marks are those of an Unquoter, or nil: with them most strings need not be looked
// through for their end. names are those that Member.Name can be; there need not be any.
func (t *Tree) Read(text []byte, i int, marks []uint32, names *Names) (end int) {
	if cap(t.Members) > keepMembers {
		t.Members = nil
	}
	t.Members, t.text, t.marks, t.next, t.names = t.Members[:0], text, marks, 0, names
	end, s := t.object(i, 1)
	t.Unique = s.traits&unique != 0
	return end
}

// stringAt is String for the strings of t.text in their order.
func (t *Tree) stringAt(i int) (end int, esc Escapes) {
	if k := t.next; k+1 < len(t.marks) && int(t.marks[k]) == i && t.text[i] == '"' {
		if end := int(t.marks[k+1]); t.text[end] == '"' {
			t.next = k + 2
			return end + 1, Plain
		}
	}
	end, esc = String(t.text, i)
	for t.next < len(t.marks) && int(t.marks[t.next]) < end {
		t.next++
	}
	return end, esc
}

// object reads the object at text[i]: its end and its shape.
func (t *Tree) object(i, depth int) (int, shape) {
	if depth > MaxDepth {
		return TooDeep, shape{}
	}
	first, names := len(t.Members), nameSet{}
	i, done, whole := t.open(i, '{')
	for !done {
		if i, done = t.texts(i, &names, first, &whole); done {
			break
		}
		keyEnd, keyEscapes := t.stringAt(i)
		start := t.colon(keyEnd)
		if start < 0 {
			return Invalid, shape{}
		}
		at := t.begin(depth)
		end, value := t.valueAt(start, depth)
		if end < 0 {
			t.Members = t.Members[:min(at, len(t.Members))]
			return end, shape{}
		}
		if start != keyEnd+1 {
			value.traits &^= exact
		}
		if at < len(t.Members) {
			// Field by field: putting the whole together elsewhere costs three times as much.
			m := &t.Members[at]
			m.Start, m.keyEnd, m.value, m.End = int32(i), int32(keyEnd), int32(start), int32(end)
			m.Inner = int32(len(t.Members) - at - 1)
			m.First, m.KeyEscapes, m.shape = t.text[start], keyEscapes, value
			if !t.look(m, &names, first, at) {
				whole.traits &^= unique
			}
			value.traits = m.traits
		} else {
			value.traits = 0 // what is not there cannot be looked at
		}
		whole.add(value)
		i, done = t.step(end, '}', &whole)
	}
	return i, whole
}

// texts reads members from text[i] on as long as they are the usual ones, "name":"text"
// with nothing to be unescaped. It returns the start of the next member, or once done
// the index after the object.
func (t *Tree) texts(i int, names *nameSet, first int, whole *shape) (next int, done bool) {
	text, k := t.text, t.next
	for k+4 <= len(t.marks) {
		q := t.marks[k:][:4]
		key, keyEnd, value, end := int(q[0]), int(q[1]), int(q[2]), int(q[3])
		if key != i || value != keyEnd+2 || end+1 >= len(text) || text[keyEnd+1] != ':' ||
			text[key]^'"'|text[keyEnd]^'"'|text[value]^'"'|text[end]^'"' != 0 {
			break
		}
		after := text[end+1]
		if after != ',' && after != '}' {
			break
		}
		at := len(t.Members)
		if at >= cap(t.Members) || at >= maxMembers {
			break
		}
		t.Members = t.Members[:at+1]
		m := &t.Members[at]
		m.Start, m.keyEnd, m.value, m.End = int32(key), int32(keyEnd)+1, int32(value), int32(end)+1
		m.Inner, m.First, m.KeyEscapes, m.shape = 0, '"', Plain, shape{traits: allTraits}
		if !t.look(m, names, first, at) {
			whole.traits &^= unique
		}
		whole.traits &= m.traits
		i, k = end+2, k+4
		if after == '}' {
			t.next = k
			return i, true
		}
	}
	t.next = k
	return i, false
}

// look looks at the name of the member m = t.Members[at], of the object whose members
// start at first, and says whether it is new among names, those before it.
func (t *Tree) look(m *Member, names *nameSet, first, at int) (isNew bool) {
	m.Name = 0
	if m.KeyEscapes != Plain {
		m.traits &^= exact | simple
		return false
	}
	name, hash := t.names.find(t.text, int(m.Start)+1, int(m.keyEnd)-1)
	m.Name = name
	bit := uint8(name)
	if name == 0 {
		bit = uint8(hash >> 56)
		if !isSimple(m.Key(t.text)) {
			m.traits &^= simple
		}
	}
	return names.add(bit) || at < maxCompared && !t.hasTwin(first, at)
}

// nameSet is a filter of one bit a name, which keeps nearly all of them from being compared.
type nameSet [4]uint64

// add says whether the bit was not there yet.
func (s *nameSet) add(bit uint8) bool {
	word, mask := &s[bit>>6], uint64(1)<<(bit&63)
	isNew := *word&mask == 0
	*word |= mask
	return isNew
}

// hasTwin says whether the object whose members start at first has one of the same name
// before that at the given place.
func (t *Tree) hasTwin(first, at int) bool {
	key := t.Members[at].Key(t.text)
	for i := first; i < at; i += 1 + int(t.Members[i].Inner) {
		if bytes.Equal(t.Members[i].Key(t.text), key) {
			return true
		}
	}
	return false
}

// isSimple says whether a name is neither empty nor long and has no dot.
func isSimple(name []byte) bool {
	return len(name) > 0 && len(name) <= maxSimpleName && bytes.IndexByte(name, '.') < 0
}

// colon steps from the end of a key, negative if that was bad, to the value, or returns -1.
func (t *Tree) colon(end int) int {
	if end > 0 && end+1 < len(t.text) && t.text[end] == ':' && t.text[end+1] > ' ' {
		return end + 1 // the usual case without a call
	}
	if end < 0 {
		return Invalid
	}
	return colon(t.text, end)
}

// begin makes room for a member and returns its place, where nothing is if there are
// too many.
func (t *Tree) begin(depth int) (at int) {
	at = len(t.Members)
	switch {
	case at >= maxMembers && (depth > 1 || at >= 2*maxMembers):
	case at < cap(t.Members):
		t.Members = t.Members[:at+1]
	default:
		t.Members = append(t.Members, Member{})
	}
	return at
}

// valueAt reads the value at text[i].
func (t *Tree) valueAt(i, depth int) (end int, s shape) {
	if i >= len(t.text) {
		return Invalid, shape{}
	}
	s.traits = allTraits
	switch t.text[i] {
	case '"':
		end, s.Escapes = t.stringAt(i)
		if s.Escapes == Surrogate {
			s.traits &^= exact
		}
	case '{':
		return t.object(i, depth+1)
	case '[':
		return t.array(i, depth+1)
	case 't', 'f', 'n':
		end = Skip(t.text, i)
	default:
		end = number(t.text, i)
		if end < 0 || end-i > exactDigits || !allDigits(t.text[i:end]) {
			s.traits &^= exact
		}
	}
	return end, s
}

func (t *Tree) array(i, depth int) (int, shape) {
	if depth > MaxDepth {
		return TooDeep, shape{}
	}
	i, done, whole := t.open(i, '[')
	for !done {
		end, element := t.valueAt(i, depth)
		if end < 0 {
			return end, shape{}
		}
		whole.add(element)
		i, done = t.step(end, ']', &whole)
	}
	return i, whole
}

// add adds what is inside an array or object.
func (s *shape) add(inner shape) {
	s.traits &= inner.traits
	s.Height = max(s.Height, inner.Height+1)
}

// open is the function open, with the shape of what has nothing in it yet.
func (t *Tree) open(i int, bracket byte) (next int, done bool, s shape) {
	next, done = open(t.text, i, bracket)
	s = shape{Height: 1, traits: allTraits}
	if next != i+1 && (!done || next != i+2) {
		s.traits &^= exact
	}
	return next, done, s
}

// step is the function step; an array or object with white space is not exact.
func (t *Tree) step(end int, closing byte, s *shape) (next int, done bool) {
	if end+1 < len(t.text) { // the usual cases without a call
		switch c := t.text[end]; {
		case c == ',' && t.text[end+1] > ' ':
			return end + 1, false
		case c == closing:
			return end + 1, true
		}
	}
	next, done = step(t.text, end, closing)
	if next != end+1 {
		s.traits &^= exact
	}
	return next, done
}

// exactDigits is how many decimal digits a float64 always keeps.
const exactDigits = 15

func allDigits(b []byte) bool {
	for _, c := range b {
		if !isDigit(c) {
			return false
		}
	}
	return true
}

// Within returns the members of the object that is the value of members[i]; none if it
// is another value.
func Within(members []Member, i int) []Member {
	if m := &members[i]; m.First == '{' {
		return members[i+1:][:m.Inner]
	}
	return nil
}
