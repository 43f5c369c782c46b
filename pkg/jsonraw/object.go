package jsonraw

// Object iterates over the members of one JSON object and checks it on the way:
//
//	o := jsonraw.ReadObject(b, 0)
//	for o.Next() {
//		use(o.Key, o.Value)
//	}
//	if o.End() < 0 { // not valid, whatever was seen before
//
// Members come in the order of the text, repeated keys included.
type Object struct {
	// Key is the inside of the key's string, KeyEscapes how it is written.
	Key        []byte
	KeyEscapes Escapes
	// Value is the text of the value, a string with its quotes. Its first byte
	// says what it is.
	Value []byte
	// ValueEscapes says how the value is written if it is a string.
	ValueEscapes Escapes

	b    []byte
	i    int // the next key, or the end once done
	done bool
}

// ReadObject starts at the '{' that b[i] has to be.
func ReadObject(b []byte, i int) Object {
	o := Object{b: b, i: -1, done: true}
	if i < len(b) && b[i] == '{' {
		o.i, o.done = Space(b, i+1), false
		if o.i < len(b) && b[o.i] == '}' {
			o.i, o.done = o.i+1, true
		}
	}
	return o
}

// Next reads the next member, or returns false after the last or a bad one.
func (o *Object) Next() bool {
	if o.done {
		return false
	}
	end, esc := String(o.b, o.i)
	if end < 0 {
		return o.fail()
	}
	o.Key, o.KeyEscapes = o.b[o.i+1:end-1], esc
	start := colon(o.b, end)
	if start < 0 {
		return o.fail()
	}
	o.ValueEscapes = Plain
	if start < len(o.b) && o.b[start] == '"' {
		end, o.ValueEscapes = String(o.b, start)
	} else {
		end = skip(o.b, start, 1)
	}
	if end < 0 {
		return o.fail()
	}
	o.Value = o.b[start:end]
	more := false
	o.i, more = next(o.b, end, '}')
	o.done = !more
	return o.i >= 0
}

func (o *Object) fail() bool {
	o.i, o.done = -1, true
	return false
}

// End returns the index after the object when Next has returned false, or -1 if
// the text is not valid.
func (o *Object) End() int { return o.i }

// Inside returns the inside of value if it is a string.
func Inside(value []byte) (inside []byte, ok bool) {
	if len(value) < 2 || value[0] != '"' {
		return nil, false
	}
	return value[1 : len(value)-1], true
}
