package template

import (
	"strings"

	"github.com/shipperd/shipperd/pkg/document"
	"github.com/shipperd/shipperd/pkg/format"
	"github.com/shipperd/shipperd/pkg/format/pattern"
)

// mappingOf returns the mapping of documents. Dates are never guessed: the first
// value of a day that looks like one would turn all others away.
func mappingOf(c document.Config, flattened string) object {
	properties := object{}
	add := func(path string, mapping object) {
		put(properties, mapping, strings.Split(strings.ReplaceAll(path, ".", ".properties."), ".")...)
	}
	for _, root := range document.Roots(c.Dialect) {
		if mapping := mappingOfRoot(root); mapping != nil {
			add(root.Name, mapping)
		}
	}
	if c.Dialect == document.Lambda {
		// The Lambda's documents are what messages say, and its indices took every field.
		return object{"date_detection": false, "properties": properties}
	}
	known := map[string]bool{}
	for _, root := range document.Roots(c.Dialect) {
		known[root.Name] = true
		if root.Kind != document.Metadata && !strings.HasPrefix(root.Name, "_") {
			add(foreignRoot+"."+root.Name, keyword())
		}
	}
	for _, f := range typedFields() {
		add(f.path, f.mapping)
	}
	for _, g := range c.Groups {
		for _, name := range columnNames(g) {
			if !known[name] {
				add(name, column())
			}
		}
		for name := range strings.FieldsSeq(strings.Trim(format.FlowColumns(g.FlowFields), "[]")) {
			if path := "aws.vpcflow." + strings.TrimSuffix(name, ","); !hasField(properties, path) {
				add(path, keyword())
			}
		}
	}
	if flattened != "" {
		for _, path := range flattenedFields() {
			add(path, flat(flattened))
		}
	}
	return object{"dynamic": false, "date_detection": false, "properties": properties}
}

// foreignRoot has what does not fit the table of roots: strings, under names of the table.
const foreignRoot = "fields"

// mappingOfRoot returns the mapping of a root field, nil where typedFields has it.
func mappingOfRoot(root document.Root) object {
	switch root.Name {
	case "@timestamp":
		return date()
	case "@message":
		return text(maxMessage)
	case "eventTime":
		return date() // a date in the lab's index pattern
	}
	switch root.Kind {
	case document.Text, document.JSONText, document.Address:
		return text(maxKeyword) // srcIp is text in the lab's index pattern; source.ip is the address
	case document.Metadata:
		if root.Name == "timestamp" { // of solution-v4, in place of @timestamp
			return date()
		}
		return text(maxKeyword)
	case document.Number:
		return long()
	case document.Bool:
		return object{"type": "boolean"}
	case document.Object, document.Objects:
		return object{"type": "object", "properties": object{}}
	case document.Unknown, document.Reserved:
	}
	return nil
}

// columnNames returns the root fields of a group's own pattern and of its flow
// fields, as the decoder names them.
func columnNames(g document.Group) (names []string) {
	for _, columns := range []string{g.Columns, format.FlowColumns(g.FlowFields)} {
		p, err := pattern.Parse(columns)
		if err != nil {
			continue // Validate has refused it, or there is none
		}
		for _, name := range p.Names() {
			names = append(names, strings.ReplaceAll(name, ".", "_"))
		}
	}
	return names
}

func keyword() object { return object{"type": "keyword", "ignore_above": maxKeyword} }
func long() object    { return object{"type": "long", "ignore_malformed": true} }
func ip() object      { return object{"type": "ip", "ignore_malformed": true} }
func boolean() object { return object{"type": "boolean"} }
func words() object   { return object{"type": "text", "norms": false} }

// text is what the Lambda's strings were: words, and as .keyword the whole.
func text(maxWhole int) object {
	mapping := words()
	mapping["fields"] = object{"keyword": object{"type": "keyword", "ignore_above": maxWhole}}
	return mapping
}

// column is of a pattern of the operator's, whose values are numbers where they
// look like one: as .number they can be summed.
func column() object {
	mapping := text(maxKeyword)
	put(mapping, object{"type": "double", "ignore_malformed": true}, "fields", "number")
	return mapping
}

// date also takes CloudTrail's other way to write times, 20131102T010628Z.
func date() object {
	return object{"type": "date", "ignore_malformed": true, "format": "strict_date_optional_time||basic_date_time_no_millis||epoch_millis"}
}

func point() object { return object{"type": "geo_point", "ignore_malformed": true} }

// flat takes an object whole. A key and its value together are one term there,
// so a value has to leave room; flat_object has no such limit to set.
func flat(kind string) object {
	if kind == flatObject {
		return object{"type": kind}
	}
	return object{"type": kind, "ignore_above": maxKeyword / 2}
}

// hasField says whether a path is mapped.
func hasField(properties object, path string) bool {
	name, rest, deeper := strings.Cut(path, ".")
	mapping, ok := properties[name].(object)
	if !ok || !deeper {
		return ok
	}
	inner, ok := mapping["properties"].(object)
	return ok && hasField(inner, rest)
}

// countFields counts as the engines do: fields, their sub-fields and objects.
func countFields(mapping object) int {
	n := 0
	for _, key := range []string{"properties", "fields"} {
		children, _ := mapping[key].(object)
		for _, child := range children {
			n += 1 + countFields(child.(object)) //nolint:forcetypeassert // made here
		}
	}
	return n
}
