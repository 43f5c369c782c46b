package enrich

import (
	"bytes"
	"net/netip"
)

// maxAddress is the longest text that can be an address: 45 bytes of IPv6 with
// an IPv4 tail, and a zone of up to 16 (IF_NAMESIZE).
const maxAddress = 45 + 1 + 16

// ParseAddr reads an IPv4 or IPv6 address. An IPv6 zone is dropped, because the
// ip type of an index refuses it, and an IPv4 address inside IPv6 is unwrapped.
// IPv4 costs no allocation.
func ParseAddr(text []byte) (netip.Addr, bool) {
	if len(text) == 0 || text[0] > 'f' {
		return netip.Addr{}, false // the usual word
	}
	switch colons := bytes.Count(text, []byte(":")); {
	case colons == 0:
		return parseIPv4(text)
	case colons == 1 || len(text) > maxAddress: // a host with its port, not worth an error value
		return netip.Addr{}, false
	}
	addr, err := netip.ParseAddr(string(text))
	if err != nil {
		return netip.Addr{}, false
	}
	return addr.WithZone("").Unmap(), true
}

// parseIPv4 reads four decimal numbers. A leading zero is refused, as netip does:
// some readers take it for octal.
func parseIPv4(text []byte) (netip.Addr, bool) {
	var octets [4]byte
	i := 0
	for n := range octets {
		start, value := i, 0
		for i < len(text) && text[i]-'0' <= 9 && i-start < 3 {
			value = value*10 + int(text[i]-'0')
			i++
		}
		if i == start || value > 255 || text[start] == '0' && i-start > 1 {
			return netip.Addr{}, false
		}
		octets[n] = byte(value)
		if n < 3 {
			if i == len(text) || text[i] != '.' {
				return netip.Addr{}, false
			}
			i++
		}
	}
	return netip.AddrFrom4(octets), i == len(text)
}

// Scope is the part of the internet that an address belongs to.
type Scope uint8

// The scopes.
const (
	Public Scope = iota
	Private
	Shared // carrier-grade NAT, RFC 6598
	Loopback
	LinkLocal
	Multicast
	Unspecified
)

// String returns the scope as documents have it.
func (s Scope) String() string {
	return [...]string{"public", "private", "shared", "loopback", "link_local", "multicast", "unspecified"}[s]
}

// ScopeOf returns the scope of addr. A switch over fixed ranges, not a table: it
// runs for every address that no cache holds.
func ScopeOf(addr netip.Addr) Scope {
	switch {
	case addr.IsUnspecified():
		return Unspecified
	case addr.IsLoopback():
		return Loopback
	case addr.IsPrivate():
		return Private
	case addr.IsLinkLocalUnicast():
		return LinkLocal
	case addr.IsMulticast():
		return Multicast
	case isShared(addr):
		return Shared
	}
	return Public
}

func isShared(addr netip.Addr) bool {
	if !addr.Is4() {
		return false
	}
	octets := addr.As4()
	return octets[0] == 100 && octets[1]&0xc0 == 64
}

// Direction returns network.direction, seen from the own network: every address
// that is not public is inside.
func Direction(source, destination Scope) string {
	switch {
	case source != Public && destination != Public:
		return "internal"
	case source != Public:
		return "outbound"
	case destination != Public:
		return "inbound"
	}
	return "external"
}
