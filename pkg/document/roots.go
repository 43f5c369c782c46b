package document

import (
	"maps"
	"slices"

	"github.com/shipperd/shipperd/pkg/enrich"
	"github.com/shipperd/shipperd/pkg/format"
	"github.com/shipperd/shipperd/pkg/jsonraw"
)

// Kind is what the value of a root field has to be, so that no document of the
// day is turned away because an earlier one had the field as something else.
type Kind uint8

// The kinds.
const (
	Unknown  Kind = iota // not a field of ours: any value
	Text                 // a string
	Number               // a whole number of 64 bits
	Bool                 // true or false
	Address              // a string that is an IP address
	Object               // an object
	Objects              // an object, or an array of objects
	JSONText             // a string; any other value is written as its JSON text
	Reserved             // never a message's own field: the documents' typed fields lie there
	Metadata             // set from the payload, whatever a message says
)

// rootTable has the root fields that have a kind. Everything else that a message
// brings is Unknown.
type rootTable map[string]Kind

// roots is the one table, as a dialect has it.
//
// What the table protects. An index maps a field by the first value that it sees
// that day, and refuses documents whose value does not fit. Whoever can write one
// JSON line at midnight could so turn away every other document. Therefore a
// foreign value, under the name of a field that our formats write, goes to
// fields.<name>, where all values are strings. Names that are nobody's stay where
// the Lambda put them; two applications that disagree on one hurt each other's
// documents only, and the index template does not map unknown fields dynamically
// beyond its limit. Number of keys: a message brings at most maxKeys.
func roots(dialect Dialect) rootTable {
	if dialect == Lambda {
		return kinds(Metadata, "@id", "@timestamp", "@message", "@owner", "@log_group", "@log_stream")
	}
	table := rootTable{}
	for _, part := range []rootTable{
		kinds(Metadata, "@id", "@timestamp", "@message", "@owner", "@log_group", "@log_stream"),
		// Apache, by the columns of the lab's pattern.
		kinds(Text, "host", "ident", "authuser", "date", "request", "referrer", "agent"),
		kinds(Number, "status", "bytes"),
		// sshd, likewise. destIp is the name of the host, whatever the lab calls it.
		kinds(Text, "month", "timestamp", "destIp", "id", "msg1", "msg2", "msg3", "msg5", "msg7"),
		kinds(Number, "day", "destPort"),
		kinds(Address, "srcIp"),
		// VPC flow logs, version 2.
		kinds(Text, "interface_id", "srcaddr", "dstaddr", "action", "log_status"),
		kinds(Number, "version", "account_id", "srcport", "dstport", "protocol", "packets", "start", "end"),
		// CloudTrail, up to eventVersion 1.11.
		kinds(Text, "eventVersion", "eventTime", "eventSource", "eventName", "awsRegion", "sourceIPAddress",
			"userAgent", "errorCode", "errorMessage", "requestID", "eventID", "eventType", "recipientAccountId",
			"sharedEventID", "vpcEndpointId", "vpcEndpointAccountId", "eventCategory", "sessionCredentialFromConsole"),
		kinds(Bool, "managementEvent", "readOnly"),
		kinds(Object, "userIdentity", "additionalEventData", "addendum", "edgeDeviceDetails", "tlsDetails",
			"eventContext", "insightDetails"),
		kinds(Objects, "resources"),
		kinds(JSONText, "requestParameters", "responseElements", "serviceEventDetails", "apiVersion"),
		// "_" stands for all names that begin with it: an index has its own metadata
		// under such names and refuses documents that use one.
		kinds(Reserved, foreignRoot, "_"),
	} {
		maps.Copy(table, part)
	}
	for _, root := range format.Roots() {
		table[root.String()] = Reserved
	}
	if dialect == SolutionV4 {
		maps.Copy(table, kinds(Metadata, "id", "timestamp", "type"))
		maps.Copy(table, kinds(Text, "account_id"))
		delete(table, "serviceEventDetails")
	}
	return table
}

// foreignRoot is the object that takes what does not fit the table.
const foreignRoot = "fields"

func kinds(k Kind, names ...string) rootTable {
	table := make(rootTable, len(names))
	for _, name := range names {
		table[name] = k
	}
	return table
}

// Root is one row of the table of root fields.
type Root struct {
	Name string
	Kind Kind
}

// Roots returns the table of a dialect, sorted by name: what an index template
// has to map.
func Roots(dialect Dialect) []Root {
	table := roots(dialect)
	rows := make([]Root, 0, len(table))
	for _, name := range slices.Sorted(maps.Keys(table)) {
		rows = append(rows, Root{name, table[name]})
	}
	return rows
}

// kindIndex finds the kind of a root field by the number of its name. A map takes
// five times as long, for each key of each message.
type kindIndex struct {
	names      *jsonraw.Names
	kinds      [256]Kind // by jsonraw.Name
	underscore Kind      // of names that begin with '_'
}

func newKindIndex(table rootTable) *kindIndex {
	names := jsonraw.NewNames(slices.Concat(format.MemberNames(), slices.Sorted(maps.Keys(table)))...)
	x := &kindIndex{names: names, underscore: table["_"]}
	for name, kind := range table {
		x.kinds[names.Find([]byte(name))] = kind
	}
	return x
}

// kindOf returns the kind of a root field by its member, if its name has no escapes.
func (x *kindIndex) kindOf(m *jsonraw.Member, text []byte) Kind {
	if m.Name != 0 {
		return x.kinds[m.Name]
	}
	return x.unnumbered(m.Key(text))
}

// unnumbered returns the kind of a name that is not in the table.
func (x *kindIndex) unnumbered(name []byte) Kind {
	if len(name) > 0 && name[0] == '_' {
		return x.underscore
	}
	return Unknown
}

// find returns the kind of a root field by its name.
func (x *kindIndex) find(name []byte) Kind {
	if number := x.names.Find(name); number != 0 {
		return x.kinds[number]
	}
	return x.unnumbered(name)
}

// fits says whether a value of a JSON message may stand under a root field of
// kind k. null fits everywhere: an index leaves it out.
func fits(k Kind, value []byte) bool {
	if value[0] == 'n' && k != Reserved {
		return true
	}
	switch k {
	case Unknown, JSONText:
		return true
	case Text:
		return value[0] == '"'
	case Number:
		_, ok := wholeNumber(value)
		return ok
	case Bool:
		return value[0] == 't' || value[0] == 'f'
	case Address:
		inside, ok := jsonraw.Inside(value)
		return ok && isAddress(inside)
	case Object:
		return value[0] == '{'
	case Objects:
		return value[0] == '{' || value[0] == '[' && allObjects(value)
	case Reserved, Metadata:
	}
	return false
}

func isAddress(text []byte) bool {
	_, ok := enrich.ParseAddr(text)
	return ok
}

// allObjects says whether all elements of a valid array are objects.
func allObjects(array []byte) bool {
	a := jsonraw.ReadArray(array, 0)
	for {
		i, ok := a.Next()
		if !ok {
			return true
		}
		if array[i] != '{' {
			return false
		}
		a.Took(jsonraw.Skip(array, i))
	}
}
