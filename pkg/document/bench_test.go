package document

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/shipperd/shipperd/pkg/record"
)

// lines of the four formats, with as much variety as real ones have: what gunzip
// costs depends on it.
type lines struct{ rand *rand.Rand }

func (l lines) pick(list ...string) string { return list[l.rand.IntN(len(list))] }

func (l lines) address() string {
	return fmt.Sprintf("%d.%d.%d.%d", 11+l.rand.IntN(80), l.rand.IntN(256), l.rand.IntN(4), 1+l.rand.IntN(60))
}

func (l lines) hex(n int) string {
	const digits = "0123456789abcdef"
	b := make([]byte, n)
	for i := range b {
		b[i] = digits[l.rand.IntN(16)]
	}
	return string(b)
}

func (l lines) apache() string {
	return fmt.Sprintf(`%s - - [20/Nov/2026:10:%02d:%02d +0000] "%s /%s/%s?id=%d HTTP/1.1" %s %d "https://shop.example/%s" "%s"`,
		l.address(), l.rand.IntN(60), l.rand.IntN(60), l.pick("GET", "GET", "GET", "POST"), l.pick("shop", "cart", "search", "static/img"),
		l.pick("item", "list", "index.php", "wp-login.php", "checkout"), l.rand.IntN(100_000), l.pick("200", "200", "304", "404", "500"),
		l.rand.IntN(90_000), l.pick("", "cart", "search?q=shoes"),
		l.pick("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
			"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
			"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "curl/8.5.0", "sqlmap/1.8#stable (https://sqlmap.org)"))
}

func (l lines) sshd() string {
	prefix := fmt.Sprintf("Nov 20 10:%02d:%02d ip-10-0-0-%d sshd[%d]: ", l.rand.IntN(60), l.rand.IntN(60), 1+l.rand.IntN(9), 1000+l.rand.IntN(30_000))
	user, from := l.pick("root", "admin", "ubuntu", "oracle", "git"), fmt.Sprintf("%s port %d", l.address(), 1024+l.rand.IntN(60_000))
	switch l.rand.IntN(5) {
	case 0:
		return prefix + "Failed password for invalid user " + user + " from " + from + " ssh2"
	case 1:
		return prefix + "Failed password for " + user + " from " + from + " ssh2"
	case 2:
		return prefix + "Connection closed by authenticating user " + user + " " + from + " [preauth]"
	case 3:
		return prefix + "Accepted publickey for " + user + " from " + from + " ssh2: RSA SHA256:" + l.hex(43)
	}
	return prefix + "Connection closed by " + from + " [preauth]"
}

func (l lines) vpcflow() string {
	start := 1_795_169_000 + l.rand.IntN(3600)
	return fmt.Sprintf("2 123456789012 eni-0%s %s 10.0.%d.%d %d %s 6 %d %d %d %d %s OK", l.pick("a1b2c3d4e5f60718", "ffeeddccbbaa0099"),
		l.address(), l.rand.IntN(4), l.rand.IntN(256), 1024+l.rand.IntN(60_000), l.pick("22", "80", "443", "3389"), 1+l.rand.IntN(50),
		40+l.rand.IntN(90_000), start, start+60, l.pick("ACCEPT", "ACCEPT", "REJECT"))
}

func (l lines) cloudtrail() string {
	user, region, address := l.pick("alice", "bob", "deploy", "audit"), l.pick("us-east-1", "eu-west-1"), l.address()
	return fmt.Sprintf(`{"eventVersion":"1.08","userIdentity":{"type":"AssumedRole","principalId":"AROA%s:%s","arn":"arn:aws:sts::123456789012:assumed-role/%s/%s","accountId":"123456789012","accessKeyId":"ASIA%s","sessionContext":{"sessionIssuer":{"type":"Role","principalId":"AROA%s","arn":"arn:aws:iam::123456789012:role/%s","accountId":"123456789012","userName":"%s"},"webIdFederationData":{},"attributes":{"creationDate":"2026-11-20T10:%02d:11Z","mfaAuthenticated":"false"}}},"eventTime":"2026-11-20T10:%02d:%02dZ","eventSource":"%s.amazonaws.com","eventName":"%s","awsRegion":"%s","sourceIPAddress":"%s","userAgent":"aws-cli/2.15.30 Python/3.11.8 Linux/6.1.79 exe/x86_64.amzn.2023 prompt/off command/%s","requestParameters":{"instancesSet":{"items":[{"instanceId":"i-0%s"}]},"filterSet":{},"maxResults":%d},"responseElements":null,"requestID":"%s-%s","eventID":"%s-%s","readOnly":%s,"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"123456789012","eventCategory":"Management","tlsDetails":{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256","clientProvidedHostHeader":"%s.%s.amazonaws.com"}}`,
		l.hex(16), user, user, user, l.hex(16), l.hex(16), user, user, l.rand.IntN(60), l.rand.IntN(60), l.rand.IntN(60),
		l.pick("ec2", "ssm", "iam", "s3"), l.pick("DescribeInstances", "SendCommand", "ListUsers", "GetObject"), region, address, l.pick("ec2", "ssm"),
		l.hex(16), l.rand.IntN(1000), l.hex(8), l.hex(12), l.hex(8), l.hex(12), l.pick("true", "false"), l.pick("ec2", "ssm"), region)
}

func (l lines) payload(kind string, events int) string {
	line := map[string]func() string{"apache": l.apache, "sshd": l.sshd, "cloudtrail": l.cloudtrail, "vpcflow": l.vpcflow}[kind]
	list := make([]testEvent, events)
	for i := range list {
		list[i] = testEvent{
			id:      fmt.Sprintf("3195310660696698337880902507980421114%019d", l.rand.Int64()),
			message: line(), time: testTime + int64(i*37),
		}
	}
	// AWS names these streams, and the decoder knows the names.
	stream := map[string]string{"cloudtrail": "123456789012_CloudTrail_us-east-1", "vpcflow": "eni-0a1b2c3d4e5f60718-all"}[kind]
	return payload("LogGroup-"+kind, cmp.Or(stream, "i-0123456789abcdef0"), list...)
}

var benchKinds = []string{"apache", "sshd", "cloudtrail", "vpcflow"}

// gunzip inflates records and does nothing else, into a buffer that it keeps.
type gunzip struct {
	in     bytes.Reader
	reader gzip.Reader
	buffer []byte
}

func (g *gunzip) run(b *testing.B, data []byte) {
	g.in.Reset(data)
	if err := g.reader.Reset(&g.in); err != nil {
		b.Fatal(err)
	}
	for n := 0; ; {
		if n == len(g.buffer) {
			g.buffer = append(g.buffer, make([]byte, 1<<20)...)
		}
		read, err := g.reader.Read(g.buffer[n:])
		if n += read; err == io.EOF {
			return
		} else if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDecode is the path from a record to its documents. The metric
// of-gunzip is its speed as a part of what klauspost's gunzip alone reaches on
// the same records, in CPU time and measured in turns.
func BenchmarkDecode(b *testing.B) {
	for _, kind := range append(benchKinds, "mix") {
		for _, events := range []int{500, 10} {
			b.Run(fmt.Sprintf("%s/%d", kind, events), func(b *testing.B) { benchmarkDecode(b, kind, events) })
		}
	}
}

func benchmarkDecode(b *testing.B, kind string, events int) {
	kinds := []string{kind}
	if kind == "mix" {
		kinds = benchKinds
	}
	var records []*record.Record
	size := 0
	for i, k := range kinds {
		text := lines{rand.New(rand.NewPCG(uint64(i), 1))}.payload(k, events)
		records = append(records, &record.Record{Data: zip(text)})
		size += len(text)
	}
	var only gunzip
	decoder := testDocuments(b, nil).NewDecoder()
	runtime.LockOSThread() // cpuTime is that of the thread
	defer runtime.UnlockOSThread()
	var inflating, whole time.Duration
	turn := func() {
		for _, r := range records {
			start := cpuTime()
			only.run(b, r.Data)
			middle := cpuTime()
			if err := decoder.Decode(r); err != nil {
				b.Fatal(err)
			}
			inflating, whole = inflating+middle-start, whole+cpuTime()-middle
		}
	}
	turn() // buffers and caches grow
	inflating, whole = 0, 0
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	b.SetBytes(int64(size))
	for b.Loop() {
		turn()
	}
	runtime.ReadMemStats(&after)
	all := float64(b.N * events * len(records))
	b.ReportMetric(inflating.Seconds()/whole.Seconds(), "of-gunzip")
	b.ReportMetric(float64(whole.Nanoseconds())/all, "ns/event")
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/all, "allocs/event")
}

func TestBenchmarkLinesAreReadInFull(t *testing.T) {
	d := testDocuments(t, nil).NewDecoder()
	for _, kind := range benchKinds {
		r := decode(t, d, lines{rand.New(rand.NewPCG(1, 1))}.payload(kind, 50))
		for i := range r.Events {
			doc := string(r.Doc(&r.Events[i]))
			if !strings.Contains(doc, `"parser":"`+kind+`"`) || strings.Contains(doc, `"partial":true`) {
				t.Fatalf("%s: got document %s, want all of the line read", kind, doc)
			}
		}
	}
}
