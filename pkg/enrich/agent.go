package enrich

import "github.com/ua-parser/uap-go/uaparser"

// Parsing a user agent tries some hundred regular expressions and takes up to two
// milliseconds, a thousand times what the rest of its line takes. Strangers choose
// the string, so parsing is rationed: every look-up earns 1, a parse costs 100. A
// worker then spends at most 1/100 of that on an event on average, however many
// different strings come. The first 2,000 are free; real sites see some hundred.
const (
	parseCost = 100
	maxCredit = 2000 * parseCost
)

// maxAgent is the longest string that is parsed, in bytes. Browsers stay below 300.
const maxAgent = 512

// UserAgent returns JSON members for a user agent string, `"name":"Firefox",` and
// so on, or nothing when the ration is used up.
func (l *Lookup) UserAgent(text []byte) string {
	if l.enricher == nil || len(text) == 0 || len(text) > maxAgent {
		return ""
	}
	l.credit = min(l.credit+1, maxCredit)
	if members, ok := l.agents.get(text); ok {
		return members
	}
	if l.credit < parseCost {
		l.enricher.metrics.unparsed.Inc()
		return ""
	}
	l.credit -= parseCost
	members := string(appendAgent(nil, l.enricher.agents, string(text)))
	l.agents.put(text, members)
	return members
}

// appendAgent appends the fields that Elastic's user agent processor writes, with
// the same values: both use the patterns of ua-parser.
func appendAgent(dst []byte, parser *uaparser.Parser, text string) []byte {
	agent := parser.ParseUserAgent(text)
	dst = appendText(dst, "name", agent.Family)
	dst = appendText(dst, "version", agent.ToVersionString())
	os := parser.ParseOs(text)
	if os.Family == "Other" {
		return dst
	}
	version := os.ToVersionString()
	full := os.Family
	if version != "" {
		full += " " + version
	}
	dst = append(dst, `"os":{`...)
	dst = appendText(dst, "name", os.Family)
	dst = appendText(dst, "version", version)
	dst = appendText(dst, "full", full)
	return closeObject(dst)
}
