package document

import (
	"bytes"

	"github.com/shipperd/shipperd/pkg/cloudwatch"
	"github.com/shipperd/shipperd/pkg/jsonraw"
)

// appendRoots appends the root fields that the Lambda wrote, from the first source
// that there is: the subscription's extracted fields, the message's own keys, the
// columns of the group's or the format's pattern.
func (d *Decoder) appendRoots(dst []byte, e *cloudwatch.Event, route *route, reader *reader) []byte {
	if e.Extracted != nil {
		if dst, ok := d.appendExtracted(dst, e.Extracted); ok {
			return dst
		}
		if d.readsMessage(route, reader) {
			d.readMessage(e)
		}
	}
	if d.readsMessage(route, reader) {
		return d.appendMembers(dst)
	}
	c, values := route.columns, [][]byte(nil)
	if c == nil {
		c, values = reader.columns, d.line.Columns
	}
	if c != nil {
		dst = d.appendColumns(dst, c, values, e.Text, d.line.Plain && values != nil)
	}
	return dst
}

// appendExtracted appends the fields that the subscription's pattern made. Fields
// that begin with @ are the subscription's system fields, which come with any
// pattern; with them alone the answer is false, for the message is still to be read.
func (d *Decoder) appendExtracted(dst, extracted []byte) (_ []byte, ok bool) {
	d.objects.dropDollar = d.documents.config.Dialect != Lambda
	d.objects.read(extracted, 0, nil)
	d.objects.dropDollar = false
	if d.objects.tooComplex {
		return dst, true
	}
	fields := 0
	for i := range d.objects.members {
		m := &d.objects.members[i]
		if len(m.name) > 0 && m.name[0] == '@' {
			d.systemField(m)
			continue
		}
		fields++
		inside, isText := jsonraw.Inside(m.value)
		if !isText {
			dst = d.appendMember(dst, m)
			continue
		}
		if m.escapes != jsonraw.Plain {
			d.value = jsonraw.Unescape(d.value[:0], inside)
			inside = d.value
		}
		dst = d.appendConverted(dst, m, inside)
	}
	return dst, fields > 0 || len(d.objects.members) == 0
}

// systemField keeps what emitSystemFields adds to each event. The dots of the names are
// mended by now.
func (d *Decoder) systemField(m *member) {
	inside, ok := jsonraw.Inside(m.value)
	if !ok {
		return
	}
	switch string(m.name) {
	case "@aws_account":
		d.account = jsonraw.Unescape(d.account[:0], inside)
	case "@aws_region":
		d.region = jsonraw.Unescape(d.region[:0], inside)
	}
}

// appendColumns appends the fields of a pattern that shipperd applies itself; values
// are nil where nobody has split the text yet. A line that does not fit has none, as
// CloudWatch would not have delivered it. Plain values need no escape.
func (d *Decoder) appendColumns(dst []byte, c *columns, values [][]byte, text []byte, plain bool) []byte {
	if values == nil {
		d.values, _ = c.pattern.Split(text, d.values[:0])
		values = d.values
	}
	for i, value := range values {
		switch m := &c.members[i]; {
		case len(value) == 0:
		case m.kind == Text && plain:
			dst = append(append(append(dst, m.label...), '"'), value...)
			dst = append(dst, `",`...)
		case m.kind == Number && smallNumber(value):
			dst = append(append(append(dst, m.label...), value...), ',')
		default:
			dst = d.appendConverted(dst, m, value)
		}
	}
	return dst
}

// appendConverted appends a member with a text as value, as the Lambda converts it:
// empty ones are left out, numbers become numbers, and a JSON object at the end is
// added under $name. A text that does not fit its root's kind is left out; it stays in @message.
func (d *Decoder) appendConverted(dst []byte, m *member, text []byte) []byte {
	if len(text) == 0 {
		return dst
	}
	switch m.kind {
	case Metadata:
		return dst
	case Reserved:
		d.foreignText(m, text)
		return dst
	case Number, Unknown:
		if smallNumber(text) {
			return append(append(append(dst, m.label...), text...), ',')
		}
		x, ok := numeric(text)
		if _, isWhole := whole(x, ok); ok && (isWhole || m.kind == Unknown) {
			return append(appendNumber(append(dst, m.label...), x), ',')
		}
		if m.kind == Number {
			return d.leaveOut(dst, m)
		}
	case Address:
		if !isAddress(text) {
			return d.leaveOut(dst, m)
		}
	case Bool, Object, Objects:
		return d.leaveOut(dst, m)
	case Text, JSONText:
	}
	if m.kind == Unknown {
		dst = d.appendEmbedded(dst, m, text)
	}
	return append(jsonraw.AppendString(append(dst, m.label...), text), ',')
}

// appendEmbedded appends the JSON object at the end of text as $name. Only fields
// that are not of our formats have one: a web server's agent or request is what
// anyone on the internet sends, and its keys would fill the index's mapping.
func (d *Decoder) appendEmbedded(dst []byte, m *member, text []byte) []byte {
	brace := bytes.IndexByte(text, '{')
	if brace < 0 || d.objects.tooComplex || d.objects.hasDollar(m.name) {
		return dst
	}
	start := len(dst)
	dst, end := d.objects.appendValue(m.appendDollarLabel(dst), text, brace, 1)
	if end < 0 || jsonraw.Space(text, end) != len(text) {
		d.objects.tooComplex = end == jsonraw.TooDeep
		return dst[:start]
	}
	if d.objects.tooComplex {
		return dst[:start]
	}
	return append(dst, ',')
}

func (d *Decoder) leaveOut(dst []byte, m *member) []byte {
	if d.explain {
		d.leftOut = append(d.leftOut, string(m.name))
	}
	return dst
}

func (d *Decoder) foreignText(m *member, text []byte) {
	d.foreign = append(jsonraw.AppendString(append(d.foreign, m.label...), text), ',')
}
