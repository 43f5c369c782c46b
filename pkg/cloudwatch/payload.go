package cloudwatch

import (
	"fmt"

	"github.com/shipperd/shipperd/pkg/jsonraw"
)

// Text is the inside of a JSON string, still escaped.
type Text struct {
	Inside  []byte
	Escapes jsonraw.Escapes
}

// Append appends the text itself.
func (t Text) Append(dst []byte) []byte {
	if t.Escapes == jsonraw.Plain {
		return append(dst, t.Inside...)
	}
	return jsonraw.Unescape(dst, t.Inside)
}

// Payload is one message of a subscription. It is to be reused.
type Payload struct {
	// Control marks CloudWatch's own check that the stream takes records. Its
	// events are no log events.
	Control bool
	Owner   Text // account that the events come from
	Group   Text
	Stream  Text
	Events  []Event

	hasType, hasEvents bool
	key                []byte // room for one that has escapes
	unquoter           jsonraw.Unquoter
}

// Event is one log event.
type Event struct {
	ID        Text  // empty when there is none; up to 56 digits, a string or a number
	Time      int64 // Unix milliseconds
	Message   Text
	Text      []byte   // the message, unescaped
	Marks     []uint32 // of Text; see jsonraw.Unquoter
	Extracted []byte   // the extractedFields object, checked; nil when there is none
}

// keepEvents is how many events a Payload keeps room for: a usual record has up to 10,000.
const keepEvents = 20_000

// maxTime is the largest time that ECMAScript's Date can hold, in milliseconds.
const maxTime = 8_640_000_000_000_000

// Next reads the payload at the start of text and returns what follows it, less
// white space. Keys may come in any order; those that are not known are ignored.
// An error says that text begins with no payload; p then holds nothing of use.
func (p *Payload) Next(text []byte) (rest []byte, err error) {
	*p = Payload{Events: p.Events[:0], key: p.key, unquoter: p.unquoter}
	if cap(p.Events) > keepEvents {
		p.Events = nil
	}
	p.unquoter.Reset(keepBuffer)
	start := jsonraw.Space(text, 0)
	o := jsonraw.ReadObject(text, start)
	for {
		i, ok := o.NextKey()
		if !ok {
			break
		}
		end, err := p.member(p.name(&o), text, i)
		if err != nil {
			return nil, err
		}
		o.Took(end)
	}
	switch end := o.End(); {
	case end < 0:
		return nil, errSyntax
	case !p.hasType:
		return nil, errMessageType
	case !p.hasEvents:
		return nil, fmt.Errorf("%w: no logEvents", errShape)
	default:
		return text[jsonraw.Space(text, end):], nil
	}
}

// name returns the text of the key under way. No one is known to escape a key,
// but a JSON parser would understand it.
func (p *Payload) name(o *jsonraw.Object) []byte {
	if o.KeyEscapes == jsonraw.Plain {
		return o.Key
	}
	p.key = jsonraw.Unescape(p.key[:0], o.Key)
	return p.key
}

func (p *Payload) member(key, text []byte, i int) (end int, err error) {
	switch string(key) {
	case "messageType":
		var t Text
		t, end, err = stringAt(text, i, "messageType")
		p.key = t.Append(p.key[:0])
		p.Control, p.hasType = string(p.key) == "CONTROL_MESSAGE", true
	case "owner":
		p.Owner, end, err = stringAt(text, i, "owner")
	case "logGroup":
		p.Group, end, err = stringAt(text, i, "logGroup")
	case "logStream":
		p.Stream, end, err = stringAt(text, i, "logStream")
	case "logEvents":
		end, err = p.events(text, i)
	default:
		end = jsonraw.Skip(text, i)
	}
	return end, err
}

// stringAt reads the string that the value of key has to be.
func stringAt(text []byte, i int, key string) (t Text, end int, err error) {
	end, esc := jsonraw.String(text, i)
	if end >= 0 {
		return Text{text[i+1 : end-1], esc}, end, nil
	}
	if jsonraw.Skip(text, i) < 0 {
		return Text{}, -1, errSyntax
	}
	return Text{}, -1, fmt.Errorf("%w: %s is no string", errShape, key)
}

func (p *Payload) events(text []byte, i int) (end int, err error) {
	p.Events, p.hasEvents = p.Events[:0], true
	a := jsonraw.ReadArray(text, i)
	for {
		i, ok := a.Next()
		if !ok {
			return a.End(), nil
		}
		p.Events = append(p.Events, Event{})
		end, err := p.event(&p.Events[len(p.Events)-1], text, i)
		if err != nil {
			return -1, err
		}
		a.Took(end)
	}
}

