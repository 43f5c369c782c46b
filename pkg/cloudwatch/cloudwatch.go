// Package cloudwatch reads what a CloudWatch Logs subscription filter puts on a
// stream: gzip of one JSON object, the payload, with a batch of log events of one
// log stream. It inflates and checks; what the events mean is package document's
// business.
//
// Everything that Inflate and Next return lies in buffers of the worker that
// called them and is valid until the next call.
package cloudwatch

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"github.com/klauspost/compress/gzip"

	"github.com/shipperd/shipperd/pkg/record"
)

// keepBuffer is the largest buffer that an Inflater keeps from one record to the
// next: five times the 100 to 800 KB of a usual record. A rare giant is left to
// the collector.
const keepBuffer = 4 << 20

// Inflater unpacks records. One goroutine uses it at a time.
type Inflater struct {
	max  int64
	gzip gzip.Reader
	in   bytes.Reader
	buf  []byte
}

// NewInflater returns an Inflater that refuses what is larger than maxBytes.
func NewInflater(maxBytes int64) *Inflater { return &Inflater{max: maxBytes} }

// Inflate returns the text of a record: data inflated if it is gzip, of one or
// several members, else data itself. The text is valid UTF-8. An error wraps
// record.ErrOversize when the text has more than max bytes.
func (f *Inflater) Inflate(data []byte) ([]byte, error) {
	text := data
	if len(data) >= 2 && data[0] == 0x1f && data[1] == 0x8b {
		var err error
		if text, err = f.inflate(data); err != nil {
			return nil, fmt.Errorf("inflate %d bytes: %w", len(data), err)
		}
	}
	if int64(len(text)) <= f.max && !utf8.Valid(text) {
		text = f.replaceInvalid(text)
	}
	if int64(len(text)) > f.max {
		return nil, f.oversize()
	}
	return text, nil
}

func (f *Inflater) inflate(data []byte) ([]byte, error) {
	f.in.Reset(data)
	defer f.in.Reset(nil) // the record's bytes are not ours to hold
	if err := f.gzip.Reset(&f.in); err != nil {
		return nil, err
	}
	if cap(f.buf) > keepBuffer {
		f.buf = nil
	}
	f.buf = slices.Grow(f.buf[:0], f.sizeHint(data))
	full, err := f.fill()
	if err != nil || !full {
		return f.buf, err
	}
	// The trailer did not tell: there are several members, or it is a bomb. What
	// comes is counted before it is held.
	rest, err := io.Copy(io.Discard, io.LimitReader(&f.gzip, f.max-int64(len(f.buf))+1))
	if err != nil {
		return nil, err
	}
	size := int64(len(f.buf)) + rest
	if size > f.max {
		return nil, f.oversize()
	}
	f.in.Reset(data)
	if err := f.gzip.Reset(&f.in); err != nil {
		return nil, err
	}
	f.buf = slices.Grow(f.buf[:0], int(size)+bytes.MinRead)
	_, err = f.fill()
	return f.buf, err
}

// fill reads until the buffer is full or the text has ended.
func (f *Inflater) fill() (full bool, err error) {
	for len(f.buf) < cap(f.buf) {
		n, err := f.gzip.Read(f.buf[len(f.buf):cap(f.buf)])
		f.buf = f.buf[:len(f.buf)+n]
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
	return true, nil
}

func (f *Inflater) oversize() error { return fmt.Errorf("%w of %d bytes", record.ErrOversize, f.max) }

// sizeHint guesses the inflated size from the trailer, which the sender may have
// filled with anything: logs shrink 10 to 20 times, so 32 times is believed, and
// nothing above the cap. One block more saves growing only to see the end.
func (f *Inflater) sizeHint(data []byte) int {
	size := int64(0)
	if n := len(data); n >= 4 {
		size = int64(binary.LittleEndian.Uint32(data[n-4:]))
	}
	if size > f.max {
		size = 0
	}
	return int(min(size, 32*int64(len(data)))) + bytes.MinRead
}

// replaceInvalid puts U+FFFD in the place of each byte that is no UTF-8, as
// encoding/json does, up to the cap: it has three bytes. An index refuses a whole
// request with a byte that is no UTF-8.
func (f *Inflater) replaceInvalid(text []byte) []byte {
	valid := make([]byte, 0, len(text)+len(text)/8)
	for len(text) > 0 && int64(len(valid)) <= f.max {
		r, size := utf8.DecodeRune(text)
		valid = utf8.AppendRune(valid, r)
		text = text[size:]
	}
	return valid
}

// The ways in which text is no payload.
var (
	errSyntax      = errors.New("not valid JSON, or nested too deep")
	errMessageType = errors.New("no messageType: not written by a subscription filter")
	errShape       = errors.New("not the shape of a subscription payload")
)
