package subscription

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"strconv"

	"github.com/shipperd/shipperd/pkg/format/pattern"
)

// maxLine is the size of the largest event that CloudWatch Logs takes.
const maxLine = 1 << 20

// Line is what a pattern does with one line.
type Line struct {
	Number    int // from 1
	Text      string
	Delivered bool
	Fields    []Field // of a space-delimited pattern, in its order
}

// Field is one field that a pattern makes of a line.
type Field struct{ Name, Value string }

// Profile is what was found in one field over all delivered lines. A field called
// srcIp without addresses is a pattern that does not fit its lines.
type Profile struct {
	Name      string
	Addresses int    // values that are an IP address
	Numbers   int    // values that are a number
	Example   string // the first value
}

// Trial is the sum of a test.
type Trial struct {
	Lines     int
	Delivered int
	Fields    []Profile // in the pattern's order
}

// Test says which of lines a subscription with this pattern would deliver, and
// with which fields. It calls each for every line and ends at its first error.
func Test(text string, lines io.Reader, each func(Line) error) (Trial, error) {
	p, err := pattern.Parse(text)
	if err != nil {
		return Trial{}, fmt.Errorf("pattern: %w", err)
	}
	names := p.Names()
	trial := Trial{Fields: make([]Profile, len(names))}
	for i, name := range names {
		trial.Fields[i].Name = name
	}
	scanner := bufio.NewScanner(lines)
	scanner.Buffer(nil, maxLine+len("\r\n"))
	for scanner.Scan() {
		line := tryLine(p, names, scanner.Bytes())
		trial.add(&line)
		if err := each(line); err != nil {
			return trial, err
		}
	}
	if err := scanner.Err(); err != nil {
		return trial, fmt.Errorf("read line %d: %w", trial.Lines+1, err)
	}
	return trial, nil
}

func tryLine(p *pattern.Pattern, names []string, text []byte) Line {
	text = bytes.TrimSuffix(text, []byte{'\r'})
	line := Line{Text: string(text), Delivered: p.Match(text)}
	values, _ := p.Split(text, nil)
	for i, value := range values {
		line.Fields = append(line.Fields, Field{Name: names[i], Value: string(value)})
	}
	return line
}

// add counts line and gives it its number.
func (t *Trial) add(line *Line) {
	t.Lines++
	line.Number = t.Lines
	if !line.Delivered {
		return
	}
	t.Delivered++
	for i, field := range line.Fields {
		profile := &t.Fields[i]
		if t.Delivered == 1 {
			profile.Example = field.Value
		}
		if _, err := netip.ParseAddr(field.Value); err == nil {
			profile.Addresses++
		}
		if _, err := strconv.ParseFloat(field.Value, 64); err == nil {
			profile.Numbers++
		}
	}
}

// WriteTable writes the line: whether it is delivered, and its fields below it.
func (l Line) WriteTable(w io.Writer) error {
	verdict := "delivered"
	if !l.Delivered {
		verdict = "NOT delivered"
	}
	rows := [][]string{{fmt.Sprintf("line %d", l.Number), verdict, l.Text}}
	for _, f := range l.Fields {
		rows = append(rows, []string{"", f.Name, f.Value})
	}
	return writeTable(w, rows)
}

// WriteTable writes how many lines are delivered and what is in each field.
func (t Trial) WriteTable(w io.Writer) error {
	if _, err := fmt.Fprintf(w, "%d of %d lines would be delivered\n", t.Delivered, t.Lines); err != nil || len(t.Fields) == 0 {
		return err
	}
	rows := [][]string{{"FIELD", "ADDRESSES", "NUMBERS", "EXAMPLE"}}
	for _, f := range t.Fields {
		rows = append(rows, []string{f.Name, strconv.Itoa(f.Addresses), strconv.Itoa(f.Numbers), f.Example})
	}
	return writeTable(w, rows)
}
