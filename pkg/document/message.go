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
	o := &d.objects
	o.forget()
	brace := bytes.IndexByte(e.Text, '{')
	if brace < 0 {
		return
	}
	end := o.scan(e.Text, brace, e.Marks)
	o.event = e
	if end >= 0 && jsonraw.Space(e.Text, end) == len(e.Text) {
		if !d.addRuns() {
			o.addAll()
		}
	}
	if end < 0 || jsonraw.Space(e.Text, end) != len(e.Text) || o.tooComplex {
		o.forget()
	}
	if jsonraw.Space(e.Text, 0) == brace {
		d.whole = o.tree.Members // nothing else is in the message
	}
}

// addRuns is objects.addAll for the usual message, none of whose names stands twice or has
// to be mended: members that stay as they are become runs. It returns false for others.
func (d *Decoder) addRuns() (ok bool) {
	o := &d.objects
	all, keys := o.tree.Members, o.keys
	if !o.tree.Unique || keys+len(all) > maxKeys {
		return false
	}
	for i := 0; i < len(all); i += 1 + int(all[i].Inner) {
		m := &all[i]
		switch {
		case d.staysAsIs(m, o.table.kindOf(m, o.text)):
			o.addRun(m)
		case !o.plain(m.Key(o.text), false):
			o.keys = keys // they will be counted again
			return false
		case !o.add(m):
			return true
		}
	}
	return true
}

// staysAsIs says whether appendMember would write a member of the first level, which has
// the given kind, just as it stands.
func (d *Decoder) staysAsIs(m *jsonraw.Member, kind Kind) bool {
	switch {
	case !m.Simple() || m.Height >= maxDepth || kind == Metadata:
		return false
	case kind == JSONText:
		return m.First == '"' || m.First == 'n' && d.documents.config.Dialect != SolutionV4
	case kind == Unknown:
		return true
	case kind == Text:
		return m.First == '"' || m.First == 'n'
	}
	return fits(kind, m.Value(d.objects.text))
}

// appendMembers appends the members that have been read.
func (d *Decoder) appendMembers(dst []byte) []byte {
	for i := range d.objects.members {
		if m := &d.objects.members[i]; m.isRun {
			dst = append(append(dst, d.objects.text[m.start:m.end]...), ',')
		} else {
			dst = d.appendMember(dst, m)
		}
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
		dst = d.objects.appendAsText(append(dst, m.label...), m)
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
