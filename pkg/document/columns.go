package document

import (
	"errors"
	"fmt"
	"strings"

	"github.com/shipperd/shipperd/pkg/format"
	"github.com/shipperd/shipperd/pkg/format/pattern"
	"github.com/shipperd/shipperd/pkg/jsonraw"
)

// columns are the root fields that a filter pattern makes of a line, as CloudWatch
// makes extractedFields of it.
type columns struct {
	pattern *pattern.Pattern
	members []member // names and kinds only, in the order of Pattern.Names
}

// newColumns compiles text; the empty text has no columns.
func newColumns(text string, kinds *kindIndex) (*columns, error) {
	if text == "" {
		return nil, nil
	}
	p, err := pattern.Parse(text)
	if err != nil {
		return nil, err
	}
	if len(p.Names()) == 0 {
		return nil, errors.New("no field is named; write a pattern such as [host, ident, authuser, date, request, status, bytes]")
	}
	c := &columns{pattern: p}
	seen := map[string]bool{}
	for _, name := range p.Names() {
		name = strings.ReplaceAll(name, ".", "_")
		if seen[name] {
			return nil, fmt.Errorf("two fields are named %q", name)
		}
		seen[name] = true
		m := member{name: []byte(name)}
		m.kind = kinds.find(m.name)
		m.label = append(jsonraw.AppendString(nil, m.name), ':')
		c.members = append(c.members, m)
	}
	return c, nil
}

// setFlowKinds gives flow fields that the table does not know the kind of their values,
// so that "-" for no value and account ids are of the same kind in every line.
func (c *columns) setFlowKinds() {
	for i := range c.members {
		switch m := &c.members[i]; {
		case m.kind != Unknown:
		case format.IsFlowNumber(string(m.name)):
			m.kind = Number
		default:
			m.kind = Text
		}
	}
}
