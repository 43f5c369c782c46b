package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// progressInterval is how often progress is told where each line is kept: the log of a
// task that runs for a day has 3,000 of them.
const progressInterval = 30 * time.Second

// progressLine tells how it goes: on a terminal in one line that it rewrites, else in
// lines of their own, because a log shows a line when it has ended.
type progressLine struct {
	w        io.Writer
	terminal bool
	told     time.Time
}

func newProgressLine(w io.Writer) *progressLine {
	f, ok := w.(*os.File)
	return &progressLine{w: w, terminal: ok && term.IsTerminal(int(f.Fd())), told: time.Now()}
}

func (l *progressLine) tell(format string, args ...any) {
	switch {
	case l.terminal:
		fmt.Fprintf(l.w, "\r"+format, args...)
	case time.Since(l.told) >= progressInterval:
		l.told = time.Now()
		fmt.Fprintf(l.w, format+"\n", args...)
	}
}

// end leaves the line to what is printed next.
func (l *progressLine) end() {
	if l.terminal {
		fmt.Fprintln(l.w)
	}
}
