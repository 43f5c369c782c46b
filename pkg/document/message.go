package document

import (
	"bytes"

	"github.com/shipperd/shipperd/pkg/jsonraw"
)

// readsMessage says whether a message's own keys become root fields.
func (d *Decoder) readsMessage(route *route, reader *reader) bool {
	return route.columns == nil && (reader.JSON || d.documents.config.Dialect == Lambda)
}

// readMessage reads the JSON object at the end of a message. There are no members
// when there is none or it is too complex.
func (d *Decoder) readMessage(text []byte) {
	d.objects.forget()
	end := jsonraw.Invalid
	brace := bytes.IndexByte(text, '{')
	if brace >= 0 {
		end = d.objects.read(text, brace)
	}
	switch {
	case end < 0 || jsonraw.Space(text, end) != len(text):
		d.objects.tooComplex = end == jsonraw.TooDeep
		d.objects.forget()
	case d.objects.tooComplex:
		d.objects.forget()
	case jsonraw.Space(text, 0) != brace:
		d.objects.asRead = d.objects.asRead[:0] // the message is more than the object
	}
}

// appendMembers appends the members that have been read.
func (d *Decoder) appendMembers(dst []byte) []byte {
	for i := range d.objects.members {
		dst = d.appendMember(dst, &d.objects.members[i])
	}
	return dst
}

// appendMember appends a member with any JSON value: as it is, as its text, or
// under "fields" where the table has another kind.
func (d *Decoder) appendMember(dst []byte, m *member) []byte {
	switch first := m.value[0]; {
	case m.kind == Metadata:
		return dst
	case !fits(m.kind, m.value):
		d.foreignMember(m)
		return dst
	case m.kind == JSONText && first != '"' && (first != 'n' || d.documents.config.Dialect == SolutionV4):
		dst = jsonraw.AppendString(append(dst, m.label...), m.value)
	case m.copied != nil:
		dst = append(append(dst, m.label...), m.copied...)
	case first == '"':
		dst = appendQuoted(append(dst, m.label...), m.value[1:len(m.value)-1], m.escapes)
	case first == 't' || first == 'f' || first == 'n':
		dst = append(append(dst, m.label...), m.value...)
	default:
		dst = appendJSONNumber(append(dst, m.label...), m.value)
	}
	return append(dst, ',')
}

// foreignMember writes any JSON value as a string under "fields".
func (d *Decoder) foreignMember(m *member) {
	switch m.value[0] {
	case 'n':
	case '"':
		d.foreign = append(appendQuoted(append(d.foreign, m.label...), m.value[1:len(m.value)-1], m.escapes), ',')
	default:
		d.foreignText(m, m.value)
	}
}
