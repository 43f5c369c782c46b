package elastic

import (
	"io"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
)

const (
	// stageBytes is what is collected before it goes to the compressor, which
	// works in blocks of 64 KiB.
	stageBytes = 64 << 10
	// keepBytes is the largest buffer that is pooled: a full plain request with
	// room for its last document.
	keepBytes = 8 << 20
)

// body is the wire form of one request in a pooled buffer. net/http may still
// read it after the reply has come, when the server answers early, so it is
// counted: one reference of the attempt, one of each reader. The last to let go
// gives the buffer back.
type body struct {
	bytes    []byte
	raw      int // size before compression
	encoding string
	refs     atomic.Int32
	home     *sync.Pool
}

// Write appends p, as the compressor's target.
func (b *body) Write(p []byte) (int, error) {
	b.bytes = append(b.bytes, p...)
	return len(p), nil
}

func (b *body) release() {
	if b.refs.Add(-1) == 0 && b.home != nil && cap(b.bytes) <= keepBytes {
		b.home.Put(b)
	}
}

// reader returns a new reader of b. It has to be closed.
func (b *body) reader() *bodyReader {
	b.refs.Add(1)
	return &bodyReader{body: b}
}

// plainBody wraps a small request that is not pooled.
func plainBody(content []byte) *body {
	b := &body{bytes: content, raw: len(content)}
	b.refs.Store(1)
	return b
}

// bodyReader is a request's body.
type bodyReader struct {
	body   *body
	pos    int
	closed atomic.Bool
}

func (r *bodyReader) Read(p []byte) (int, error) {
	if r.closed.Load() || r.pos == len(r.body.bytes) {
		return 0, io.EOF
	}
	n := copy(p, r.body.bytes[r.pos:])
	r.pos += n
	return n, nil
}

// Close may be called twice; the reader counts once.
func (r *bodyReader) Close() error {
	if r.closed.CompareAndSwap(false, true) {
		r.body.release()
	}
	return nil
}

// bodies makes request bodies out of documents.
type bodies struct {
	buffers sync.Pool // of *body
	writers sync.Pool // of *compressor
}

type compressor struct {
	gzip  *gzip.Writer
	stage []byte
}

// build joins the action lines and documents of docs. A document was encoded once,
// by decode: its bytes in Record.Text are the only copy that outlives an attempt,
// and memory for bodies is that of the requests in the window, however many
// batches wait.
func (p *bodies) build(docs []doc, compress bool) *body {
	b, ok := p.buffers.Get().(*body)
	if !ok {
		b = &body{home: &p.buffers}
	}
	b.bytes, b.raw, b.encoding = b.bytes[:0], 0, ""
	b.refs.Store(1)
	if !compress {
		b.bytes = slices.Grow(b.bytes, sizeOf(docs)) // growing step by step copies all of it twice
		for i := range docs {
			b.bytes = docs[i].appendLines(b.bytes)
		}
		b.raw = len(b.bytes)
		return b
	}
	b.encoding = "gzip"
	c, ok := p.writers.Get().(*compressor)
	if !ok {
		w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // a level that exists
		c = &compressor{gzip: w, stage: make([]byte, 0, 2*stageBytes)}
	}
	c.gzip.Reset(b)
	for i := range docs {
		c.stage = docs[i].appendLines(c.stage)
		if len(c.stage) >= stageBytes || i == len(docs)-1 {
			_, _ = c.gzip.Write(c.stage) // into memory
			b.raw += len(c.stage)
			c.stage = c.stage[:0]
		}
	}
	_ = c.gzip.Close()
	p.writers.Put(c)
	return b
}
