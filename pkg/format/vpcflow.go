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

// flowKind is what a field holds.
type flowKind uint8

const (
	flowText flowKind = iota
	flowNumber
	flowAddress
)

// flowFields are the fields that are not text, and the text that has a place of
// its own, up to version 10 of the flow logs. All else is kept under aws.vpcflow.
func flowFieldKind(name string) flowKind {
	switch name {
	case "version", "srcport", "dstport", "protocol", "packets", "bytes", "start", "end", "tcp_flags", "traffic_path",
		"packets_lost_no_route", "packets_lost_blackhole", "packets_lost_mtu_exceeded", "packets_lost_ttl_expired":
		return flowNumber
	case "srcaddr", "dstaddr", "pkt_srcaddr", "pkt_dstaddr":
		return flowAddress
	}
	return flowText
}

// flowField is one field of a flow log's format.
type flowField struct {
	name string // with underscores
	kind flowKind
	part flowPart
}

// flowPart is what becomes typed fields outside aws.vpcflow.
type flowPart uint8

const (
	flowOther flowPart = iota // nothing of the kind
	flowSource
	flowDestination
	flowSourcePort
	flowDestinationPort
	flowProtocol
	flowPackets
	flowBytes
	flowStart
	flowEnd
	flowAction
	flowStatus
	flowDirection
	flowParts
)

func flowFieldPart(name string) flowPart {
	switch name {
	case "srcaddr":
		return flowSource
	case "dstaddr":
		return flowDestination
	case "srcport":
		return flowSourcePort
	case "dstport":
		return flowDestinationPort
	case "protocol":
		return flowProtocol
	case "packets":
		return flowPackets
	case "bytes":
		return flowBytes
	case "start":
		return flowStart
	case "end":
		return flowEnd
	case "action":
		return flowAction
	case "log_status":
		return flowStatus
	case "flow_direction":
		return flowDirection
	}
	return flowOther
}

// vpcflow reads VPC flow logs of one list of fields.
type vpcflow struct {
	fields []flowField
	values [][]byte
}

func newVPCFlow(o Options) (Format, error) {
	names := flowNames(strings.Join(o.FlowFields, " "))
	if len(names) == 0 {
		names = flowNames(strings.Trim(flowColumns, "[]"))
	}
	v := &vpcflow{}
	for i, name := range names {
		switch {
		case strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" || name == "":
			return nil, fmt.Errorf("flow field %q: %w", name, errFlowFields)
		case slices.Contains(names[:i], name):
			return nil, fmt.Errorf("flow field %q stands twice: %w", name, errFlowFields)
		}
		v.fields = append(v.fields, flowField{name, flowFieldKind(name), flowFieldPart(name)})
	}
	return v, nil
}

// flowNames cuts a list of names, or the text `${version} ${account-id} …` as the
// flow log's format has it.
func flowNames(text string) []string {
	names := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return strings.ContainsRune(" ,\t\n\"", r) })
	for i, name := range names {
		if inner, ok := strings.CutPrefix(name, "${"); ok {
			name = strings.TrimSuffix(inner, "}")
		}
		names[i] = strings.ReplaceAll(name, "-", "_")
	}
	return names
}

// sniffVPCFlow knows the default format only: `2 123456789012 eni-…`.
func sniffVPCFlow(text []byte) bool {
	version, rest := cutWord(text)
	account, rest := cutWord(rest)
	_, isVersion := number(version)
	_, isAccount := long(account)
	return isVersion && (isAccount || string(account) == "unknown") && hasPrefix(rest, "eni-")
}

// Parse implements Format.
func (v *vpcflow) Parse(line *Line, f *Fields) Result {
	text := bytes.TrimSpace(line.Text)
	tokens := v.split(text)
	if v.isHeader() {
		return Header
	}
	if len(v.values) < 2 || !v.plausible(f) {
		return None
	}
	v.addTo(f)
	if tokens != len(v.fields) {
		return Partial
	}
	if len(text) == len(line.Text) && v.isColumns() {
		line.Columns = v.values
	}
	return Full
}

// isColumns says whether the values are the columns of a filter pattern. Numbers,
// which plausible has found to be such, always are.
func (v *vpcflow) isColumns() bool {
	for i, value := range v.values {
		if v.fields[i].kind != flowNumber && !pattern.IsToken(value) {
			return false
		}
	}
	return true
}

