package format

import (
	"bytes"
	"strconv"

	"github.com/shipperd/shipperd/pkg/format/pattern"
)

// sshd reads the lines of OpenSSH's daemon in /var/log/secure, /var/log/auth.log
// or the journal, also its entries as JSON. Other programs' lines in the same file
// get what their prefix says.
type sshd struct {
	journal journal
	columns [sshdWords][]byte // room for a line's
}

// sshdWords is how many columns a line has; the last takes what is left.
const sshdWords = 12

func newSSHD(Options) (Format, error) {
	columns, err := pattern.Parse(sshdColumns)
	return &sshd{journal: journal{columns: columns, values: [][]byte{}}}, err
}

func sniffSSHD(line *Line) bool {
	if isObject(line.Text) {
		return sniffJournal(line.Text)
	}
	return line.prefix.read(line.Text, line.Time, isSSHD)
}

func isSSHD(program []byte) bool {
	switch string(program) {
	case "sshd", "sshd-session", "sshd-auth":
		return true
	}
	return false
}

// Parse implements Format.
func (s *sshd) Parse(line *Line, f *Fields) Result {
	if isObject(line.Text) {
		if entry, ok := readEntry(line.Text); ok {
			return s.journal.parse(&entry, line, f)
		}
	}
	result := parseSSHD(line, f)
	if line.Plain {
		line.Columns = appendWords(s.columns[:0], line.Text)
	}
	return result
}

// appendWords appends the columns of a line, none where it has too few words. It returns
// nil where a filter pattern would not cut the line at single blanks.
func appendWords(dst [][]byte, text []byte) [][]byte {
	none := dst
	for range sshdWords - 1 {
		end := bytes.IndexByte(text, ' ')
		switch {
		case len(text) > 0 && text[0] == '[' || end == 0:
			return nil
		case end < 0:
			return none
		}
		dst, text = append(dst, text[:end]), text[end+1:]
	}
	switch {
	case len(text) == 0 || text[0] == ' ':
		return nil
	case text[0] != '[':
		return append(dst, text)
	case bytes.IndexByte(text, ']') == len(text)-1: // `[preauth]`
		return append(dst, text[1:len(text)-1])
	}
	return nil
}

func parseSSHD(line *Line, f *Fields) Result {
	text := trimEnd(line.Text, " \r\n")
	prefix := &line.prefix
	known := prefix.program != nil && len(text) == len(line.Text)
	if !known && !prefix.read(text, line.Time, isSSHD) {
		return prefix.readOther(text, line.Time, f)
	}
	line.setPlain(f, 0)
	message := prefix.message
	inner, repeat, isRepeated := repeated(message)
	if isRepeated {
		message = inner
	}
	var v values
	m := findMessage(bare(message), &v)
	if m == nil {
		m = &unknownMessage
	}
	addSSH(f, &v)
	prefix.addTo(f, m.event)
	b := f.begin(Shipperd)
	if isRepeated {
		b = append(strconv.AppendInt(append(b, `"repeat":`...), int64(repeat), 10), ',')
	}
	if m.name != "" {
		b = keyword(b, `"template":"`, m.name)
	}
	f.end(f.quoted(b, `"method":"`, v[slotMethod]))
	return Full
}

// readOther takes a line with a time before it whose program has a pid or a colon,
// such as sudo's.
func (l *syslogLine) readOther(text []byte, event int64, f *Fields) Result {
	if !l.read(text, event, isProgram) || len(l.host) == 0 || l.time == event {
		return None
	}
	l.addTo(f, unknownMessage.event)
	return Full
}

// isProgram says whether word may be a program's name.
func isProgram(word []byte) bool {
	for _, c := range word {
		if c <= ' ' || c == '"' || c == '[' || c >= 0x7f {
			return false
		}
	}
	return len(word) > 0
}

// repeated reads `message repeated 5 times: [ … ]`, by which syslog daemons stand
// in for equal lines.
func repeated(message []byte) (inner []byte, times int, ok bool) {
	rest, ok := bytes.CutPrefix(message, []byte("message repeated "))
	if !ok {
		return nil, 0, false
	}
	count, rest, _ := bytes.Cut(rest, []byte(" times: ["))
	times, ok = number(count)
	inner, closed := bytes.CutSuffix(rest, []byte("]"))
	return bytes.TrimSpace(inner), times, ok && closed && times > 0
}

// bare removes what stands around a message: the tag of Solaris and that of the
// kernel's ring buffer, sshd's level, and the mark of its unprivileged child.
func bare(message []byte) []byte {
	if rest, ok := bytes.CutPrefix(message, []byte("kernel:")); ok {
		if _, after, ok := cutBracket(bytes.TrimLeft(rest, " ")); ok {
			message = bytes.TrimLeft(bytes.TrimPrefix(after, []byte(":")), " ")
		}
	}
	if hasPrefix(message, "[ID ") {
		_, message, _ = cutBracket(message)
	}
	message = bytes.TrimPrefix(message, []byte("error: "))
	message = bytes.TrimPrefix(message, []byte("fatal: "))
	return bytes.TrimSuffix(message, []byte(" [preauth]"))
}

func findMessage(message []byte, v *values) *compiledMessage {
	if len(message) == 0 {
		return nil
	}
	return firstFit(sshdCatalogue[message[0]], message, v)
}

// firstFit returns the first candidate that fits. Those that begin with the parts for
// which one before them did not are stepped over.
func firstFit(candidates []compiledMessage, message []byte, v *values) *compiledMessage {
	for i := 0; i < len(candidates); {
		c := &candidates[i]
		decided := c.match(message, v)
		if decided == matched {
			return c
		}
		i = c.after[min(decided, len(c.after)-1)]
	}
	*v = values{}
	return nil
}

func addSSH(f *Fields, v *values) {
	if string(v[slotAddress]) != "UNKNOWN" { // as sshd says, with port 65535, once the client has gone
		f.addEnd(Source, v[slotAddress], v[slotPort])
	}
	f.addEnd(Destination, v[slotDestination], v[slotDestinationPort])
	f.String(User, `"name":"`, v[slotUser])
	f.RelatedUser(v[slotUser])
}

// addEnd writes one end of a connection.
func (f *Fields) addEnd(root Root, address, port []byte) {
	if len(address)+len(port) == 0 {
		return
	}
	b := f.begin(root)
	if len(address) > 0 {
		b = f.appendAddress(b, address, f.lookup.Address(address))
	}
	f.end(appendPort(b, port))
}

// appendPort appends a port, if it is one.
func appendPort(b, port []byte) []byte {
	if n, ok := number(port); ok && n < maxPort {
		b = digits(b, `"port":`, port)
	}
	return b
}
