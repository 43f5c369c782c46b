package jsonraw

import "bytes"

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
	// Keys come in the same order in one event after the other. These are the names that
	// came last as the first key of the object that is the value of a name, and as the next
	// key after a name, by the depth of the object.
	firsts  [256]Name
	follows [4][256]Name
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
	if t.names != names {
		*t = Tree{Members: t.Members, names: names} // what is noted was numbered otherwise
	}
	t.Members, t.text, t.marks, t.next = t.Members[:0], text, marks, 0
	end, s := t.object(i, 1, 0)
	t.Unique = s.traits&unique != 0
	return end
}

// stringAt is String for the strings of t.text in their order.
func (t *Tree) stringAt(i int) (end int, esc Escapes) {
	if end = t.plainAt(i); end >= 0 {
		return end, Plain
	}
	end, esc = String(t.text, i)
	for t.next < len(t.marks) && int(t.marks[t.next]) < end {
		t.next++
	}
	return end, esc
}

// level is an object that is being read.
type level struct {
	shape         // of what was read of it
	depth int     // 1: it is in no other
	first int     // place of its first member
	seen  nameSet // of its keys
	last  Name    // of its last key
	guess *Name   // where the name is noted that the next key had the last time
}

// object reads the object at text[i], which is the value of a member of the given name: its
// end and its shape.
func (t *Tree) object(i, depth int, name Name) (int, shape) {
	if depth > MaxDepth {
		return TooDeep, shape{}
	}
	l := level{depth: depth, first: len(t.Members), guess: &t.firsts[name]}
	i, done := t.open(i, '{', &l.shape)
	for !done {
		next, at, start := t.guessed(i, &l)
		if at == ended {
			return next, l.shape
		}
		if at == none {
			at = len(t.Members)
			if start = t.key(next, &l); start < 0 {
				return Invalid, shape{}
			}
		}
		end, value := t.valueAt(start, depth, l.last)
		if end < 0 {
			t.Members = t.Members[:min(at, len(t.Members))]
			return end, shape{}
		}
		if at < len(t.Members) {
			m := &t.Members[at]
			m.End, m.Inner = int32(end), int32(len(t.Members)-at-1)
			value.traits &= m.traits
			m.shape = value
		} else {
			value.traits = 0 // what is not there cannot be looked at
		}
		l.add(value)
		i, done = t.step(end, '}', &l.shape)
	}
	return i, l.shape
}

// No places of a member.
const (
	none  = -1
	ended = -2 // the object has ended
)

// guessed reads members from text[i] on as long as their keys are the guessed ones, which
// takes one comparison of "name": for each, and their values are texts with nothing to be
// unescaped. Most are. It returns the place of the first member whose value is another,
// and the start of that, or else none and the start of the next key, or ended and the end
// of the object.
func (t *Tree) guessed(i int, l *level) (next, at, start int) {
	text, k, guess, follows := t.text, t.next, l.guess, &t.follows[l.depth%len(t.follows)]
	for at = none; at == none; {
		name, place := *guess, len(t.Members)
		if name == 0 || k+2 > len(t.marks) || int(t.marks[k]) != i || place == cap(t.Members) || place >= maxMembers {
			break
		}
		label := t.names.labels[name]
		if start = i + len(label); start >= len(text) || text[start] <= ' ' || string(text[i:start]) != label {
			break
		}
		t.Members = t.Members[:place+1]
		m := &t.Members[place]
		m.Start, m.keyEnd, m.value = int32(i), int32(start-1), int32(start)
		m.Inner, m.Name, m.First, m.KeyEscapes, m.shape = 0, name, text[start], Plain, shape{traits: allTraits}
		guess, l.last = &follows[name], name
		if !l.seen.add(uint8(name)) {
			t.twin(l, place)
		}
		k, at = k+2, place
		if k+2 > len(t.marks) || int(t.marks[k]) != start || text[start] != '"' {
			break
		}
		end := int(t.marks[k+1]) + 1
		switch {
		case end+1 >= len(text) || text[end-1] != '"':
		case text[end] == ',' && text[end+1] == '"':
			m.End, i, k, at = int32(end), end+1, k+2, none
		case text[end] == '}':
			m.End, i, k, at = int32(end), end+1, k+2, ended
		}
	}
	t.next, l.guess = k, guess
	return i, at, start
}

// key reads the key at text[i], and makes its member if there are not too many. It returns
// the start of the value, negative if that is no key.
func (t *Tree) key(i int, l *level) (start int) {
	end, escapes := t.stringAt(i)
	if start = t.colon(end); start < 0 || start == len(t.text) {
		return Invalid
	}
	at := t.begin(l.depth)
	if at == len(t.Members) {
		return start
	}
	m := &t.Members[at]
	m.Start, m.keyEnd, m.value = int32(i), int32(end), int32(start)
	m.KeyEscapes, m.First, m.traits = escapes, t.text[start], allTraits
	if start != end+1 {
		m.traits &^= exact
	}
	t.look(m, l, at)
	return start
}

// plainAt returns the end of the string at text[i] if the marks tell it, or else -1.
func (t *Tree) plainAt(i int) (end int) {
	k := t.next
	if k+1 >= len(t.marks) || int(t.marks[k]) != i {
		return Invalid
	}
	end = int(t.marks[k+1])
	if t.text[i] != '"' || t.text[end] != '"' {
		return Invalid
	}
	t.next = k + 2
	return end + 1
}

// look looks up the name of m, the member at the given place.
func (t *Tree) look(m *Member, l *level, at int) {
	m.Name = 0
	if m.KeyEscapes != Plain {
		m.traits &^= exact | simple
		l.traits &^= unique
	} else {
		name, hash := t.names.find(t.text, int(m.Start)+1, int(m.keyEnd)-1)
		m.Name = name
		bit := uint8(name)
		if name == 0 {
			bit = uint8(hash >> 56)
			if !isSimple(m.Key(t.text)) {
				m.traits &^= simple
			}
		}
		if !l.seen.add(bit) {
			t.twin(l, at)
		}
	}
	*l.guess = m.Name
	l.last, l.guess = m.Name, &t.follows[l.depth%len(t.follows)][m.Name]
}

// twin notes whether the member at the given place has the name of one before it.
func (t *Tree) twin(l *level, at int) {
	if l.traits&unique != 0 && (at >= maxCompared || t.hasTwin(l.first, at)) {
		l.traits &^= unique
	}
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
func (t *Tree) valueAt(i, depth int, name Name) (end int, s shape) {
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
		return t.object(i, depth+1, name)
	case '[':
		return t.array(i, depth+1, name)
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

func (t *Tree) array(i, depth int, name Name) (int, shape) {
	if depth > MaxDepth {
		return TooDeep, shape{}
	}
	var whole shape
	i, done := t.open(i, '[', &whole)
	for !done {
		end, element := t.valueAt(i, depth, name)
		if end < 0 {
			return end, shape{}
		}
		whole.add(element)
		i, done = t.step(end, ']', &whole)
	}
	return i, whole
}

// open is the function open, with the shape of what has nothing in it yet.
func (t *Tree) open(i int, bracket byte, s *shape) (next int, done bool) {
	*s = shape{Height: 1, traits: allTraits}
	if i+1 < len(t.text) && t.text[i+1] == '"' {
		return i + 1, false
	}
	next, done = open(t.text, i, bracket)
	if next != i+1 && (!done || next != i+2) {
		s.traits &^= exact
	}
	return next, done
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
