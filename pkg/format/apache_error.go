package format

import "bytes"

// errorLine is a line of httpd's error log, of version 2.2 or 2.4, from the file
// or through syslog:
//
//	[Fri Sep 09 10:42:29.902022 2011] [core:error] [pid 35708:tid 4328636416] [client 72.15.99.187:51380] AH00128: File does not exist: …
//	[Thu Jul 11 01:21:41 2013] [error] [client ::1] File does not exist: …
type errorLine struct {
	module, level []byte
	pid, tid      []byte
	client        []byte
	message       []byte
}

func sniffErrorLog(text []byte) bool {
	date, rest, ok := cutBracket(text)
	if !ok {
		return false
	}
	_, isDate := errorDate(date)
	_, _, ok = cutBracket(rest)
	return isDate && ok
}

func parseErrorLog(text []byte, f *Fields) Result {
	date, rest, ok := cutBracket(text)
	if !ok {
		return None
	}
	ms, ok := errorDate(date)
	if !ok {
		return None
	}
	var line errorLine
	complete := line.read(rest)
	f.end(f.time(f.begin(Event), `"start":"`, ms))
	line.addTo(f)
	if !complete {
		return Partial
	}
	return Full
}

// parseSyslogError reads an error log's line that came through syslog, without
// its date.
func parseSyslogError(prefix *syslogLine, f *Fields) Result {
	var line errorLine
	if !line.read(prefix.message) {
		return None
	}
	line.pid = nil // the prefix has it
	prefix.addTo(f, "")
	line.addTo(f)
	return Full
}

func isHTTPD(program []byte) bool {
	program, _, _ = bytes.Cut(program, []byte("/")) // httpd/backend1
	return string(program) == "httpd" || string(program) == "apache2"
}

// cutBracket cuts `[…]` and the blank after it.
func cutBracket(text []byte) (inside, rest []byte, ok bool) {
	if len(text) == 0 || text[0] != '[' {
		return nil, text, false
	}
	end := bytes.IndexByte(text, ']')
	if end < 0 {
		return nil, text, false
	}
	return text[1:end], bytes.TrimLeft(text[end+1:], " "), true
}

// read reads what follows the date and says whether it is a whole line. The
// brackets come in their order and once each: what a request adds to the message
// may look like another [client …].
func (l *errorLine) read(text []byte) bool {
	inside, text, ok := cutBracket(text)
	if !ok {
		return false
	}
	module, level, both := bytes.Cut(inside, []byte(":"))
	if l.module, l.level = module, level; !both {
		l.module, l.level = nil, module
	}
	if hasPrefix(text, "[pid ") {
		inside, rest, ok := cutBracket(text)
		if !ok {
			return false
		}
		l.pid, l.tid, _ = bytes.Cut(inside[len("pid "):], []byte(":tid "))
		text = rest
	}
	text = skipStatus(text)
	// The address may stand in brackets of its own: [client [2001:db8::1]:51548].
	for _, word := range [...]string{"[client ", "[remote "} {
		after, ok := bytes.CutPrefix(text, []byte(word))
		if !ok {
			continue
		}
		client, message, ok := bytes.Cut(after, []byte("] "))
		if !ok {
			return false
		}
		l.client, text = client, message
		break
	}
	l.message = text
	return len(text) > 0
}

// skipStatus steps over what httpd may write before the client: where its code says so,
// at debug levels, and the error of the operating system. Neither has anything of a request.
//
//	mod_authz_core.c(817): (13)Permission denied: [client 192.0.2.1:5] AH00132: …
func skipStatus(text []byte) []byte {
	after := text
	for range 2 {
		if status, rest, ok := bytes.Cut(after, []byte(": ")); ok && isStatus(status) {
			after = rest
		}
	}
	if hasPrefix(after, "[client ") || hasPrefix(after, "[remote ") {
		return after
	}
	return text
}

// isStatus says whether text is `(13)Permission denied` or `mod_authz_core.c(817)`.
func isStatus(text []byte) bool {
	before, after, ok := bytes.Cut(text, []byte("("))
	digits, rest, closed := bytes.Cut(after, []byte(")"))
	_, isNumber := number(digits)
	return ok && closed && isNumber && (len(before) == 0 || len(rest) == 0 && bytes.IndexByte(before, ' ') < 0)
}

