package format

import "strings"

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

// IsFlowNumber says whether a field, written with underscores, is a number where it has
// a value.
func IsFlowNumber(name string) bool { return flowFieldKind(name) == flowNumber }

// flowField is one field of a flow log's format.
type flowField struct {
	name  string // with underscores
	label string // of its member
	kind  flowKind
	part  flowPart
}

func newFlowField(name string) flowField {
	f := flowField{name: name, label: `"` + name + `":`, kind: flowFieldKind(name), part: flowFieldPart(name)}
	if f.kind != flowNumber {
		f.label += `"`
	}
	return f
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

// FlowColumns returns the filter pattern that splits a flow log with these fields
// into root fields of their names: what Entry.Columns is for version 2.
func FlowColumns(fields []string) string {
	return "[" + strings.Join(flowNames(strings.Join(fields, " ")), ", ") + "]"
}
