package torture

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
)

// names is a name server that knows one IPv4 address, of every name.
type names struct {
	mu      sync.Mutex
	address string
	missing int // questions that are answered with no such name
}

// lead has names lead to address, after some questions for which there are none.
func (n *names) lead(address string, missing int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.address, n.missing = address, missing
}

// next returns where a name leads, if it does.
func (n *names) next() (address netip.Addr, found bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.missing > 0 {
		n.missing--
		return netip.Addr{}, false
	}
	return netip.MustParseAddr(n.address), true
}

func (n *names) serve(conn net.PacketConn) {
	question := make([]byte, 512)
	for {
		size, from, err := conn.ReadFrom(question)
		if err != nil {
			return // closed
		}
		if answer := n.answer(question[:size]); answer != nil {
			_, _ = conn.WriteTo(answer, from) // a lost answer is asked for again
		}
	}
}

// The parts of a message of RFC 1035, section 4, that are in use.
const (
	headerBytes  = 12
	typeA        = 1
	flagsAnswer  = 0x8180 // recursion was desired, and is available
	noSuchName   = 3
	nameInHeader = 0xc000 | headerBytes // a pointer to the name in the question
)

// answer returns the answer to a message with one question; nil if it is none.
func (n *names) answer(message []byte) []byte {
	if len(message) < headerBytes {
		return nil
	}
	name := bytes.IndexByte(message[headerBytes:], 0) + 1
	end := headerBytes + name + 4 // its type and class
	if name == 0 || end > len(message) {
		return nil
	}
	address, found := n.next()
	flags, answers := uint16(flagsAnswer), uint16(0)
	switch {
	case !found:
		flags |= noSuchName
	case binary.BigEndian.Uint16(message[headerBytes+name:]) == typeA:
		answers = 1
	}
	answer := bytes.Clone(message[:2]) // its number
	for _, field := range []uint16{flags, 1, answers, 0, 0} {
		answer = binary.BigEndian.AppendUint16(answer, field)
	}
	answer = append(answer, message[headerBytes:end]...)
	if answers == 0 {
		return answer
	}
	for _, field := range []uint16{nameInHeader, typeA, 1, 0, 60, 4} { // IN, for 60 s, four bytes
		answer = binary.BigEndian.AppendUint16(answer, field)
	}
	return append(answer, address.AsSlice()...)
}
