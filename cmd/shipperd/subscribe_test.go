package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWrongSubscriptionsAreUsageErrorsBeforeAnyCall(t *testing.T) {
	t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1") // nobody is there
	const role = "arn:aws:iam::123456789012:role/r"
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{[]string{"plan"}, []string{"name the Kinesis stream", `role ""`, "name at least one log group"}},
		{[]string{"apply", "--group", "g", "--stream", "s", "--role", "r", "--pattern", "[a"}, []string{`role "r"`, `filter pattern "[a", character 1`}},
		{[]string{"plan", "--group", "g", "--stream", "s", "--role", role, "--format", "syslog"}, []string{`"syslog" for "--format"`, "apache, sshd, cloudtrail, vpcflow, empty"}},
		{[]string{"plan", "--group", "g", "--stream", "s", "--role", role, "--filter", "a:b"}, []string{`filter name "a:b"`}},
		{[]string{"plan", "--format", "sshd", "--pattern", ""}, []string{"[format pattern]"}},
		{[]string{"plan", "--grp", "g"}, []string{"did you mean --group?"}},
		{[]string{"status"}, []string{"[group prefix]"}},
		{[]string{"remove", "--yes"}, []string{"[group prefix]"}},
		{[]string{"remove", "--group", "g"}, []string{"[stream]"}},
		{[]string{"test", "--pattern", "{ $.a = "}, []string{"pattern: "}},
		{[]string{"tets"}, []string{`did you mean "test"?`}},
	} {
		code, stdout, stderr := command(t, append([]string{"subscribe"}, tt.args...)...)
		if code != exitUsage || stdout != "" {
			t.Errorf("%q: got exit %d and %q, want %d and nothing on standard output: %s", tt.args, code, stdout, exitUsage, stderr)
		}
		for _, want := range tt.want {
			if !strings.Contains(stderr, want) {
				t.Errorf("%q: got %s\nwant %s in it", tt.args, stderr, want)
			}
		}
	}
}

// Without any other region than the one in the stream's ARN.
func TestRegionIsTheStreams(t *testing.T) {
	const arn = "arn:aws:kinesis:eu-west-1:123456789012:stream/logs"
	calls := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case calls <- r.Header.Get("Authorization"):
		default:
		}
		w.WriteHeader(http.StatusBadRequest)
	}))
	defer server.Close()
	for name, value := range map[string]string{
		"AWS_REGION": "", "AWS_DEFAULT_REGION": "", "AWS_CONFIG_FILE": "/none", "AWS_SHARED_CREDENTIALS_FILE": "/none",
		"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_ENDPOINT_URL": server.URL,
	} {
		t.Setenv(name, value)
	}
	config := writeFile(t, "kinesis: {stream: '"+arn+"'}\nelasticsearch: {endpoints: ['"+server.URL+"'], template: 'off'}\ncheckpoint: {file: "+t.TempDir()+"/c}\n")
	for _, args := range [][]string{
		{"subscribe", "plan", "--group", "g", "--role", "arn:aws:iam::123456789012:role/r", "--stream", arn},
		{"subscribe", "remove", "--group", "g", "--stream", arn},
		{"backfill", "--group", "g", "--from", "2026-11-01T00:00:00Z", "--config", config},
	} {
		code, _, stderr := command(t, args...)
		select {
		case signed := <-calls:
			if !strings.Contains(signed, "/eu-west-1/") {
				t.Errorf("%q: got a call signed %q, want it in eu-west-1", args, signed)
			}
		default:
			t.Errorf("%q: got exit %d and %s, want a call in eu-west-1", args, code, stderr)
		}
	}
}

func TestSubscribeTestShowsLinesFieldsAndWhatIsInThem(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secure")
	lines := `Nov 20 10:11:12 ip-10-0-0-5 sshd[123]: Connection closed by 192.0.2.1 port 50022 [preauth]
Nov 20 10:11:13 ip-10-0-0-5 sshd[123]: Invalid user admin from 192.0.2.1
`
	if err := os.WriteFile(file, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	const want = `line 1  delivered  Nov 20 10:11:12 ip-10-0-0-5 sshd[123]: Connection closed by 192.0.2.1 port 50022 [preauth]
        month      Nov
        day        20
        timestamp  10:11:12
        destIp     ip-10-0-0-5
        id         sshd[123]:
        msg1       Connection
        msg2       closed
        msg3       by
        srcIp      192.0.2.1
        msg5       port
        destPort   50022
        msg7       preauth
line 2  NOT delivered  Nov 20 10:11:13 ip-10-0-0-5 sshd[123]: Invalid user admin from 192.0.2.1
1 of 2 lines would be delivered
FIELD      ADDRESSES  NUMBERS  EXAMPLE
month      0          0        Nov
day        0          1        20
timestamp  0          0        10:11:12
destIp     0          0        ip-10-0-0-5
id         0          0        sshd[123]:
msg1       0          0        Connection
msg2       0          0        closed
msg3       0          0        by
srcIp      1          0        192.0.2.1
msg5       0          0        port
destPort   0          1        50022
msg7       0          0        preauth
`
	code, stdout, stderr := command(t, "subscribe", "test", "--format", "sshd", "--file", file)
	if code != exitDone || stderr != "" {
		t.Errorf("got exit %d and %q, want %d", code, stderr, exitDone)
	}
	if diff := cmp.Diff(want, stdout); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
