package elastic

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// decoded is a bulk reply as encoding/json reads it.
type decoded struct {
	Items []map[string]struct {
		Status int             `json:"status"`
		Error  json.RawMessage `json:"error"`
	} `json:"items"`
}

// sameAsDecoded compares what the scanner found with what encoding/json finds.
func sameAsDecoded(t *testing.T, body []byte, items []replyItem) {
	t.Helper()
	var d decoded
	if err := json.Unmarshal(body, &d); err != nil {
		t.Fatalf("the scanner took what encoding/json does not: %v: %.200q", err, body)
	}
	if len(items) != len(d.Items) {
		t.Fatalf("got %d items, want %d: %.200q", len(items), len(d.Items), body)
	}
	for i, item := range items {
		for _, operation := range d.Items[i] {
			if item.status != operation.Status || string(item.fault) != string(operation.Error) {
				t.Errorf("item %d: got %d %s, want %d %s", i, item.status, item.fault, operation.Status, operation.Error)
			}
		}
	}
}

func TestScannerReadsRealRepliesAsEncodingJSONDoes(t *testing.T) {
	n := 0
	realReplies(t, func(engine string, r *realReply) {
		if r.Status != 200 || !strings.Contains(r.Path, "_bulk") {
			return
		}
		items, err := new(scanner).scan(r.content())
		if err != nil {
			if strings.HasPrefix(r.Case, "bulk-ignore-malformed") { // a search, after the bulk
				return
			}
			t.Errorf("%s %s: %v", engine, r.Case, err)
			return
		}
		n++
		sameAsDecoded(t, r.content(), items)
	})
	if n < 100 {
		t.Errorf("got %d replies, want more than 100", n)
	}
}

func TestScannerReadsAnyShape(t *testing.T) {
	for _, body := range []string{
		`{"errors":false,"items":[{"create":{"status":201}}]}`,
		` { "items" : [ { "create" : { "status" : 201 } } ] , "errors" : false } ` + "\n",
		`{"items":[]}`,
		`{}`,
		`{"items":[{"create":{"error":{"type":"a","reason":"\"status\":200}"},"status":400}}],"took":12.5e3}`,
		`{"items":[{"create":{"error":"text","_id":"\u00e9\\","status":400,"x":[1,[2,{"a":null}],true]}}]}`,
	} {
		items, err := new(scanner).scan([]byte(body))
		if err != nil {
			t.Errorf("scan(%s): %v", body, err)
			continue
		}
		sameAsDecoded(t, []byte(body), items)
	}
}

func TestScannerTrustsNothingElse(t *testing.T) {
	for _, body := range []string{
		``, ` `, `null`, `[]`, `"items"`, `<html></html>`, `{`, `{"items":[`, `{"items":[{"create":{"status":201}}]`,
		`{"items":[{"create":{"status":201}}]}}`,
		`{"items":[{"create":{"status":201}}],"items":[]}`,
		`{"items":[{"create":{}}]}`,
		`{"items":[{}]}`,
		`{"items":[{"create":{"status":201},"index":{"status":201}}]}`,
		`{"items":[{"create":{"status":20}}]}`,
		`{"items":[{"create":{"status":"201"}}]}`,
		`{"items":[{"create":{"status":2010}}]}`,
		`{"items":[{"create":{"status":-201}}]}`,
		`{"items":[{"create":{"status":201,}}]}`,
		`{"items":[{"create":{"status":201}}}`,
		`{"items":{"create":{"status":201}}}`,
		`{"items":[],"a":01}`, `{"items":[],"a":tru}`, `{"items":[],"a":"` + "\n" + `"}`, `{"items":[],"a":"\x"}`, `{"a":"\u12`,
		`{"a":` + strings.Repeat("[", 100_000),
		`{"a":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}`,
		`{"a":` + strings.Repeat(`{"a":`, 100_000),
	} {
		if items, err := new(scanner).scan([]byte(body)); !errors.Is(err, errReply) || items != nil {
			t.Errorf("scan(%.60s): got %v, %v, want errReply", body, items, err)
		}
	}
}

func FuzzScanner(f *testing.F) {
	realReplies(f, func(_ string, r *realReply) {
		if len(r.Body) < 2000 {
			f.Add(r.content())
		}
	})
	f.Fuzz(func(t *testing.T, body []byte) {
		items, err := new(scanner).scan(body)
		if err != nil {
			return
		}
		// Keys that are written with escapes, or twice, are read differently.
		if strings.ContainsAny(string(body), `\`) || !json.Valid(body) {
			if !json.Valid(body) {
				t.Errorf("the scanner took what is not JSON: %q", body)
			}
			return
		}
		if strings.Count(string(body), `"status"`) == len(items) && strings.Count(string(body), `"error"`) <= len(items) &&
			!strings.Contains(strings.ToLower(string(body)), `"items":null`) && countFold(body, "status") == len(items) &&
			countFold(body, "error") <= len(items) && countFold(body, "items") <= 1 {
			sameAsDecoded(t, body, items)
		}
	})
}

// countFold counts word in any case: encoding/json takes keys that differ in case.
func countFold(body []byte, word string) int {
	return strings.Count(strings.ToLower(string(body)), word)
}

func BenchmarkScanner(b *testing.B) {
	full := make([]string, 1000)
	filtered := make([]string, 1000)
	for i := range full {
		full[i] = fmt.Sprintf(`{"create":{"_index":"cwl-2026.11.22","_type":"_doc","_id":"%056d","_version":1,"result":"created",`+
			`"_shards":{"total":2,"successful":1,"failed":0},"_seq_no":%d,"_primary_term":1,"status":201}}`, i, i)
		filtered[i] = `{"create":{"status":201}}`
	}
	for name, items := range map[string][]string{"full": full, "filtered": filtered} {
		body := []byte(`{"took":12,"errors":false,"items":[` + strings.Join(items, ",") + `]}`)
		b.Run(name, func(b *testing.B) {
			var s scanner
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				if got, err := s.scan(body); err != nil || len(got) != 1000 {
					b.Fatal(len(got), err)
				}
			}
		})
	}
}
