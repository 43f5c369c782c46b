package demo

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/shipperd/shipperd/pkg/record"
)

// Sink is what a Summary can watch; pipeline.Sink is one.
type Sink interface {
	Write(ctx context.Context, records []*record.Record) error
}

// Summary counts, in the documents themselves, what a security engineer asks
// first. It is safe for concurrent use.
type Summary struct {
	mu                 sync.Mutex
	first, last        time.Time // when the first and the last batch had been written
	documents          int
	duplicates         int
	groups             map[string]int
	web, ssh, api, net map[string]int // suspects, by what tells them apart
	lag, worst         time.Duration  // of records, from arrival to written: sum and maximum
	records            int
}

// NewSummary returns an empty Summary.
func NewSummary() *Summary {
	return &Summary{
		groups: make(map[string]int),
		web:    make(map[string]int),
		ssh:    make(map[string]int),
		api:    make(map[string]int),
		net:    make(map[string]int),
	}
}

// Watch returns a sink that writes into next and counts what that has indexed.
func (s *Summary) Watch(next Sink) Sink { return &watched{next, s} }

type watched struct {
	next    Sink
	summary *Summary
}

func (w *watched) Write(ctx context.Context, records []*record.Record) error {
	began := time.Now()
	if err := w.next.Write(ctx, records); err != nil {
		return err
	}
	w.summary.add(records, began, time.Now())
	return nil
}

// Documents returns how many documents have been indexed.
func (s *Summary) Documents() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.documents
}

func (s *Summary) add(records []*record.Record, began, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.first.IsZero() {
		s.first = began
	}
	s.last = now
	for _, r := range records {
		if !r.Arrival.IsZero() {
			lag := now.Sub(r.Arrival)
			s.records++
			s.lag += lag
			s.worst = max(s.worst, lag)
		}
		for i := range r.Events {
			switch e := &r.Events[i]; e.Outcome {
			case record.Indexed:
				s.addDocumentLocked(r.Doc(e))
			case record.Duplicate:
				s.duplicates++
			default: // not in the index
			}
		}
	}
}

// document has the fields that the lab's dashboard looks at.
type document struct {
	Group  string `json:"@log_group"`
	Host   string `json:"host"`
	Status int    `json:"status"`
	Msg1   string `json:"msg1"`
	Source string `json:"srcIp"`
	Agent  string `json:"userAgent"`
	API    string `json:"eventSource"`
	From   string `json:"sourceIPAddress"`
	Action string `json:"action"`
	Flow   string `json:"srcaddr"`
}

func (s *Summary) addDocumentLocked(doc []byte) {
	var d document
	// A field of another type stays empty; a foreign document has such ones.
	_ = json.Unmarshal(doc, &d)
	s.documents++
	s.groups[d.Group]++
	switch {
	case d.Host != "" && d.Status >= 400:
		s.web[d.Host]++
	case d.Msg1 == "Connection" && d.Source != "":
		s.ssh[d.Source]++
	case strings.Contains(d.Agent, "aws-cli"):
		s.api[d.From+"  "+d.API]++
	case d.Action == "REJECT":
		s.net[d.Flow]++
	}
}

// topRows is how many suspects of a kind are shown.
const topRows = 5

// WriteTo prints the summary.
func (s *Summary) WriteTo(w io.Writer) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	elapsed := max(s.last.Sub(s.first), time.Millisecond)
	fmt.Fprintf(&b, "%d documents in %.1f s, %.0f/s", s.documents, elapsed.Seconds(), float64(s.documents)/elapsed.Seconds())
	if s.records > 0 {
		mean := s.lag / time.Duration(s.records)
		fmt.Fprintf(&b, "; from the stream to the index %.1f s on average, %.1f s at most", mean.Seconds(), s.worst.Seconds())
	}
	fmt.Fprintf(&b, "; %d duplicates\n", s.duplicates)
	table(&b, "Documents by log group", s.groups, len(s.groups))
	table(&b, "Web clients with the most failures (host, status of 400 and more)", s.web, topRows)
	table(&b, "SSH attackers (srcIp, msg1 is Connection)", s.ssh, topRows)
	table(&b, "AWS services called with aws-cli (sourceIPAddress, eventSource)", s.api, topRows)
	table(&b, "Addresses that the network turned away (srcaddr, action is REJECT)", s.net, topRows)
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

// table writes the largest rows of counts.
func table(b *strings.Builder, title string, counts map[string]int, rows int) {
	names := slices.SortedFunc(maps.Keys(counts), func(x, y string) int {
		return cmp.Or(cmp.Compare(counts[y], counts[x]), cmp.Compare(x, y))
	})
	fmt.Fprintf(b, "\n%s\n", title)
	if len(names) == 0 {
		b.WriteString("         none\n")
	}
	for _, name := range names[:min(rows, len(names))] {
		fmt.Fprintf(b, "%8d %s\n", counts[name], printable(name))
	}
}

// printable keeps log data, which is the attacker's text, from writing control
// characters to a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, s)
}
