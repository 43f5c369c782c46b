package format

import (
	"strings"
	"testing"
)

// TestGuessingChangesNothing parses lines that were guessed before, in one Line that
// is reset, against lines of which nothing is known.
func TestGuessingChangesNothing(t *testing.T) {
	line := &Line{}
	for _, name := range []string{"sshd", "apache", "apache_error"} {
		format := newFormat(t, name, Options{})
		for _, end := range []string{"", "\n", " \r\n", ": \n"} {
			for _, text := range []string{
				benchmarkLines[name] + end,
				`<13>Nov 20 10:11:12 h httpd[1]: 192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET /" 200 5` + end,
				`192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET /" 200 5` + end,
				"Nov 20 10:11:12 h sshd:" + end,
				"Nov 20 10:11:12 h sudo: root" + end,
				"nothing of the kind" + end,
			} {
				want, got := NewFields(nil), NewFields(nil)
				wantResult := format.Parse(&Line{Text: []byte(text), Time: goldenTime}, want)
				for _, guess := range []bool{true, false} {
					line.Reset([]byte(text), goldenTime, nil)
					if guess {
						_ = sniffApache(line)
						_ = sniffSSHD(line)
					}
					got.Reset()
					result := format.Parse(line, got)
					if a, b := string(want.AppendTo(nil)), string(got.AppendTo(nil)); a != b || result != wantResult {
						t.Errorf("%s, %q, guessed %v: got %s %s, want %s %s", name, text, guess, result, b, wantResult, a)
					}
				}
			}
		}
	}
}

func TestNoTwoFormatsTakeTheSameLine(t *testing.T) {
	const date = ` [17/May/2015:10:05:03 +0000] "`
	for text, want := range map[string]string{
		`{"eventVersion":"1.08","eventSource":"s3.amazonaws.com"}`: "cloudtrail",
		`{"MESSAGE":"x","SYSLOG_IDENTIFIER":"sshd"}`:               "sshd",
		`{"a":1}` + date:                                   "json",
		`{"a":1} sshd[1]: x`:                               "json",
		"2 123456789012 eni-1" + date:                      "vpcflow",
		"[Fri Sep 09 10:42:29 2011] [error]" + date:        "apache_error",
		"Nov 20 10:11:12 h sshd[1]: Invalid user x" + date: "sshd",
		`<38>1 [17/May/2015:10:05:03] "x sshd 1 - - x`:     "sshd",
		"192.0.2.1 - sshd[1]: x" + date:                    "apache",
		"192.0.2.1 - -" + date:                             "apache",
		"nothing of the kind":                              "",
	} {
		var takers []string
		for _, entry := range Table() {
			if entry.Sniff != nil && entry.Sniff(&Line{Text: []byte(text)}) {
				takers = append(takers, entry.Name)
			}
		}
		if got := strings.Join(takers, " and "); got != want {
			t.Errorf("%s: taken by %q, want %q", text, got, want)
		}
	}
}
