package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrInvalid is wrapped by every error of Load.
var ErrInvalid = errors.New("the configuration is wrong")

// Origin says where a value came from. The zero Origin is the default.
type Origin struct {
	Source string `json:"source,omitempty"` // file, variable or flag
	Line   int    `json:"line,omitempty"`   // from 1; 0 where there are no lines
	Column int    `json:"column,omitempty"` // from 1
}

// String returns file:line:column, the name of the variable or flag, or "default".
func (o Origin) String() string {
	switch {
	case o.Source == "":
		return "default"
	case o.Line == 0:
		return o.Source
	}
	return fmt.Sprintf("%s:%d:%d", o.Source, o.Line, o.Column)
}

// Mistake is one thing that is wrong, and what to write instead. It never holds
// the value of a secret, nor anything of the lines around it.
type Mistake struct {
	Origin

	Key     string `json:"key,omitempty"`
	Message string `json:"message"`
}

// String returns "file:line:column: key: message".
func (m Mistake) String() string {
	text := m.Message
	if m.Key != "" {
		text = m.Key + ": " + text
	}
	if m.Source != "" {
		text = fmt.Sprint(m.Origin, ": ", text)
	}
	return text
}

// Mistakes are all that one run found.
type Mistakes []Mistake //nolint:errname // they are a list first, which validate prints

// Error returns the mistakes, one a line.
func (m Mistakes) Error() string {
	lines := []string{ErrInvalid.Error() + ":"}
	for _, mistake := range m {
		lines = append(lines, mistake.String())
	}
	return strings.Join(lines, "\n")
}

// Unwrap makes errors.Is find ErrInvalid.
func (m Mistakes) Unwrap() error { return ErrInvalid }

func (l *loader) mistake(at Origin, key, format string, args ...any) {
	l.mistakes = append(l.mistakes, Mistake{Origin: at, Key: key, Message: fmt.Sprintf(format, args...)})
}

// refuse takes what the Validate of a section returned: one error, or several
// joined, each "key: message". The key may leave the section out. A key whose
// value could not be read, or that was misspelt, has its mistake already: what
// Validate saw was the default.
func (l *loader) refuse(section string, err error) {
	for _, err := range split(err) {
		key, message, ok := strings.Cut(err.Error(), ": ")
		if !ok || strings.Contains(key, " ") {
			key, message = section, err.Error()
		}
		if !slices.Contains(l.sections(), firstPart(key)) {
			key = section + "." + key
		}
		if l.meant[key] || slices.ContainsFunc(l.mistakes, func(m Mistake) bool { return m.Key == key }) {
			continue
		}
		at := l.originOf(key)
		if at == (Origin{}) { // set nowhere, and the default does not do
			message += fmt.Sprintf("; set it in %s, or as %s", l.file, leaf{key: key}.variable())
		}
		l.mistake(at, key, "%s", message)
	}
}

// split returns the errors that errors.Join has joined. An error that wraps
// several in a sentence of its own is one.
func split(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || errors.Join(joined.Unwrap()...).Error() != err.Error() {
		return []error{err}
	}
	var all []error
	for _, err := range joined.Unwrap() {
		all = append(all, split(err)...)
	}
	return all
}

// originOf returns the origin of key, or of the nearest key above it.
func (l *loader) originOf(key string) Origin {
	for {
		if at, ok := l.origins[key]; ok {
			return at
		}
		end := strings.LastIndexAny(key, ".[")
		if end < 0 {
			return l.origins[""]
		}
		key = key[:end]
	}
}

func firstPart(key string) string {
	if end := strings.IndexAny(key, ".["); end >= 0 {
		return key[:end]
	}
	return key
}

func (l *loader) sortedMistakes() Mistakes {
	slices.SortStableFunc(l.mistakes, func(a, b Mistake) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Key, b.Key))
	})
	return l.mistakes
}

// Nearest returns the candidate that a person who wrote name most likely meant,
// "" when none is near.
func Nearest(name string, candidates []string) string {
	best, bestDistance := "", 1+len(name)/3 // a slip in three letters
	for _, candidate := range candidates {
		if d := distance(name, candidate); d < bestDistance || d == bestDistance && best == "" {
			best, bestDistance = candidate, d
		}
	}
	return best
}

// distance is Levenshtein's: how many bytes to insert, remove or replace.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
