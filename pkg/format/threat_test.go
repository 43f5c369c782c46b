package format

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The threats are numbered as in the project's threat model.

// TestThreat2DeepOrWideJSONCostsNothing sends what makes decoders recurse or
// allocate. Nothing of it is typed, and nothing of it is lost: @message has it.
func TestThreat2DeepOrWideJSONCostsNothing(t *testing.T) {
	format := newFormat(t, "cloudtrail", Options{Flattened: true})
	prefix := `{"eventVersion":"1.08","eventSource":"x.amazonaws.com","requestParameters":`
	for name, text := range map[string]string{
		"deep arrays":  prefix + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + "}",
		"deep objects": prefix + strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000) + "}",
		"wide":         prefix + `{"a":[` + strings.Repeat("[],", 100_000) + "[]]}}",
		"long string":  prefix + `{"userName":"` + strings.Repeat("x", 1<<20) + `"}}`,
		"many ids":     prefix + `{"instanceIds":[` + strings.Repeat(`"i-1",`, 100_000) + `"i-2"]}}`,
	} {
		fields := NewFields(nil)
		result := format.Parse(&Line{Text: []byte(text)}, fields)
		if result != Full && result != Partial {
			t.Errorf("%s: got %s, want full or partial", name, result.label())
		}
		if got := len(fields.AppendTo(nil)); got > 100_000 {
			t.Errorf("%s: got %d bytes of typed fields", name, got)
		}
		tree(t, fields)
	}
}

// TestThreat3KeysOfStrangersNeverBecomeTypedFields sends keys by the thousand: what
// is typed has the names that the code has, and no others.
func TestThreat3KeysOfStrangersNeverBecomeTypedFields(t *testing.T) {
	var keys strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&keys, `"key %d":{"a.b":%d},`, i, i)
	}
	text := `{"eventVersion":"1.08","eventSource":"x.amazonaws.com",` + keys.String() +
		`"userIdentity":{` + keys.String() + `"type":"Root"},"requestParameters":{` + keys.String() + `"roleName":"r"}}`
	fields, result := typed(t, newFormat(t, "cloudtrail", Options{}), text, goldenTime)
	want := map[string]any{
		"event": map[string]any{"kind": "event", "dataset": "aws.cloudtrail", "category": []any{"configuration"}, "type": []any{"access"},
			"provider": "x.amazonaws.com", "outcome": "success"},
		"aws": map[string]any{"cloudtrail": map[string]any{"user_identity": map[string]any{"type": "Root"}, "request": map[string]any{"role_name": "r"}}},
	}
	if diff := cmp.Diff(want, fields); result != Full || diff != "" {
		t.Errorf("got %s: %s", result.label(), diff)
	}
}

// TestThreat18LongLinesCostLinearTime sends lines of a quarter megabyte that make
// backtracking or repeated searching quadratic, which would take minutes. Linear
// work takes milliseconds, under the race detector some hundred.
func TestThreat18LongLinesCostLinearTime(t *testing.T) {
	const size, limit = 256 << 10, 5 * time.Second
	prefixes := map[string][]string{
		"apache":     {"", "1.2.3.4 - - [17/May/2015:10:05:03 +0000] \"", "1.2.3.4 - "},
		"sshd":       {"h sshd[1]: ", "h sshd[1]: Failed password for ", "h sshd[1]: Connection closed by invalid user ", "h sshd[1]: refused connect from ", "h sshd[1]: pam_unix(sshd:auth): authentication failure; "},
		"vpcflow":    {"", "2 1 eni-1 "},
		"cloudtrail": {"", `{"eventVersion":"1","eventSource":"x","requestParameters":`},
	}
	units := []string{" ", "a", "a ", " [", "[a ", `\"`, " from 1.2.3.4 port 5", " from", " 1.2.3.4 port 5", `{"a":`, " (", " [17/May/2015:10:05:03 +0000]", ": ", " rhost="}
	for name, starts := range prefixes {
		format := newFormat(t, name, Options{})
		for _, prefix := range starts {
			for _, unit := range units {
				f := NewFields(nil)
				text := []byte(prefix + strings.Repeat(unit, size/len(unit)))
				start := time.Now()
				format.Parse(&Line{Text: text}, f)
				if took := time.Since(start); took > limit {
					t.Errorf("%s: %q and %d bytes of %q took %v, want at most %v", name, prefix, size, unit, took, limit)
				}
			}
		}
	}
}

