package format

// begin returns what is written of root. What is appended to it becomes part of root
// when it is given to end.
func (f *Fields) begin(root Root) []byte {
	f.current = root
	return f.roots[root]
}

// end takes back what begin has given.
func (f *Fields) end(b []byte) { f.roots[f.current] = b }