func (l *errorLine) addTo(f *Fields) {
	message := l.message
	var referrer []byte
	if i := bytes.LastIndex(message, []byte(", referer: ")); i >= 0 {
		message, referrer = message[:i], message[i+len(", referer: "):]
	}
	code, reason, ok := bytes.Cut(message, []byte(": "))
	if !ok || !isLogCode(code) {
		code, reason = nil, message
	}
	user, isRefused := refusedUser(reason)

	f.end(l.appendEvent(f.begin(Event), f, code, reason, isRefused))
	f.end(l.appendProcess(f.begin(Shipperd), f))
	client, port := l.splitPort(f)
	f.addEnd(Source, client, port)
	f.String(User, `"name":"`, user)
	f.RelatedUser(user)
	b := f.begin(HTTP)
	start := len(b)
	b = append(b, `"request":{`...)
	b = f.quoted(b, `"referrer":"`, referrer)
	f.end(closeObject(b, start))
}

func (l *errorLine) appendEvent(b []byte, f *Fields, code, reason []byte, isRefused bool) []byte {
	b = append(b, `"kind":"event","category":["web"],"dataset":"apache.error",`...)
	switch string(l.level) {
	case "emerg", "alert", "crit", "error":
		b = append(b, `"type":["error"],`...)
	default: // down to trace8
		b = append(b, `"type":["info"],`...)
	}
	b = f.quoted(b, `"provider":"`, l.module)
	b = f.quoted(b, `"code":"`, code)
	b = f.quoted(b, `"reason":"`, reason)
	if isRefused {
		b = append(b, `"action":"http_login","outcome":"failure",`...)
	}
	return b
}

func (l *errorLine) appendProcess(b []byte, f *Fields) []byte {
	start := len(b)
	b = append(b, `"log":{`...)
	b = f.quoted(b, `"level":"`, l.level)
	b = closeObject(b, start)
	if _, ok := long(l.pid); !ok {
		return b
	}
	start = len(b)
	b = append(b, `"process":{`...)
	b = digits(b, `"pid":`, l.pid)
	if _, ok := long(l.tid); ok {
		b = digits(b, `"tid":`, l.tid)
	}
	return closeObject(b, start)
}

// splitPort cuts the port off the client. Version 2.4, which has modules, writes
// one behind the last colon of an IPv6 address too; 2.2 does not.
func (l *errorLine) splitPort(f *Fields) (client, port []byte) {
	if l.module == nil && !hasPrefix(l.client, "[") && bytes.Count(l.client, []byte(":")) > 1 {
		return l.client, nil
	}
	return f.splitPort(l.client)
}

// splitPort cuts the port off an address, which may stand in brackets: `192.0.2.1:80`,
// `[2001:db8::1]:80`. A name keeps what follows it.
func (f *Fields) splitPort(text []byte) (address, port []byte) {
	if inside, rest, ok := cutBracket(text); ok {
		return inside, bytes.TrimPrefix(rest, []byte(":"))
	}
	colon := bytes.LastIndexByte(text, ':')
	if colon < 0 {
		return text, nil
	}
	address, port = text[:colon], text[colon+1:]
	if _, ok := number(port); !ok || f.lookup.Address(address) == nil {
		return text, nil
	}
	return address, port
}

// isLogCode says whether word is a number of httpd's messages, such as AH00128.
func isLogCode(word []byte) bool {
	digits, ok := bytes.CutPrefix(word, []byte("AH"))
	_, isNumber := number(digits)
	return ok && isNumber
}

// refusedUser returns the user that httpd's basic or digest authentication refused.
func refusedUser(reason []byte) (user []byte, ok bool) {
	text, ok := bytes.CutPrefix(bytes.TrimPrefix(reason, []byte("Digest: ")), []byte("user "))
	if !ok {
		return nil, false
	}
	for _, refusal := range [...]string{" not found", ": authentication failure", ": password mismatch"} {
		if user, _, ok := bytes.Cut(text, []byte(refusal)); ok {
			if quoted, _, ok := bytes.Cut(user, []byte("' in realm ")); ok {
				user = bytes.TrimPrefix(quoted, []byte("`"))
			}
			return user, true
		}
	}
	return nil, false
}
