package torture

import (
	"strconv"
	"strings"
	"time"
)

func itoa(n int) string { return strconv.Itoa(n) }

// payloadFaults are records that are not what CloudWatch Logs sends.
func payloadFaults() []fault {
	broken := func(name, reason string, data func() ([]byte, error)) fault {
		return fault{name: name, metric: letters, label: `reason="` + reason + `"`, load: func(s *site) error {
			b, err := data()
			if err != nil {
				return err
			}
			s.putBroken(s.stream.Shards()[0], b)
			return s.putEvents(0, s.stream.Shards()[0], "good", 20, "")
		}}
	}
	text := func(text string) func() ([]byte, error) { return func() ([]byte, error) { return compress(text) } }
	return []fault{
		broken("payload: no gzip and no JSON", "undecodable", func() ([]byte, error) { return []byte("this is no payload"), nil }),
		broken("payload: gzip cut off", "undecodable", func() ([]byte, error) {
			b, err := compress(strings.Repeat("0123456789", 1000))
			return b[:len(b)/2], err
		}),
		broken("payload: JSON cut off", "undecodable", text(`{"messageType":"DATA_MESSAGE","logEvents":[{"id":`)),
		broken("payload: a message of no type", "undecodable", text(`{"owner":"1","logEvents":[]}`)),
		broken("payload: aggregated by the KPL", "undecodable", func() ([]byte, error) { return []byte{0xf3, 0x89, 0x9a, 0xc2, 1, 2, 3}, nil }),
		broken("payload: empty", "undecodable", func() ([]byte, error) { return []byte{}, nil }),
		broken("payload: gzip bomb", "oversize", func() ([]byte, error) { return bomb(256) }),
		{
			name: "payload: control message", metric: "shipperd_control_messages_total", load: func(s *site) error {
				b, err := compress(`{"messageType":"CONTROL_MESSAGE","owner":"CloudwatchLogs","logGroup":"","logStream":"","subscriptionFilters":[],"logEvents":[]}`)
				s.stream.Put(s.stream.Shards()[0], b)
				return err
			},
		},
	}
}

// keepComing puts usual records on the stream until the site is closed: only other
// documents of an index show that one is at fault.
func (s *site) keepComing() {
	for number, open := 100, true; open; number++ {
		open = s.later(func() error { return s.putEvents(number, s.stream.Shards()[1], "good", 6, "") })
	}
}

// later does something after a moment, unless the site is closed by then.
func (s *site) later(do func() error) bool {
	timer := time.NewTimer(2 * time.Second)
	defer timer.Stop()
	select {
	case <-timer.C:
		return do() == nil
	case <-s.closed:
		return false
	}
}
