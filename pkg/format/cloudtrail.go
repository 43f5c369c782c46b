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
	tree      jsonraw.Tree // of a line that came without Members
}

func newCloudTrail(o Options) (Format, error) { return &cloudtrail{flattened: o.Flattened}, nil }

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

// trailEvent holds the JSON values of an event; nil where it has none. Of a key
// that stands twice the first counts.
type trailEvent struct {
	version, time, source, name, id, kind   []byte
	region, account, readOnly               []byte
	sourceAddress, userAgent                []byte
	errorCode, errorMessage                 []byte
	identity, request, response, additional object
}

// object is a JSON object, or another value, which has no members.
type object struct {
	value   []byte
	line    []byte           // that it stands in
	members []jsonraw.Member // as a Tree has them, those of nested objects included
}

// objectPlace returns where the object of a key goes, or nil.
func (e *trailEvent) objectPlace(key []byte) *object {
	switch string(key) {
	case "userIdentity":
		return &e.identity
	case "requestParameters":
		return &e.request
	case "responseElements":
		return &e.response
	case "additionalEventData":
		return &e.additional
	}
	return nil
}

// place returns where any other value of a key goes, or nil.
func (e *trailEvent) place(key []byte) *[]byte {
	switch string(key) {
	case "eventVersion":
		return &e.version
	case "eventTime":
		return &e.time
	case "eventSource":
		return &e.source
	case "eventName":
		return &e.name
	case "eventID":
		return &e.id
	case "eventType":
		return &e.kind
	case "awsRegion":
		return &e.region
	case "recipientAccountId":
		return &e.account
	case "readOnly":
		return &e.readOnly
	case "sourceIPAddress":
		return &e.sourceAddress
	case "userAgent":
		return &e.userAgent
	case "errorCode":
		return &e.errorCode
	case "errorMessage":
		return &e.errorMessage
	}
	return nil
}

// Parse implements Format. An event that is cut off keeps what came before the cut.
func (c *cloudtrail) Parse(line *Line, f *Fields) Result {
	var e trailEvent
	complete := c.read(line, &e)
	if e.version == nil || e.source == nil {
		return None
	}
	e.addEvent(f)
	failed := e.addTrail(f, c.flattened)
	switch {
	case failed:
		f.Keyword(Event, "outcome", "failure")
	case complete: // what was cut off may have told of an error
		f.Keyword(Event, "outcome", "success")
	}
	if !complete {
		return Partial
	}
	return Full
}

// read reads the members and says whether the line is a whole object.
func (c *cloudtrail) read(line *Line, e *trailEvent) (complete bool) {
	members := line.Members
	complete = len(members) > 0
	if !complete {
		end := c.tree.Read(line.Text, jsonraw.Space(line.Text, 0), nil)
		complete = end >= 0 && jsonraw.Space(line.Text, end) == len(line.Text)
		members = c.tree.Members
	}
	for i := 0; i < len(members); i += 1 + int(members[i].Inner) {
		m := &members[i]
		key := m.Key(line.Text)
		if place := e.place(key); place != nil && *place == nil {
			*place = m.Value(line.Text)
		} else if place := e.objectPlace(key); place != nil && place.value == nil {
			*place = object{m.Value(line.Text), line.Text, jsonraw.Within(members, i)}
		}
	}
	return complete
}

// text returns the text of a JSON string, or nothing for another value. It is
// valid until the next call of a method of f.
func (f *Fields) text(value []byte) []byte {
	inside, _ := jsonraw.Inside(value)
	if bytes.IndexByte(inside, '\\') < 0 {
		return inside
	}
	f.scratch = jsonraw.Unescape(f.scratch[:0], inside)
	return f.scratch
}

func (e *trailEvent) addEvent(f *Fields) {
	f.Members(Event, `"kind":"event","dataset":"aws.cloudtrail",`)
	f.Members(Event, e.category())
	f.JSONString(Event, "action", e.name)
	f.JSONString(Event, "provider", e.source)
	f.JSONString(Event, "id", e.id)
	f.JSONString(Event, "code", e.errorCode)
	f.JSONString(Event, "reason", e.errorMessage)
	if ms, ok := rfc3339(f.text(e.time)); ok {
		f.Time(Event, "start", ms)
	}
	f.Account(f.text(e.account))
	f.Region(f.text(e.region))
	f.Address(Source, f.text(e.sourceAddress))
	f.UserAgent(f.text(e.userAgent))
}

// category returns event.category and event.type.
func (e *trailEvent) category() string {
	switch {
	case string(e.kind) == `"AwsConsoleSignIn"`:
		return `"category":["authentication"],"type":["start"],`
	case string(e.source) == `"iam.amazonaws.com"` && string(e.readOnly) != "true":
		return `"category":["iam"],"type":["change"],`
	case string(e.source) == `"iam.amazonaws.com"`:
		return `"category":["iam"],"type":["access"],`
	case string(e.readOnly) == "false":
		return `"category":["configuration"],"type":["change"],`
	}
	return `"category":["configuration"],"type":["access"],`
}

// addTrail writes user and aws.cloudtrail and says whether the call failed.
func (e *trailEvent) addTrail(f *Fields, flattened bool) (failed bool) {
	var who identity
	var request request
	var response response
	who.read(e.identity)
	request.read(e.request, string(e.source) == `"cloudtrail.amazonaws.com"`)
	response.read(e.response)

	who.addUser(f)
	f.Open(AWS, "cloudtrail")
	who.addTo(f)
	request.addTo(f)
	response.addTo(f, e.additional.member("MFAUsed"))
	if flattened {
		f.Open(AWS, "flattened")
		f.addFlattened("request_parameters", e.request)
		f.addFlattened("response_elements", e.response)
		f.Close(AWS)
	}
	f.Close(AWS)

	f.Account(f.text(who.account))
	// A failed sign-in has no errorCode.
	return isText(e.errorCode) || isText(e.errorMessage) || string(response.consoleLogin) == `"Failure"`
}

// isText says whether value is a JSON string that is not empty.
func isText(value []byte) bool { return len(value) > len(`""`) && value[0] == '"' }

// maxFlattened is the size of an object that is written flattened, in bytes. Every
// leaf becomes a term with its path before it, and an index refuses documents with
// a term of more than 32,766 bytes.
const maxFlattened = 32_000

// maxFlattenedKeys bounds how many names are looked through for one that stands twice,
// which an index refuses.
const maxFlattenedKeys = 1000

// addFlattened writes an object as it is, for a field that takes its leaves as
// keywords. A line break between its members would break the bulk request.
func (f *Fields) addFlattened(name string, o object) {
	if len(o.value) > 0 && o.value[0] == '{' && len(o.value) <= maxFlattened &&
		bytes.IndexByte(o.value, '\n') < 0 && bytes.IndexByte(o.value, '\r') < 0 &&
		len(o.members) <= maxFlattenedKeys && !jsonraw.Repeated(o.line, o.members) {
		f.Raw(AWS, name, o.value)
	}
}

// own yields the key and the value of each of the object's own members.
func (o object) own(yield func(key []byte, value object) bool) {
	for i := 0; i < len(o.members); i += 1 + int(o.members[i].Inner) {
		m := &o.members[i]
		if !yield(m.Key(o.line), object{m.Value(o.line), o.line, jsonraw.Within(o.members, i)}) {
			return
		}
	}
}

// member returns the value of the object's own member of that name, or nil.
func (o object) member(name string) []byte {
	for key, m := range o.own {
		if string(key) == name {
			return m.value
		}
	}
	return nil
}
