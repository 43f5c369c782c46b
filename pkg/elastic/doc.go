package elastic

import (
	"encoding/json"
	"time"

	"github.com/shipperd/shipperd/pkg/record"
)

// form is how much of a document is sent. What an index refuses as a whole it may
// take with less; what it refuses bare is no fault of the document.
type form uint8

const (
	whole   form = iota
	reduced      // the six @ fields, why, and all else as one string
	bare         // the six @ fields
)

// doc is a pending event on its way through Write. It has one owner, its unit.
type doc struct {
	record *record.Record
	event  *record.Event
	index  *index
	fault  *fault // nil for nearly all
	form   form
	tried  bool // an earlier attempt of ours may have put it
}

// actionEnd follows the id in an action line.
const actionEnd = `"}}` + "\n"

// size returns how many bytes appendLines appends.
func (d *doc) size() int {
	if d.form != whole {
		return len(d.appendLines(nil)) // rare
	}
	e := d.event
	return len(d.index.action) + int(e.IDEnd-e.IDStart) + len(actionEnd) + int(e.DocEnd-e.DocStart) + 1
}

func sizeOf(docs []doc) int {
	size := 0
	for i := range docs {
		size += docs[i].size()
	}
	return size
}

// appendLines appends the action line and the document.
func (d *doc) appendLines(to []byte) []byte {
	to = append(to, d.index.action...)
	to = append(to, d.record.ID(d.event)...)
	to = append(to, actionEnd...)
	document := d.record.Doc(d.event)
	if d.form == whole {
		to = append(to, document...)
	} else {
		to = appendReduced(to, document, d.form, d.fault)
	}
	return append(to, '\n')
}

// id returns the id as a Go string.
func (d *doc) id() string {
	escaped := d.record.ID(d.event)
	quoted := make([]byte, 0, len(escaped)+2)
	quoted = append(append(append(quoted, '"'), escaped...), '"')
	var id string
	if json.Unmarshal(quoted, &id) != nil {
		return string(escaped)
	}
	return id
}

// blame notes what the index said. The first fault stays: it is about the original.
func (d *doc) blame(f fault) {
	if d.fault == nil {
		d.fault = &fault{}
	}
	if d.fault.status == 0 {
		d.fault.status, d.fault.kind, d.fault.reason, d.fault.field = f.status, f.kind, f.reason, f.field
	}
}

// letter returns the dead letter of d.
func (d *doc) letter(reason string, f fault) record.Letter {
	return record.Letter{
		Reason: reason, Time: time.Now(),
		Index: d.index.name, ID: d.id(),
		Shard: d.record.Shard, Sequence: d.record.Sequence, Arrival: d.record.Arrival,
		Status: f.status, ErrorType: f.kind, ErrorReason: f.reason,
		Document: d.record.Doc(d.event),
	}
}
