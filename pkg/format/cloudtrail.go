package format

import (
	"bytes"
	"unicode/utf8"

	"github.com/shipperd/shipperd/pkg/jsonraw"
)

// cloudtrail reads CloudTrail events, up to eventVersion 1.11; minor versions only
// add keys. The record's own keys are root fields of the document, so that only
// what detections use is typed here.
type cloudtrail struct {
	flattened bool
	table     *trailTable
	event     trailEvent
	tree      jsonraw.Tree // of a line that came without Members
}

func newCloudTrail(o Options) (Format, error) {
	return &cloudtrail{flattened: o.Flattened, table: newTrailTable()}, nil
}

func sniffCloudTrail(text []byte) bool {
	return isObject(text) && bytes.Contains(text, []byte(`"eventVersion"`)) && bytes.Contains(text, []byte(`"eventSource"`))
}

func isObject(text []byte) bool {
	if len(text) > 0 && text[0] > ' ' && text[0] < utf8.RuneSelf {
		return text[0] == '{' // no white space before it
	}
	text = bytes.TrimSpace(text)
	return len(text) > 0 && text[0] == '{'
}

// trailEvent is the members of an event that are used. Of a key that stands twice in an
// object the first counts.
type trailEvent struct {
	line    []byte
	members []jsonraw.Member
	places  [trailFields]int32 // in members, counted from 1; 0: there is none
}

// Parse implements Format. An event that is cut off keeps what came before the cut.
func (c *cloudtrail) Parse(line *Line, f *Fields) Result {
	e := &c.event
	*e = trailEvent{line: line.Text}
	complete := c.read(line)
	if e.places[eventVersion] == 0 || e.places[eventSource] == 0 && !e.isInsight() {
		return None
	}
	// Each root in one go.
	f.Address(Source, e.text(f, sourceAddress))
	e.addUser(f)
	f.UserAgent(e.text(f, userAgent))
	e.addEvent(f, complete)
	e.addTrail(f, c.flattened)
	f.Account(e.text(f, recipientAccount))
	f.Account(e.text(f, identityAccount))
	f.Region(e.text(f, awsRegion))
	if !complete {
		return Partial
	}
	return Full
}

// read reads the members and says whether the line is a whole object.
func (c *cloudtrail) read(line *Line) (complete bool) {
	e := &c.event
	e.members = line.Members
	complete = len(e.members) > 0
	if !complete {
		end := c.tree.Read(line.Text, jsonraw.Space(line.Text, 0), nil, c.table.names)
		complete = end >= 0 && jsonraw.Space(line.Text, end) == len(line.Text)
		e.members = c.tree.Members
	}
	c.pick(0, len(e.members), 0)
	return complete
}

// pick notes those of members[start:end] that are used, which are those of an object: the
// value of a field, or the event itself, which is 0.
func (c *cloudtrail) pick(start, end int, object trailField) {
	e, fields := &c.event, &c.table.fields[object]
	for i := start; i < end; {
		m := &e.members[i]
		i += 1 + int(m.Inner)
		field := fields[m.Name]
		if field == 0 || e.places[field] != 0 {
			continue
		}
		e.places[field] = int32(i) - m.Inner
		if c.table.inner[field] && m.First == '{' {
			c.pick(i-int(m.Inner), i, field)
		}
	}
}

// member returns the member of a field, nil if there is none.
func (e *trailEvent) member(field trailField) *jsonraw.Member {
	if place := e.places[field]; place != 0 {
		return &e.members[place-1]
	}
	return nil
}

// value returns the JSON value of a field, nil if there is none.
func (e *trailEvent) value(field trailField) []byte {
	if m := e.member(field); m != nil {
		return m.Value(e.line)
	}
	return nil
}

// isText says whether a field is a string that is not empty.
func (e *trailEvent) isText(field trailField) bool {
	m := e.member(field)
	return m != nil && isText(m.Value(e.line))
}

// isText says whether a JSON value is a string that is not empty.
func isText(value []byte) bool { return len(value) > len(`""`) && value[0] == '"' }

// text returns the text of a field that is a string, or nothing for another value. It is
// valid until the next call of a method of f.
func (e *trailEvent) text(f *Fields, field trailField) []byte {
	m := e.member(field)
	if m == nil {
		return nil
	}
	inside, _ := jsonraw.Inside(m.Value(e.line))
	if m.Escapes == jsonraw.Plain {
		return inside
	}
	f.scratch = jsonraw.Unescape(f.scratch[:0], inside)
	return f.scratch
}

// appendText appends a field that is a string after its label, such as `"name":"`. Other
// values are left out. It is inlined, for most events have few of the fields.
func (e *trailEvent) appendText(b []byte, f *Fields, label string, field trailField) []byte {
	if e.places[field] == 0 {
		return b
	}
	return e.appendMember(b, f, label, field)
}

func (e *trailEvent) appendMember(b []byte, f *Fields, label string, field trailField) []byte {
	m := e.member(field)
	value := m.Value(e.line)
	switch {
	case !isText(value):
		return b
	case m.Escapes == jsonraw.Surrogate || len(value) > len(`""`)+maxValue:
		return escaped(b, label, e.text(f, field))
	}
	return append(append(append(b, label...), value[1:]...), ',') // as it stands
}

// appendYes appends a boolean for the strings that stand for one; other values are
// left out.
func (e *trailEvent) appendYes(b []byte, label string, field trailField) []byte {
	switch string(e.value(field)) {
	case `"true"`, `"Yes"`, "true":
		return append(append(b, label...), "true,"...)
	case `"false"`, `"No"`, "false":
		return append(append(b, label...), "false,"...)
	}
	return b
}

