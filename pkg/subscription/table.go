package subscription

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

// WriteTable writes the plan as a person reads it: a table, the sums, the advice.
func (p Plan) WriteTable(w io.Writer) error {
	rows := [][]string{{"ACTION", "LOG GROUP", "WHY"}}
	for _, row := range p.Rows {
		rows = append(rows, []string{string(row.Action), row.Group, row.Why})
	}
	if err := writeTable(w, rows); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%d to create, %d to update, %d to remove, %d to keep, %d refused\n",
		p.Count(Create), p.Count(Update), p.Count(Remove), p.Count(Keep), p.Count(Refuse))
	for _, sentence := range p.Advice {
		if err == nil {
			_, err = fmt.Fprintf(w, "%s\n", sentence)
		}
	}
	return err
}

// WriteTable writes the filters as a table, a line for each and one for each group
// that has none.
func (s Status) WriteTable(w io.Writer) error {
	rows := [][]string{{"LOG GROUP", "FILTER", "CREATED", "DESTINATION", "PATTERN"}}
	for _, group := range s {
		for _, f := range group.Filters {
			rows = append(rows, []string{group.Group, f.Name, f.Created.Format(time.DateTime), f.Destination, strconv.Quote(f.Pattern)})
		}
		if len(group.Filters) == 0 {
			rows = append(rows, []string{group.Group, "none", "", "", ""})
		}
	}
	return writeTable(w, rows)
}

func writeTable(w io.Writer, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			row[i] = printable(cell)
		}
		if _, err := fmt.Fprintln(t, strings.Join(row, "\t")); err != nil {
			return err
		}
	}
	return t.Flush()
}

// printable escapes what a terminal might obey instead of showing: control
// characters, marks that turn the direction of text, bytes that are no UTF-8.
func printable(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) {
		return s
	}
	quoted := strconv.Quote(s)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}