// split fills v.values with as many tokens as there are fields, and returns how
// many there were, counting at most one too many.
func (v *vpcflow) split(text []byte) (tokens int) {
	v.values = v.values[:0]
	for len(text) > 0 {
		if len(v.values) == len(v.fields) {
			return len(v.fields) + 1
		}
		var value []byte
		value, text = cutWord(text)
		v.values = append(v.values, value)
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

// plausible says whether every number is a number and every address an address,
// where there is a value: else the line is no flow record of this format.
func (v *vpcflow) plausible(f *Fields) bool {
	for i, value := range v.values {
		if withoutNil(value) == nil {
			continue
		}
		switch v.fields[i].kind {
		case flowNumber:
			if _, ok := long(value); !ok {
				return false
			}
		case flowAddress:
			if f.lookup.Address(value) == nil {
				return false
			}
		case flowText:
		}
	}
	return true
}

// flow has the parts of a record.
type flow [flowParts][]byte

func (v *vpcflow) addTo(f *Fields) {
	var record flow
	f.Open(AWS, "vpcflow")
	for i, value := range v.values {
		if value = withoutNil(value); len(value) == 0 {
			continue
		}
		field := &v.fields[i]
		if field.part != flowOther {
			record[field.part] = value
			continue
		}
		switch field.name {
		case "account_id":
			f.Account(value)
		case "region":
			f.Region(value)
		case "pkt_srcaddr", "pkt_dstaddr":
			f.RelatedIP(value)
		}
		if n, ok := long(value); ok && field.kind == flowNumber {
			f.Int(AWS, field.name, n)
		} else {
			f.String(AWS, field.name, value)
		}
	}
	f.String(AWS, "action", record[flowAction])
	f.String(AWS, "log_status", record[flowStatus])
	f.Close(AWS)
	record.addTo(f)
}

func (r *flow) addTo(f *Fields) {
	f.Members(Event, r.event())
	f.addSeconds("start", r[flowStart])
	f.addSeconds("end", r[flowEnd])
	source := f.Address(Source, r[flowSource])
	destination := f.Address(Destination, r[flowDestination])
	sourcePort, ok1 := f.addPort(Source, r[flowSourcePort])
	destinationPort, ok2 := f.addPort(Destination, r[flowDestinationPort])
	f.addCount("packets", r[flowPackets])
	f.addCount("bytes", r[flowBytes])
	protocol, ok3 := number(r[flowProtocol])
	if ok3 {
		f.String(Network, "iana_number", r[flowProtocol])
		f.Keyword(Network, "transport", transport(protocol))
	}
	if source == nil || destination == nil {
		return
	}
	r.addDirection(f, source, destination)
	conversation := enrich.Flow{
		Source: source.IP, Destination: destination.IP,
		SourcePort: sourcePort, DestinationPort: destinationPort, Protocol: uint8(protocol),
	}
	if ok1 && ok2 && ok3 && protocol < 256 && conversation.HasCommunityID() {
		f.scratch = conversation.AppendCommunityID(f.scratch[:0])
		f.String(Network, "community_id", f.scratch)
	}
}

// event returns the members of event: what happened to the flow, or that there
// was none (NODATA), or that AWS could not record it (SKIPDATA).
func (r *flow) event() string {
	switch string(r[flowAction]) {
	case "ACCEPT":
		return `"kind":"event","category":["network"],"type":["connection","allowed"],"action":"accept","outcome":"success","dataset":"aws.vpcflow",`
	case "REJECT":
		return `"kind":"event","category":["network"],"type":["connection","denied"],"action":"reject","outcome":"failure","dataset":"aws.vpcflow",`
	}
	switch string(r[flowStatus]) {
	case "NODATA":
		return `"kind":"event","category":["network"],"type":["info"],"action":"nodata","dataset":"aws.vpcflow",`
	case "SKIPDATA":
		return `"kind":"event","category":["network"],"type":["info"],"action":"skipdata","dataset":"aws.vpcflow",`
	}
	return `"kind":"event","category":["network"],"type":["connection"],"dataset":"aws.vpcflow",`
}

// addDirection writes what the record says, seen from its interface, or else what
// the scopes of the addresses say.
func (r *flow) addDirection(f *Fields, source, destination *enrich.Address) {
	family := "ipv6"
	if source.IP.Is4() {
		family = "ipv4"
	}
	f.Keyword(Network, "type", family)
	if len(r[flowDirection]) > 0 {
		f.String(Network, "direction", r[flowDirection])
		return
	}
	f.Keyword(Network, "direction", enrich.Direction(source.Scope, destination.Scope))
}

// addSeconds writes a time of event that is given in Unix seconds.
func (f *Fields) addSeconds(name string, value []byte) {
	if seconds, ok := long(value); ok && len(value) <= len("253402300799") {
		f.Time(Event, name, seconds*1000)
	}
}

func (f *Fields) addPort(root Root, value []byte) (uint16, bool) {
	port, ok := number(value)
	if !ok || port > 65535 {
		return 0, false
	}
	f.Int(root, "port", int64(port))
	return uint16(port), true
}

// addCount writes packets or bytes, which the source sent.
func (f *Fields) addCount(name string, value []byte) {
	if n, ok := long(value); ok {
		f.Int(Source, name, n)
		f.Int(Network, name, n)
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

// FlowColumns returns the filter pattern that splits a flow log with these fields
// into root fields of their names: what Entry.Columns is for version 2.
func FlowColumns(fields []string) string {
	return "[" + strings.Join(flowNames(strings.Join(fields, " ")), ", ") + "]"
}
