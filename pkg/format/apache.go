package format

import (
	"bytes"

	"github.com/shipperd/shipperd/pkg/enrich"
	"github.com/shipperd/shipperd/pkg/format/pattern"
)

// apache reads the access and error logs of Apache's httpd. Values stay escaped
// as httpd wrote them (\" and \x16), so that what was logged can be searched for.
type apache struct {
	columns [9][]byte // room for a line's
}

func newApache(Options) (Format, error) { return &apache{}, nil }

// Parse implements Format. What a request adds to an error log's message may look
// like a line of an access log, so that error logs are tried first.
func (x *apache) Parse(line *Line, f *Fields) Result {
	text := trimEnd(line.Text, "\r\n")
	if a := (access{dated: line.dated}); a.rest != nil && len(text) == len(line.Text) && !a.mayBeSyslog(text) {
		return x.parse(&a, line, f)
	}
	if prefix := &line.prefix; prefix.read(text, line.Time, isHTTPD) {
		if result := parseSyslogError(prefix, f); result != None {
			return result
		}
		var a access
		a.cutDate(prefix.message)
		return a.parse(line, f)
	}
	if result := parseErrorLog(text, f); result != None {
		return result
	}
	var a access
	a.cutDate(text)
	return x.parse(&a, line, f)
}

// parse reads a line of an access log.
func (x *apache) parse(a *access, line *Line, f *Fields) Result {
	result := a.parse(line, f)
	if result == Full && a.isColumns() {
		line.Columns = a.appendColumns(x.columns[:0])
	}
	return result
}

// access is a line of the common or combined format, which may have the virtual
// host before it:
//
//	[vhost:port] client ident user [date] "request" status bytes ["referrer" "agent" …]
type access struct {
	dated
	vhost, client           []byte
	address                 *enrich.Address // the client's, if it is one
	port                    []byte          // the client's, if it has one
	isShifted               bool            // more stands before the date than the client, ident and user
	ident, user             []byte
	request, status, length []byte
	referrer, agent         []byte
	quotes                  int  // around the quoted fields
	spaced                  bool // blanks stand around each quoted field, and nothing after the last
}

// sniffApache knows a line by its date. What strangers choose in a line of another
// format, such as a user name of sshd, may look like one, too.
func sniffApache(line *Line) bool {
	d := &line.dated
	isUsual := len(line.marks) > 0 && d.cutDateBefore(line.Text, int(line.marks[0]))
	if !isUsual && !d.cutDate(line.Text) {
		return false
	}
	mayBeSSHD := line.Text[0] == '<' || bytes.Contains(d.head, []byte("sshd"))
	others := isObject(line.Text) || sniffErrorLog(line.Text) || sniffVPCFlow(line.Text) ||
		mayBeSSHD && new(syslogLine).read(line.Text, line.Time, isSSHD)
	return !others
}

func (a *access) parse(line *Line, f *Fields) Result {
	if a.date == nil {
		return None
	}
	a.readHead(a.head, f)
	complete := a.readMarked(line) || a.readRest(a.rest)
	if complete {
		line.setPlain(f, a.quotes)
	}
	a.addTo(f)
	if !complete {
		return Partial
	}
	return Full
}

// dated is a line around its date; without one it is empty.
type dated struct {
	head, date, rest []byte
	time             int64 // Unix milliseconds
}

// cutDate finds the date and what stands before and after it. Only `] "` behind
// it proves it: a user name can hold all the rest, but httpd writes its quotes as
// \". Without proof the first that looks like a date is taken, and nothing follows.
func (d *dated) cutDate(text []byte) (proven bool) {
	*d = dated{}
	for from := 0; ; {
		open := bytes.IndexByte(text[from:], '[') // a line has fewer of them than blanks
		if open < 0 {
			return false
		}
		start := from + open + len("[")
		from = start
		if start < len(" [") || text[start-len(" [")] != ' ' {
			continue
		}
		// A date has 20 bytes, and 6 more with a zone.
		end := bytes.IndexByte(text[start:min(len(text), start+27)], ']')
		if end < 0 {
			continue
		}
		ms, isDate := apacheDate(text[start : start+end])
		if !isDate {
			continue
		}
		proven = hasPrefix(text[start+end:], `] "`)
		if proven || d.date == nil {
			d.head, d.date, d.time = text[:start-len(" [")], text[start:start+end], ms
		}
		if proven {
			d.rest = text[start+end+len("] "):]
			return true
		}
	}
}

