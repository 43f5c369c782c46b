package document

import (
	"encoding/binary"

	"github.com/shipperd/shipperd/pkg/jsonraw"
)

// verbatim returns the end of the object or array at b[i] where appendValue would
// write it just as it stands: no white space, no name twice and none to mend, small
// whole numbers, whole characters. Most of CloudTrail's objects are such, and take
// one copy then. Otherwise appendValue has to look.
func (o *objects) verbatim(b []byte, i, depth int) (end int, ok bool) {
	keys, open := o.keys, len(o.open)
	if end = o.valueAsIs(b, i, depth); end >= 0 {
		return end, true
	}
	o.keys, o.open = keys, o.open[:open]
	return 0, false
}

// valueAsIs returns the end of the value at b[i], or -1 for one that is not to be
// written as it stands.
func (o *objects) valueAsIs(b []byte, i, depth int) (end int) {
	if i >= len(b) {
		return -1
	}
	switch c := b[i]; {
	case c == '"':
		end, escapes := jsonraw.String(b, i)
		if escapes == jsonraw.Surrogate {
			return -1
		}
		return end
	case c == '{' && depth < maxDepth:
		return o.objectAsIs(b, i, depth+1)
	case c == '[' && depth < maxDepth:
		return o.arrayAsIs(b, i, depth+1)
	case c-'0' <= 9:
		if end = skipDigits(b, i); end-i > exactDigits || c == '0' && end-i > 1 {
			return -1
		}
		return end // a point or an exponent after it is no comma
	case c == 't' || c == 'f' || c == 'n':
		return jsonraw.Skip(b, i)
	}
	return -1
}

func (o *objects) objectAsIs(b []byte, i, depth int) (end int) {
	if i+1 < len(b) && b[i+1] == '}' {
		return i + 2
	}
	first := len(o.open)
	for {
		end, escapes := jsonraw.String(b, i+1)
		if end < 0 || end == len(b) || b[end] != ':' || escapes != jsonraw.Plain {
			return -1
		}
		name := b[i+2 : end-1]
		if o.keys++; o.keys > maxKeys || len(name) > maxName || !o.plain(name, false) {
			return -1
		}
		mark := fingerprint(name)
		for _, other := range o.open[first:] {
			if other.mark == mark {
				return -1
			}
		}
		o.open = append(o.open, written{mark: mark})
		i = o.valueAsIs(b, end+1, depth)
		if i < 0 || i == len(b) || b[i] != ',' {
			break
		}
	}
	o.open = o.open[:first]
	return closed(b, i, '}')
}

func (o *objects) arrayAsIs(b []byte, i, depth int) (end int) {
	if i+1 < len(b) && b[i+1] == ']' {
		return i + 2
	}
	for {
		i = o.valueAsIs(b, i+1, depth)
		if i < 0 || i == len(b) || b[i] != ',' {
			return closed(b, i, ']')
		}
	}
}

// closed returns the index after the bracket that b[i] has to be, or -1.
func closed(b []byte, i int, bracket byte) int {
	if i < 0 || i == len(b) || b[i] != bracket {
		return -1
	}
	return i + 1
}

// fingerprint tells most names apart without comparing them: their length and
// their first and last eight bytes.
func fingerprint(name []byte) uint64 {
	n := len(name)
	if n >= 8 {
		head, tail := binary.LittleEndian.Uint64(name), binary.LittleEndian.Uint64(name[n-8:])
		return head*31 ^ tail ^ uint64(n)<<56
	}
	var x uint64
	for _, c := range name {
		x = x<<8 | uint64(c)
	}
	return x ^ uint64(n)<<56
}
