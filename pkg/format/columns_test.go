package format

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shipperd/shipperd/pkg/format/pattern"
)

// columnsOf returns the pattern of a format's root fields.
func columnsOf(t testing.TB, name string, options Options) *pattern.Pattern {
	t.Helper()
	text := Table()[slices.IndexFunc(Table(), func(e Entry) bool { return e.Name == name })].Columns
	if len(options.FlowFields) > 0 {
		text = FlowColumns(options.FlowFields)
	}
	p, err := pattern.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// checkColumns holds the columns that a parser has given, if any, against those of
// the pattern.
func checkColumns(t *testing.T, p *pattern.Pattern, line *Line) {
	t.Helper()
	if line.Columns == nil {
		return
	}
	want, ok := p.Split(line.Text, nil)
	if !ok {
		want = [][]byte{}
	}
	if diff := cmp.Diff(want, line.Columns); diff != "" {
		t.Errorf("columns of %q (-want +got):\n%s", line.Text, diff)
	}
}

func TestColumnsAreThoseOfThePattern(t *testing.T) {
	for _, test := range []struct {
		format, text string
		given        bool
	}{
		{"apache", benchmarkLines["apache"], true},
		{"apache", benchmarkLines["apache"] + "\r\n", true},
		{"apache", `host - - [17/May/2015:10:05:03] "" - - "\"a\" b" ""`, true},
		{"apache", `h  -  u [17/May/2015:10:05:03 +0000] "GET /"  200  5  "r"  "a"`, true},
		{"apache", `h - - [17/May/2015:10:05:03 +0000] "GET /" 200 5`, false},
		{"apache", `v 192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET /" 200 5 "r" "a"`, false},
		{"apache", `192.0.2.1:5 - - [17/May/2015:10:05:03 +0000] "GET /" 200 5 "r" "a"`, true},
		{"apache", `192.0.2.1 10.0.0.1 - u [17/May/2015:10:05:03 +0000] "GET /" 200 5 "r" "a"`, false},
		{"apache", `192.0.2.1, 192.0.2.2 - u [17/May/2015:10:05:03 +0000] "GET /" 200 5 "r" "a"`, false},
		{"apache", `h - two words [17/May/2015:10:05:03 +0000] "GET /" 200 5 "r" "a"`, false},
		{"apache", `"h" - - [17/May/2015:10:05:03 +0000] "GET /" 200 5 "r" "a"`, false},
		{"apache", `h [-] - [17/May/2015:10:05:03 +0000] "GET /" 200 5 "r" "a"`, false},
		{"apache", "h -\t- - [17/May/2015:10:05:03 +0000] \"GET /\" 200 5 \"r\" \"a\"", false},
		{"apache", `h - - [17/May/2015:10:05:03 +0000] "GET /"x 200 5 "r" "a"`, false},
		{"apache", `h - - [17/May/2015:10:05:03 +0000] "GET /" 200 "5" "r" "a"`, false},
		{"apache", `h - - [17/May/2015:10:05:03 +0000] "GET /" 200 5 "r""a"`, false},
		{"apache", `h - - [17/May/2015:10:05:03 +0000] "GET /" 200 5 "r" "a" "b"`, false},
		{"apache", `h - - [17/May/2015:10:05:03 +0000] "GET /" 200 5 "r" "a" `, false},
		{"apache", `Nov 20 10:11:12 h httpd[1]: h - - [17/May/2015:10:05:03 +0000] "GET /" 200 5 "r" "a"`, false},
		{"vpcflow", benchmarkLines["vpcflow"], true},
		{"vpcflow", " " + benchmarkLines["vpcflow"], false},
		{"vpcflow", benchmarkLines["vpcflow"] + "\n", false},
		{"vpcflow", benchmarkLines["vpcflow"] + "\u00a0", false},
		{"vpcflow", benchmarkLines["vpcflow"] + " more", false},
		{"vpcflow", "2 unknown eni-1 - - - - - - - 1 2 - NODATA", true},
		{"vpcflow", "2 \"123456789012\" eni-1 - - - - - - - 1 2 - NODATA", false},
		{"vpcflow", "2 1\t2 eni-1 - - - - - - - 1 2 - NODATA", false},
		{"sshd", benchmarkLines["sshd"], true},
		{"sshd", "Nov 20 10:11:12 h sshd[1]: Connection closed by 192.0.2.1 port 22", true}, // one word too few: none
		{"sshd", "Nov 20 10:11:12 h sshd[1]: a b c d e f [g h]", true},
		{"sshd", "Nov 20 10:11:12 h sshd[1]: a b c [d e] f g h", false},
		{"sshd", "Nov 20 10:11:12 h sshd[1]: a b c d e f g [preauth]", true},
		{"sshd", "Nov 20 10:11:12 h sshd[1]: a b c d e f [preauth]", true},
		{"sshd", "Nov 20 10:11:12 h sshd[1]: a b c d e f [a] b]", false},
		{"sshd", "Nov  2 10:11:12 h sshd[1]: a b c d e f g h", false},
		{"sshd", "Nov 20 10:11:12 h sshd[1]: a b c d e f  g h", false},
		{"sshd", "Nov 20 10:11:12 h sshd[1]: a b c d e f g h ", true},
	} {
		line := Line{Text: []byte(test.text), Time: goldenTime}
		if test.format == "sshd" { // cut only where it is known that no blank hides
			line.SetMarks(marksOf(line.Text))
		}
		newFormat(t, test.format, Options{}).Parse(&line, NewFields(nil))
		if given := line.Columns != nil; given != test.given {
			t.Errorf("%q: got columns %q, want some: %v", test.text, line.Columns, test.given)
		}
		checkColumns(t, columnsOf(t, test.format, Options{}), &line)
	}
}
