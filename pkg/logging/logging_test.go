package logging

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
)

// Threat 7: a log line that shipperd carries acts on the operator's terminal.
func TestThreat7ControlCharactersNeverReachTheTerminal(t *testing.T) {
	var out bytes.Buffer
	log, _ := New(Config{Level: "info", Format: "console"}, &out)
	log.Info("a document was refused", zap.String("reason", "\x1b]0;owned\a\u009b31m\n2026 ERROR forged \u202e\x7f\xff"))
	log.Named("\x1b[2J").Error("a name")
	for _, r := range out.String() {
		if r != '\n' && r != '\t' && (r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x202e) {
			t.Errorf("got the control character %U in %q", r, out.String())
		}
	}
	if got := strings.Count(out.String(), "\n"); got != 2 {
		t.Errorf("got %d lines for two entries: %q", got, out.String())
	}
}

func TestRepeatedLinesAreCountedAndTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log, _ := New(Config{Level: "info", Format: "json"}, &out)
		for range 25 {
			log.With(zap.Int("n", 1)).Warn("it fails")
		}
		log.Warn("another")
		if got := strings.Count(out.String(), "it fails"); got != lineBurst {
			t.Errorf("got %d lines of 25, want %d", got, lineBurst)
		}
		if !strings.Contains(out.String(), "another") {
			t.Error("got another line held back too")
		}
		for _, step := range []struct {
			log  func()
			want string // told of the lines that were held back
		}{
			{func() {
				<-time.After(lineWindow)
				log.With(zap.Int("n", 1)).Info("a third")
			}, `"msg":"it fails","suppressed":15}`},
			{func() { log.Info("a third") }, ""},
			{func() {
				for range 12 {
					log.Warn("it fails")
				}
				_ = log.Sync() // the end
			}, `"msg":"it fails","suppressed":2}`},
		} {
			out.Reset()
			step.log()
			if got := strings.Count(out.String(), "suppressed"); got != strings.Count(step.want, "suppressed") || !strings.Contains(out.String(), step.want) {
				t.Errorf("got %s, want %q told", out.String(), step.want)
			}
		}
	})
}

func TestLevelChangesWhileInUse(t *testing.T) {
	var out bytes.Buffer
	log, level := New(Config{Level: "error", Format: "json"}, &out)
	child := log.Named("child")
	child.Info("unheard")
	level.SetLevel(zap.InfoLevel)
	child.Info("heard")
	if strings.Contains(out.String(), "unheard") || !strings.Contains(out.String(), `"msg":"heard"`) {
		t.Errorf("got %s, want the second line alone", out.String())
	}
}

func TestValidateNamesTheKey(t *testing.T) {
	err := Config{Level: "loud", Format: "xml"}.Validate()
	for _, want := range []string{"log.level", "log.format"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s named", err, want)
		}
	}
	if err := DefaultConfig().Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
}

func TestFormatFollowsTheOutputUnlessItIsChosen(t *testing.T) {
	for format, json := range map[string]bool{"auto": true, "json": true, "console": false} { // a buffer is no terminal
		var out bytes.Buffer
		log, _ := New(Config{Level: "info", Format: format}, &out)
		log.Info("a line")
		if got := strings.HasPrefix(out.String(), "{"); got != json {
			t.Errorf("%s: got %s, want JSON: %t", format, out.String(), json)
		}
	}
}
