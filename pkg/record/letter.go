package record

import (
	"encoding/json"
	"time"
)

// Letter is a dead letter: one event, or one record's undecodable rest, that no
// retry can deliver, with all that is needed to send it again.
type Letter struct {
	// Reason is one of the Reason constants; a bounded set, it is a metrics label.
	Reason string    `json:"reason"`
	Time   time.Time `json:"time"` // when it was given up

	// Identity of an event: Index and ID. Of a record: Shard and Sequence alone.
	Index    string    `json:"index,omitempty"`
	ID       string    `json:"id,omitempty"` // not escaped
	Shard    string    `json:"shard"`
	Sequence string    `json:"sequence"`
	Arrival  time.Time `json:"arrival,omitzero"`

	// What the index said of it, scrubbed and cut; zero for records.
	Status      int    `json:"status,omitempty"`
	ErrorType   string `json:"error_type,omitempty"`
	ErrorReason string `json:"error_reason,omitempty"`

	Document json.RawMessage `json:"document,omitempty"` // of an event, as it was first sent
	Data     []byte          `json:"data,omitempty"`     // of a record, as Kinesis delivered it
}

// The reasons of dead letters.
const (
	ReasonUndecodable   = "undecodable"     // the record is no CloudWatch Logs payload
	ReasonOversize      = "oversize"        // it inflates beyond the cap
	ReasonPanic         = "panic"           // decoding it panicked: a defect of ours
	ReasonRejected      = "rejected"        // the index refused the document in every form
	ReasonTooLarge      = "too_large"       // one document alone is over the request limit
	ReasonReadOnly      = "index_read_only" // its index was blocked for longer than blocked_after
	ReasonUnprocessable = "unprocessable"   // an item 5xx that lasts while others of the index pass
	ReasonCollision     = "collision"       // another event holds its id
)

// Reasons lists all reasons, for metrics.
func Reasons() []string {
	return []string{
		ReasonUndecodable, ReasonOversize, ReasonPanic, ReasonRejected,
		ReasonTooLarge, ReasonReadOnly, ReasonUnprocessable, ReasonCollision,
	}
}
