package elastic

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// realReply is what a real server answered; testdata/replies has one a line.
type realReply struct {
	Case   string          `json:"case"`
	Path   string          `json:"path"`
	Status int             `json:"status"`
	Body   json.RawMessage `json:"body"`
	Text   string          `json:"body_text"`
}

// content returns the body as it came.
func (r *realReply) content() []byte {
	if r.Body != nil {
		return r.Body
	}
	return []byte(r.Text)
}

// realReplies calls each with every reply, by engine.
func realReplies(t testing.TB, each func(engine string, r *realReply)) {
	t.Helper()
	files, err := filepath.Glob("testdata/replies/*.jsonl")
	if err != nil || len(files) != 4 {
		t.Fatalf("got %d files of replies, %v, want 4", len(files), err)
	}
	for _, name := range files {
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		lines := bufio.NewScanner(file)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var r realReply
			if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			each(strings.TrimSuffix(filepath.Base(name), ".jsonl"), &r)
		}
		if err := lines.Err(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestClassifyEveryRowOfTheOutcomeTable(t *testing.T) {
	item := func(status int, kind string) answer { return answer{item: true, status: status, kind: kind} }
	request := func(status int, kind string) answer { return answer{status: status, kind: kind} }
	for _, test := range []struct {
		answer answer
		want   class
	}{
		{item(200, ""), accepted},
		{item(201, ""), accepted},
		{item(409, "version_conflict_engine_exception"), duplicate},
		{item(408, "timeout_exception"), busy},
		{item(429, "es_rejected_execution_exception"), busy},
		{item(429, "rejected_execution_exception"), busy},
		{item(429, "circuit_breaking_exception"), busy},
		{item(500, ""), failing},
		{item(502, ""), failing},
		{item(503, "unavailable_shards_exception"), failing},
		{item(503, typeClusterBlock), failing}, // the cluster's state is not recovered yet
		{item(504, ""), failing},
		{item(507, ""), failing},
		{item(400, "mapper_parsing_exception"), rejected},
		{item(400, "a type of tomorrow"), rejected},
		{item(413, ""), rejected},
		{item(401, "security_exception"), paused},
		{item(403, "security_exception"), paused},
		{item(404, "index_not_found_exception"), paused},
		{item(403, typeIndexCreateBlock), paused},
		{item(400, typeIndexCreateBlock), paused},
		{item(403, typeClusterBlock), blocked},
		{item(429, typeClusterBlock), blocked},
		{request(200, ""), accepted},
		{request(202, ""), unknown},
		{request(408, ""), busy},
		{request(429, "circuit_breaking_exception"), busy},
		{request(503, ""), busy},
		{request(507, ""), busy},
		{request(500, ""), unknown},
		{request(502, ""), unknown},
		{request(504, ""), unknown},
		{request(413, ""), tooLarge},
		{request(400, ""), rejected},
		{request(401, ""), paused},
		{request(403, "security_exception"), paused},
		{request(403, typeClusterBlock), blocked},
		{request(404, "index_not_found_exception"), paused},
		{request(302, ""), paused},
		{request(405, ""), paused},
		{answer{err: io.ErrUnexpectedEOF}, unknown},
		{answer{err: context.DeadlineExceeded}, unknown},
		{answer{status: 200, err: fmt.Errorf("%w: short", errReply)}, unknown},
		{answer{err: &net.OpError{Op: "read", Err: syscall.ECONNRESET}}, unknown},
		{answer{err: &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}}, unreachable},
		{answer{err: &net.DNSError{}}, unreachable},
		{answer{err: &tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.Expired}}}, unreachable},
		{answer{err: fmt.Errorf("%w: no credentials", errNotSent)}, unreachable},
	} {
		if got := classify(test.answer); got != test.want {
			t.Errorf("classify(%+v): got %v, want %v", test.answer, got, test.want)
		}
	}
}

