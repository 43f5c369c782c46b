package pattern

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	labApache = "[host, ident, authuser, date, request, status, bytes, referrer, agent]"
	labSSH    = "[month, day, timestamp, destIp, id, msg1, msg2, msg3, srcIp, msg5, destPort, msg7]"
)

func mustParse(t testing.TB, s string) *Pattern {
	t.Helper()
	p, err := Parse(s)
	if err != nil {
		t.Fatalf("parse: %v", err)
	}
	return p
}

func TestMatchFollowsTheDocumentedExamples(t *testing.T) {
	const (
		trail  = `{"eventType":"UpdateTrail","sourceIPAddress":"111.111.111.111","arrayKey":["value","another value"],"objectList":[{"name":"a","id":1},{"name":"b","id":2}],"SomeObject":null,"cluster.name":"c","ThisFlag":true,"latency":21.5}`
		access = `127.0.0.1 Prod frank [10/Oct/2000:13:25:15 -0700] "GET /index.html HTTP/1.0" 404 1534`
	)
	for _, test := range []struct {
		pattern, text string
		want          bool
	}{
		{"", "anything", true},
		{"", "", true},
		{"ERROR", "[ERROR 400] BAD REQUEST", true},
		{"ERROR", "[error 400]", false},
		{"ERROR ARGUMENTS", "[ERROR 419] MISSING ARGUMENTS", true},
		{"ERROR ARGUMENTS", "[ERROR 419] BAD", false},
		{"?ERROR ?WARN", "[WARN] x", true},
		{"?ERROR ?WARN", "[INFO] x", false},
		{"ERROR -EXITING", "[ERROR 419] EXITING", false},
		{"ERROR -EXITING", "[ERROR 419] WAITING", true},
		{`"INTERNAL SERVER ERROR"`, "[ERROR 500] INTERNAL SERVER ERROR", true},
		{`-"GET /health"`, `x "GET /health HTTP/1.1"`, false},
		{"%AUTHORIZED%", "[ERROR 401] UNAUTHORIZED REQUEST", true},
		{`%4\d\d$%`, "status 404", true},
		{`%50\%%`, "at 50%", true},

		{"[ip, id, user, timestamp, request =*.html*, status_code = 404]", access, false}, // the last field is greedy: "404 1534"
		{"[ip, id, user, timestamp, request =*.html*, status_code = 4*, bytes]", access, true},
		{"[ip, id, user, timestamp, request, status_code = 4* || status_code = 5*, bytes]", access, true},
		{"[ip, id, user, timestamp, request, (status_code != 4* && status_code != 5*), bytes]", access, false},
		{"[..., status_code=4*, bytes]", access, true},
		{"[..., request=*.html*, status_code=4*,]", access, true},
		{"[ip=127.*, ...]", access, true},
		{"[ip, ..., bytes > 1534]", access, false},
		{"[ip, ..., bytes >= 1534]", access, true},
		{"[ip, ..., status = %^4%, bytes]", access, true},
		{"[ip, ..., status != %^4%, bytes]", access, false},
		{"[ip, ..., a, b, c, d, e, f, g]", access, false},
		{`[ip, id = "Prod", ...]`, access, true},
		{"[w1=ERROR, w2]", "ERROR happened here", true},
		{"[w1!=ERROR&&w1!=WARN, w2]", "WARN happened", false},
		{"[a, b, c]", "one two", false},
		{"[a, status = 404]", "x 404.0", true},
		{"[a, status != 404]", "x -", true},
		{"[a, status < 404]", "x -", false},

		{`{ $.eventType = "UpdateTrail" }`, trail, true},
		{`{ $.eventType = UpdateTrail }`, " \n" + trail + "\n", true},
		{`{ $.sourceIPAddress != 123.123.* }`, trail, true},
		{`{ $.arrayKey[0] = "value" }`, trail, true},
		{`{ $.arrayKey[2] = "value" }`, trail, false},
		{`{ $.arrayKey[*] = "another*" }`, trail, true},
		{`{ $.objectList[1].id = 2 }`, trail, true},
		{`{ $.objectList[*].id > 2 }`, trail, false},
		{`{ $.SomeObject IS NULL }`, trail, true},
		{`{ $.eventType IS NULL }`, trail, false},
		{`{ $.SomeOtherObject NOT EXISTS }`, trail, true},
		{`{ $.eventType not exists }`, trail, false},
		{`{ $.ThisFlag IS TRUE }`, trail, true},
		{`{ $.ThisFlag IS FALSE }`, trail, false},
		{`{ $.['cluster.name'] = "c" }`, trail, true},
		{`{ $['cluster.name'] = "c" }`, trail, true},
		{`{ $.latency >= 21.5 }`, trail, true},
		{`{ ($.eventType = "x" || $.latency > 20) && $.ThisFlag IS TRUE }`, trail, true},
		{`{ $.eventType = "x" || $.latency > 20 && $.ThisFlag IS FALSE }`, trail, false},
		{`{ $.eventType = %^Update% }`, trail, true},
		{`{ $.objectList = "a" }`, trail, false},
		{`{ $.objectList != "a" }`, trail, false},
		{`{ $.SomeOtherObject != "a" }`, trail, false},
		{`{ $.a = "say \"hi\"" }`, `{"a":"say \"hi\""}`, true},
		{`{ $.a = "é" }`, `{"\u0061":"\u00e9"}`, true},
		{`{ $.a NOT EXISTS }`, `not JSON`, false},
		{`{ $.a = 1 }`, `{"a":1`, false},
		{`{ $.a = 1 }`, ``, false},
	} {
		if got := mustParse(t, test.pattern).Match([]byte(test.text)); got != test.want {
			t.Errorf("%s on %s: got %v, want %v", test.pattern, test.text, got, test.want)
		}
	}
}