// cutDateBefore is cutDate for the usual date, before the first quote of the text.
func (d *dated) cutDateBefore(text []byte, quote int) (proven bool) {
	const shape = ` [17/May/2015:10:05:03 +0000] `
	start := quote - len(shape)
	if start < 0 || text[start] != ' ' || text[start+1] != '[' || string(text[quote-len("] "):quote+1]) != `] "` {
		return false
	}
	date := text[start+len(" [") : quote-len("] ")]
	ms, ok := apacheDate(date)
	if ok {
		*d = dated{text[:start], date, text[quote:], ms}
	}
	return ok
}

// mayBeSyslog says whether what stands before the date may name httpd as the program of
// a syslog line, which has no blank before that but those between its own words.
func (d *dated) mayBeSyslog(text []byte) bool {
	return text[0] == '<' || bytes.Contains(d.head, []byte("httpd")) || bytes.Contains(d.head, []byte("apache2"))
}

// readMarked is readRest for the usual line: three quoted fields without an escape, and
// one blank between all. The six quotes are all that is marked.
func (a *access) readMarked(line *Line) bool {
	if len(line.marks) != 6 {
		return false
	}
	text, quote := line.Text, [6]int{}
	for i, place := range line.marks {
		if quote[i] = int(place); text[place] != '"' {
			return false
		}
	}
	numbers := text[quote[1]+1 : quote[2]] // ` 200 512 `
	last := len(numbers) - 1
	if last < len(" 200 5") || numbers[0] != ' ' || numbers[4] != ' ' || numbers[last] != ' ' || len(a.rest) != len(text)-quote[0] ||
		quote[4] != quote[3]+2 || text[quote[3]+1] != ' ' || quote[5] != len(text)-1 {
		return false
	}
	a.status, a.length = numbers[1:4], numbers[5:last]
	if _, ok := number(a.status); !ok || bytes.IndexByte(a.length, ' ') >= 0 {
		return false
	}
	a.request, a.referrer, a.agent = text[quote[0]+1:quote[1]], text[quote[2]+1:quote[3]], text[quote[4]+1:quote[5]]
	a.quotes, a.spaced = len(quote), true
	return true
}

// readRest reads from the quote of the request on and says whether it is whole.
func (a *access) readRest(text []byte) bool {
	var ok bool
	if a.request, text, ok = cutQuoted(text); !ok {
		return false
	}
	a.quotes = 2
	a.spaced = hasPrefix(text, " ")
	a.status, text = cutWord(bytes.TrimLeft(text, " "))
	a.length, text = cutWord(text)
	if _, isStatus := number(a.status); len(a.length) == 0 || !isStatus && withoutNil(a.status) != nil {
		return false
	}
	if len(text) == 0 {
		return true
	}
	if a.referrer, text, ok = cutQuoted(text); !ok {
		return false
	}
	a.spaced = a.spaced && hasPrefix(text, " ")
	a.agent, text, ok = cutQuoted(bytes.TrimLeft(text, " "))
	a.spaced = a.spaced && len(text) == 0
	a.quotes = 6
	return ok
}

// isColumns says whether the columns of a filter pattern would be those of a whole line.
func (a *access) isColumns() bool {
	return a.spaced && !a.isShifted && a.agent != nil &&
		pattern.IsToken(a.client) && pattern.IsToken(a.ident) && pattern.IsToken(a.user) && pattern.IsToken(a.length)
}

func (a *access) appendColumns(dst [][]byte) [][]byte {
	return append(dst, a.client, a.ident, a.user, a.date, a.request, a.status, a.length, a.referrer, a.agent)
}

