package format

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/tools/txtar"
)

// fuzzFormat holds a parser against any bytes: what it adds is valid JSON without a
// key twice, with None or Header it adds nothing, it keeps no state, and what it is told
// of a line beforehand changes nothing.
func fuzzFormat(f *testing.F, name string, options Options) {
	archive, err := txtar.ParseFile(filepath.Join("testdata", name+".txtar"))
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range archive.Files {
		if strings.HasSuffix(file.Name, ".line") {
			f.Add(bytes.TrimSuffix(file.Data, []byte("\n")), goldenTime)
		}
	}
	format := newFormat(f, name, options)
	columns := columnsOf(f, name, options)
	fields, again := NewFields(nil), NewFields(nil)
	f.Fuzz(func(t *testing.T, text []byte, time int64) {
		before := bytes.Clone(text)
		fields.Reset()
		again.Reset()
		line := Line{Text: text, Time: time}
		result := format.Parse(&line, fields)
		if !bytes.Equal(before, text) {
			t.Error("the text was changed")
		}
		tree(t, fields)
		if _, ok := readEntry(text); !ok { // whose columns are those of another text
			checkColumns(t, columns, &line)
		}
		first := fields.AppendTo(nil)
		if (result == None || result == Header) && len(first) > 0 {
			t.Errorf("got %s with %s, want nothing added", result.label(), first)
		}
		sniffed := Line{Text: text, Time: time}
		if utf8.Valid(text) {
			sniffed.SetMarks(marksOf(text))
		}
		var takers []string
		for _, entry := range Table() {
			if entry.Sniff != nil && entry.Sniff(&sniffed) {
				takers = append(takers, entry.Name)
			}
		}
		if len(takers) > 1 {
			t.Errorf("%q: taken by %s, want one at most", text, takers)
		}
		r := format.Parse(&sniffed, again)
		if _, ok := readEntry(text); !ok {
			checkColumns(t, columns, &sniffed)
		}
		if r != result || !bytes.Equal(first, again.AppendTo(nil)) {
			t.Errorf("got %s and %s, want the same twice", first, again.AppendTo(nil))
		}
	})
}

// marksOf returns the places of what needs an escape.
func marksOf(text []byte) (marks []uint32) {
	for i, c := range text {
		if c == '"' || c == '\\' || c < ' ' {
			marks = append(marks, uint32(i))
		}
	}
	return marks
}

func FuzzApache(f *testing.F) { fuzzFormat(f, "apache", Options{}) }

func FuzzApacheError(f *testing.F) { fuzzFormat(f, "apache_error", Options{}) }

func FuzzSSHD(f *testing.F) { fuzzFormat(f, "sshd", Options{}) }

func FuzzVPCFlow(f *testing.F) { fuzzFormat(f, "vpcflow", Options{}) }

func FuzzVPCFlowOfCustomFields(f *testing.F) {
	fuzzFormat(f, "vpcflow", Options{FlowFields: []string{"account-id srcaddr dstaddr flow-direction start region x tcp-flags log-status"}})
}

func FuzzCloudTrail(f *testing.F) { fuzzFormat(f, "cloudtrail", Options{}) }
