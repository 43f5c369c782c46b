package format

import (
	"bytes"
	"strconv"
	"time"

	"github.com/shipperd/shipperd/pkg/format/pattern"
	"github.com/shipperd/shipperd/pkg/jsonraw"
)

// journal reads entries of systemd's journal as JSON: those of the CloudWatch agent's
// journald collector, {"body":{"MESSAGE":…}}, and those of `journalctl -o json`. An
// entry of sshd becomes the line that syslog would have written of it, so that one
// message has one document, whichever way it came.
type journal struct {
	columns *pattern.Pattern
	values  [][]byte
	line    []byte
}

// sniffJournal knows the entries of sshd only: other units' are JSON like any other.
func sniffJournal(text []byte) bool {
	if !isObject(text) || !bytes.Contains(text, []byte(`"MESSAGE"`)) {
		return false
	}
	entry, ok := readEntry(text)
	return ok && isSSHD(entry.program())
}

// parse adds the typed fields of the entry that line is, and its columns.
func (j *journal) parse(entry *journalEntry, line *Line, f *Fields) Result {
	prefix := syslogLine{time: line.Time, host: entry.host, program: entry.program(), pid: entry.pid}
	j.line = entry.appendMessage(prefix.appendTo(j.line[:0]))
	j.values, _ = j.columns.Split(j.line, j.values[:0])
	line.Columns = j.values
	if isSSHD(prefix.program) {
		return parseSSHD(&Line{Text: j.line, Time: line.Time}, f)
	}
	prefix.addTo(f, unknownMessage.event)
	return Full
}

// journalEntry has the fields of an entry that are used: texts without escapes, but
// for message.
type journalEntry struct {
	identifier, command, host, pid []byte
	message                        []byte // JSON: a string, or an array of its bytes
}

// readEntry reads an entry, and says whether text is one with a message of a program.
func readEntry(text []byte) (e journalEntry, ok bool) {
	o := jsonraw.ReadObject(text, jsonraw.Space(text, 0))
	for o.Next() {
		if string(o.Key) == "body" && o.Value[0] == '{' {
			body := jsonraw.ReadObject(o.Value, 0)
			for body.Next() {
				e.take(body.Key, body.Value)
			}
			continue
		}
		e.take(o.Key, o.Value)
	}
	whole := o.End() >= 0 && jsonraw.Space(text, o.End()) == len(text)
	return e, whole && len(e.message) > 0 && isProgram(e.program())
}

func (e *journalEntry) take(key, value []byte) {
	switch string(key) {
	case "MESSAGE":
		e.message = nil
		if value[0] == '"' || value[0] == '[' {
			e.message = value
		}
	case "SYSLOG_IDENTIFIER":
		e.identifier = plainText(value)
	case "_COMM":
		e.command = plainText(value)
	case "_HOSTNAME":
		e.host = plainText(value)
	case "_PID":
		e.pid = plainText(value)
	}
}

// plainText returns the text of a JSON string without escapes, or nothing. The names
// that systemd itself writes have none.
func plainText(value []byte) []byte {
	inside, _ := jsonraw.Inside(value)
	if bytes.IndexByte(inside, '\\') >= 0 {
		return nil
	}
	return inside
}

// program returns what syslog would call the program.
func (e *journalEntry) program() []byte {
	if len(e.identifier) > 0 {
		return e.identifier
	}
	return e.command
}

// appendMessage appends the text of the message. What is no UTF-8 or has control
// characters, the journal writes as an array of bytes.
func (e *journalEntry) appendMessage(dst []byte) []byte {
	if inside, ok := jsonraw.Inside(e.message); ok {
		return jsonraw.Unescape(dst, inside)
	}
	a := jsonraw.ReadArray(e.message, 0)
	for start, ok := a.Next(); ok; start, ok = a.Next() {
		end := jsonraw.Skip(e.message, start)
		if end < 0 {
			return dst
		}
		if c, ok := number(e.message[start:end]); ok && c < 256 {
			dst = append(dst, byte(c))
		}
		a.Took(end)
	}
	return dst
}

// appendTo appends the prefix as RFC 3164 has it, in UTC: `Nov  2 10:11:12 host sshd[123]: `.
func (l *syslogLine) appendTo(dst []byte) []byte {
	dst = time.UnixMilli(l.time).UTC().AppendFormat(dst, time.Stamp+" ")
	if len(l.host) > 0 {
		dst = append(append(dst, l.host...), ' ')
	}
	dst = append(dst, l.program...)
	if pid, ok := number(l.pid); ok {
		dst = append(strconv.AppendInt(append(dst, '['), int64(pid), 10), ']')
	}
	return append(dst, ": "...)
}
