package document

import (
	"bytes"

	"github.com/shipperd/shipperd/pkg/cloudwatch"
	"github.com/shipperd/shipperd/pkg/jsonraw"
)

// readsMessage says whether a message's own keys become root fields.
func (d *Decoder) readsMessage(route *route, reader *reader) bool {
	return route.columns == nil && (reader.JSON || d.documents.config.Dialect == Lambda)
}

// readMessage reads the JSON object at the end of a message. There are no members
// when there is none or it is too complex.
func (d *Decoder) readMessage(e *cloudwatch.Event) {
	d.objects.forget()
	end := jsonraw.Invalid
	brace := bytes.IndexByte(e.Text, '{')
	if brace >= 0 {
		end = d.objects.read(e.Text, brace, e.Marks)
	}
	if end < 0 || jsonraw.Space(e.Text, end) != len(e.Text) {
		d.objects.tooComplex = end == jsonraw.TooDeep
		d.objects.forget()
	} else if d.objects.tooComplex {
		d.objects.forget()
	}
	if jsonraw.Space(e.Text, 0) == brace {
		d.whole = d.objects.tree.Members // nothing else is in the message
	}
}

// appendMembers appends the members that have been read. Those that follow each other
// in the message and can stay as they are take one copy.
func (d *Decoder) appendMembers(dst []byte) []byte {
	members := d.objects.members
	for i := 0; i < len(members); {
		m := &members[i]
		i++
		if !d.staysAsIs(m) {
			dst = d.appendMember(dst, m)
			continue
		}
		end := m.end
		for i < len(members) && members[i].start == end+1 && d.staysAsIs(&members[i]) {
			end = members[i].end
			i++
		}
		dst = append(append(dst, d.objects.text[m.start:end]...), ',')
	}
	return dst
}

// staysAsIs says whether appendMember would write the member just as it stands.
func (d *Decoder) staysAsIs(m *member) bool {
	if !m.asIs || m.kind == Metadata || !fits(m.kind, m.value) {
		return false
	}
	first := m.value[0]
	return m.kind != JSONText || first == '"' || first == 'n' && d.documents.config.Dialect != SolutionV4
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
