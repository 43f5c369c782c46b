package torture

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"time"
)

// load puts a record on the stream every interval, and splits and merges shards,
// until ctx ends.
func (s *site) load(ctx context.Context, interval time.Duration) error {
	for number := 0; pause(ctx, interval); number++ {
		if err := s.put(number); err != nil {
			return err
		}
		if s.random.IntN(25) == 0 {
			open := s.stream.Shards()
			if i := s.random.IntN(len(open)); len(open) > 5 {
				s.stream.Merge(open[i], open[(i+1)%len(open)])
			} else {
				s.stream.Split(open[i])
			}
		}
	}
	return nil
}

// days are the indices that events go to.
var days = []string{"cwl-2026.11.20", "cwl-2026.11.21", "cwl-2026.11.22"} //nolint:gochecknoglobals // a table

const dayLayout = "cwl-2006.01.02"

// put puts a record of any kind on one of the open shards.
func (s *site) put(number int) error {
	open := s.stream.Shards()
	shard := open[s.random.IntN(len(open))]
	events := 1 + s.random.IntN(40)
	switch s.random.IntN(50) {
	case 0:
		s.putBroken(shard, []byte("this is no payload"))
		return nil
	case 1:
		return s.putEvents(number, shard, "large", 1, strings.Repeat("x", maxBody))
	case 2, 3:
		return s.putEvents(number, shard, "poison", 1+events/10, "")
	}
	return s.putEvents(number, shard, "good", events, "")
}

// putBroken puts a record on a shard that cannot be decoded.
func (s *site) putBroken(shard string, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent[shard+"/"+s.stream.Put(shard, data)] = true
}

// putEvents puts a record on a shard, with events of several days, each with rest
// in its message.
func (s *site) putEvents(number int, shard, kind string, events int, rest string) error {
	var text strings.Builder
	var identities []string
	for i := range events {
		index, id := days[i%len(days)], fmt.Sprintf("%s-%d-%d", kind, number, i)
		day, err := time.Parse(dayLayout, index)
		if err != nil {
			return err
		}
		identities = append(identities, index+"/"+id)
		if i > 0 {
			text.WriteByte(',')
		}
		fmt.Fprintf(&text, `{"id":%q,"timestamp":%d,"message":"line %d of record %d%s"}`, id, day.UnixMilli(), i, number, rest)
	}
	return s.putPayload(shard, text.String(), identities...)
}

// putPayload puts a record on a shard, of events as CloudWatch Logs writes them.
func (s *site) putPayload(shard, events string, identities ...string) error {
	data, err := compress(`{"messageType":"DATA_MESSAGE","owner":"123456789012","logGroup":"site","logStream":"s","subscriptionFilters":["f"],"logEvents":[` + events + `]}`)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, identity := range identities {
		s.sent[identity] = true
	}
	s.stream.Put(shard, data)
	return nil
}

// compress looks for no repetitions, which takes most of the time.
func compress(text string) ([]byte, error) {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.HuffmanOnly)
	if err != nil {
		return nil, err
	}
	_, err = z.Write([]byte(text))
	err = errors.Join(err, z.Close())
	return b.Bytes(), err
}

// bomb returns this many MiB of zeros, gzipped to a thousandth. Every MiB after the
// first one becomes the same bytes, so that it takes no time.
func bomb(mebibytes int) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff") // RFC 1952: deflate, no name, no time
	z, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		return nil, err
	}
	zeros, sum, second := make([]byte, 1<<20), uint32(0), 0
	for range 2 {
		second = b.Len()
		if _, err = z.Write(zeros); err == nil {
			err = z.Flush()
		}
		if err != nil {
			return nil, err
		}
	}
	b.Write(bytes.Repeat(b.Bytes()[second:], mebibytes-2))
	for range mebibytes {
		sum = crc32.Update(sum, crc32.IEEETable, zeros)
	}
	err = z.Close()
	trailer := binary.LittleEndian.AppendUint32(nil, sum)
	b.Write(binary.LittleEndian.AppendUint32(trailer, uint32(mebibytes)<<20))
	return b.Bytes(), err
}

// pause waits for d, and says whether ctx let it.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
