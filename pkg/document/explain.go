package document

import (
	"fmt"
	"strings"
	"time"

	"github.com/shipperd/shipperd/pkg/cloudwatch"
	"github.com/shipperd/shipperd/pkg/jsonraw"
	"github.com/shipperd/shipperd/pkg/record"
)

// Line is one pasted log line and where it is said to come from.
type Line struct {
	Text   []byte
	Time   time.Time
	Owner  string
	Group  string
	Stream string
	Format string // reads the line as this format, whatever the group's configuration says; empty: does not
}

// Explanation says what becomes of a line.
type Explanation struct {
	Group    string        // as in Config.GroupNames
	Index    string        // empty when it is dropped
	Document []byte        // likewise
	LeftOut  []string      // root fields whose value did not fit their kind
	Filter   record.Filter // why it is dropped
	Rule     string        // the key of the rule that dropped it: groups[0].drop[1]: pattern
}

// Explain says what would become of a line.
func (d *Documents) Explain(line Line) (Explanation, error) {
	decoder, err := d.newDecoder()
	if err != nil {
		return Explanation{}, err
	}
	decoder.explain = true
	quoted := func(text string) cloudwatch.Text {
		inside, _ := jsonraw.Inside(jsonraw.AppendString(nil, []byte(text)))
		return cloudwatch.Text{Inside: inside, Escapes: jsonraw.Escaped}
	}
	p := &decoder.payload
	*p = cloudwatch.Payload{Owner: quoted(line.Owner), Group: quoted(line.Group), Stream: quoted(line.Stream)}
	message := quoted(string(line.Text))
	text := message.Append(nil) // of valid UTF-8, as an Inflater makes it
	p.Events = []cloudwatch.Event{{Time: line.Time.UnixMilli(), Message: message, Text: text}}
	decoder.typed.SetIngested(line.Time)
	if line.Format != "" {
		if err := decoder.readAs(line.Group, line.Format); err != nil {
			return Explanation{}, err
		}
	}
	var r record.Record
	if err := decoder.events(&r, len(text)); err != nil {
		return Explanation{}, err
	}
	event := &r.Events[0]
	x := Explanation{Group: d.config.GroupNames()[event.Group], LeftOut: decoder.leftOut, Filter: event.Filter}
	switch event.Filter {
	case record.NotFiltered:
		x.Index, x.Document = event.Index, r.Doc(event)
	case record.FilterDrop:
		i := int(event.Group) - 1
		rule := dropped((*d.drop.Load())[event.Group], text)
		x.Rule = fmt.Sprintf("groups[%d].drop[%d]: %s", i, rule, d.config.Groups[i].Drop[rule])
	case record.FilterAccount:
		x.Rule = "documents.accounts"
	case record.FilterHeader:
		x.Rule = "header line"
	}
	return x, nil
}

// readAs makes the route of a log group read format, with the group's own flow fields.
func (d *Decoder) readAs(group, name string) error {
	entry, ok := entryOf(name)
	if !ok {
		return fmt.Errorf("format %q is not known; choose one of %s", name, strings.Join(formatNames(), ", "))
	}
	route := d.routeOf([]byte(group))
	var flowFields []string
	if route.group > 0 && name == formatVPCFlow {
		flowFields = d.documents.config.Groups[route.group-1].FlowFields
	}
	r, err := d.newReader(entry, flowFields)
	if err != nil {
		return err
	}
	route.reader = r
	return nil
}
