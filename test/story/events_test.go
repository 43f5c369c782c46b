package story

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shipperd/shipperd/pkg/demo"
)

// siteEvents is how many events of the demo's site come before, and as many after
// the subscription: more than one round of all its attacks.
const siteEvents = 1100

// labEvents returns the events of the two hours in the order of their time: half of
// the lines of the corpora, where these are, and a site under attack in each.
func labEvents(t *testing.T, when timeline) (history, live []demo.Event) {
	t.Helper()
	lines := slices.Concat(handwritten(), corpora(t))
	for i, e := range lines {
		e.Time = when.start.Add(time.Duration(i) * time.Second)
		if i%2 == 0 {
			history = append(history, e)
		} else {
			e.Time = e.Time.Add(when.subscribed.Sub(when.start))
			live = append(live, e)
		}
	}
	before, after := demo.NewSite(1, when.start), demo.NewSite(2, when.subscribed)
	for range siteEvents {
		history, live = append(history, before.Next()), append(live, after.Next())
	}
	byTime := func(a, b demo.Event) int { return a.Time.Compare(b.Time) }
	slices.SortStableFunc(history, byTime)
	slices.SortStableFunc(live, byTime)
	t.Logf("%d events before the subscription and %d after it, %d of them lines of corpora", len(history), len(live), len(lines)-len(handwritten()))
	return history, live
}

// The log streams of lines that are not the site's.
const (
	webStream   = "i-0123456789abcdef0"
	sshStream   = "i-0123456789abcdef0-secure"
	trailStream = demo.Account + "_CloudTrail_" + region
	flowStream  = "eni-0123456789abcdef0-all"
)

// foreigner is an address that MaxMind's test databases know. It attacks so often
// that it is among the first of each table.
const foreigner = "89.160.20.156"

// journaled is a user whom only a journal names.
const journaled = "nobody-but-the-journal"

// handwritten returns what happens on no quiet day: lines for those panels that the
// site leaves empty.
func handwritten() (events []demo.Event) {
	add := func(group, stream, format string, args ...any) {
		events = append(events, demo.Event{Group: group, Stream: stream, Message: fmt.Sprintf(format, args...)})
	}
	trail := func(identity, name, more string) {
		add(demo.CloudTrailLogGroup, trailStream, `{"eventVersion":"1.11","userIdentity":{%s,"arn":"arn:aws:iam::%s:user/x"},`+
			`"eventTime":"2026-11-20T10:11:12Z","eventSource":"signin.amazonaws.com","eventName":%q,"awsRegion":"us-east-1",`+
			`"sourceIPAddress":%q,"userAgent":"Mozilla/5.0","eventID":"%d","eventType":"AwsApiCall"%s}`,
			identity, demo.Account, name, foreigner, len(events), more)
	}
	for i := range 60 {
		port := 50000 + i
		add(demo.AccessLogGroup, webStream, `%s - - [20/Nov/2026:10:11:12 +0000] "GET /wp-admin/%d HTTP/1.1" 404 196 "-" "curl/8.5.0"`, foreigner, i)
		add(demo.SSHLogGroup, sshStream, "Nov 20 10:11:12 ip-192-0-2-21 sshd[123]: Failed password for root from %s port %d ssh2", foreigner, port)
		add(demo.VPCFlowLogGroup, flowStream, "2 %s eni-0123456789abcdef0 %s 10.0.0.5 %d 3389 6 1 40 1795169410 1795169470 REJECT OK", demo.Account, foreigner, port)
		trail(`"type":"IAMUser"`, "ListUsers", `,"errorCode":"AccessDenied"`)
	}
	// As the CloudWatch agent sends it from a journal, where there is no /var/log/secure.
	add(demo.SSHLogGroup, sshStream, `{"body":{"MESSAGE":"Failed password for invalid user %s from %s port 50000 ssh2",`+
		`"SYSLOG_IDENTIFIER":"sshd","_PID":"123","_HOSTNAME":"ip-192-0-2-21"}}`, journaled, foreigner)
	add(demo.SSHLogGroup, sshStream, "Nov 20 10:11:12 ip-192-0-2-21 sshd[123]: Unable to negotiate with %s port 50000: "+
		"no matching key exchange method found. Their offer: diffie-hellman-group1-sha1 [preauth]", foreigner)
	add(demo.VPCFlowLogGroup, flowStream, "2 %s eni-0123456789abcdef0 %s 10.0.0.5 50000 22 6 20 4000 1795169410 1795169470 ACCEPT OK", demo.Account, foreigner)
	add(demo.VPCFlowLogGroup, flowStream, "2 %s eni-0123456789abcdef0 10.0.0.5 %s 22 50000 6 900 900000 1795169410 1795169470 ACCEPT OK", demo.Account, foreigner)
	trail(`"type":"Root"`, "ConsoleLogin", `,"responseElements":{"ConsoleLogin":"Success"},"additionalEventData":{"MFAUsed":"No"}`)
	trail(`"type":"IAMUser"`, "StopLogging", `,"errorCode":"AccessDenied"`)
	// An index refuses this one as it comes: the template has an object of that name.
	trail(`"type":"AssumedRole","sessionContext":"a text"`, "GetUser", "")
	return events
}

