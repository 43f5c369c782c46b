package backfill

import (
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/shipperd/shipperd/pkg/jsonraw"
)

// streamEvents are the events of one log stream in a page.
type streamEvents struct {
	stream string
	events []types.FilteredLogEvent
}

// byStream sorts a page's events by log stream, because a payload is of one.
// Streams keep the order of their first event, events their own.
func byStream(events []types.FilteredLogEvent) []streamEvents {
	var streams []streamEvents
	index := make(map[string]int)
	for _, event := range events {
		name := aws.ToString(event.LogStreamName)
		i, known := index[name]
		if !known {
			i = len(streams)
			index[name] = i
			streams = append(streams, streamEvents{stream: name})
		}
		streams[i].events = append(streams[i].events, event)
	}
	return streams
}

// payload returns the events as a subscription delivers them, less the gzip.
func payload(owner, group string, s streamEvents) []byte {
	size := 200 + len(group) + len(s.stream)
	for _, event := range s.events {
		size += 120 + len(aws.ToString(event.Message)) // an id has 56 digits; escapes are rare
	}
	text := func(dst []byte, s string) []byte { return jsonraw.AppendString(dst, []byte(s)) }

	b := append(make([]byte, 0, size), `{"messageType":"DATA_MESSAGE","owner":`...)
	b = text(b, owner)
	b = text(append(b, `,"logGroup":`...), group)
	b = text(append(b, `,"logStream":`...), s.stream)
	b = append(b, `,"subscriptionFilters":[],"logEvents":[`...)
	for i, event := range s.events {
		if i > 0 {
			b = append(b, ',')
		}
		b = text(append(b, `{"id":`...), aws.ToString(event.EventId))
		b = strconv.AppendInt(append(b, `,"timestamp":`...), aws.ToInt64(event.Timestamp), 10)
		b = text(append(b, `,"message":`...), aws.ToString(event.Message))
		b = append(b, '}')
	}
	return append(b, "]}"...)
}
