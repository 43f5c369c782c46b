package enrich

import (
	"crypto/sha1" // the specification says so; nothing is secured by it
	"encoding/base64"
	"encoding/binary"
	"net/netip"
)

// Flow is what identifies a conversation between two hosts.
type Flow struct {
	Source, Destination         netip.Addr
	SourcePort, DestinationPort uint16
	Protocol                    uint8 // IANA number
}

// The protocols that have ports.
const (
	protocolTCP  = 6
	protocolUDP  = 17
	protocolSCTP = 132
)

// AppendCommunityID appends version 1 of the community id with seed 0
// (github.com/corelight/community-id-spec), which is the same for both directions,
// so that one search finds a conversation in the logs of all tools. It is not
// defined for ICMP without its type and code: use HasCommunityID.
func (f Flow) AppendCommunityID(dst []byte) []byte {
	if f.reversed() {
		f.Source, f.Destination = f.Destination, f.Source
		f.SourcePort, f.DestinationPort = f.DestinationPort, f.SourcePort
	}
	var array [2 + 16 + 16 + 2 + 2 + 2]byte
	b := append(array[:0], 0, 0) // the seed
	b = appendAddr(b, f.Source)
	b = appendAddr(b, f.Destination)
	b = append(b, f.Protocol, 0)
	if f.hasPorts() {
		b = binary.BigEndian.AppendUint16(b, f.SourcePort)
		b = binary.BigEndian.AppendUint16(b, f.DestinationPort)
	}
	sum := sha1.Sum(b)
	return base64.StdEncoding.AppendEncode(append(dst, "1:"...), sum[:])
}

// HasCommunityID says whether f has an id: both addresses are of one family, and
// the protocol is not ICMP.
func (f Flow) HasCommunityID() bool {
	const icmp, icmp6 = 1, 58
	return f.Source.IsValid() && f.Source.Is4() == f.Destination.Is4() && f.Protocol != icmp && f.Protocol != icmp6
}

func (f Flow) hasPorts() bool {
	return f.Protocol == protocolTCP || f.Protocol == protocolUDP || f.Protocol == protocolSCTP
}

// reversed says whether the smaller end is the destination.
func (f Flow) reversed() bool {
	if c := f.Source.Compare(f.Destination); c != 0 {
		return c > 0
	}
	return f.hasPorts() && f.SourcePort > f.DestinationPort
}

func appendAddr(b []byte, addr netip.Addr) []byte {
	if addr.Is4() {
		octets := addr.As4()
		return append(b, octets[:]...)
	}
	octets := addr.As16()
	return append(b, octets[:]...)
}
