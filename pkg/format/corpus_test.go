package format

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// corpus returns the path of public data that is no part of this repository.
// SHIPPERD_CORPORA says where it lies; without it the test is skipped.
func corpus(t testing.TB, elem ...string) string {
	t.Helper()
	root := os.Getenv("SHIPPERD_CORPORA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "corpora")
	}
	path := filepath.Join(append([]string{root}, elem...)...)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("the corpus is not here, so nothing was tested: %v; set SHIPPERD_CORPORA", err)
	}
	return path
}

func readCorpus(t testing.TB, elem ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(corpus(t, elem...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func corpusLines(t testing.TB, elem ...string) []string {
	t.Helper()
	return strings.Split(strings.TrimSuffix(string(readCorpus(t, elem...)), "\n"), "\n")
}

func TestApacheLogsCountsAreExact(t *testing.T) {
	format := newFormat(t, "apache", Options{})
	results, statuses, methods, clients := map[Result]int{}, map[string]int{}, map[string]int{}, map[any]bool{}
	withoutBytes := 0
	f := NewFields(nil)
	for _, text := range corpusLines(t, "elastic-examples", "apache_logs") {
		f.Reset()
		result := format.Parse(&Line{Text: []byte(text)}, f)
		results[result]++
		fields := tree(t, f)
		if result != Full {
			continue
		}
		statuses[jsonText(at(fields, "http.response.status_code"))]++
		methods[jsonText(at(fields, "http.request.method"))]++
		clients[at(fields, "source.ip")] = true
		if at(fields, "http.response.body.bytes") == nil {
			withoutBytes++
		}
	}
	if diff := cmp.Diff(map[Result]int{Full: 9999, Partial: 1}, results); diff != "" {
		t.Errorf("results: %s", diff)
	}
	if diff := cmp.Diff(map[string]int{"200": 9125, "206": 45, "301": 164, "304": 445, "403": 2, "404": 213, "416": 2, "500": 3}, statuses); diff != "" {
		t.Errorf("statuses: %s", diff)
	}
	if diff := cmp.Diff(map[string]int{`"GET"`: 9951, `"HEAD"`: 42, `"POST"`: 5, `"OPTIONS"`: 1}, methods); diff != "" {
		t.Errorf("methods: %s", diff)
	}
	if len(clients) != 1753 || withoutBytes != 669 {
		t.Errorf("got %d clients and %d lines without bytes, want 1753 and 669", len(clients), withoutBytes)
	}
}

func jsonText(v any) string {
	text, _ := json.Marshal(v)
	return string(text)
}

// labelled is a line of fail2ban's test data with what it says about it.
type labelled struct {
	text, host, mode string
	match            bool
	time             string
}

// fail2banLines reads lines that follow a comment `failJSON: {…}`.
func fail2banLines(t *testing.T, name string) []labelled {
	t.Helper()
	label := regexp.MustCompile(`^#+ ?failJSON:\s*(\{.+\})`)
	options := regexp.MustCompile(`^#+ ?filterOptions: (.*)`)
	var lines []labelled
	var next labelled
	var mode string
	scanner := bufio.NewScanner(bytes.NewReader(readCorpus(t, "fail2ban", name)))
	for scanner.Scan() {
		text := scanner.Text()
		if m := options.FindStringSubmatch(text); m != nil {
			mode = m[1]
		} else if m := label.FindStringSubmatch(text); m != nil {
			var l struct {
				Match                bool
				Host, Time           string
				Constraint, IP4, IP6 string
			}
			if err := json.Unmarshal([]byte(m[1]), &l); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			next = labelled{match: l.Match, host: l.Host + l.IP4 + l.IP6, time: l.Time, mode: mode + l.Constraint}
		} else if text != "" && text[0] != '#' {
			next.text = text
			lines = append(lines, next)
		}
	}
	return lines
}

func TestSSHDAddressesAreThoseOfTheLabels(t *testing.T) {
	// In the journal 74 labels name the host, two more its ip4 or ip6.
	for name, want := range map[string]int{"sshd.log": 93, "sshd-journal.log": 76} {
		format := newFormat(t, "sshd", Options{})
		right, notAddresses := 0, []string{}
		for _, line := range fail2banLines(t, name) {
			if !line.match || line.host == "" || !strings.Contains(line.text, line.host) {
				continue
			}
			if !strings.ContainsAny(line.host, "0123456789") {
				continue // a host name
			}
			fields, result := typed(t, format, line.text, time.Date(2005, 8, 1, 0, 0, 0, 0, time.UTC).UnixMilli())
			if at(fields, "source.address") != line.host || result != Full {
				t.Errorf("%s: got %v and %v, want %s", line.text, at(fields, "source.address"), result.label(), line.host)
				continue
			}
			right++
			if at(fields, "source.ip") == nil {
				notAddresses = append(notAddresses, line.host)
			}
		}
		if right != want {
			t.Errorf("%s: got %d addresses, want %d", name, right, want)
		}
		// Its leading zero makes it no address.
		if diff := cmp.Diff([]string{"192.030.0.6"}, notAddresses); diff != "" {
			t.Errorf("%s: without source.ip: %s", name, diff)
		}
	}
}

func TestSSHDSaysNoFailureWhereFail2banSaysNone(t *testing.T) {
	for _, name := range []string{"sshd.log", "sshd-journal.log"} {
		format := newFormat(t, "sshd", Options{})
		checked := 0
		for _, line := range fail2banLines(t, name) {
			aggressiveOnly := strings.Contains(line.mode, "mode") && !strings.HasPrefix(line.mode, "[{}") && !strings.Contains(line.mode, "!= 'aggressive'")
			if line.match || aggressiveOnly {
				continue
			}
			checked++
			fields, _ := typed(t, format, line.text, goldenTime)
			if at(fields, "event.outcome") == "failure" {
				t.Errorf("%s: got a failure, want none", line.text)
			}
		}
		if checked < 30 {
			t.Errorf("%s: only %d lines checked", name, checked)
		}
	}
}

func TestApacheErrorLogClientsAreThoseOfTheLabels(t *testing.T) {
	format := newFormat(t, "apache_error", Options{})
	checked := 0
	names := []string{"auth", "badbots", "botsearch", "modsecurity", "nohome", "noscript", "overflows", "pass", "shellshock", "fakegooglebot"}
	for _, name := range names {
		for _, line := range fail2banLines(t, "apache-"+name+".log") {
			if line.host == "" {
				continue
			}
			fields, result := typed(t, format, line.text, time.Date(2005, 8, 1, 0, 0, 0, 0, time.UTC).UnixMilli())
			if at(fields, "source.ip") != line.host || result == None {
				t.Errorf("%s: got %v and %s, want %s", line.text, at(fields, "source.ip"), result.label(), line.host)
			}
			checked++
		}
	}
	if checked < 80 {
		t.Errorf("only %d lines checked", checked)
	}
}

func TestInvictusCloudTrailIsTypedExactly(t *testing.T) {
	format := newFormat(t, "cloudtrail", Options{})
	files, err := filepath.Glob(filepath.Join(corpus(t, "invictus-ir-aws_dataset", "CloudTrail"), "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	got, ids := map[string]int{}, map[any]bool{}
	for _, path := range files {
		for _, event := range trailRecords(t, path) {
			fields, result := typed(t, format, string(event), goldenTime)
			if result != Full {
				t.Errorf("%s: got %s, want full", event, result.label())
			}
			got["events"]++
			ids[at(fields, "event.id")] = true
			if ip, ok := at(fields, "source.ip").(string); !ok {
				got["without source.ip"]++
			} else if _, err := netip.ParseAddr(ip); err != nil {
				t.Error(err)
			}
			if at(fields, "event.outcome") == "failure" {
				got["failures"]++
			}
			if at(fields, "source.address") == nil {
				got["without source.address"]++
			}
			if at(fields, "event.action") == "ConsoleLogin" {
				got["console login, MFA "+strconv.FormatBool(at(fields, "aws.cloudtrail.console_login.mfa_used") == true)]++
			}
			if at(fields, "event.action") == "StopLogging" && at(fields, "aws.cloudtrail.request.trail_name") != nil {
				got["StopLogging with its trail"]++
			}
		}
	}
	want := map[string]int{"events": 2900, "without source.ip": 353, "failures": 300,
		"console login, MFA true": 1, "console login, MFA false": 1, "StopLogging with its trail": 3}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(ids) != 2900 {
		t.Errorf("got %d different ids, want 2900", len(ids))
	}
}

func trailRecords(t testing.TB, path string) []json.RawMessage {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Records []json.RawMessage }
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return file.Records
}

func TestFlowLogSamplesParse(t *testing.T) {
	lines := corpusLines(t, "otel-awslogsencoding", "valid_vpc_flow_log_ecs.log")
	ecs := newFormat(t, "vpcflow", Options{FlowFields: strings.Fields(lines[0])})
	if _, result := typed(t, ecs, lines[0], 0); result != Header {
		t.Errorf("got %s for the header, want header", result.label())
	}
	fields, result := typed(t, ecs, lines[1], 0)
	if result != Full || at(fields, "aws.vpcflow.ecs_task_id") != "abcdef1234567890" || at(fields, "source.ip") != "10.0.1.100" {
		t.Errorf("got %s: %v", result.label(), fields)
	}

	got := map[string]int{}
	v2 := newFormat(t, "vpcflow", Options{})
	for _, line := range corpusLines(t, "centralized-logging-with-opensearch", "vpcflow.log") {
		fields, result := typed(t, v2, line, 0)
		got[result.label()]++
		if result == Full && at(fields, "event.action") == nil {
			t.Errorf("%s: got no event.action", line)
		}
	}
	if got["header"] != 1 || got["none"]+got["partial"] != 0 || got["full"] < 10 {
		t.Errorf("got %v, want one header and all others full", got)
	}
}
