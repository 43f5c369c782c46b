package config

import (
	"errors"
	"fmt"
	"strings"
)

// expand replaces variables in the text of one scalar. The file is parsed by then,
// so that no value can become a key or a list.
//
//	${NAME}            its value; it must be set
//	${NAME:-default}   default when it is not set or empty
//	${NAME:?message}   a mistake with message when it is not set or empty
//	$$                 a dollar sign; so is one before anything else
func (l *loader) expand(text string) (string, error) {
	var out strings.Builder
	for {
		before, after, found := strings.Cut(text, "$")
		out.WriteString(before)
		if !found {
			return out.String(), nil
		}
		switch {
		case strings.HasPrefix(after, "$"):
			out.WriteByte('$')
			text = after[1:]
		case strings.HasPrefix(after, "{"):
			reference, rest, closed := strings.Cut(after[1:], "}")
			if !closed {
				return "", errors.New("${ without }; write $${ for the characters themselves")
			}
			value, err := l.variable(reference)
			if err != nil {
				return "", err
			}
			out.WriteString(value)
			text = rest
		default:
			out.WriteByte('$')
			text = after
		}
	}
}

// variable returns the value of what stands between ${ and }.
func (l *loader) variable(reference string) (string, error) {
	name, fallback, hasFallback := strings.Cut(reference, ":-")
	name, message, hasMessage := strings.Cut(name, ":?")
	if !isName(name) || strings.Contains(reference, "${") {
		return "", errors.New("not a variable; write ${NAME}, ${NAME:-default} or ${NAME:?message}, none inside another, and $${ for the characters themselves")
	}
	value, set := l.variables[name]
	switch {
	case hasFallback && value == "":
		return fallback, nil
	case hasMessage && value == "":
		return "", fmt.Errorf("variable %s: %s", name, message)
	case !set:
		return "", fmt.Errorf("variable %s is not set; set it, or write ${%s:-default}", name, name)
	}
	return value, nil
}

func isName(s string) bool {
	return s != "" && (s[0] < '0' || s[0] > '9') &&
		strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") == ""
}
