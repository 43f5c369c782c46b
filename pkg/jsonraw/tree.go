package jsonraw

import (
	"bytes"
	"encoding/binary"
)

// Member is one member of a JSON object that a Tree has read, by its place in the text.
type Member struct {
	Print uint64 // Fingerprint of its key
	// Start is the quote of the key, End the index after the value.
	Start, End    int32
	keyEnd, value int32 // index after the key's string, start of the value
	Object        int32 // where the object begins that the member is in
	Inner         int32 // so many of the members that follow stand inside the value
	First         byte  // of the value: it says what the value is
	KeyEscapes    Escapes
	shape
}

// shape is what is known of a value, or of a member.
type shape struct {
	Escapes Escapes // of a string
	Height  uint8   // how deep arrays and objects nest; 0: it is neither
	// Exact says that the member stands in the text as JSON.stringify(JSON.parse(text))
	// would write it, but for names that stand twice: no white space, no escapes in
	// names, no half of a surrogate pair, no numbers but whole ones of up to 15 digits.
	// All that is inside the value is Exact then, too.
	Exact bool
}

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

	text  []byte
	marks []uint32
	next  int // place in marks
}

// maxMembers bounds how many members a Tree keeps: 10 MiB of them, more than an event of
// 1 MiB can have. Of an object with more, those of the first level are kept up to the
// limit's double. keepMembers is how many it keeps room for.
const (
	maxMembers  = 1 << 18
	keepMembers = 1 << 13
)

// Read reads the object at text[i] and returns the index after it, or Invalid or
// TooDeep. Members then has what was read before the fault: whole members only.
//
// marks are those of an Unquoter, or nil: with them most strings need not be looked
// through for their end.
func (t *Tree) Read(text []byte, i int, marks []uint32) (end int) {
	if cap(t.Members) > keepMembers {
		t.Members = nil
	}
	t.Members, t.text, t.marks, t.next = t.Members[:0], text, marks, 0
	end, _ = t.object(i, 1)
	return end
}

// stringAt is String for the strings of t.text in their order.
func (t *Tree) stringAt(i int) (end int, esc Escapes) {
	for t.next < len(t.marks) && int(t.marks[t.next]) <= i {
		t.next++
	}
	if t.next < len(t.marks) && i < len(t.text) && t.text[i] == '"' {
		if end := int(t.marks[t.next]); t.text[end] == '"' {
			return end + 1, Plain
		}
	}
	return String(t.text, i)
}

// object reads the object at text[i]: its end and its shape.
func (t *Tree) object(i, depth int) (int, shape) {
	if depth > MaxDepth {
		return TooDeep, shape{}
	}
	object := int32(i)
	i, done, exact := t.open(i, '{')
	all := shape{Height: 1, Exact: exact}
	for !done {
		keyEnd, keyEscapes := t.stringAt(i)
		if keyEnd < 0 {
			return Invalid, shape{}
		}
		start := colon(t.text, keyEnd)
		if start < 0 {
			return Invalid, shape{}
		}
		at := t.begin(depth)
		end, value := t.valueAt(start, depth)
		if end < 0 {
			t.Members = t.Members[:min(at, len(t.Members))]
			return end, shape{}
		}
		value.Exact = value.Exact && start == keyEnd+1 && keyEscapes == Plain
		all.add(value)
		if at < len(t.Members) {
			// Field by field: putting the whole together elsewhere costs three times as much.
			m := &t.Members[at]
			m.Print = Fingerprint(t.text[i+1 : keyEnd-1])
			m.Start, m.keyEnd, m.value, m.End = int32(i), int32(keyEnd), int32(start), int32(end)
			m.Object, m.Inner = object, int32(len(t.Members)-at-1)
			m.First, m.KeyEscapes, m.shape = t.text[start], keyEscapes, value
		} else {
			all.Exact = false // what is not there cannot be looked at
		}
		i, done = t.step(end, '}', &all.Exact)
	}
	return i, all
}

// begin makes room for a member and returns its place, where nothing is if there are
// too many.
func (t *Tree) begin(depth int) (at int) {
	at = len(t.Members)
	if at < maxMembers || depth == 1 && at < 2*maxMembers {
		t.Members = append(t.Members, Member{})
	}
	return at
}

// valueAt reads the value at text[i].
func (t *Tree) valueAt(i, depth int) (end int, s shape) {
	if i >= len(t.text) {
		return Invalid, shape{}
	}
	switch t.text[i] {
	case '"':
		end, s.Escapes = t.stringAt(i)
		s.Exact = s.Escapes != Surrogate
	case '{':
		return t.object(i, depth+1)
	case '[':
		return t.array(i, depth+1)
	case 't', 'f', 'n':
		end, s.Exact = Skip(t.text, i), true
	default:
		end = number(t.text, i)
		s.Exact = end >= 0 && end-i <= exactDigits && allDigits(t.text[i:end])
	}
	return end, s
}

func (t *Tree) array(i, depth int) (int, shape) {
	if depth > MaxDepth {
		return TooDeep, shape{}
	}
	i, done, exact := t.open(i, '[')
	all := shape{Height: 1, Exact: exact}
	for !done {
		end, element := t.valueAt(i, depth)
		if end < 0 {
			return end, shape{}
		}
		all.add(element)
		i, done = t.step(end, ']', &all.Exact)
	}
	return i, all
}

// add adds what is inside an array or object.
func (s *shape) add(inner shape) {
	s.Exact = s.Exact && inner.Exact
	s.Height = max(s.Height, inner.Height+1)
}

// open is the function open; exact says that there is no white space.
func (t *Tree) open(i int, bracket byte) (next int, done, exact bool) {
	next, done = open(t.text, i, bracket)
	return next, done, next == i+1 || done && next == i+2
}

// step is the function step; it takes exact back where there is white space.
func (t *Tree) step(end int, closing byte, exact *bool) (next int, done bool) {
	next, done = step(t.text, end, closing)
	*exact = *exact && next == end+1
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

// Repeated says whether a name stands twice in one object among members, which a
// Tree has read from text. A name with escapes may be another's twin, and counts as one.
func Repeated(text []byte, members []Member) bool {
	// A filter of one bit a name keeps nearly all of them from being compared.
	var seen [4]uint64
	for i := range members {
		m := &members[i]
		if m.KeyEscapes != Plain {
			return true
		}
		hash := (m.Print ^ uint64(m.Object)) * golden
		word, bit := hash>>62, uint64(1)<<(hash>>56&63)
		if seen[word]&bit != 0 && hasTwin(text, members[:i], m) {
			return true
		}
		seen[word] |= bit
	}
	return false
}

// hasTwin says whether one of members has m's name in m's object.
func hasTwin(text []byte, members []Member, m *Member) bool {
	for i := range members {
		if o := &members[i]; o.Object == m.Object && o.Print == m.Print && bytes.Equal(o.Key(text), m.Key(text)) {
			return true
		}
	}
	return false
}

// golden spreads fingerprints: 2^64 by the golden ratio.
const golden = 0x9e3779b97f4a7c15

// Fingerprint tells most names apart without comparing them: their length and
// their first and last eight bytes.
func Fingerprint(name []byte) uint64 {
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
