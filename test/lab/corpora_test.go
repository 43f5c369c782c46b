package lab

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// firstOfTheDay are what whoever can write one log line would write at midnight.
var firstOfTheDay = []string{
	`{"source":"x","user":"y","event":"z","http":1}`,
	`{"userIdentity":"x","eventName":{"a":1},"status":{"b":1}}`,
}

// logs are the corpora as the lab's log groups have them.
type logs struct{ access, ssh, trail, flows []string }

func readLogs(t *testing.T) logs {
	t.Helper()
	l := logs{
		access: corpus(t, "elastic-examples/apache_logs"),
		ssh:    corpus(t, "fail2ban/sshd*.log"),
		trail:  corpus(t, "invictus-ir-aws_dataset/CloudTrail/*.json"),
		flows:  corpus(t, "centralized-logging-with-opensearch/vpcflow.log"),
	}
	// Nobody in the corpus used the command line; every hundredth event gets it, in
	// both forms that AWS has.
	agent := regexp.MustCompile(`"userAgent":\s*"[^"]*"`)
	for i := 0; i < len(l.trail); i += 100 {
		form := []string{"aws-cli/2.15.30 Python/3.11.8", "[aws-cli/1.18.69 Python/3.8.2]"}[i/100%2]
		l.trail[i] = agent.ReplaceAllString(l.trail[i], `"userAgent":"`+form+`"`)
	}
	return l
}

func TestCorporaShareOneDayIndex(t *testing.T) {
	logs := readLogs(t)
	if len(logs.access) != 10_000 || len(logs.trail) != 2900 {
		t.Fatalf("got %d access log lines and %d CloudTrail events, want 10,000 and 2,900", len(logs.access), len(logs.trail))
	}
	onEachEngineAndMapping(t, func(t *testing.T, e *engine, templated bool) {
		indexed := 0
		for _, message := range firstOfTheDay { // each alone, in this order
			indexed += e.wantWhole(message, e.write("AppLogGroup", "app", message))
		}
		for _, w := range []struct {
			group, stream string
			messages      []string
		}{
			{"AccessLogGroup", "i-0abc", logs.access},
			{"SSHLogGroup", "i-0abc", logs.ssh},
			{"CloudTrailLogGroup", "123456789012_CloudTrail_us-east-1", logs.trail},
			{"VPCFlowLogGroup", "eni-0a1b2c-all", logs.flows},
			{"ErrorLogGroup", "i-0abc", corpus(t, "fail2ban/apache-*.log")},
		} {
			indexed += e.wantWhole(w.group, e.write(w.group, w.stream, w.messages...))
		}
		if got := e.count(`{"match_all":{}}`); got != indexed {
			t.Errorf("got %d documents in the index, want %d", got, indexed)
		}
		fields := e.fields()
		t.Logf("%d documents, %d fields", indexed, fields)
		if limit := map[bool]int{true: 500, false: 1000}[templated]; fields >= limit {
			t.Errorf("got %d fields, want fewer than %d", fields, limit)
		}
		e.wantLabFilters(logs)
		if templated {
			e.wantTypedSearches()
		}
	})
}

// counted counts the messages in which pattern is found.
func counted(messages []string, pattern string) (n int) {
	expression := regexp.MustCompile(pattern)
	for _, message := range messages {
		if expression.MatchString(message) {
			n++
		}
	}
	return n
}

// is is the query of Kibana's filter "field is value".
func is(field string, value any) string {
	return fmt.Sprintf(`{"match_phrase":{%q:%q}}`, field, fmt.Sprint(value))
}

func all(queries ...string) string { return `{"bool":{"filter":[` + strings.Join(queries, ",") + `]}}` }

func not(query string) string { return `{"bool":{"must_not":[` + query + `]}}` }

// wantLabFilters asks for the lab's five filters as Kibana does, and counts in the
// corpora by itself what they have to find.
func (e *engine) wantLabFilters(logs logs) {
	e.t.Helper()
	connections := 0
	for _, line := range logs.ssh {
		if words := strings.Fields(line); len(words) >= 12 && words[5] == "Connection" {
			connections++
		}
	}
	// One line of the access log is cut off within its agent, and has its status.
	others := counted(logs.access, `" (?:[13-5]\d\d|2[1-9]\d|20[1-9]) (?:\d+|-) `)
	for _, filter := range []struct {
		name, query string
		want        int
	}{
		{"@log_group.keyword is AccessLogGroup", is("@log_group.keyword", "AccessLogGroup"), len(logs.access)},
		{"status is not one of 200", all(is("@log_group.keyword", "AccessLogGroup"), not(is("status", 200))), others},
		{"msg1.keyword is Connection", all(is("@log_group.keyword", "SSHLogGroup"), is("msg1.keyword", "Connection")), connections},
		{"eventSource.keyword is ssm.amazonaws.com", is("eventSource.keyword", "ssm.amazonaws.com"), counted(logs.trail, `"eventSource":\s*"ssm\.amazonaws\.com"`)},
		{"userAgent is aws-cli", is("userAgent", "aws-cli"), counted(logs.trail, `"userAgent":\s*"[^"]*\baws-cli\b`)},
	} {
		got := e.count(filter.query)
		e.t.Logf("%s: %d", filter.name, got)
		if got != filter.want || got == 0 {
			e.t.Errorf("%s: got %d, want %d", filter.name, got, filter.want)
		}
	}
}

// wantTypedSearches asks for what only the template's types can answer.
func (e *engine) wantTypedSearches() {
	e.t.Helper()
	queries := map[string]string{
		"an address in a network":   `{"term":{"source.ip":"83.149.0.0/16"}}`,
		"bytes as a number":         `{"range":{"bytes":{"gt":1000000}}}`,
		"a whole request":           `{"prefix":{"url.original":"/presentations/"}}`,
		"an access key":             `{"prefix":{"aws.cloudtrail.user_identity.access_key_id":"A"}}`,
		"creation dates of session": `{"range":{"userIdentity.sessionContext.attributes.creationDate":{"gte":"2000-01-01"}}}`,
		"foreign values":            `{"term":{"fields.source":"x"}}`,
	}
	if e.flattened {
		queries["any parameter"] = `{"term":{"aws.cloudtrail.flattened.request_parameters.documentName":"AWS-RunShellScript"}}`
	}
	for name, query := range queries {
		if e.count(query) == 0 {
			e.t.Errorf("%s: got nothing for %s", name, query)
		}
	}
}
