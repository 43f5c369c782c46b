package format

import "bytes"

// syslogLine is a line of a syslog file or of the journal:
//
//	Nov  2 10:11:12 host sshd[123]: message          RFC 3164
//	2026-11-02T10:11:12.123456+00:00 host sshd[123]: message   rsyslog today
//	<38>1 2026-11-02T10:11:12Z host sshd 123 - - message       RFC 5424
//	host sshd[123]: message                          journal
//
// host may be missing, and the program may be written [sshd], sshd(pam_unix)[1]
// or without its colon.
type syslogLine struct {
	time    int64 // Unix milliseconds; the event's own where the line has none
	host    []byte
	program []byte
	pid     []byte
	message []byte
}

// read reads text. wanted says which programs are looked for: a word is taken for a
// program only by its name, because a host may have any. Without one l is empty.
func (l *syslogLine) read(text []byte, event int64, wanted func(program []byte) bool) bool {
	*l = syslogLine{time: event}
	if version, rest, found := cutPriority(text); found {
		if version {
			return l.readRFC5424(rest, event, wanted)
		}
		text = rest
	}
	ms, text, found := syslogTime(text, event)
	word, rest := cutWord(text)
	if !found {
		if ms, found = rfc3339(word); found {
			word, rest = cutWord(rest)
		}
	}
	if found {
		l.time = ms
	}
	if !l.setProgram(word, wanted) {
		l.host = word
		if word, rest = cutWord(rest); !l.setProgram(word, wanted) {
			*l = syslogLine{}
			return false
		}
	}
	l.message = rest
	return true
}

// cutPriority cuts `<38>` or `<38>1 `; the latter begins RFC 5424.
func cutPriority(text []byte) (version bool, rest []byte, found bool) {
	if len(text) == 0 || text[0] != '<' {
		return false, text, false
	}
	end := bytes.IndexByte(text[:min(len(text), len("<191>"))], '>')
	if end < 2 {
		return false, text, false
	}
	if _, ok := number(text[1:end]); !ok {
		return false, text, false
	}
	rest, version = bytes.CutPrefix(text[end+1:], []byte("1 "))
	return version, rest, true
}

func (l *syslogLine) readRFC5424(text []byte, event int64, wanted func([]byte) bool) bool {
	stamp, rest := cutWord(text)
	var ok bool
	if l.time, ok = rfc3339(stamp); !ok {
		l.time = event
	}
	l.host, rest = cutWord(rest)
	l.program, rest = cutWord(rest)
	l.pid, rest = cutWord(rest)
	_, rest = cutWord(rest) // MSGID
	rest = skipStructuredData(rest)
	l.message = bytes.TrimPrefix(rest, []byte("\xef\xbb\xbf"))
	l.host, l.pid = withoutNil(l.host), withoutNil(l.pid)
	if !wanted(l.program) {
		*l = syslogLine{}
		return false
	}
	return true
}

// withoutNil returns nothing for a lone `-`, the way in which logs write nothing.
func withoutNil(value []byte) []byte {
	if len(value) == 1 && value[0] == '-' {
		return nil
	}
	return value
}

// skipStructuredData steps over `-` or `[id name="value"][…]` and the blank after it.
func skipStructuredData(text []byte) []byte {
	if len(text) == 0 || text[0] != '[' {
		_, rest := cutWord(text)
		return rest
	}
	quoted := false
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\':
			i++
		case text[i] == '"':
			quoted = !quoted
		case text[i] == ']' && !quoted && (i+1 == len(text) || text[i+1] == ' '):
			return bytes.TrimLeft(text[i+1:], " ")
		}
	}
	return nil
}

// setProgram reads `sshd[123]:`, `sshd:`, `[sshd]:`, `[sshd]` or `sshd(pam_unix)[123]:`.
func (l *syslogLine) setProgram(word []byte, wanted func([]byte) bool) bool {
	word, colon := bytes.CutSuffix(word, []byte(":"))
	if len(word) > 2 && word[0] == '[' && word[len(word)-1] == ']' {
		l.program = word[1 : len(word)-1]
		return wanted(l.program)
	}
	name, pid, bracket := bytes.Cut(word, []byte("["))
	if !colon && !bracket {
		return false
	}
	name, _, _ = bytes.Cut(name, []byte("("))
	l.program, l.pid = name, bytes.TrimSuffix(pid, []byte("]"))
	return wanted(name)
}

// addTo writes what the prefix says, and more members of event.
func (l *syslogLine) addTo(f *Fields, event string) {
	f.end(append(f.time(f.begin(Event), `"start":"`, l.time), event...))
	f.String(Observer, `"hostname":"`, l.host)
	b := f.begin(Shipperd)
	start := len(b)
	b = append(b, `"process":{`...)
	b = f.quoted(b, `"name":"`, l.program)
	if _, ok := number(l.pid); ok {
		b = digits(b, `"pid":`, l.pid)
	}
	f.end(closeObject(b, start))
}

// trimEnd removes blanks of some kinds from the end, where few lines have any.
func trimEnd(text []byte, blanks string) []byte {
	if len(text) > 0 && text[len(text)-1] > ' ' {
		return text
	}
	return bytes.TrimRight(text, blanks)
}

// cutWord returns the text up to the first blank, and what follows the run of blanks.
func cutWord(text []byte) (word, rest []byte) {
	end := bytes.IndexByte(text, ' ')
	if end < 0 {
		return text, nil
	}
	word, rest = text[:end], text[end:]
	for len(rest) > 0 && rest[0] == ' ' {
		rest = rest[1:]
	}
	return word, rest
}