func (e *trailEvent) addEvent(f *Fields, complete bool) {
	b := append(f.begin(Event), `"kind":"event","dataset":"aws.cloudtrail",`...)
	b = append(b, e.category()...)
	b = e.appendText(b, f, `"action":"`, eventName)
	b = e.appendText(b, f, `"provider":"`, eventSource)
	b = e.appendText(b, f, `"id":"`, eventID)
	b = e.appendText(b, f, `"code":"`, errorCode)
	b = e.appendText(b, f, `"reason":"`, errorMessage)
	if ms, ok := rfc3339(e.text(f, eventTime)); ok {
		b = f.time(b, `"start":"`, ms)
	}
	switch {
	case e.failed():
		b = append(b, `"outcome":"failure",`...)
	case complete && !e.isInsight(): // what was cut off may have told of an error
		b = append(b, `"outcome":"success",`...)
	}
	f.end(b)
}

// category returns event.category and event.type.
func (e *trailEvent) category() string {
	if e.isSignIn() {
		return `"category":["authentication"],"type":["start"],`
	}
	isIAM, readOnly := string(e.value(eventSource)) == `"iam.amazonaws.com"`, string(e.value(readOnly))
	switch {
	case e.isInsight():
		return `"type":["info"],`
	case isIAM && readOnly != "true":
		return `"category":["iam"],"type":["change"],`
	case isIAM:
		return `"category":["iam"],"type":["info"],`
	case readOnly == "false":
		return `"category":["configuration"],"type":["change"],`
	}
	return `"category":["configuration"],"type":["access"],`
}

// isSignIn says whether somebody signs in, to the console or to IAM Identity Center.
func (e *trailEvent) isSignIn() bool {
	return string(e.value(eventSource)) == `"signin.amazonaws.com"` || string(e.value(eventType)) == `"AwsConsoleSignIn"`
}

// isInsight says whether CloudTrail itself tells of unusual activity: nobody's call, which
// has no source.
func (e *trailEvent) isInsight() bool {
	return e.places[eventSource] == 0 && string(e.value(eventType)) == `"AwsCloudTrailInsight"`
}

// failed says whether the call failed. A failed sign-in has no errorCode, but a member of
// the event's name, such as ConsoleLogin or CredentialVerification.
func (e *trailEvent) failed() bool {
	return e.isText(errorCode) || e.isText(errorMessage) ||
		e.isSignIn() && (e.tellsFailure(responseElements) || e.tellsFailure(serviceDetails))
}

func (e *trailEvent) tellsFailure(field trailField) bool {
	m := e.member(field)
	if m == nil || m.First != '{' {
		return false
	}
	inner := e.members[e.places[field]:][:m.Inner]
	for i := 0; i < len(inner); i += 1 + int(inner[i].Inner) {
		if string(inner[i].Value(e.line)) == `"Failure"` {
			return true
		}
	}
	return false
}

// hidden is what AWS writes for the user name of a failed sign-in, which may be a
// mistyped password.
const hidden = `"HIDDEN_DUE_TO_SECURITY_REASONS"`

func (e *trailEvent) addUser(f *Fields) {
	name := identityName
	if !e.isText(name) {
		name = issuerName // the role that was assumed
	}
	if e.places[name] == 0 && e.isSignIn() { // in other events it may be whom the call is about
		name = signInName
	}
	id := identityPrincipal
	if e.places[id] == 0 {
		id = identityOnBehalf // a user of IAM Identity Center
	}
	b := f.begin(User)
	isHidden := string(e.value(name)) == hidden
	if !isHidden {
		b = e.appendText(b, f, `"name":"`, name)
	}
	f.end(e.appendText(b, f, `"id":"`, id))
	if !isHidden {
		f.RelatedUser(e.text(f, name))
	}
	if string(e.value(requestUser)) != hidden {
		f.RelatedUser(e.text(f, requestUser))
	}
}

// addTrail writes aws.cloudtrail.
func (e *trailEvent) addTrail(f *Fields, flattened bool) {
	b := f.begin(AWS)
	start := len(b)
	b = append(b, `"cloudtrail":{`...)
	b = e.appendIdentity(b, f)
	b = e.appendRequest(b, f)
	b = e.appendResponse(b, f)
	if flattened {
		start := len(b)
		b = append(b, `"flattened":{`...)
		b = e.appendFlattened(b, `"request_parameters":`, requestParameters)
		b = e.appendFlattened(b, `"response_elements":`, responseElements)
		b = closeObject(b, start)
	}
	f.end(closeObject(b, start))
}

// The limits of an object that is written flattened. Every leaf becomes a term with its
// path before it, and an index refuses documents with a term of more than 32,766 bytes,
// and those whose flattened objects nest deeper than the depth_limit of 20.
const (
	maxFlattened       = 32_000 // bytes
	maxFlattenedHeight = 20
)

// appendFlattened appends an object as it is, for a field that takes its leaves as
// keywords. A line break between its members would break the bulk request, and an index
// refuses a name that stands twice.
func (e *trailEvent) appendFlattened(b []byte, label string, field trailField) []byte {
	m := e.member(field)
	if m == nil || m.First != '{' || !m.Unique() || m.Height > maxFlattenedHeight {
		return b
	}
	value := m.Value(e.line)
	if len(value) > maxFlattened || bytes.IndexByte(value, '\n') >= 0 || bytes.IndexByte(value, '\r') >= 0 {
		return b
	}
	return append(append(append(b, label...), value...), ',')
}
