package document

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/shipperd/shipperd/pkg/document/documenttest"
	"github.com/shipperd/shipperd/pkg/record"
)

// gunzip inflates records and does nothing else, into a buffer that it keeps.
type gunzip struct {
	in     bytes.Reader
	reader gzip.Reader
	buffer []byte
}

func (g *gunzip) run(b *testing.B, data []byte) {
	g.in.Reset(data)
	if err := g.reader.Reset(&g.in); err != nil {
		b.Fatal(err)
	}
	for n := 0; ; {
		if n == len(g.buffer) {
			g.buffer = append(g.buffer, make([]byte, 1<<20)...)
		}
		read, err := g.reader.Read(g.buffer[n:])
		if n += read; errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDecode is the path from a record to its documents. The metric
// of-gunzip is its speed as a part of what klauspost's gunzip alone reaches on
// the same records, in CPU time and measured in turns.
func BenchmarkDecode(b *testing.B) {
	for _, kind := range append(documenttest.Kinds(), "mix") {
		for _, events := range []int{500, 10} {
			b.Run(fmt.Sprintf("%s/%d", kind, events), func(b *testing.B) { benchmarkDecode(b, kind, events, DefaultConfig().Dialect) })
		}
	}
}

// BenchmarkDecodeLambda is the path to documents without typed fields, which are what
// the Lambda function writes.
func BenchmarkDecodeLambda(b *testing.B) {
	for _, kind := range append(documenttest.Kinds(), "mix") {
		b.Run(kind, func(b *testing.B) { benchmarkDecode(b, kind, 500, Lambda) })
	}
}

func benchmarkDecode(b *testing.B, kind string, events int, dialect Dialect) {
	kinds := []string{kind}
	if kind == "mix" {
		kinds = documenttest.Kinds()
	}
	var records []*record.Record
	size := 0
	for i, k := range kinds {
		text := documenttest.Payload(k, events, uint64(i))
		records = append(records, &record.Record{Data: zip(text)})
		size += len(text)
	}
	var only gunzip
	decoder := testDocuments(b, func(c *Config) { c.Dialect = dialect }).NewDecoder()
	runtime.LockOSThread() // cpuTime is that of the thread
	defer runtime.UnlockOSThread()
	var inflating, whole time.Duration
	turn := func() {
		for _, r := range records {
			start := cpuTime()
			only.run(b, r.Data)
			middle := cpuTime()
			if err := decoder.Decode(r); err != nil {
				b.Fatal(err)
			}
			inflating, whole = inflating+middle-start, whole+cpuTime()-middle
		}
	}
	turn() // buffers and caches grow
	inflating, whole = 0, 0
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	b.SetBytes(int64(size))
	for b.Loop() {
		turn()
	}
	runtime.ReadMemStats(&after)
	all := float64(b.N * events * len(records))
	b.ReportMetric(inflating.Seconds()/whole.Seconds(), "of-gunzip")
	b.ReportMetric(float64(whole.Nanoseconds())/all, "ns/event")
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/all, "allocs/event")
}

func TestBenchmarkLinesAreReadInFull(t *testing.T) {
	d := testDocuments(t, nil).NewDecoder()
	for _, kind := range documenttest.Kinds() {
		r := decode(t, d, documenttest.Payload(kind, 50, 1))
		for i := range r.Events {
			doc := string(r.Doc(&r.Events[i]))
			if !strings.Contains(doc, `"parser":"`+kind+`"`) || strings.Contains(doc, `"partial":true`) {
				t.Fatalf("%s: got document %s, want all of the line read", kind, doc)
			}
		}
	}
}
