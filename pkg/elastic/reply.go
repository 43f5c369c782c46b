package elastic

import (
	"encoding/json"
	"errors"
	"fmt"
)

// errReply is wrapped when a reply cannot be trusted.
var errReply = errors.New("malformed bulk reply")

// maxDepth bounds the nesting of a reply; real ones have less than 10 levels.
const maxDepth = 64

// replyItem is what a bulk reply says of one document.
type replyItem struct {
	status int
	class  class
	fault  []byte // the error, an unparsed JSON value; nil without one
}

// scanner reads bulk replies, full and filtered, members in any order, without
// allocating. What it accepts is JSON: a reply that was cut is never taken for a
// short one.
type scanner struct {
	body  []byte
	pos   int
	items []replyItem // reused
}

// scan reads body. The items point into it.
func (s *scanner) scan(body []byte) ([]replyItem, error) {
	s.body, s.pos, s.items = body, 0, s.items[:0]
	found := false
	err := s.object(func(key []byte) error {
		if string(key) != "items" {
			return s.skip(0)
		}
		if found {
			return s.fail("items twice")
		}
		found = true
		return s.array(s.item)
	})
	if err != nil {
		return nil, err
	}
	if s.space(); s.pos != len(s.body) {
		return nil, s.fail("data after the end")
	}
	return s.items, nil
}

// item reads {"create":{...,"status":201,...}}.
func (s *scanner) item() error {
	operations := 0
	item := replyItem{}
	err := s.object(func([]byte) error {
		operations++
		return s.object(func(key []byte) error {
			s.space()
			start := s.pos
			switch string(key) {
			case "status":
				return s.status(&item.status)
			case "error":
				if err := s.skip(0); err != nil {
					return err
				}
				item.fault = s.body[start:s.pos]
				return nil
			}
			return s.skip(0)
		})
	})
	if err != nil {
		return err
	}
	if operations != 1 || item.status == 0 {
		return s.fail("an item without a status")
	}
	s.items = append(s.items, item)
	return nil
}

func (s *scanner) status(status *int) error {
	start := s.pos
	*status = 0
	for s.pos < len(s.body) && s.body[s.pos] >= '0' && s.body[s.pos] <= '9' {
		*status = *status*10 + int(s.body[s.pos]-'0')
		s.pos++
	}
	if s.pos-start != 3 || *status < 100 {
		return s.fail("a status that is none")
	}
	return nil
}

// object reads an object and calls member with each key, positioned before its value.
func (s *scanner) object(member func(key []byte) error) error {
	if !s.next('{') {
		return s.fail("no object")
	}
	if s.next('}') {
		return nil
	}
	for {
		s.space()
		start := s.pos + 1
		if err := s.text(); err != nil {
			return err
		}
		key := s.body[start : s.pos-1]
		if !s.next(':') {
			return s.fail("no colon")
		}
		if err := member(key); err != nil {
			return err
		}
		if s.next('}') {
			return nil
		}
		if !s.next(',') {
			return s.fail("no comma in an object")
		}
	}
}

// array reads an array and calls element before each element.
func (s *scanner) array(element func() error) error {
	if !s.next('[') {
		return s.fail("no array")
	}
	if s.next(']') {
		return nil
	}
	for {
		if err := element(); err != nil {
			return err
		}
		if s.next(']') {
			return nil
		}
		if !s.next(',') {
			return s.fail("no comma in an array")
		}
	}
}

// skip reads one value of any kind.
func (s *scanner) skip(depth int) error {
	if depth > maxDepth {
		return s.fail("nested too deeply")
	}
	if s.space(); s.pos == len(s.body) {
		return s.fail("it ends early")
	}
	switch c := s.body[s.pos]; c {
	case '{':
		return s.object(func([]byte) error { return s.skip(depth + 1) })
	case '[':
		return s.array(func() error { return s.skip(depth + 1) })
	case '"':
		return s.text()
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	default:
		return s.number()
	}
}

func (s *scanner) text() error {
	if s.pos == len(s.body) || s.body[s.pos] != '"' {
		return s.fail("no string")
	}
	for s.pos++; s.pos < len(s.body); s.pos++ {
		switch c := s.body[s.pos]; {
		case c == '"':
			s.pos++
			return nil
		case c < ' ':
			return s.fail("a control character in a string")
		case c == '\\':
			if err := s.escape(); err != nil {
				return err
			}
		}
	}
	return s.fail("it ends in a string")
}

// escape leaves pos on the last byte of the escape sequence.
func (s *scanner) escape() error {
	if s.pos++; s.pos == len(s.body) {
		return s.fail("it ends in a string")
	}
	switch s.body[s.pos] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return nil
	case 'u':
		for range 4 {
			if s.pos++; s.pos == len(s.body) || !isHex(s.body[s.pos]) {
				return s.fail("a bad escape")
			}
		}
		return nil
	}
	return s.fail("a bad escape")
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func (s *scanner) literal(word string) error {
	if end := s.pos + len(word); end <= len(s.body) && string(s.body[s.pos:end]) == word {
		s.pos = end
		return nil
	}
	return s.fail("no value")
}

// number reads plain integers itself, which is what replies have, and leaves the
// rest of the grammar to encoding/json.
func (s *scanner) number() error {
	start, plain := s.pos, true
	for s.pos < len(s.body) && isNumber(s.body[s.pos]) {
		plain = plain && s.body[s.pos] >= '0' && s.body[s.pos] <= '9'
		s.pos++
	}
	digits := s.body[start:s.pos]
	if plain && len(digits) > 0 && (digits[0] != '0' || len(digits) == 1) || json.Valid(digits) {
		return nil
	}
	return s.fail("no value")
}

func isNumber(c byte) bool {
	return c >= '0' && c <= '9' || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E'
}

func (s *scanner) space() {
	for s.pos < len(s.body) {
		switch s.body[s.pos] {
		case ' ', '\t', '\r', '\n':
			s.pos++
		default:
			return
		}
	}
}

// next consumes c, and space before it, if it is there.
func (s *scanner) next(c byte) bool {
	s.space()
	if s.pos < len(s.body) && s.body[s.pos] == c {
		s.pos++
		return true
	}
	return false
}

func (s *scanner) fail(what string) error {
	return fmt.Errorf("%w: %s at byte %d of %d", errReply, what, s.pos, len(s.body))
}