// corporaRoot is the folder of public data that is no part of this repository.
func corporaRoot() string {
	return cmp.Or(os.Getenv("SHIPPERD_CORPORA"), filepath.Join("..", "..", "..", "shared", "corpora"))
}

// corpora returns some hundred lines that real servers wrote.
func corpora(t *testing.T) (events []demo.Event) {
	t.Helper()
	if _, err := os.Stat(corporaRoot()); err != nil {
		t.Logf("no corpora, so none of their lines are put: %v; set SHIPPERD_CORPORA", err)
		return nil
	}
	// What is no log line: the notes in the SSH corpus, and the heading of flow logs,
	// which is in files but never in CloudWatch Logs.
	add := func(group, stream, text string) {
		if text = strings.TrimRight(text, "\r\n"); text != "" && text[0] != '#' && !strings.HasPrefix(text, "version ") {
			events = append(events, demo.Event{Group: group, Stream: stream, Message: text})
		}
	}
	const most = 300 // of each
	for _, file := range []struct{ group, stream, name string }{
		{demo.AccessLogGroup, webStream, "elastic-examples/apache_logs"},
		{demo.SSHLogGroup, sshStream, "fail2ban/sshd.log"},
		{demo.VPCFlowLogGroup, flowStream, "centralized-logging-with-opensearch/vpcflow.log"},
	} {
		text := read(t, filepath.Join(corporaRoot(), filepath.FromSlash(file.name)))
		lines := slices.Collect(strings.Lines(string(text)))
		for _, line := range lines[:min(most, len(lines))] {
			add(file.group, file.stream, line)
		}
	}
	files, err := filepath.Glob(filepath.Join(corporaRoot(), "invictus-ir-aws_dataset", "CloudTrail", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	var records []json.RawMessage
	for _, file := range files {
		var trail struct{ Records []json.RawMessage }
		if err := json.Unmarshal(read(t, file), &trail); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		records = append(records, trail.Records...)
	}
	for _, r := range records[:min(most, len(records))] {
		add(demo.CloudTrailLogGroup, trailStream, string(r))
	}
	return events
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// databases returns the settings of the databases of addresses, where these are.
func databases() map[string]string {
	files := make(map[string]string)
	for variable, name := range map[string]string{"SHIPPERD_GEO_CITY": "GeoLite2-City-Test.mmdb", "SHIPPERD_GEO_ASN": "GeoLite2-ASN-Test.mmdb"} {
		path, err := filepath.Abs(filepath.Join(corporaRoot(), "maxmind-db-test", name))
		if err != nil {
			return nil
		}
		if _, err := os.Stat(path); err != nil {
			return nil
		}
		files[variable] = path
	}
	return files
}

// counts are the lab's analyses, counted over the lines themselves.
type counts struct {
	notOK       int // requests not answered with 200
	connections int // lines whose sixth word is Connection
	ssmByCLI    int // calls of aws-cli to Systems Manager
	rejects     int
	statuses    map[string]int
	attackers   map[string]int // of the connections, by the address in the ninth word
}

var (
	accessStatus = regexp.MustCompile(`" (\d{3}) (?:\d+|-) "`)
	// A word of a subscription's pattern.
	word = regexp.MustCompile(`"[^"]*"|\[[^\]]*\]|\S+`)
)

// sshWords is how many words the lab's pattern for SSH has; a line of fewer does not
// fit it.
const sshWords = 12

func countDirectly(t *testing.T, events []demo.Event) counts {
	t.Helper()
	c := counts{statuses: make(map[string]int), attackers: make(map[string]int)}
	for _, e := range events {
		words := word.FindAllString(e.Message, -1)
		switch e.Group {
		case demo.AccessLogGroup:
			m := accessStatus.FindStringSubmatch(e.Message)
			if m != nil {
				c.statuses[m[1]]++
			}
			if m == nil || m[1] != "200" {
				c.notOK++
			}
		case demo.SSHLogGroup:
			if len(words) < sshWords || words[5] != "Connection" {
				continue
			}
			c.connections++
			if _, err := netip.ParseAddr(words[8]); err == nil {
				c.attackers[words[8]]++
			}
		case demo.CloudTrailLogGroup:
			var call struct{ UserAgent, EventSource string }
			if err := json.Unmarshal([]byte(e.Message), &call); err != nil {
				t.Fatalf("%v in %s", err, e.Message)
			}
			if strings.Contains(call.UserAgent, "aws-cli") && call.EventSource == "ssm.amazonaws.com" {
				c.ssmByCLI++
			}
		case demo.VPCFlowLogGroup:
			if slices.Contains(words, "REJECT") {
				c.rejects++
			}
		}
	}
	return c
}
