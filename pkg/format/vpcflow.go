package format

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/shipperd/shipperd/pkg/enrich"
)

// errFlowFields is wrapped by what is wrong with a list of fields.
var errFlowFields = errors.New("write the fields as in the flow log's format: version account-id interface-id srcaddr …")

// vpcflow reads VPC flow logs of one list of fields.
type vpcflow struct {
	fields []flowField
	places [flowParts]int // of the parts among the fields; behind the last: it has none
	// Of the line under way.
	values [][]byte
	plain  bool // a filter pattern's tokens are the values as well
	read   []flowValue
	none   flowValue
}

// flowValue is a value as its field's kind has it.
type flowValue struct {
	text    []byte // empty: there is none
	number  int64
	address *enrich.Address
}

func newVPCFlow(o Options) (Format, error) {
	names := flowNames(strings.Join(o.FlowFields, " "))
	if len(names) == 0 {
		names = flowNames(strings.Trim(flowColumns, "[]"))
	}
	v := &vpcflow{}
	for part := range v.places {
		v.places[part] = len(names)
	}
	for i, name := range names {
		switch {
		case strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" || name == "":
			return nil, fmt.Errorf("flow field %q: %w", name, errFlowFields)
		case slices.Contains(names[:i], name):
			return nil, fmt.Errorf("flow field %q stands twice: %w", name, errFlowFields)
		}
		field := flowField{name, flowFieldKind(name), flowFieldPart(name)}
		v.fields = append(v.fields, field)
		v.places[field.part] = i
	}
	return v, nil
}

// sniffVPCFlow knows the default format only: `2 123456789012 eni-…`.
func sniffVPCFlow(text []byte) bool {
	version, rest := cutWord(text)
	if _, isVersion := number(version); !isVersion {
		return false
	}
	account, rest := cutWord(rest)
	_, isAccount := long(account)
	return (isAccount || string(account) == "unknown") && hasPrefix(rest, "eni-")
}

// Parse implements Format.
func (v *vpcflow) Parse(line *Line, f *Fields) Result {
	text := bytes.TrimSpace(line.Text)
	tokens := v.split(text)
	if v.isHeader() {
		return Header
	}
	if len(v.values) < 2 || !v.readValues(f) {
		return None
	}
	v.addTo(f)
	if tokens != len(v.fields) {
		return Partial
	}
	if len(text) == len(line.Text) && v.plain {
		line.Columns = v.values
	}
	return Full
}

// split fills v.values with as many tokens as there are fields, and returns how
// many there were, counting at most one too many.
func (v *vpcflow) split(text []byte) (tokens int) {
	v.values = v.values[:0]
	plain := true
	for i := 0; i < len(text); {
		if len(v.values) == len(v.fields) {
			return len(v.fields) + 1
		}
		start := i
		for ; i < len(text) && text[i] != ' '; i++ {
			if text[i] < ' ' {
				plain = false
			}
		}
		v.values = append(v.values, text[start:i])
		if text[start] == '"' || text[start] == '[' {
			plain = false
		}
		for i < len(text) && text[i] == ' ' {
			i++
		}
	}
	v.plain = plain
	return len(v.values)
}

// isHeader says whether the values are the names of the fields: the first line of
// a flow log's file.
func (v *vpcflow) isHeader() bool {
	for i, value := range v.values {
		if len(value) != len(v.fields[i].name) {
			return false
		}
		for j, c := range value {
			if c == '-' {
				c = '_'
			}
			if c != v.fields[i].name[j] {
				return false
			}
		}
	}
	return len(v.values) > 0
}

// readValues says whether every number is a number and every address an address,
// where there is a value: else the line is no flow record of this format.
func (v *vpcflow) readValues(f *Fields) bool {
	v.read = v.read[:0]
	for i, text := range v.values {
		value := flowValue{text: withoutNil(text)}
		if len(value.text) > 0 {
			ok := true
			switch v.fields[i].kind {
			case flowNumber:
				value.number, ok = long(text)
			case flowAddress:
				value.address = f.lookup.Address(text)
				ok = value.address != nil
			case flowText:
			}
			if !ok {
				return false
			}
		}
		v.read = append(v.read, value)
	}
	return true
}

// part returns a value that has a place outside aws.vpcflow.
func (v *vpcflow) part(p flowPart) *flowValue {
	if i := v.places[p]; i < len(v.read) {
		return &v.read[i]
	}
	return &v.none
}

// below says whether a value is a number of at most nine digits below limit.
func (x *flowValue) below(limit int64) bool {
	return len(x.text) > 0 && len(x.text) <= 9 && x.number < limit
}