func (p *Payload) event(e *Event, text []byte, i int) (end int, err error) {
	o := jsonraw.ReadObject(text, i)
	hasTime, hasMessage := false, false
	if end := p.usual(e, text, i); end >= 0 {
		o.Took(end)
		hasTime, hasMessage = true, true
	}
	for {
		i, ok := o.NextKey()
		if !ok {
			break
		}
		switch string(p.name(&o)) {
		case "id":
			e.ID, end, err = idAt(text, i)
		case "timestamp":
			e.Time, end, err = timeAt(text, i)
			hasTime = true
		case "message":
			end, err = p.message(e, text, i)
			hasMessage = true
		case "extractedFields":
			e.Extracted, end, err = objectAt(text, i)
		default:
			end = jsonraw.Skip(text, i)
		}
		if err != nil {
			return -1, err
		}
		o.Took(end)
	}
	if o.End() >= 0 && (!hasTime || !hasMessage) {
		return -1, fmt.Errorf("%w: an event without timestamp or message", errShape)
	}
	return o.End(), nil
}

// usual reads what nearly every event begins with, {"id":"…","timestamp":…,"message":"…",
// at once instead of key by key, and returns where the message ends. For anything
// else it returns -1.
func (p *Payload) usual(e *Event, text []byte, i int) (end int) {
	const idKey, timeKey, messageKey = `{"id":`, `,"timestamp":`, `,"message":`
	if !hasAt(text, i, idKey) {
		return -1
	}
	idStart := i + len(idKey)
	idEnd, escapes := jsonraw.String(text, idStart)
	if idEnd < 0 || !hasAt(text, idEnd, timeKey) {
		return -1
	}
	ms, timeStart := int64(0), idEnd+len(timeKey)
	for i = timeStart; i < len(text) && text[i]-'0' <= 9 && i-timeStart < 15; i++ {
		ms = ms*10 + int64(text[i]-'0')
	}
	if i == timeStart || text[timeStart] == '0' || !hasAt(text, i, messageKey) {
		return -1
	}
	end, err := p.message(e, text, i+len(messageKey))
	if err != nil {
		return -1
	}
	e.ID, e.Time = Text{text[idStart+1 : idEnd-1], escapes}, ms
	return end
}

// hasAt says whether word stands at text[i].
func hasAt(text []byte, i int, word string) bool {
	return len(text)-i >= len(word) && string(text[i:i+len(word)]) == word
}

// message reads the message, which nearly every reader wants unescaped.
func (p *Payload) message(e *Event, text []byte, i int) (end int, err error) {
	var escapes jsonraw.Escapes
	e.Text, e.Marks, end, escapes = p.unquoter.Unquote(text, i)
	if end < 0 {
		_, _, err = stringAt(text, i, "message")
		return -1, err
	}
	e.Message = Text{text[i+1 : end-1], escapes}
	return end, nil
}

// idAt reads a string, a number as its digits, or null as none.
func idAt(text []byte, i int) (id Text, end int, err error) {
	if i < len(text) && text[i] != '"' {
		end := jsonraw.Skip(text, i)
		switch {
		case end < 0:
			return Text{}, -1, errSyntax
		case text[i] == 'n':
			return Text{}, end, nil
		case text[i] == '-' || text[i]-'0' <= 9:
			return Text{Inside: text[i:end]}, end, nil
		}
	}
	return stringAt(text, i, "id")
}

// timeAt reads milliseconds, bare as CloudWatch writes them or quoted as AWS's own
// test payloads have them.
func timeAt(text []byte, i int) (ms int64, end int, err error) {
	end = jsonraw.Skip(text, i)
	if end < 0 {
		return 0, -1, errSyntax
	}
	digits := text[i:end]
	if inside, ok := jsonraw.Inside(digits); ok {
		digits = inside
	}
	negative := len(digits) > 0 && digits[0] == '-'
	if negative {
		digits = digits[1:]
	}
	good := len(digits) > 0 && len(digits) <= 16
	for _, c := range digits {
		good = good && c-'0' <= 9
		ms = ms*10 + int64(c-'0')
	}
	if !good || ms > maxTime {
		return 0, -1, fmt.Errorf("%w: a timestamp is no time in milliseconds", errShape)
	}
	if negative {
		ms = -ms
	}
	return ms, end, nil
}

// objectAt reads an object, or null as none.
func objectAt(text []byte, i int) (object []byte, end int, err error) {
	end = jsonraw.Skip(text, i)
	switch {
	case end < 0:
		return nil, -1, errSyntax
	case text[i] == '{':
		return text[i:end], end, nil
	case text[i] == 'n':
		return nil, end, nil
	}
	return nil, -1, fmt.Errorf("%w: extractedFields is no object", errShape)
}
