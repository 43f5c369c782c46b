package format

import "bytes"

// readHead reads what stands before the date. User names may have blanks.
func (a *access) readHead(head []byte, f *Fields) {
	first, rest := cutWord(head)
	if a.address = f.lookup.Address(first); a.address == nil {
		first, rest = a.readNoAddress(first, rest, f)
	}
	a.client = first
	a.ident, a.user = cutWord(rest)
	// Behind a load balancer, X-Forwarded-For and then its own address.
	if len(a.ident) > 1 && f.lookup.Address(a.ident) != nil {
		a.isShifted = true
		a.ident, a.user = cutWord(a.user)
	}
}

// readNoAddress reads the words up to the client in a line that does not begin with its
// address, and returns the client and what follows.
func (a *access) readNoAddress(first, rest []byte, f *Fields) (client, after []byte) {
	client, after = first, rest
	if second, behind := cutWord(rest); !isListed(first) && isVhost(first, second, f) {
		a.isShifted = true
		a.vhost = hostOf(withoutNil(first))
		client, after = second, behind
	}
	// Of a forwarded list the last is what the nearest proxy saw, the others are hearsay.
	for isListed(client) && len(after) > 0 {
		a.isShifted = true
		client, after = cutWord(after)
	}
	if a.address = f.lookup.Address(client); a.address == nil {
		address, port := f.splitPort(client)
		if a.address = f.lookup.Address(address); a.address != nil {
			a.port = port
		}
	}
	return client, after
}

// isListed says whether word stands in a list, but for the last. It is whatever the client
// sent, and so may be no address.
func isListed(word []byte) bool { return bytes.HasSuffix(word, []byte(",")) }

// isVhost says whether a line begins with the virtual host: the first word, which is no
// address, has a port or the second one is an address.
func isVhost(first, second []byte, f *Fields) bool {
	if len(second) == 0 {
		return false
	}
	if colon := bytes.LastIndexByte(first, ':'); colon > 0 {
		if _, ok := number(first[colon+1:]); ok {
			// An address and its port before nobody is the client itself.
			host, _ := f.splitPort(first)
			return len(withoutNil(second)) > 0 || f.lookup.Address(host) == nil
		}
	}
	return f.lookup.Address(second) != nil
}

// hostOf returns the host of `user:password@host:port`. An IPv6 address keeps its brackets.
func hostOf(authority []byte) []byte {
	authority = authority[bytes.LastIndexByte(authority, '@')+1:]
	if colon := bytes.LastIndexByte(authority, ':'); colon > bytes.LastIndexByte(authority, ']') {
		authority = authority[:colon]
	}
	return authority
}