func (v *vpcflow) addTo(f *Fields) {
	f.Open(AWS, "vpcflow")
	for i := range v.read {
		field, value := &v.fields[i], &v.read[i]
		if field.part != flowOther || len(value.text) == 0 {
			continue
		}
		switch field.name {
		case "account_id":
			f.Account(value.text)
		case "region":
			f.Region(value.text)
		case "pkt_srcaddr", "pkt_dstaddr":
			f.ips = appendUnique(f.ips, value.address.Text)
		}
		if field.kind == flowNumber {
			f.digits(AWS, field.name, value.text)
		} else {
			f.String(AWS, field.name, value.text)
		}
	}
	f.String(AWS, "action", v.part(flowAction).text)
	f.String(AWS, "log_status", v.part(flowStatus).text)
	f.Close(AWS)
	v.addConversation(f)
}

// addConversation writes what becomes typed fields outside aws.vpcflow.
func (v *vpcflow) addConversation(f *Fields) {
	f.Members(Event, v.event())
	f.addSeconds("start", v.part(flowStart))
	f.addSeconds("end", v.part(flowEnd))
	source, destination := v.part(flowSource), v.part(flowDestination)
	f.address(Source, source.text, source.address)
	f.address(Destination, destination.text, destination.address)
	sourcePort, destinationPort := v.part(flowSourcePort), v.part(flowDestinationPort)
	f.addPort(Source, sourcePort)
	f.addPort(Destination, destinationPort)
	f.addCount("packets", v.part(flowPackets))
	f.addCount("bytes", v.part(flowBytes))
	protocol := v.part(flowProtocol)
	if protocol.below(1e9) {
		f.String(Network, "iana_number", protocol.text)
		f.Keyword(Network, "transport", transport(int(protocol.number)))
	}
	if source.address == nil || destination.address == nil {
		return
	}
	f.addDirection(v.part(flowDirection).text, source.address, destination.address)
	conversation := enrich.Flow{
		Source: source.address.IP, Destination: destination.address.IP,
		SourcePort: uint16(sourcePort.number), DestinationPort: uint16(destinationPort.number), Protocol: uint8(protocol.number),
	}
	if sourcePort.below(maxPort) && destinationPort.below(maxPort) && protocol.below(256) && conversation.HasCommunityID() {
		f.scratch = conversation.AppendCommunityID(f.scratch[:0])
		f.String(Network, "community_id", f.scratch)
	}
}

// event returns the members of event: what happened to the flow, or that there
// was none (NODATA), or that AWS could not record it (SKIPDATA).
func (v *vpcflow) event() string {
	switch string(v.part(flowAction).text) {
	case "ACCEPT":
		return `"kind":"event","category":["network"],"type":["connection","allowed"],"action":"accept","outcome":"success","dataset":"aws.vpcflow",`
	case "REJECT":
		return `"kind":"event","category":["network"],"type":["connection","denied"],"action":"reject","outcome":"failure","dataset":"aws.vpcflow",`
	}
	switch string(v.part(flowStatus).text) {
	case "NODATA":
		return `"kind":"event","category":["network"],"type":["info"],"action":"nodata","dataset":"aws.vpcflow",`
	case "SKIPDATA":
		return `"kind":"event","category":["network"],"type":["info"],"action":"skipdata","dataset":"aws.vpcflow",`
	}
	return `"kind":"event","category":["network"],"type":["connection"],"dataset":"aws.vpcflow",`
}

// addDirection writes what the record says, seen from its interface, or else what
// the scopes of the addresses say.
func (f *Fields) addDirection(recorded []byte, source, destination *enrich.Address) {
	family := "ipv6"
	if source.IP.Is4() {
		family = "ipv4"
	}
	f.Keyword(Network, "type", family)
	if len(recorded) > 0 {
		f.String(Network, "direction", recorded)
		return
	}
	f.Keyword(Network, "direction", enrich.Direction(source.Scope, destination.Scope))
}

// addSeconds writes a time of event that is given in Unix seconds.
func (f *Fields) addSeconds(name string, value *flowValue) {
	if len(value.text) > 0 && len(value.text) <= len("253402300799") {
		f.Time(Event, name, value.number*1000)
	}
}

// maxPort is where port numbers end.
const maxPort = 1 << 16

func (f *Fields) addPort(root Root, port *flowValue) {
	if port.below(maxPort) {
		f.digits(root, "port", port.text)
	}
}

// addCount writes packets or bytes, which the source sent.
func (f *Fields) addCount(name string, count *flowValue) {
	if len(count.text) > 0 {
		f.digits(Source, name, count.text)
		f.digits(Network, name, count.text)
	}
}

// transport returns the name of an IANA protocol number, as ECS has it.
func transport(protocol int) string {
	switch protocol {
	case 1:
		return "icmp"
	case 2:
		return "igmp"
	case 6:
		return "tcp"
	case 17:
		return "udp"
	case 47:
		return "gre"
	case 50:
		return "esp"
	case 58:
		return "ipv6-icmp"
	case 132:
		return "sctp"
	}
	return "other"
}
