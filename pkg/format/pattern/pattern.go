// Package pattern implements the filter patterns of CloudWatch Logs.
package pattern

import "errors"

// Pattern is a compiled filter pattern. It is safe for concurrent use.
type Pattern struct{}

// Parse compiles s.
func Parse(s string) (*Pattern, error) {
	if s != "" {
		return nil, errors.New("only the empty pattern is known")
	}
	return &Pattern{}, nil
}

// Match says whether text matches.
func (p *Pattern) Match([]byte) bool { return true }

// Names returns the names of a space-delimited pattern's fields, or nil.
func (p *Pattern) Names() []string { return nil }

// Split appends the values of the fields, in the order of Names, to dst. The
// answer is false when text does not match.
func (p *Pattern) Split(_ []byte, dst [][]byte) ([][]byte, bool) { return dst, true }
