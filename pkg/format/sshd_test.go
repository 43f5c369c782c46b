package format

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTheSameSSHDLineHasTheSameFieldsInEveryPrefix(t *testing.T) {
	format := newFormat(t, "sshd", Options{})
	at := time.Date(2026, 11, 2, 10, 11, 12, 0, time.UTC)
	for _, message := range []string{
		"Failed password for invalid user admin from 203.0.113.9 port 51123 ssh2",
		"Accepted publickey for ec2-user from 198.51.100.4 port 5 ssh2: RSA SHA256:x",
		"error: maximum authentication attempts exceeded for root from 61.0.0.1 port 49940 ssh2 [preauth]",
		"message repeated 2 times: [ Failed password for root from 5.36.59.76 port 42393 ssh2]",
		"something nobody knows",
	} {
		want, _ := typed(t, format, "Nov  2 10:11:12 h sshd[7]: "+message, at.UnixMilli())
		for _, prefix := range []string{
			"2026-11-02T10:11:12.000000+00:00 h sshd[7]: ",
			"2026-11-02T15:41:12+05:30 h sshd[7]: ",
			"<38>1 2026-11-02T10:11:12Z h sshd 7 - - ",
			"<38>Nov  2 10:11:12 h sshd[7]: ",
			"Nov 2 10:11:12 h sshd[7]: ",
			"Nov 02 10:11:12.000000 h sshd[7]: ",
			"h sshd[7]: ",
		} {
			got, result := typed(t, format, prefix+message, at.UnixMilli())
			if diff := cmp.Diff(want, got); result != Full || diff != "" {
				t.Errorf("%s%s: got %s: %s", prefix, message, result.label(), diff)
			}
		}
	}
}

func TestYearOfASyslogLineComesFromTheEvent(t *testing.T) {
	date := func(year int, month time.Month, day, hour, minute int) int64 {
		return time.Date(year, month, day, hour, minute, 0, 0, time.UTC).UnixMilli()
	}
	for _, test := range []struct {
		name, text  string
		event, want int64
	}{
		{"same day", "Nov 20 10:11:00 ", date(2026, 11, 20, 10, 11), date(2026, 11, 20, 10, 11)},
		{"New Year's Eve, delivered late", "Dec 31 23:59:00 ", date(2027, 1, 1, 0, 3), date(2026, 12, 31, 23, 59)},
		{"New Year in a zone ahead of UTC", "Jan  1 08:59:00 ", date(2026, 12, 31, 23, 59), date(2027, 1, 1, 8, 59)},
		{"backfilled after months", "Mar  3 10:00:00 ", date(2026, 11, 20, 0, 0), date(2026, 3, 3, 10, 0)},
		{"leap day", "Feb 29 10:00:00 ", date(2028, 3, 1, 0, 0), date(2028, 2, 29, 10, 0)},
		{"leap day of the year before", "Feb 29 10:00:00 ", date(2029, 1, 1, 0, 0), date(2028, 2, 29, 10, 0)},
		{"no such leap day", "Feb 29 10:00:00 ", date(2026, 3, 1, 0, 0), date(2026, 3, 1, 0, 0)},
		{"fraction of a second", "Nov 20 10:11:00.123456 ", date(2026, 11, 20, 10, 11), date(2026, 11, 20, 10, 11) + 123},
		{"one digit", "Nov 2 10:00:00 ", date(2026, 11, 2, 10, 0), date(2026, 11, 2, 10, 0)},
	} {
		got, _, ok := syslogTime([]byte(test.text), test.event)
		if !ok || got != test.want {
			t.Errorf("%s: got %v and %v, want %v", test.name, time.UnixMilli(got).UTC(), ok, time.UnixMilli(test.want).UTC())
		}
	}
}

// TestOneAttemptIsOneLogin holds the lines of single attempts, as real daemons
// write them, against double counting.
func TestOneAttemptIsOneLogin(t *testing.T) {
	format := newFormat(t, "sshd", Options{})
	for name, lines := range map[string]string{
		"known user": `pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.9  user=root
Failed password for root from 203.0.113.9 port 5 ssh2
Connection closed by authenticating user root 203.0.113.9 port 5 [preauth]`,
		"unknown user": `Invalid user admin from 203.0.113.9 port 5
pam_unix(sshd:auth): check pass; user unknown
pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.9
Failed password for invalid user admin from 203.0.113.9 port 5 ssh2
Disconnected from invalid user admin 203.0.113.9 port 5 [preauth]`,
		"keyboard-interactive": `error: PAM: Authentication failure for root from 203.0.113.9
Failed keyboard-interactive/pam for root from 203.0.113.9 port 5 ssh2`,
		"success after a refused key": `Failed publickey for git from 203.0.113.9 port 5 ssh2: RSA SHA256:x
Accepted publickey for git from 203.0.113.9 port 5 ssh2: RSA SHA256:y
pam_unix(sshd:session): session opened for user git(uid=5) by (uid=0)`,
	} {
		logins := 0
		for line := range strings.SplitSeq(lines, "\n") {
			fields, _ := typed(t, format, "h sshd[7]: "+line, goldenTime)
			if at(fields, "event.action") == "ssh_login" {
				logins++
			}
		}
		if logins != 1 {
			t.Errorf("%s: got %d lines with ssh_login, want 1", name, logins)
		}
	}
}

func TestEveryMessageOfTheCatalogueCanBeReached(t *testing.T) {
	fill := strings.NewReplacer("{method}", "password", "{user}", "u", "{address}", "203.0.113.9", "{port}", "5",
		"{destination}", "10.0.0.5", "{destination port}", "22", "{word}", "w", "{number}", "3", "{text}", "t",
		"{until}", "s", "{rest}", "r", "{tail}", "", `\`, "")
	for _, m := range sshdMessages() {
		for _, text := range m.templates {
			for _, one := range alternatives(text) {
				var v values
				got := findMessage([]byte(fill.Replace(one)), &v)
				if got == nil || got.name != m.name {
					t.Errorf("%s: %s is taken by %v", m.name, one, got)
				}
				if strings.Contains(one, "{address}") && string(v[slotAddress]) != "203.0.113.9" {
					t.Errorf("%s: got address %s", one, v[slotAddress])
				}
				if slices.Contains([]string{"failed", "accepted"}, m.name) && string(v[slotUser]) != "u" {
					t.Errorf("%s: got user %s", one, v[slotUser])
				}
			}
		}
	}
}
