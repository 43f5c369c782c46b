package format

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// goldenTime is the events' own time in the golden files.
var goldenTime = time.Date(2026, 11, 20, 10, 11, 12, 0, time.UTC).UnixMilli()

func (r Result) label() string {
	return [...]string{"none", "partial", "full", "header"}[r]
}

func newFormat(t testing.TB, name string, o Options) Format {
	t.Helper()
	table := Table()
	i := slices.IndexFunc(table, func(e Entry) bool { return e.Name == name })
	if i < 0 {
		t.Fatalf("no format %q in the table", name)
	}
	f, err := table[i].New(o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// typed parses one line and returns its typed fields as a tree.
func typed(t testing.TB, format Format, text string, at int64) (map[string]any, Result) {
	t.Helper()
	f := NewFields(nil)
	result := format.Parse(&Line{Text: []byte(text), Time: at}, f)
	return tree(t, f), result
}

// tree decodes what f holds and fails the test if an engine would refuse it.
func tree(t testing.TB, f *Fields) map[string]any {
	t.Helper()
	document := append(f.AppendTo([]byte("{")), `"end":0}`...)
	var root map[string]any
	if err := json.Unmarshal(document, &root); err != nil {
		t.Fatalf("invalid JSON: %v\n%s", err, document)
	}
	if bytes.ContainsAny(document, "\n\r") {
		t.Fatalf("line break in %q", document)
	}
	checkKeys(t, json.NewDecoder(bytes.NewReader(document)))
	delete(root, "end")
	return root
}

// checkKeys fails the test if an object has a key twice.
func checkKeys(t testing.TB, d *json.Decoder) {
	t.Helper()
	token, err := d.Token()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for isObject := token == json.Delim('{'); isObject || token == json.Delim('['); {
		if !d.More() {
			if _, err := d.Token(); err != nil {
				t.Fatal(err)
			}
			return
		}
		if isObject {
			key, err := d.Token()
			if err != nil || seen[key.(string)] {
				t.Fatalf("key %v twice, or %v", key, err)
			}
			seen[key.(string)] = true
		}
		checkKeys(t, d)
	}
}

// at returns the value at a dotted path, or nil.
func at(tree map[string]any, path string) any {
	var value any = tree
	for name := range strings.SplitSeq(path, ".") {
		object, _ := value.(map[string]any)
		value = object[name]
	}
	return value
}

// TestGoldenFiles parses the lines in testdata/<format>.txtar. For a case x the
// archive has x.line, the wanted x.want, and for flow logs x.fields.
func TestGoldenFiles(t *testing.T) {
	for _, entry := range Table() {
		t.Run(entry.Name, func(t *testing.T) {
			path := filepath.Join("testdata", entry.Name+".txtar")
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatalf("every format has a golden file: %v", err)
			}
			written := &txtar.Archive{Comment: archive.Comment}
			options := Options{}
			for _, file := range archive.Files {
				name, kind, _ := strings.Cut(file.Name, ".")
				switch kind {
				case "fields":
					options.FlowFields = []string{string(file.Data)}
					written.Files = append(written.Files, file)
				case "line":
					got := golden(t, newFormat(t, entry.Name, options), strings.TrimSuffix(string(file.Data), "\n"))
					written.Files = append(written.Files, file, txtar.File{Name: name + ".want", Data: []byte(got)})
					options = Options{}
				}
			}
			if *update {
				if err := os.WriteFile(path, txtar.Format(written), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(txtar.Format(archive)), string(txtar.Format(written))); diff != "" {
				t.Errorf("golden file differs; -update rewrites it: %s", diff)
			}
		})
	}
}

// golden writes the result and one line for each root.
func golden(t *testing.T, format Format, text string) string {
	t.Helper()
	f := NewFields(nil)
	result := format.Parse(&Line{Text: []byte(text), Time: goldenTime}, f)
	if result == None && len(f.AppendTo(nil)) > 0 {
		t.Errorf("%s: got None with %s, want nothing added", text, f.AppendTo(nil))
	}
	root := tree(t, f)
	var b strings.Builder
	fmt.Fprintln(&b, result.label())
	for _, r := range Roots() {
		if value, ok := root[r.String()]; ok {
			fmt.Fprint(&b, r, " ")
			e := json.NewEncoder(&b)
			e.SetEscapeHTML(false)
			if err := e.Encode(value); err != nil {
				t.Fatal(err)
			}
		}
	}
	return b.String()
}

func TestGoldenLinesAreGuessedAsTheirFormat(t *testing.T) {
	for _, entry := range Table() {
		if entry.Sniff == nil {
			continue
		}
		archive, err := txtar.ParseFile(filepath.Join("testdata", entry.Name+".txtar"))
		if err != nil {
			t.Fatal(err)
		}
		line := ""
		for _, file := range archive.Files {
			if strings.HasSuffix(file.Name, ".line") && line == "" {
				line = string(file.Data)
			}
		}
		table := Table()
		i := slices.IndexFunc(table, func(e Entry) bool { return e.Sniff != nil && e.Sniff(&Line{Text: []byte(line)}) })
		if i < 0 || table[i].Name != entry.Name {
			t.Errorf("%s: the first golden line is guessed as entry %d of the table", entry.Name, i)
		}
	}
}
