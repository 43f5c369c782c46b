// Package documenttest makes payloads of the four formats as CloudWatch delivers
// them, for benchmarks.
package documenttest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
)

// Kinds returns the names of the formats.
func Kinds() []string { return []string{"apache", "sshd", "cloudtrail", "vpcflow"} }

// firstTime is the time of the first event: 2026-11-20T10:11:12.123Z.
const firstTime = 1_795_169_472_123

// Payload returns the text of a payload with so many events of a kind, the same for
// the same seed.
func Payload(kind string, events int, seed uint64) string {
	l := lines{rand.New(rand.NewPCG(seed, 1))}
	line := map[string]func() string{"apache": l.apache, "sshd": l.sshd, "cloudtrail": l.cloudtrail, "vpcflow": l.vpcflow}[kind]
	// AWS names these streams, and the decoder knows the names.
	stream := map[string]string{"cloudtrail": "123456789012_CloudTrail_us-east-1", "vpcflow": "eni-0a1b2c3d4e5f60718-all"}[kind]
	var b strings.Builder
	fmt.Fprintf(&b, `{"messageType":"DATA_MESSAGE","owner":"123456789012","logGroup":"LogGroup-%s","logStream":"%s","subscriptionFilters":["f"],"logEvents":[`,
		kind, cmp.Or(stream, "i-0123456789abcdef0"))
	for i := range events {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":"3195310660696698337880902507980421114%019d","timestamp":%d,"message":%s}`, l.rand.Int64(), firstTime+i*37, quote(line()))
	}
	return b.String() + "]}"
}

func quote(text string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // CloudWatch does not either
	_ = e.Encode(text)     // into memory
	return strings.TrimSuffix(b.String(), "\n")
}

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