// TestClassifyRealReplies reads every bulk reply that four real servers gave, the
// way send does, and checks what comes of it.
func TestClassifyRealReplies(t *testing.T) {
	want := map[string]string{
		"breaker-in-flight":                "busy",
		"breaker-parent":                   "busy",
		"indexing-pressure":                "busy",
		"bulk-alias-no-write-index":        "rejected accepted",
		"bulk-auto-create-off":             "paused accepted",
		"bulk-auto-create-pattern":         "paused accepted",
		"bulk-require-alias":               "paused",
		"bulk-block-flood":                 "blocked accepted",
		"bulk-block-read-only":             "blocked accepted",
		"bulk-block-write":                 "blocked accepted",
		"bulk-closed":                      "rejected accepted",
		"bulk-cluster-read-only":           "blocked",
		"bulk-cluster-read-only-new-index": "blocked",
		"bulk-create":                      "accepted accepted",
		"bulk-create-again":                "duplicate duplicate",
		"bulk-create-mixed":                "duplicate duplicate accepted",
		"filter-path-conflict":             "duplicate duplicate accepted",
		"bulk-depth-limit":                 "rejected",
		"bulk-error-quotes-request":        "accepted rejected",
		"bulk-field-limit":                 "rejected",
		"bulk-immense-term":                "rejected",
		"bulk-long-id":                     "rejected",
		"bulk-long-id-and-good":            "rejected",
		"bulk-max-shards":                  "rejected accepted",
		"bulk-pipeline-missing":            "rejected",
		"bulk-rejected-items-full":         "busy busy accepted",
		"bulk-source-not-json":             "rejected accepted rejected rejected accepted",
		"bulk-strict":                      "rejected",
		"bulk-unavailable-shards":          "failing",
		"content-type-missing":             "paused",
		"content-type-text":                "paused",
		"gzip":                             "accepted",
		"malformed-action":                 "rejected",
		"malformed-empty":                  "rejected",
		"malformed-no-last-newline":        "rejected",
		"method-not-allowed":               "paused",
		"too-large":                        "too_large",
		"too-large-gzip":                   "too_large",
		"unauthorized":                     "paused",
		"filter-path-nothing-left":         "", // no item to trust: the caller compares counts
	}
	seen := make(map[string]int)
	realReplies(t, func(engine string, r *realReply) {
		wanted, ok := want[r.Case]
		if !ok {
			return
		}
		seen[r.Case]++
		var got []string
		if r.Status == 200 {
			reply := reply{status: r.Status, class: accepted}
			var err error
			if reply.items, err = reply.scanner.scan(r.content()); err != nil {
				t.Errorf("%s %s: %v", engine, r.Case, err)
			}
			reply.classifyItems()
			for _, item := range reply.items {
				got = append(got, item.class.String())
			}
		} else {
			reply := reply{status: r.Status, body: r.content()}
			f := parseFault(r.Status, reply.topError(), strings.Clone)
			got = []string{classify(answer{status: r.Status, kind: f.kind}).String()}
		}
		if text := strings.Join(got, " "); text != wanted {
			t.Errorf("%s %s: got %q, want %q", engine, r.Case, text, wanted)
		}
	})
	for _, c := range slices.Sorted(maps.Keys(want)) {
		if seen[c] == 0 {
			t.Errorf("no reply for case %s", c)
		}
	}
}

func TestFaultTellsTheTypeAndScrubsTheReason(t *testing.T) {
	s := &Sink{endpoints: &endpoints{}}
	var reasons int
	realReplies(t, func(engine string, r *realReply) {
		if r.Case != "bulk-error-quotes-request" {
			return
		}
		items, err := new(scanner).scan(r.content())
		if err != nil {
			t.Fatal(err)
		}
		f := parseFault(items[1].status, items[1].fault, s.scrub)
		reasons++
		if f.kind != "mapper_parsing_exception" || f.field != "n" || f.status != 400 {
			t.Errorf("%s: got %+v, want mapper_parsing_exception of field n", engine, f)
		}
		if !strings.HasPrefix(f.reason, "failed to parse field [n] of type [long]") {
			t.Errorf("%s: got reason %q", engine, f.reason)
		}
		for _, secret := range []string{"bm9ib2R5Om5vdGhpbmc=", "Authorization", "words of another document"} {
			if strings.Contains(f.reason, secret) {
				t.Errorf("%s: reason holds %q: %q", engine, secret, f.reason)
			}
		}
	})
	if reasons != 4 {
		t.Errorf("got %d replies, want 4", reasons)
	}
}

func TestScrubCutsAndRedacts(t *testing.T) {
	a := &fileAuth{header: func(s string) string { return "ApiKey " + s }}
	a.file = filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(a.file, []byte("c2VjcmV0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := a.refresh(); err != nil {
		t.Fatal(err)
	}
	s := &Sink{endpoints: &endpoints{all: []*endpoint{{auth: a}}}}
	for _, test := range []struct{ reason, want string }{
		{"plain", "plain"},
		{"a\r\nb\x00\x7f\xff", "a  b   "},
		{"key c2VjcmV0 quoted", "key [redacted] quoted"},
		{"got AUTHORIZATION: Basic x", "got [quoted request removed]"},
		{strings.Repeat("é", 300), strings.Repeat("é", 256)},
	} {
		if diff := cmp.Diff(test.want, s.scrub(test.reason)); diff != "" {
			t.Errorf("scrub(%.40q) (-want +got):\n%s", test.reason, diff)
		}
	}
}
