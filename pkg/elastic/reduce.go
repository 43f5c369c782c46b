package elastic

import (
	"bytes"
	"encoding/json"
	"slices"
)

const (
	// maxFields bounds the string of all other fields: Lucene refuses a term of more
	// than 32,766 bytes.
	maxFields = 32_000
	// maxMessage is what is kept of @message when a document alone was too large:
	// with all else it stays below any limit that a proxy was ever given.
	maxMessage = 32 << 10
)

// rootFields are kept in every form.
var rootFields = [...]string{ //nolint:gochecknoglobals // a table
	"@id", "@timestamp", "@message", "@owner", "@log_group", "@log_stream",
}

// rejection is what a reduced document says of itself, under shipperd.rejected.
type rejection struct {
	Type   string `json:"type,omitempty"`
	Reason string `json:"reason,omitempty"`
	Field  string `json:"field,omitempty"`
	Fields string `json:"fields,omitempty"` // all other fields, as one string of JSON
}

// member is one member of a JSON object.
type member struct {
	key   string
	value json.RawMessage
}

// appendReduced appends document in the form reduced or bare. It is made anew for
// every attempt: it is rare, and memory for it is not in the budget.
func appendReduced(to, document []byte, f form, why *fault) []byte {
	out := bytes.NewBuffer(append(to, '{'))
	rest := bytes.NewBuffer([]byte{'{'})
	for _, m := range members(document) {
		if !slices.Contains(rootFields[:], m.key) {
			appendMember(rest, m)
			continue
		}
		if m.key == "@message" && why.cut {
			m.value = cutString(m.value, maxMessage)
		}
		appendMember(out, m)
	}
	if f == reduced {
		r := rejection{Type: why.kind, Reason: why.reason, Field: why.field}
		if !why.cut {
			rest.WriteByte('}')
			r.Fields = cut(rest.String(), maxFields)
		}
		said, _ := json.Marshal(map[string]rejection{"rejected": r}) // strings always have a JSON form
		appendMember(out, member{"event", json.RawMessage(`{"kind":"pipeline_error"}`)})
		appendMember(out, member{"shipperd", said})
	}
	out.WriteByte('}')
	return out.Bytes()
}

func appendMember(out *bytes.Buffer, m member) {
	if b := out.Bytes(); b[len(b)-1] != '{' {
		out.WriteByte(',')
	}
	key, _ := json.Marshal(m.key)
	out.Write(key)
	out.WriteByte(':')
	out.Write(m.value)
}

// members returns the members of a JSON object, as far as it is one.
func members(document []byte) []member {
	var all []member
	decoder := json.NewDecoder(bytes.NewReader(document))
	if _, err := decoder.Token(); err != nil {
		return nil
	}
	for decoder.More() {
		token, err := decoder.Token()
		key, ok := token.(string)
		var value json.RawMessage
		if err != nil || !ok || decoder.Decode(&value) != nil {
			return all
		}
		all = append(all, member{key, value})
	}
	return all
}

// cutString shortens a JSON string to size bytes of text.
func cutString(value json.RawMessage, size int) json.RawMessage {
	var text string
	if json.Unmarshal(value, &text) != nil {
		return value
	}
	short, _ := json.Marshal(cut(text, size))
	return short
}