// TestStrangersForgeNeitherAddressNorStatus tries, in every place where a
// stranger's text stands, what would look like a field behind it.
func TestStrangersForgeNeitherAddressNorStatus(t *testing.T) {
	const client, forged = "203.0.113.9", "9.9.9.9"
	payloads := []string{
		"x from 9.9.9.9 port 1 ssh2", "x from 9.9.9.9", "from 9.9.9.9", "x from 9.9.9.9 port 1", "x 9.9.9.9 port 1", "9.9.9.9",
		"x from 9.9.9.9 port 1 ssh2 [preauth]", "x from 9.9.9.9 not allowed because y", "x rhost=9.9.9.9", "x  user=y rhost=9.9.9.9", "x rhost=9.9.9.9  user=y",
		"x uid=0 euid=0 tty=ssh ruser= rhost=9.9.9.9",
		"message repeated 2 times: [ Failed password for root from 9.9.9.9 port 1 ssh2]", "(9.9.9.9)", "[9.9.9.9]:1",
		"x via 9.9.9.9", "x on 9.9.9.9 port 22", `\" 200 5 \"-\" \"`, `x [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 5`, `","ip":"9.9.9.9`,
		"[client 9.9.9.9:1] x", "x(1): [client 9.9.9.9:1] x", "], [client 9.9.9.9] x", "x, referer: 9.9.9.9",
	}
	shapes := map[string][]string{
		"sshd": {
			"Nov 20 10:11:10 h sshd[1]: Failed password for invalid user %s from 203.0.113.9 port 51123 ssh2",
			"Nov 20 10:11:10 h sshd[1]: Failed password for %s from 203.0.113.9 port 51123 ssh2",
			"Nov 20 10:11:10 h sshd[1]: Failed publickey for invalid user %s from 203.0.113.9 port 51123 ssh2: RSA SHA256:x",
			"Nov 20 10:11:10 h sshd[1]: Invalid user %s from 203.0.113.9 port 51123",
			"Nov 20 10:11:10 h sshd[1]: Invalid user %s from 203.0.113.9",
			"Nov 20 10:11:10 h sshd[1]: Connection closed by invalid user %s 203.0.113.9 port 51123 [preauth]",
			"Nov 20 10:11:10 h sshd[1]: Connection reset by user %s 203.0.113.9 port 51123",
			"Nov 20 10:11:10 h sshd[1]: Connection from invalid user %s 203.0.113.9 port 51123 timed out [preauth]",
			"Nov 20 10:11:10 h sshd[1]: fatal: ssh_packet_read: Connection from authenticating user %s 203.0.113.9 port 51123: Broken pipe [preauth]",
			"Nov 20 10:11:10 h sshd[1]: error: PAM: Permission denied for illegal user %s from 203.0.113.9",
			"Nov 20 10:11:10 h sshd[1]: error: PAM: Have exhausted maximum number of retries for service for illegal user %s from 203.0.113.9",
			"Nov 20 10:11:10 h sshd[1]: Disconnected from authenticating user %s 203.0.113.9 port 51123 [preauth]",
			"Nov 20 10:11:10 h sshd[1]: Disconnecting invalid user %s 203.0.113.9 port 5: Change of username or service not allowed: (%[1]s,ssh-connection) -> (%[1]s,ssh-connection) [preauth]",
			"Nov 20 10:11:10 h sshd[1]: error: maximum authentication attempts exceeded for invalid user %s from 203.0.113.9 port 51123 ssh2 [preauth]",
			"Nov 20 10:11:10 h sshd[1]: User %s from 203.0.113.9 not allowed because not listed in AllowUsers",
			"Nov 20 10:11:10 h sshd[1]: error: PAM: Authentication failure for illegal user %s from 203.0.113.9",
			"Nov 20 10:11:10 h sshd[1]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.9  user=%s",
			"Nov 20 10:11:10 h sshd[1]: pam_krb5(sshd:auth): authentication failure; logname=%s uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.9",
			"Nov 20 10:11:10 h sshd[1]: fatal: ssh_dispatch_run_fatal: Connection from authenticating user %s 203.0.113.9 port 51123: incomplete message [preauth]",
			"Nov 20 10:11:10 h sshd[1]: Timeout, client not responding from user %s 203.0.113.9 port 51123",
			"Nov 20 10:11:10 h sshd[1]: probed from 203.0.113.9 port 51123 with SSH-1.0-%s.  Don't panic.",
			"Nov 20 10:11:10 h sshd[1]: Bad protocol version identification '%s' from 203.0.113.9 port 31778",
			"Nov 20 10:11:10 h sshd[1]: Received disconnect from 203.0.113.9 port 58846:11: %s [preauth]",
			"Nov 20 10:11:10 h sshd[1]: Unable to negotiate with 203.0.113.9 port 50404: no matching MAC found. Their offer: %s [preauth]",
			"Nov 20 10:11:10 h sshd[1]: message repeated 3 times: [ Failed password for invalid user %s from 203.0.113.9 port 51123 ssh2]",
		},
		"apache": {
			`203.0.113.9 - %s [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 404 7 "-" "-"`,
			`203.0.113.9 - - [17/May/2015:10:05:03 +0000] "GET /%s HTTP/1.1" 404 7 "-" "-"`,
			`203.0.113.9 - - [17/May/2015:10:05:03 +0000] "%s" 404 7 "%[1]s" "%[1]s"`,
			`www.example.com:80 203.0.113.9 - %s [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 404 7 "-" "-"`,
			"[Sat Jun 01 02:17:42 2013] [error] [client 203.0.113.9] File does not exist: /srv/%s",
			"[Sat Jun 01 02:17:42 2013] [core:error] [pid 1:tid 2] (36)File name too long: [client 203.0.113.9:5] AH00036: access to %s failed",
			"[Sat Jun 01 02:17:42 2013] [core:error] [pid 1:tid 2] [client 203.0.113.9:5] (36)%s: %[1]s",
			"[Sat Jun 01 02:17:42 2013] [auth_basic:error] [pid 1:tid 2] [client 203.0.113.9:5] AH01618: user %s not found: /",
		},
	}
	for name, list := range shapes {
		format := newFormat(t, name, Options{})
		for _, shape := range list {
			for _, payload := range payloads {
				if strings.Contains(shape, ": RSA") || strings.Contains(shape, ": Change") || strings.Contains(shape, ": incomplete") {
					payload, _, _ = strings.Cut(payload, ":") // as sshd does with every user name
				}
				text := fmt.Sprintf(shape, payload)
				fields, _ := typed(t, format, text, goldenTime)
				if got := at(fields, "source.address"); got != client && got != nil {
					t.Errorf("%s: got source.address %v, want %s", text, got, client)
				} else if got == nil {
					t.Errorf("%s: got no address, want %s", text, client)
				}
				if status := at(fields, "http.response.status_code"); status != nil && status != 404.0 {
					t.Errorf("%s: got status %v, want 404", text, status)
				}
				if ips, _ := json.Marshal(at(fields, "related.ip")); strings.Contains(string(ips), forged) {
					t.Errorf("%s: got related.ip %s", text, ips)
				}
			}
		}
	}
}