func TestSplitGivesTheFieldsOfTheLab(t *testing.T) {
	for _, test := range []struct{ name, pattern, text, want string }{
		{"combined", labApache, `83.149.9.216 - - [17/May/2015:10:05:03 +0000] "GET /x HTTP/1.1" 200 203023 "http://s/" "Mozilla/5.0 (X11)"`,
			`83.149.9.216|-|-|17/May/2015:10:05:03 +0000|GET /x HTTP/1.1|200|203023|http://s/|Mozilla/5.0 (X11)`},
		{"common is too short", labApache, `::1 - - [17/May/2015:10:05:03 +0000] "GET /x HTTP/1.1" 200 5`, "none"},
		{"a host before shifts all", labApache, `v:80 ::1 - - [17/May/2015:10:05:03 +0000] "GET /" 200 5 "r" "u"`,
			`v:80|::1|-|-|17/May/2015:10:05:03 +0000|GET /|200|5|"r" "u"`},
		{"escaped quotes end no field", labApache, `::1 - - [d] "GET /\" 200 5 \"" 404 7 "-" "u"`, `::1|-|-|d|GET /\" 200 5 \"|404|7|-|u`},
		{"closed by", labSSH, "Nov  2 10:11:12 ip-10-0-0-5 sshd[123]: Connection closed by 1.2.3.4 port 22 [preauth]",
			"Nov|2|10:11:12|ip-10-0-0-5|sshd[123]:|Connection|closed|by|1.2.3.4|port|22|preauth"},
		{"failed", labSSH, "Nov 20 10:11:12 h sshd[1]: Failed password for invalid user admin from 1.2.3.4 port 5 ssh2",
			"Nov|20|10:11:12|h|sshd[1]:|Failed|password|for|invalid|user|admin|from 1.2.3.4 port 5 ssh2"},
		{"eleven tokens", labSSH, "Nov 20 10:11:12 h sshd[1]: Disconnected from 1.2.3.4 port 58846 [preauth]", "none"},
		{"tabs, and a raw end", "[a, event]", "2018-01-01\t{ \"message\": \"x\" }\n", "2018-01-01|{ \"message\": \"x\" }\n"},
		{"nameless fields", "[, b, , d]", "1 2 3 4 5", "2|4 5"},
		{"around an ellipsis", "[a, ..., y, z]", `1 "2 3" 4 [5] "6 7"`, "1|5|6 7"},
		{"ellipsis of nothing", "[a, ..., z]", "1 2", "1|2"},
		{"ellipsis at the end", "[a, b, ...]", "1 2 3 4", "1|2"},
		{"unclosed quote", "[a, b, c]", `1 "2 3`, `1|"2|3`},
	} {
		p := mustParse(t, test.pattern)
		values, ok := p.Split([]byte(test.text), nil)
		got := "none"
		if ok {
			got = string(bytes.Join(values, []byte("|")))
			if len(values) != len(p.Names()) {
				t.Errorf("%s: got %d values for the %d names", test.name, len(values), len(p.Names()))
			}
		}
		if got != test.want {
			t.Errorf("%s: got %s, want %s", test.name, got, test.want)
		}
	}
}