// cutQuoted reads a quoted field, in which a backslash protects the next
// character. An unterminated one gives all of it.
func cutQuoted(text []byte) (value, rest []byte, ok bool) {
	if len(text) == 0 || text[0] != '"' {
		return nil, text, false
	}
	for i, quote := 1, 0; ; {
		if quote < i {
			next := bytes.IndexByte(text[min(i, len(text)):], '"')
			if next < 0 {
				return text[1:], nil, false
			}
			quote = i + next
		}
		escape := bytes.IndexByte(text[i:quote], '\\')
		if escape < 0 {
			return text[1:quote], text[quote+1:], true
		}
		i += escape + 2
	}
}

func (a *access) addTo(f *Fields) {
	if client := withoutNil(a.client); len(client) > 0 {
		b := f.appendAddress(f.begin(Source), client, a.address)
		f.end(appendPort(b, a.port))
	}
	user := withoutNil(a.user)
	if string(user) == `""` { // as httpd writes an empty one
		user = nil
	}
	f.String(User, `"name":"`, user)
	f.RelatedUser(user)
	f.UserAgent(withoutNil(a.agent))
	status, hasStatus := number(a.status)
	method, target, version := cutRequest(a.request)
	f.end(a.appendHTTP(f.begin(HTTP), f, method, version, hasStatus))
	f.addURL(target, a.vhost)

	b := append(f.begin(Event), `"kind":"event","category":["web"],"type":["access"],"dataset":"apache.access",`...)
	b = f.time(b, `"start":"`, a.time)
	switch {
	case !hasStatus:
	case status >= 400:
		b = append(b, `"outcome":"failure",`...)
	default:
		b = append(b, `"outcome":"success",`...)
	}
	f.end(b)
}

func (a *access) appendHTTP(b []byte, f *Fields, method, version []byte, hasStatus bool) []byte {
	b = f.quoted(b, `"version":"`, version)
	request := len(b)
	b = append(b, `"request":{`...)
	b = f.quoted(b, `"method":"`, method)
	b = f.quoted(b, `"referrer":"`, withoutNil(a.referrer))
	b = closeObject(b, request)
	if !hasStatus {
		return b
	}
	response := len(b)
	b = append(b, `"response":{`...)
	b = digits(b, `"status_code":`, a.status)
	if _, ok := long(a.length); ok {
		body := len(b)
		b = append(b, `"body":{`...)
		b = closeObject(digits(b, `"bytes":`, a.length), body)
	}
	return closeObject(b, response)
}

// cutRequest cuts `GET /path?query HTTP/1.1`. Garbage, such as a TLS greeting on
// a plain port, has no method and stays in @message; HTTP/0.9 has no version.
func cutRequest(request []byte) (method, target, version []byte) {
	method, target = cutWord(request)
	if len(target) == 0 || !isMethod(method) {
		return nil, nil, nil
	}
	if i := lastIndex(target, " HTTP/"); i >= 0 {
		return method, target[:i], target[i+len(" HTTP/"):]
	}
	return method, target, nil
}

// isMethod says whether word is a token of RFC 9110 in capitals, as all registered
// methods are.
func isMethod(word []byte) bool {
	for _, c := range word {
		if (c < 'A' || c > 'Z') && c != '-' && c != '_' {
			return false
		}
	}
	return len(word) > 0
}

// afterScheme returns what follows the scheme of an absolute URL.
func afterScheme(target []byte) (after []byte, ok bool) {
	if len(target) == 0 || target[0] == '/' {
		return nil, false
	}
	_, after, ok = bytes.Cut(target, []byte("://"))
	return after, ok
}

// addURL writes the target of a request: a path, an absolute URL or `host:port`.
func (f *Fields) addURL(target, vhost []byte) {
	path := target
	if after, ok := afterScheme(target); ok {
		end := bytes.IndexAny(after, "/?#")
		if end < 0 {
			end = len(after)
		}
		vhost, path = hostOf(after[:end]), after[end:]
	}
	b := f.quoted(f.begin(URL), `"original":"`, target)
	b = f.quoted(b, `"domain":"`, vhost)
	if len(path) > 0 && path[0] == '/' {
		path, query, _ := bytes.Cut(path, []byte("?"))
		b = f.quoted(b, `"path":"`, path)
		b = f.quoted(b, `"query":"`, query)
	}
	f.end(b)
}
