package document

import (
	"strings"

	"github.com/shipperd/shipperd/pkg/format"
	"github.com/shipperd/shipperd/pkg/format/pattern"
)

// reader reads the messages of one format. It belongs to one worker.
type reader struct {
	format.Entry
	format  format.Format
	columns *columns // of the lab's pattern, nil: none
}

// route says what happens to the events of one log group. It belongs to one worker.
type route struct {
	group   uint16 // place in Config.GroupNames
	indices *indices
	drop    []*pattern.Pattern
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
		for _, text := range g.Drop {
			p, err := pattern.Parse(text)
			if err != nil {
				return nil, err
			}
			r.drop = append(r.drop, p)
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
	c, err := newColumns(entry.Columns, d.documents.kinds)
	if err != nil {
		return nil, err
	}
	return &reader{Entry: entry, format: f, columns: c}, nil
}

// routeOf returns the route of a log group: that of the first group whose glob
// matches. It is asked once for each payload, which has one log group.
func (d *Decoder) routeOf(group []byte) *route {
	for i, g := range d.documents.config.Groups {
		if glob(g.Match, group) {
			return &d.routes[i+1]
		}
	}
	return &d.routes[0]
}

// readerOf returns the reader of a payload, by its log group's configuration or by
// the names that AWS gives to log streams, or nil when each message has to be
// looked at.
func (d *Decoder) readerOf(r *route, stream []byte) *reader {
	switch {
	case r.reader != nil:
		return r.reader
	case glob("eni-*", stream):
		return d.readerNamed(formatVPCFlow)
	case glob("*_CloudTrail_*", stream):
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

// sniff returns the first reader that takes text for its own. What is nobody's is
// read as the Lambda read everything: a JSON object at its end becomes root fields.
func (d *Decoder) sniff(text []byte) *reader {
	for _, r := range d.readers {
		if r.Sniff != nil && r.Sniff(text) {
			return r
		}
	}
	return d.fallback
}

// glob says whether name matches pattern, in which * stands for anything, also
// for nothing. It takes the leftmost match of each part, which is enough.
func glob(pattern string, name []byte) bool {
	rest := string(name)
	first, pattern, more := strings.Cut(pattern, "*")
	rest, ok := strings.CutPrefix(rest, first)
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
