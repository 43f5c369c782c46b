package subscription

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const sshd = `Nov 20 10:11:12 ip-10-0-0-5 sshd[123]: Connection closed by 192.0.2.1 port 22 [preauth]
Nov 20 10:11:13 ip-10-0-0-5 sshd[123]: Failed password for root from 192.0.2.1 port 51123 ssh2
Nov 20 10:11:14 ip-10-0-0-5 sshd[123]: Invalid user admin from 192.0.2.1
`

func preset(t *testing.T, name string) string {
	t.Helper()
	p, ok := FindPreset(name)
	if !ok {
		t.Fatalf("no preset %q", name)
	}
	return p.Pattern
}

func TestTrialSaysWhichLinesAreDeliveredWithWhichFields(t *testing.T) {
	var out strings.Builder
	trial, err := Test(preset(t, "sshd"), strings.NewReader(sshd), func(l Line) error { return l.WriteTable(&out) })
	if err != nil {
		t.Fatal(err)
	}
	if err := trial.WriteTable(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"line 1  delivered  Nov 20 10:11:12",
		"        srcIp      192.0.2.1\n",
		"line 3  NOT delivered  Nov 20 10:11:14",
		"2 of 3 lines would be delivered\n",
		"srcIp      1          0        192.0.2.1\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got\n%s\nwant a line with %q", out.String(), want)
		}
	}
}

func TestTrialOfOtherPatternsHasNoFields(t *testing.T) {
	for text, want := range map[string]int{"": 3, `"Invalid user"`: 1, `{ $.a = "b" }`: 0, "%port [0-9]+%": 2} {
		got, err := Test(text, strings.NewReader(strings.ReplaceAll(sshd, "\n", "\r\n")), func(Line) error { return nil })
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if got.Delivered != want || got.Lines != 3 || len(got.Fields) != 0 {
			t.Errorf("%q: got %+v, want %d of 3 lines and no fields", text, got, want)
		}
	}
}

func TestTrialStopsAtWhatItCannotRead(t *testing.T) {
	stop := errors.New("stop")
	if trial, err := Test("", strings.NewReader(sshd), func(Line) error { return stop }); !errors.Is(err, stop) || trial.Lines != 1 {
		t.Errorf("got %d lines and %v, want 1 and the error", trial.Lines, err)
	}
	giant := "a\n" + strings.Repeat("x", maxLine+3)
	if _, err := Test("", strings.NewReader(giant), func(Line) error { return nil }); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("a line over the limit: got %v, want an error that names line 2", err)
	}
	if _, err := Test("[a", strings.NewReader(sshd), nil); err == nil {
		t.Error("a broken pattern: got no error")
	}
}

// The reason for the advice against the lab's pattern, on lines that sshd wrote.
func TestLabsPatternLosesSSHLinesAndAddresses(t *testing.T) {
	corpora := os.Getenv("SHIPPERD_CORPORA")
	if corpora == "" {
		corpora = filepath.Join("..", "..", "..", "shared", "corpora")
	}
	data, err := os.ReadFile(filepath.Join(corpora, "fail2ban", "sshd.log"))
	if err != nil {
		t.Skipf("no corpora: %v; set SHIPPERD_CORPORA", err)
	}
	var lines []string
	for line := range strings.Lines(string(data)) {
		if strings.Contains(line, "sshd") && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	trial, err := Test(preset(t, "sshd"), strings.NewReader(strings.Join(lines, "")), func(Line) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d of %d delivered, %+v", trial.Delivered, trial.Lines, trial.Fields[8])
	if trial.Delivered == trial.Lines || trial.Fields[8].Addresses*10 > trial.Lines {
		t.Errorf("got %d of %d lines and %d addresses, want lines lost and hardly an address", trial.Delivered, trial.Lines, trial.Fields[8].Addresses)
	}
}
