// Package pattern implements the filter patterns of CloudWatch Logs, as
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
// describes them: terms (`ERROR -debug`, `?a ?b`, `"two words"`, `%regex%`), JSON
// (`{ $.errorCode = "Access*" }`) and space-delimited fields
// (`[host, ident, authuser, date, request, status = 4*, bytes]`).
//
// shipperd splits and drops lines with them, so that subscriptions can use the
// empty pattern, which is the recommended one: CloudWatch does not deliver a line
// that its subscription's pattern does not fit. Of 2,000 real sshd lines the
// pattern of the SSH log group in AWS's own training lab,
//
//	[month, day, timestamp, destIp, id, msg1, msg2, msg3, srcIp, msg5, destPort, msg7]
//
// delivers 1,602 and finds the address in none: its twelve positions fit only
// "Connection closed by IP port N [preauth]" and "Connection reset by …". Apache's
// common format has seven tokens of the nine that the access log's pattern asks
// for, and is not delivered at all.
//
// Matching takes time linear in the text and, but for JSON strings with escapes,
// allocates nothing.
package pattern

import "strings"

// maxLength is CloudWatch's limit on a filter pattern, in bytes. It also bounds
// how deep parentheses nest.
const maxLength = 1024

// matcher is a compiled condition on a line, a field or a JSON value.
type matcher interface {
	match(text []byte) bool
}

// Pattern is a compiled filter pattern. It is safe for concurrent use.
type Pattern struct {
	matcher matcher
	columns *columns // nil unless it is space-delimited
}

// Parse compiles s. Its error is a *SyntaxError.
func Parse(s string) (*Pattern, error) {
	p := &parser{text: s}
	if len(s) > maxLength {
		return nil, p.errorAt(maxLength, "a pattern has at most %d characters, this one has %d", maxLength, len(s))
	}
	parse := parseTerms
	switch p.space(); {
	case strings.HasPrefix(p.rest(), "["):
		parse = parseColumns
	case strings.HasPrefix(p.rest(), "{"):
		parse = parseJSON
	}
	m, err := parse(p)
	if err != nil {
		return nil, err
	}
	c, _ := m.(*columns)
	return &Pattern{matcher: m, columns: c}, nil
}

// Match says whether text matches. The empty pattern matches everything.
func (p *Pattern) Match(text []byte) bool { return p.matcher.match(text) }

// Names returns the names of a space-delimited pattern's fields in their order;
// fields without a name are left out. Other patterns have none.
func (p *Pattern) Names() []string {
	if p.columns == nil {
		return nil
	}
	return p.columns.names
}

// Split appends the values of the named fields to dst, in the order of Names. The
// answer is false, and dst as it was, when text does not match. The values are
// parts of text.
func (p *Pattern) Split(text []byte, dst [][]byte) ([][]byte, bool) {
	if p.columns == nil {
		return dst, false
	}
	values := dst
	if !p.columns.split(text, &values) {
		return dst, false
	}
	return values, true
}