func TestSplitLeavesTheBufferWhenItDoesNotMatch(t *testing.T) {
	dst := [][]byte{[]byte("x")}
	got, ok := mustParse(t, "[a, b=no]").Split([]byte("1 2"), dst)
	if ok || len(got) != 1 {
		t.Errorf("got %q and %v, want the buffer as it was and false", got, ok)
	}
}

func TestNamesOfOtherPatternsAreNone(t *testing.T) {
	if diff := cmp.Diff([]string{"a", "c"}, mustParse(t, "[a, , c]").Names()); diff != "" {
		t.Error(diff)
	}
	for _, s := range []string{"", "a", "{ $.a = 1 }"} {
		p := mustParse(t, s)
		if _, ok := p.Split([]byte("a"), nil); p.Names() != nil || ok {
			t.Errorf("%q: got names %v and fields %v, want none", s, p.Names(), ok)
		}
	}
}

func TestErrorsSayWhereAndWhat(t *testing.T) {
	for _, test := range []struct {
		pattern string
		offset  int
		problem string
	}{
		{"[a, b", 0, "this bracket is never closed; write ] after the last field"},
		{"[a b]", 3, `a comma is missing before "b"`},
		{"[a, a]", 4, "the field a stands here twice; give each its own name"},
		{"[a, ..., ...]", 9, "only one ... may stand in a pattern"},
		{"[a = ]", 5, "a value is missing after ="},
		{"[a > x]", 5, "> compares numbers, and x is none"},
		{"[a = 1 || b = 2]", 10, `the condition of field "a" cannot ask for "b"; write it at that field`},
		{"[(a = 1]", 1, "this parenthesis is never closed; write )"},
		{"[a] b", 4, "nothing may follow the closing bracket"},
		{`[a = "x]`, 5, `this quote is never closed; write "…"`},
		{"[a = %x]", 5, `this regular expression is never closed; write %…%, and a percent sign in it as \%`},
		{"%a% %b% %c%", 8, "a pattern has at most 2 regular expressions; join them with | into one"},
		{"%[%", 0, "error parsing regexp: missing closing ]: `[`"},
		{"GET /health", 4, `"/health" has other characters than letters, digits and _; write it in double quotes`},
		{"?a b", 3, "?terms cannot stand beside other terms, CloudWatch would ignore them; use one %a|b% instead"},
		{"a - b", 3, "a term is missing"},
		{"{ $.a = 1", 0, "this brace is never closed; write } after the last condition"},
		{"{ $.a = 1 ) }", 10, `")" cannot stand here; conditions are joined by && or ||`},
		{"{ a = 1 }", 2, "a selector is missing; it begins with $ and is written like $.userIdentity.type"},
		{"{ $ = 1 }", 3, "a name is missing after $; write $.name or $[0]"},
		{"{ $.a[x] = 1 }", 5, `"x" is no index; write [0], [*] or ['name']`},
		{"{ $.a[0 = 1 }", 5, "this bracket is never closed; write ]"},
		{"{ $.['a = 1 }", 3, "this name is never closed; write ['name']"},
		{"{ $.a..b = 1 }", 6, "a name is missing after the dot"},
		{"{ $.a }", 6, "a comparison is missing; write =, !=, <, <=, > or >= and a value"},
		{"{ $.a = 1 } x", 12, "nothing may follow the closing brace"},
		{strings.Repeat("a", 1025), 1024, "a pattern has at most 1024 characters, this one has 1025"},
	} {
		_, err := Parse(test.pattern)
		want := &SyntaxError{Pattern: test.pattern, Offset: test.offset, Problem: test.problem}
		if err == nil {
			t.Errorf("%s: got no error, want %v", test.pattern, want)
		} else if diff := cmp.Diff(want.Error(), err.Error()); diff != "" {
			t.Errorf("%s: %s", test.pattern, diff)
		}
	}
}

