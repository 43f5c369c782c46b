package format

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/shipperd/shipperd/pkg/enrich"
)

// benchmarkLines are typical lines, one for each format.
var benchmarkLines = map[string]string{
	"apache":       `83.149.9.216 - - [17/May/2015:10:05:03 +0000] "GET /presentations/logstash-monitorama-2013/images/kibana-search.png HTTP/1.1" 200 203023 "http://semicomplete.com/presentations/logstash-monitorama-2013/" "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_9_1) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/32.0.1700.77 Safari/537.36"`,
	"apache_error": `[Fri Sep 09 10:42:29.902022 2011] [core:error] [pid 35708:tid 4328636416] [client 72.15.99.187:51380] AH00128: File does not exist: /usr/local/apache2/htdocs/favicon.ico`,
	"sshd":         `Nov 20 10:11:12 ip-10-0-0-5 sshd[123]: Failed password for invalid user admin from 203.0.113.9 port 51123 ssh2`,
	"vpcflow":      `2 123456789010 eni-1235b8ca123456789 2001:db8::1 2001:db8::2 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK`,
	"cloudtrail":   `{"eventVersion":"1.08","userIdentity":{"type":"AssumedRole","principalId":"AROAX:s","arn":"arn:aws:sts::123456789012:assumed-role/ops/s","accountId":"123456789012","sessionContext":{"sessionIssuer":{"type":"Role","userName":"ops"},"attributes":{"creationDate":"2022-03-01T15:00:14Z","mfaAuthenticated":"false"}}},"eventTime":"2022-03-01T15:00:14Z","eventSource":"ec2.amazonaws.com","eventName":"TerminateInstances","awsRegion":"ap-south-1","sourceIPAddress":"203.0.113.9","userAgent":"aws-cli/2.15.30 Python/3.11.8","requestParameters":{"instancesSet":{"items":[{"instanceId":"i-0123456789abcdef0"}]}},"responseElements":null,"requestID":"08c303bf-9ed3-4123-9334-de2cb3e1a16c","eventID":"1209c7a7-55ca-4fe5-995d-cff1fde7318a","readOnly":false,"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"123456789012","eventCategory":"Management"}`,
}

func newTestEnricher(t testing.TB) *enrich.Enricher {
	t.Helper()
	e, err := enrich.New(enrich.DefaultConfig(), zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// parser returns what a worker does for each line: reset, parse, write.
func parser(t testing.TB, name string, e *enrich.Enricher) func() {
	t.Helper()
	format := newFormat(t, name, Options{})
	f := NewFields(e)
	var line Line
	text := []byte(benchmarkLines[name])
	marks := marksOf(text)
	var dst []byte
	return func() {
		line.Reset(text, goldenTime, nil)
		line.SetMarks(marks)
		f.Reset()
		if format.Parse(&line, f) != Full {
			t.Fatalf("%s was not parsed", line.Text)
		}
		dst = f.AppendTo(dst[:0])
	}
}

func TestParsersAllocateNothing(t *testing.T) {
	e := newTestEnricher(t)
	for name := range benchmarkLines {
		if allocs := testing.AllocsPerRun(100, parser(t, name, e)); allocs != 0 {
			t.Errorf("%s: got %v allocations an event, want 0", name, allocs)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	e := newTestEnricher(b)
	for name, text := range benchmarkLines {
		b.Run(name, func(b *testing.B) {
			parse := parser(b, name, e)
			parse()
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				parse()
			}
		})
	}
}
