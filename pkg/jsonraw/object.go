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
	// says what it is. ValueEscapes says how it is written if it is a string.
	Value        []byte
	ValueEscapes Escapes

	b    []byte
	i    int // the next key, or the end once done
	done bool
}

// ReadObject starts at the '{' that b[i] has to be.
func ReadObject(b []byte, i int) Object {
	o := Object{b: b}
	o.i, o.done = open(b, i, '{')
	return o
}

// Next reads the next member, or returns false after the last or a bad one.
func (o *Object) Next() bool {
	start, ok := o.NextKey()
	return ok && o.ReadValue(start)
}

// ReadValue reads the value after NextKey, or returns false for a bad one.
func (o *Object) ReadValue(start int) bool {
	var end int
	o.ValueEscapes = Plain
	if start < len(o.b) && o.b[start] == '"' {
		end, o.ValueEscapes = String(o.b, start)
	} else {
		end = skip(o.b, start, 1)
	}
	if end >= 0 {
		o.Value = o.b[start:end]
	}
	o.Took(end)
	return end >= 0
}

// NextKey reads the next key only, for a caller who reads the value at start
// himself, so that it is scanned once; he calls Took or ReadValue before the next call.
func (o *Object) NextKey() (start int, ok bool) {
	if o.done {
		return Invalid, false
	}
	end, esc := String(o.b, o.i)
	if end >= 0 {
		start = colon(o.b, end)
	}
	if end < 0 || start < 0 {
		o.i, o.done = Invalid, true
		return Invalid, false
	}
	o.Key, o.KeyEscapes = o.b[o.i+1:end-1], esc
	return start, true
}

// Took says where the value after NextKey ended, negative if it was bad.
func (o *Object) Took(end int) {
	if end >= 0 && end+1 < len(o.b) && o.b[end] == ',' && o.b[end+1] == '"' {
		o.i = end + 1 // the usual case without a call
		return
	}
	o.i, o.done = step(o.b, end, '}')
}

// End returns the index after the object when Next or NextKey has returned
// false, or Invalid or TooDeep.
func (o *Object) End() int { return o.i }

// Array iterates over the elements of one JSON array as NextKey does over an
// object's members.
type Array struct {
	b    []byte
	i    int
	done bool
}

// ReadArray starts at the '[' that b[i] has to be.
func ReadArray(b []byte, i int) Array {
	a := Array{b: b}
	a.i, a.done = open(b, i, '[')
	return a
}

// Next returns where the next element starts. The caller reads it and calls Took.
func (a *Array) Next() (start int, ok bool) { return a.i, !a.done }

// Took says where the element ended, negative if it was bad.
func (a *Array) Took(end int) { a.i, a.done = step(a.b, end, ']') }

// End returns the index after the array when Next has returned false, or Invalid or
// TooDeep.
func (a *Array) End() int { return a.i }

// Inside returns the inside of value if it is a string.
func Inside(value []byte) (inside []byte, ok bool) {
	if len(value) < 2 || value[0] != '"' {
		return nil, false
	}
	return value[1 : len(value)-1], true
}