// TestThreat18LongLinesCostLinearTime holds patterns against lines that make
// backtracking or repeated searching quadratic, which would take minutes here.
// Linear work takes milliseconds, under the race detector some hundred.
func TestThreat18LongLinesCostLinearTime(t *testing.T) {
	const size, limit = 256 << 10, 5 * time.Second
	for _, pattern := range []string{"[..., a, b]", "[a=*x*y*z*, ..., b]", "[a, b]", `{ $.a = "*a*b*c" }`, "-x", "%(a*)*b%"} {
		p := mustParse(t, pattern)
		for _, unit := range []string{"[a ", `"a `, `\" `, "a", "[", " ", `{"a":`, "x y"} {
			text := []byte(strings.Repeat(unit, size/len(unit)))
			start := time.Now()
			p.Match(text)
			if took := time.Since(start); took > limit {
				t.Errorf("%s on %d bytes of %q took %v, want at most %v", pattern, size, unit, took, limit)
			}
		}
	}
}

func FuzzPattern(f *testing.F) {
	for _, s := range []string{"", labApache, labSSH, "[a=*x* && a != 3, ..., (b > 4 || b = %x%)]", "?a ?b", `-"a b" c`,
		`{ $.a[*].['b.c'] = "x*" && ($.d NOT EXISTS || $.e IS TRUE) }`} {
		f.Add(s, `127.0.0.1 - "a \" b" [c d] {"a":[{"b.c":"xy"}],"e":true}`)
		f.Add(s, `{"a":[{"b.c":"xy"}, 1 , null],"e":true}`)
	}
	f.Fuzz(func(t *testing.T, s, text string) {
		p, err := Parse(s)
		if err != nil {
			return
		}
		matched := p.Match([]byte(text))
		if p.Names() == nil {
			return
		}
		values, ok := p.Split([]byte(text), nil)
		if ok != matched || ok && len(values) != len(p.Names()) {
			t.Errorf("%q on %q: got %d values and %v, want %d and %v", s, text, len(values), ok, len(p.Names()), matched)
		}
	})
}

func BenchmarkSplit(b *testing.B) {
	b.Run("apache", func(b *testing.B) {
		benchmarkSplit(b, labApache, `83.149.9.216 - - [17/May/2015:10:05:03 +0000] "GET /presentations/logstash-monitorama-2013/images/kibana-search.png HTTP/1.1" 200 203023 "http://semicomplete.com/presentations/logstash-monitorama-2013/" "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_9_1) AppleWebKit/537.36"`)
	})
	b.Run("sshd", func(b *testing.B) {
		benchmarkSplit(b, labSSH, `Nov 20 10:11:12 ip-10-0-0-5 sshd[123]: Failed password for invalid user admin from 203.0.113.9 port 51123 ssh2`)
	})
}

func benchmarkSplit(b *testing.B, pattern, line string) {
	p, text := mustParse(b, pattern), []byte(line)
	var dst [][]byte
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		dst, _ = p.Split(text, dst[:0])
	}
}

func BenchmarkMatchJSON(b *testing.B) {
	p := mustParse(b, `{ $.userIdentity.type = "AWSService" && $.readOnly IS TRUE }`)
	text := []byte(`{"eventVersion":"1.08","userIdentity":{"type":"AWSService","invokedBy":"ec2.amazonaws.com"},"eventName":"AssumeRole","readOnly":true}`)
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		p.Match(text)
	}
}
