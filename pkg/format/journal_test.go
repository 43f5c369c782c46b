package format

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestJournalEntryReadsAsItsSyslogLine sends each message the two ways.
func TestJournalEntryReadsAsItsSyslogLine(t *testing.T) {
	for _, message := range []string{
		`Connection closed by 203.0.113.4 port 22 [preauth]`,
		`Failed password for invalid user a"b\c from 203.0.113.9 port 51123 ssh2`,
		"Invalid user line\nbreak from 192.0.2.2 port 37220",
		`message repeated 5 times: [ Failed password for root from 203.0.113.9 port 51123 ssh2]`,
		`error: kex_exchange_identification: read: Connection reset by peer`,
		`{"MESSAGE":"Accepted password for root from 203.0.113.9 port 51123 ssh2"}`,
		``,
	} {
		entry, err := json.Marshal(map[string]any{"body": map[string]string{
			"MESSAGE": message, "SYSLOG_IDENTIFIER": "sshd", "_HOSTNAME": "ip-10-0-0-5", "_PID": "123",
		}, "severity_number": 9})
		if err != nil {
			t.Fatal(err)
		}
		text := "Nov 20 10:11:12 ip-10-0-0-5 sshd[123]: " + message
		want, wantResult := typed(t, newFormat(t, "sshd", Options{}), text, goldenTime)
		line := Line{Text: entry, Time: goldenTime}
		fields := NewFields(nil)
		result := newFormat(t, "sshd", Options{}).Parse(&line, fields)
		if diff := cmp.Diff(want, tree(t, fields)); diff != "" || result != wantResult {
			t.Errorf("%q: got %s, want %s (-syslog +journal):\n%s", message, result, wantResult, diff)
		}
		columns, _ := columnsOf(t, "sshd", Options{}).Split([]byte(text), [][]byte{})
		if diff := cmp.Diff(columns, line.Columns); diff != "" {
			t.Errorf("%q: columns (-syslog +journal):\n%s", message, diff)
		}
		if !sniffJournal(entry) {
			t.Errorf("%s: got another format by its content, want sshd", entry)
		}
	}
}

func TestOnlyEntriesOfSSHDAreTakenForItsLines(t *testing.T) {
	for _, text := range []string{
		`{"MESSAGE":"x"}`, `{"MESSAGE":"x","SYSLOG_IDENTIFIER":"sudo"}`, `{"a":"\"MESSAGE\"","SYSLOG_IDENTIFIER":"sshd"}`,
		`{"body":"MESSAGE","_COMM":"sshd"}`, `{"MESSAGE":"x","_COMM":"sshd"} and more`, `["MESSAGE"]`, strings.Repeat(`{"MESSAGE":`, 200),
	} {
		if sniffJournal([]byte(text)) {
			t.Errorf("%.60s: got sshd by its content, want another format", text)
		}
	}
}

// TestUserNameThatLooksLikeAnAccessLogStaysSSHDs forges what tells Apache's lines.
func TestUserNameThatLooksLikeAnAccessLogStaysSSHDs(t *testing.T) {
	text := `Nov 20 10:11:12 h sshd[1]: Invalid user x [20/Nov/2026:10:11:12 +0000] "GET / HTTP/1.1" 200 5 "-" "-" from 203.0.113.9 port 5`
	for _, entry := range Table() {
		if entry.Sniff != nil && entry.Sniff(&Line{Text: []byte(text), Time: goldenTime}) {
			if entry.Name != "sshd" {
				t.Errorf("got format %s, want sshd", entry.Name)
			}
			return
		}
	}
	t.Error("got no format, want sshd")
}
