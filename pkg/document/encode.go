package document

import (
	"github.com/shipperd/shipperd/pkg/cloudwatch"
	"github.com/shipperd/shipperd/pkg/format"
	"github.com/shipperd/shipperd/pkg/jsonraw"
	"github.com/shipperd/shipperd/pkg/record"
)

// ecs names the version of the Elastic Common Schema that typed fields follow.
const ecs = `"ecs":{"version":"8.11.0"},`

// document appends one document to r.Text, as members that each end with a comma:
// root fields, typed fields, what fits neither, and last the metadata, which always
// wins because every source of names leaves it out.
func (d *Decoder) document(r *record.Record, event *record.Event, e *cloudwatch.Event, route *route, reader *reader, result format.Result) {
	event.DocStart = uint32(len(r.Text))
	d.foreign, d.account, d.region = d.foreign[:0], d.account[:0], d.region[:0]
	dst := d.appendRoots(append(r.Text, '{'), e, route, reader)
	if d.documents.config.Dialect != Lambda {
		d.annotate(reader, result)
		dst = append(d.typed.AppendTo(dst), ecs...)
	}
	if len(d.foreign) > 0 {
		dst = append(dst, `"`+foreignRoot+`":{`...)
		dst = append(closeWith(append(dst, d.foreign...), '}'), ',')
	}
	r.Text = d.appendMetadata(dst, event, e)
	event.DocEnd = uint32(len(r.Text))
	d.setID(r, event, e.ID)
}

// annotate adds the typed fields that do not come from the message. The fields of
// the subscription know better than the payload whose events these are.
func (d *Decoder) annotate(reader *reader, result format.Result) {
	f := d.typed
	// The first one stands, and what the line itself said has been written.
	f.Account(d.account)
	f.Account(d.owner)
	f.Region(d.region)
	if result != format.None {
		f.Members(format.Shipperd, reader.parser)
	}
	if result == format.Partial {
		f.Members(format.Shipperd, `"partial":true,`)
	}
	if d.objects.tooComplex {
		f.Members(format.Shipperd, `"too_complex":true,`)
	}
}

// appendOrigin appends what ends every document of a payload, after @message.
func appendOrigin(dst []byte, p *cloudwatch.Payload) []byte {
	dst = appendText(append(dst, `,"@owner":`...), p.Owner)
	dst = appendText(append(dst, `,"@log_group":`...), p.Group)
	dst = appendText(append(dst, `,"@log_stream":`...), p.Stream)
	return append(dst, '}')
}

// appendText copies a string of the payload as it is written there.
func appendText(dst []byte, t cloudwatch.Text) []byte { return appendQuoted(dst, t.Inside, t.Escapes) }

// appendMetadata appends the fields that are the payload's, and ends the document.
func (d *Decoder) appendMetadata(dst []byte, event *record.Event, e *cloudwatch.Event) []byte {
	idName, timeName := `"@id":`, `,"@timestamp":"`
	if d.documents.config.Dialect == SolutionV4 {
		idName, timeName = `"type":"CloudWatchLogs","id":`, `,"timestamp":"`
	}
	dst = append(dst, idName...)
	event.IDStart = uint32(len(dst)) + 1
	dst = appendText(dst, e.ID)
	event.IDEnd = uint32(len(dst)) - 1
	dst = append(dst, timeName...)
	dst = d.time.append(dst, e.Time)
	dst = appendText(append(dst, `","@message":`...), e.Message)
	return append(dst, d.origin...)
}

// setID chooses _id: the id within the document, or a hash after it where that
// is none or none that an index takes.
func (d *Decoder) setID(r *record.Record, event *record.Event, id cloudwatch.Text) {
	size := event.IDEnd - event.IDStart
	if size > maxID && id.Escapes != jsonraw.Plain { // an escaped id is longer than it looks
		d.value = id.Append(d.value[:0])
		size = uint32(len(d.value))
	}
	if size > 0 && size <= maxID {
		return
	}
	event.IDStart = uint32(len(r.Text))
	r.Text = appendPositionID(r.Text, r)
	event.IDEnd = uint32(len(r.Text))
}
