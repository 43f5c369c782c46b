package document

import (
	"bytes"
	"strings"

	"github.com/shipperd/shipperd/pkg/format"
)

// reader reads the messages of one format. It belongs to one worker.
type reader struct {
	format.Entry
	format  format.Format
	columns *columns // of the lab's pattern, nil: none
	tally   *tally
	parser  string // the member shipperd.parser
}

// route says what happens to the events of one log group. It belongs to one worker.
type route struct {
	group   uint16 // place in Config.GroupNames
	indices *indices
	columns *columns // of the group's pattern; nil: the format's
	reader  *reader  // nil: the log stream or the content decides
}

// routes builds the routes of all groups, that of no group first.
func (d *Decoder) newRoutes() ([]route, error) {
	config := &d.documents.config
	routes := []route{{indices: newIndices(config.IndexPrefix)}}
	for i, g := range config.Groups {
		r := route{group: uint16(i + 1), indices: routes[0].indices}
		if g.IndexPrefix != "" && g.IndexPrefix != config.IndexPrefix {
			r.indices = newIndices(g.IndexPrefix)
		}
		var err error
		if r.columns, err = newColumns(g.Columns, d.documents.kinds); err != nil {
			return nil, err
		}
		if entry, ok := entryOf(g.Format); ok {
			if r.reader, err = d.newReader(entry, g.FlowFields); err != nil {
				return nil, err
			}
		}
		routes = append(routes, r)
	}
	return routes, nil
}

func (d *Decoder) newReader(entry format.Entry, flowFields []string) (*reader, error) {
	options := format.Options{FlowFields: flowFields, Enrich: d.documents.options.Enrich, Flattened: d.documents.options.Flattened}
	f, err := entry.New(options)
	if err != nil {
		return nil, err
	}
	columns := entry.Columns
	if len(flowFields) > 0 {
		columns = format.FlowColumns(flowFields)
	}
	c, err := newColumns(columns, d.documents.kinds)
	if err != nil {
		return nil, err
	}
	if len(flowFields) > 0 && d.documents.config.Dialect != Lambda {
		c.setFlowKinds()
	}
	r := &reader{Entry: entry, format: f, columns: c, tally: d.tallies[entry.Name]}
	r.parser = `"parser":"` + entry.Name + `",`
	return r, nil
}

// A worker remembers the routes of so many log groups, which is far more than
// subscriptions name and far less than an attacker could, if their names are no
// longer than CloudWatch's are: 5 MB at most.
const (
	keepGroups   = 10_000
	maxGroupName = 512
)

// routeOf returns the route of a log group: that of the first group whose glob
// matches.
func (d *Decoder) routeOf(group []byte) *route {
	if r, ok := d.routed[string(group)]; ok {
		return r
	}
	r := &d.routes[0]
	for i, g := range d.documents.config.Groups {
		if glob(g.Match, string(group)) {
			r = &d.routes[i+1]
			break
		}
	}
	if len(group) <= maxGroupName {
		if len(d.routed) >= keepGroups {
			clear(d.routed)
		}
		d.routed[string(group)] = r
	}
	return r
}

// readerOf returns the reader of a payload, by its log group's configuration or by
// the names that AWS gives to log streams, or nil when each message has to be
// looked at.
func (d *Decoder) readerOf(r *route, stream []byte) *reader {
	switch {
	case r.reader != nil:
		return r.reader
	case bytes.HasPrefix(stream, []byte("eni-")):
		return d.readerNamed(formatVPCFlow)
	case bytes.Contains(stream, []byte("_CloudTrail_")):
		return d.readerNamed(formatCloudTrail)
	}
	return nil
}

func (d *Decoder) readerNamed(name string) *reader {
	for _, r := range d.readers {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// sniff returns the reader that takes a line for its own: there is one at most, nearly
// always that of the line before. What is nobody's is read as the Lambda read
// everything: a JSON object at its end becomes root fields.
func (d *Decoder) sniff(line *format.Line) *reader {
	if d.sniffed != nil && d.sniffed.Sniff(line) {
		return d.sniffed
	}
	for _, r := range d.readers {
		if r.Sniff != nil && r != d.sniffed && r.Sniff(line) {
			d.sniffed = r
			return r
		}
	}
	return d.fallback
}

// glob says whether name matches pattern, in which * stands for anything, also
// for nothing. It takes the leftmost match of each part, which is enough.
func glob(pattern, name string) bool {
	first, pattern, more := strings.Cut(pattern, "*")
	rest, ok := strings.CutPrefix(name, first)
	if !ok {
		return false
	}
	for more {
		var part string
		if part, pattern, more = strings.Cut(pattern, "*"); !more {
			return strings.HasSuffix(rest, part)
		}
		i := strings.Index(rest, part)
		if i < 0 {
			return false
		}
		rest = rest[i+len(part):]
	}
	return rest == ""
}
