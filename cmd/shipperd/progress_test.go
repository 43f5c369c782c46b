package main

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"
)

func TestProgressIsALineNowAndThenWhereThereIsNoTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		line := newProgressLine(&log)
		for second := range 90 {
			line.tell("%d events", second)
			<-time.After(time.Second)
		}
		line.end()
		if got, want := log.String(), "30 events\n60 events\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestProgressIsOneLineOnATerminal(t *testing.T) {
	var screen bytes.Buffer
	line := progressLine{w: &screen, terminal: true}
	line.tell("%d events", 1)
	line.tell("%d events", 2)
	line.end()
	if got, want := screen.String(), "\r1 events\r2 events\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
