package format

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/shipperd/shipperd/pkg/enrich"
	"github.com/shipperd/shipperd/pkg/format/pattern"
)

// errFlowFields is wrapped by what is wrong with a list of fields.
var errFlowFields = errors.New("write the fields as in the flow log's format: version account-id interface-id srcaddr …")

// vpcflow reads VPC flow logs of one list of fields.
type vpcflow struct {
	fields []flowField
	places [flowParts]int // of the parts among the fields; behind the last: it has none
	// Of the line under way.
	values [][]byte
	read   []flowValue
	room   []flowValue // for read
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
	v := &vpcflow{room: make([]flowValue, len(names))}
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
		field := newFlowField(name)
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
	line.setPlain(f, 0)
	v.addTo(f)
	if tokens != len(v.fields) {
		return Partial
	}
	if len(text) == len(line.Text) && v.isColumns(line) {
		line.Columns = v.values
	}
	return Full
}

// isColumns says whether the values are those of a filter pattern, which cuts at other
// white space, too, and at quotes and brackets.
func (v *vpcflow) isColumns(line *Line) bool {
	for _, value := range v.values {
		if line.Plain && value[0] != '[' {
			continue
		}
		if !pattern.IsToken(value) {
			return false
		}
	}
	return true
}

// split fills v.values with as many tokens as there are fields, and returns how
// many there were, counting at most one too many.
func (v *vpcflow) split(text []byte) (tokens int) {
	v.values = v.values[:0]
	for i := 0; i < len(text); {
		if len(v.values) == len(v.fields) {
			return len(v.fields) + 1
		}
		start := i
		for i < len(text) && text[i] != ' ' { // eight bytes on average: no IndexByte for those
			i++
		}
		v.values = append(v.values, text[start:i])
		for i < len(text) && text[i] == ' ' {
			i++
		}
	}
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
	v.read = v.room[:len(v.values)]
	for i, text := range v.values {
		value := &v.read[i]
		value.text, value.number, value.address = withoutNil(text), 0, nil
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
	b := append(f.begin(AWS), `"vpcflow":{`...)
	start := len(b) - len(`"vpcflow":{`)
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
			f.addIP(value.address)
		}
		if field.kind == flowNumber {
			b = digits(b, field.label, value.text)
		} else {
			b = f.quoted(b, field.label, value.text)
		}
	}
	b = f.quoted(b, `"action":"`, v.part(flowAction).text)
	b = f.quoted(b, `"log_status":"`, v.part(flowStatus).text)
	f.end(closeObject(b, start))

	b = append(f.begin(Event), v.event()...)
	b = f.appendSeconds(b, `"start":"`, v.part(flowStart))
	f.end(f.appendSeconds(b, `"end":"`, v.part(flowEnd)))
	b = f.appendFlowEnd(f.begin(Source), v.part(flowSource), v.part(flowSourcePort))
	b = appendCount(b, `"packets":`, v.part(flowPackets)) // the source sent them
	f.end(appendCount(b, `"bytes":`, v.part(flowBytes)))
	f.end(f.appendFlowEnd(f.begin(Destination), v.part(flowDestination), v.part(flowDestinationPort)))
	f.end(v.appendNetwork(f.begin(Network), f))
}

func (v *vpcflow) appendNetwork(b []byte, f *Fields) []byte {
	b = appendCount(b, `"packets":`, v.part(flowPackets))
	b = appendCount(b, `"bytes":`, v.part(flowBytes))
	protocol := v.part(flowProtocol)
	if protocol.below(1e9) {
		b = f.quoted(b, `"iana_number":"`, protocol.text)
		b = keyword(b, `"transport":"`, transport(int(protocol.number)))
	}
	source, destination := v.part(flowSource), v.part(flowDestination)
	if source.address == nil || destination.address == nil {
		return b
	}
	b = f.appendDirection(b, v.part(flowDirection).text, source.address, destination.address)
	sourcePort, destinationPort := v.part(flowSourcePort), v.part(flowDestinationPort)
	conversation := enrich.Flow{
		Source: source.address.IP, Destination: destination.address.IP,
		SourcePort: uint16(sourcePort.number), DestinationPort: uint16(destinationPort.number), Protocol: uint8(protocol.number),
	}
	if sourcePort.below(maxPort) && destinationPort.below(maxPort) && protocol.below(256) && conversation.HasCommunityID() {
		b = append(conversation.AppendCommunityID(append(b, `"community_id":"`...)), `",`...)
	}
	return b
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

// appendDirection appends what the record says, seen from its interface, or else what
// the scopes of the addresses say.
func (f *Fields) appendDirection(b, recorded []byte, source, destination *enrich.Address) []byte {
	family := "ipv6"
	if source.IP.Is4() {
		family = "ipv4"
	}
	b = keyword(b, `"type":"`, family)
	if len(recorded) > 0 {
		return f.quoted(b, `"direction":"`, recorded)
	}
	return keyword(b, `"direction":"`, enrich.Direction(source.Scope, destination.Scope))
}

// appendSeconds appends a time that is given in Unix seconds.
func (f *Fields) appendSeconds(b []byte, label string, value *flowValue) []byte {
	if len(value.text) == 0 || len(value.text) > len("253402300799") {
		return b
	}
	return f.time(b, label, value.number*1000)
}

// maxPort is where port numbers end.
const maxPort = 1 << 16

// appendFlowEnd appends one end of a flow.
func (f *Fields) appendFlowEnd(b []byte, end, port *flowValue) []byte {
	if len(end.text) > 0 {
		b = f.appendAddress(b, end.text, end.address)
	}
	if port.below(maxPort) {
		b = digits(b, `"port":`, port.text)
	}
	return b
}

// appendCount appends packets or bytes.
func appendCount(b []byte, label string, count *flowValue) []byte {
	if len(count.text) == 0 {
		return b
	}
	return digits(b, label, count.text)
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
