package jsonraw

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

// add adds what is inside an array or object.
func (s *shape) add(inner shape) {
	s.traits &= inner.traits
	s.Height = max(s.Height, inner.Height+1)
}

// Within returns the members of the object that is the value of members[i]; none if it
// is another value.
func Within(members []Member, i int) []Member {
	if m := &members[i]; m.First == '{' {
		return members[i+1:][:m.Inner]
	}
	return nil
}
