package document

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// corpus returns the path of public test data that is not part of the project.
func corpus(t *testing.T, path ...string) string {
	t.Helper()
	dir := cmp.Or(os.Getenv("SHIPPERD_CORPORA"), filepath.Join("..", "..", "..", "shared", "corpora"))
	file := filepath.Join(append([]string{dir}, path...)...)
	if _, err := os.Stat(file); err != nil {
		t.Skipf("no corpora, set SHIPPERD_CORPORA: %v", err)
	}
	return file
}

// mapping is what an index knows of a day's documents: one kind for each path.
type mapping map[string]string

// add returns the paths that the document has as another kind than an earlier one:
// for each the index would refuse it.
func (m mapping) add(path string, v any) (conflicts []string) {
	kind := fmt.Sprintf("%T", v)
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		for _, e := range v {
			conflicts = append(conflicts, m.add(path, e)...)
		}
		return conflicts
	case map[string]any:
		for name, value := range v {
			conflicts = append(conflicts, m.add(path+"."+name, value)...)
		}
	}
	if before, ok := m[path]; ok && before != kind {
		conflicts = append(conflicts, fmt.Sprintf("%s: %s after %s", path, kind, before))
	}
	m[path] = kind
	return conflicts
}

// TestCorporaFitOneDailyIndex holds public logs of all kinds against the first
// documents of a day that an attacker chose.
func TestCorporaFitOneDailyIndex(t *testing.T) {
	messages := []string{
		`{"source":"x","user":"y","event":"z","http":1}`,
		`{"userIdentity":"x","eventName":{"a":1},"status":{"b":1}}`,
	}
	files, err := filepath.Glob(filepath.Join(corpus(t, "invictus-ir-aws_dataset", "CloudTrail"), "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	trail := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var log struct{ Records []json.RawMessage }
		if err := json.Unmarshal(data, &log); err != nil {
			t.Fatal(err)
		}
		for _, event := range log.Records {
			messages = append(messages, string(event))
			trail++
		}
	}
	if trail != 2900 {
		t.Errorf("got %d CloudTrail events, want 2900", trail)
	}
	for _, name := range []string{"elastic-examples/apache_logs", "fail2ban/sshd.log", "fail2ban/apache-auth.log", "centralized-logging-with-opensearch/vpcflow.log"} {
		data, err := os.ReadFile(corpus(t, filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		messages = append(messages, strings.Split(string(data), "\n")...)
	}
	d := testDocuments(t, nil).NewDecoder()
	fields, refused := mapping{}, 0
	for _, message := range messages {
		r := decode(t, d, payload("g", "s", testEvent{id: "1", message: message}))
		if r.Events[0].Filter != 0 {
			continue
		}
		if conflicts := fields.add("", only(t, r)); conflicts != nil {
			if refused++; refused < 10 {
				t.Errorf("%.200s: %s", message, strings.Join(conflicts, ", "))
			}
		}
	}
	if got := len(fields); refused > 0 || got >= 500 {
		t.Errorf("got %d documents refused and %d fields, want 0 and fewer than 500", refused, got)
	}
	t.Logf("%d documents, %d fields", len(messages), len(fields))
}
