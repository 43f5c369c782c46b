package demo

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/shipperd/shipperd/pkg/format/pattern"
)

// Group is one of the site's log groups with its subscription filter.
type Group struct {
	Name    string
	Filter  string // the filter's name
	Pattern string // space-delimited, or empty: everything, no extracted fields
}

// Groups lists the site's log groups with the patterns of the lab that the demo
// follows.
func Groups() []Group {
	return []Group{
		{AccessLogGroup, "apache", "[host, ident, authuser, date, request, status, bytes, referrer, agent]"},
		{SSHLogGroup, "ssh", "[month, day, timestamp, destIp, id, msg1, msg2, msg3, srcIp, msg5, destPort, msg7]"},
		{CloudTrailLogGroup, "cloudtrail", ""},
		{VPCFlowLogGroup, "vpcflow", ""},
	}
}

// payload is a record's JSON, as a subscription filter puts it on a stream.
type payload struct {
	MessageType         string     `json:"messageType"`
	Owner               string     `json:"owner"`
	LogGroup            string     `json:"logGroup"`
	LogStream           string     `json:"logStream"`
	SubscriptionFilters []string   `json:"subscriptionFilters"`
	LogEvents           []logEvent `json:"logEvents"`
}

type logEvent struct {
	ID              string            `json:"id"`
	Timestamp       int64             `json:"timestamp"`
	Message         string            `json:"message"`
	ExtractedFields map[string]string `json:"extractedFields,omitempty"`
}

// encoder makes records of events.
type encoder struct {
	gzip     *gzip.Writer
	filters  map[string]string           // by log group
	patterns map[string]*pattern.Pattern // by log group; none: nothing is extracted
}

func newEncoder(extracted bool) (*encoder, error) {
	zip, err := gzip.NewWriterLevel(nil, 6) // the service's level
	if err != nil {
		return nil, err
	}
	e := &encoder{gzip: zip, filters: make(map[string]string), patterns: make(map[string]*pattern.Pattern)}
	for _, g := range Groups() {
		e.filters[g.Name] = g.Filter
		if !extracted || g.Pattern == "" {
			continue
		}
		p, err := pattern.Parse(g.Pattern)
		if err != nil {
			return nil, fmt.Errorf("the filter of %s: %w", g.Name, err)
		}
		e.patterns[g.Name] = p
	}
	return e, nil
}

// payload returns the record of events, which are all of one log stream.
func (e *encoder) payload(events []Event) []byte {
	first := events[0]
	p := payload{
		MessageType:         "DATA_MESSAGE",
		Owner:               Account,
		LogGroup:            first.Group,
		LogStream:           first.Stream,
		SubscriptionFilters: []string{e.filters[first.Group]},
	}
	for _, event := range events {
		p.LogEvents = append(p.LogEvents, logEvent{
			ID:              event.ID,
			Timestamp:       event.Time.UnixMilli(),
			Message:         event.Message,
			ExtractedFields: e.extract(event),
		})
	}
	return e.compress(p)
}

func (e *encoder) extract(event Event) map[string]string {
	p := e.patterns[event.Group]
	if p == nil {
		return nil
	}
	values, ok := p.Split([]byte(event.Message), nil)
	if !ok {
		return nil
	}
	fields := make(map[string]string, len(values))
	for i, name := range p.Names() {
		fields[name] = string(values[i])
	}
	return fields
}

// control returns the record that CloudWatch Logs puts on a stream to see whether
// a new subscription works.
func (e *encoder) control(at time.Time) []byte {
	return e.compress(payload{
		MessageType:         "CONTROL_MESSAGE",
		Owner:               "CloudwatchLogs",
		SubscriptionFilters: []string{},
		LogEvents: []logEvent{{
			Timestamp: at.UnixMilli(),
			Message:   "CWL CONTROL MESSAGE: Checking health of destination Kinesis stream.",
		}},
	})
}

// compress returns p's JSON, gzipped.
func (e *encoder) compress(p payload) []byte {
	var buf bytes.Buffer
	e.gzip.Reset(&buf)
	enc := json.NewEncoder(e.gzip)
	enc.SetEscapeHTML(false)
	if err := errors.Join(enc.Encode(p), e.gzip.Close()); err != nil {
		panic(fmt.Sprintf("demo: encode strings and numbers into a buffer: %v", err))
	}
	return buf.Bytes()
}
