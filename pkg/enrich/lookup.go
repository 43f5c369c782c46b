package enrich

import "net/netip"

// Lookup answers from caches of its own. One goroutine uses it at a time.
type Lookup struct {
	enricher  *Enricher // nil: addresses and scopes only
	databases *databases
	addresses cache[*Address]
	agents    cache[string]
	credit    int // what may be spent on parsing user agents
}

// Address is what is known about one address.
type Address struct {
	IP      netip.Addr
	Text    string // the address in its canonical form
	Scope   Scope
	Members string // JSON members `"address":"…","ip":"…","scope":"…",` and, where known, `"geo":{…},"as":{…},`
}

// The bounds of a worker's caches: 16,384 addresses of about 480 bytes with their
// members are 7.5 MiB, 4,096 user agents of about 350 bytes 1.5 MiB.
const (
	maxAddresses = 16_384
	maxAgents    = 4096
)

// Lookup returns the caches of one worker. A nil Enricher gives one that knows
// addresses and their scopes only.
func (e *Enricher) Lookup() *Lookup {
	return &Lookup{
		enricher:  e,
		addresses: newCache[*Address](maxAddresses),
		agents:    newCache[string](maxAgents),
		credit:    maxCredit,
	}
}

// Address returns what is known about the address that text holds, or nil when it
// holds none.
func (l *Lookup) Address(text []byte) *Address {
	if len(text) < 2 || len(text) > maxAddress {
		return nil
	}
	l.refresh()
	if a, ok := l.addresses.get(text); ok {
		return a
	}
	ip, ok := ParseAddr(text)
	if !ok {
		return nil
	}
	a := &Address{IP: ip, Text: ip.String(), Scope: ScopeOf(ip)}
	a.Members = `"address":"` + a.Text + `","ip":"` + a.Text + `","scope":"` + a.Scope.String() + `",`
	if a.Scope == Public && l.databases != nil {
		a.Members += string(l.databases.appendMembers(nil, ip))
	}
	l.addresses.put(text, a)
	return a
}

// refresh forgets all addresses when a database was reloaded.
func (l *Lookup) refresh() {
	if l.enricher == nil {
		return
	}
	if current := l.enricher.current.Load(); current != l.databases {
		l.databases = current
		l.addresses.clear()
	}
}
