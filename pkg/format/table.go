package format

import "github.com/shipperd/shipperd/pkg/enrich"

// Options are what a group's configuration says about its format.
type Options struct {
	// FlowFields are the fields of a VPC flow log, in order; empty means version 2.
	FlowFields []string
	Enrich     *enrich.Enricher // nil: nothing is looked up
	// Flattened writes aws.cloudtrail.flattened.*, for indices whose template maps
	// it as flattened or flat_object. Anywhere else it would be thousands of fields.
	Flattened bool
}

// Entry describes one format.
type Entry struct {
	Name    string // as in groups[].format and shipperd.format
	Columns string // filter pattern of the lab's root fields; empty: none
	// Sniff says whether a line looks like this format, cheaply; nil: it is never
	// guessed. No two entries of Table take the same line.
	Sniff func(*Line) bool
	JSON  bool // the message's own keys become root fields
	New   func(Options) (Format, error)
}

// The filter patterns of the lab's subscriptions.
const (
	apacheColumns = "[host, ident, authuser, date, request, status, bytes, referrer, agent]"
	sshdColumns   = "[month, day, timestamp, destIp, id, msg1, msg2, msg3, srcIp, msg5, destPort, msg7]"
	flowColumns   = "[version, account_id, interface_id, srcaddr, dstaddr, srcport, dstport, protocol, packets, bytes, start, end, action, log_status]"
)

// Table returns all formats. Both Apache formats read access and error logs alike; they
// differ in the columns, which an error log has not.
func Table() []Entry {
	return []Entry{
		{Name: "cloudtrail", Sniff: byText(sniffCloudTrail), JSON: true, New: newCloudTrail},
		{Name: "json", Sniff: byText(sniffJSON), JSON: true, New: newPlain},
		{Name: "vpcflow", Columns: flowColumns, Sniff: byText(sniffVPCFlow), New: newVPCFlow},
		{Name: "apache_error", Sniff: byText(sniffErrorLog), New: newApache},
		{Name: "apache", Columns: apacheColumns, Sniff: sniffApache, New: newApache},
		{Name: "sshd", Columns: sshdColumns, Sniff: sniffSSHD, New: newSSHD},
		{Name: "pattern", New: newPlain},
		{Name: "text", New: newPlain},
	}
}

// sniffJSON knows any object that is nobody else's.
func sniffJSON(text []byte) bool {
	return isObject(text) && !sniffCloudTrail(text) && !sniffJournal(text)
}

func byText(sniff func(text []byte) bool) func(*Line) bool {
	return func(line *Line) bool { return sniff(line.Text) }
}

// plain is the Format of messages without typed fields of their own.
type plain struct{}

func newPlain(Options) (Format, error) { return plain{}, nil }

// Parse implements Format.
func (plain) Parse(*Line, *Fields) Result { return Full }
