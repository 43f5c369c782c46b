package enrich

import "net/netip"

// Lookup answers from caches of its own. One goroutine uses it at a time.
type Lookup struct {
	addresses cache[*Address]
}

// Address is what is known about one address.
type Address struct {
	IP      netip.Addr
	Text    string // the address in its canonical form
	Scope   Scope
	Members string // JSON members `"geo":{…},"as":{…},`, or empty
}

// maxAddresses bounds a worker's cache of addresses: 16,384 of about 400 bytes
// are 6 MiB.
const maxAddresses = 16_384

// Lookup returns the caches of one worker. A nil Enricher gives one that knows
// addresses and their scopes only.
func (e *Enricher) Lookup() *Lookup {
	return &Lookup{addresses: newCache[*Address](maxAddresses)}
}

// Address returns what is known about the address that text holds, or nil when
// it holds none.
func (l *Lookup) Address(text []byte) *Address {
	if len(text) < 2 || len(text) > maxAddress {
		return nil
	}
	if a, ok := l.addresses.get(text); ok {
		return a
	}
	ip, ok := ParseAddr(text)
	if !ok {
		return nil
	}
	a := &Address{IP: ip, Text: ip.String(), Scope: ScopeOf(ip)}
	l.addresses.put(text, a)
	return a
}

// UserAgent returns JSON members for a user agent string, or nothing.
func (l *Lookup) UserAgent([]byte) string { return "" }
