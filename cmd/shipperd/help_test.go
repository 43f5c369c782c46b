package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// walk calls each for every command that a user sees.
func walk(cmd *cobra.Command, each func(*cobra.Command)) {
	each(cmd)
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			walk(sub, each)
		}
	}
}

func TestHelpFitsOneScreenAndShowsExamplesBeforeFlags(t *testing.T) {
	const lines, columns = 40, 120
	walk(newRoot(), func(cmd *cobra.Command) {
		path := strings.Fields(cmd.CommandPath())[1:]
		code, help, stderr := command(t, append(path, "--help")...)
		if code != exitDone || stderr != "" {
			t.Errorf("%q: got exit %d, %q", path, code, stderr)
		}
		if got := strings.Count(help, "\n"); got > lines {
			t.Errorf("%q: got %d lines of help, want %d at most", path, got, lines)
		}
		for line := range strings.Lines(help) {
			if utf8.RuneCountInString(line) > columns {
				t.Errorf("%q: got a line wider than %d columns: %s", path, columns, line)
			}
		}
		examples, flags := strings.Index(help, "Examples:"), strings.Index(help, "\nFlags:")
		if examples > flags || examples < 0 && cmd.Flags().Lookup("config") != nil {
			t.Errorf("%q: got examples at %d and flags at %d, want examples first:\n%s", path, examples, flags, help)
		}
		if strings.Contains(help, "Additional Commands:") {
			t.Errorf("%q: got commands without a group:\n%s", path, help)
		}
	})
}

func TestEveryShellCompletes(t *testing.T) {
	for shell, want := range map[string]string{
		"bash": "complete -o default", "zsh": "#compdef shipperd", "fish": "complete -c shipperd", "powershell": "Register-ArgumentCompleter",
	} {
		if code, script, stderr := command(t, "completion", shell); code != exitDone || !strings.Contains(script, want) {
			t.Errorf("%s: got exit %d, %q and %d bytes without %q", shell, code, stderr, len(script), want)
		}
	}
	// What the scripts call.
	code, words, _ := command(t, cobra.ShellCompRequestCmd, "re")
	if code != exitDone || !strings.HasPrefix(words, "replay\t") {
		t.Errorf("got exit %d and %q for re, want replay", code, words)
	}
}

func TestManualHasAPageOfEachCommand(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "man1")
	t.Setenv("SOURCE_DATE_EPOCH", "1767225600") // 2026-01-01
	if code, _, stderr := command(t, "man", dir); code != exitDone {
		t.Fatalf("got exit %d: %s", code, stderr)
	}
	walk(newRoot(), func(cmd *cobra.Command) {
		page := strings.ReplaceAll(cmd.CommandPath(), " ", "-") + ".1"
		text, err := os.ReadFile(filepath.Join(dir, page))
		if err != nil || !strings.Contains(string(text), "Jan 2026") || !strings.Contains(string(text), ".SH SYNOPSIS") {
			t.Errorf("%s: got %.200q, %v", page, text, err)
		}
	})
	if code, _, _ := command(t, "man"); code != exitUsage {
		t.Errorf("got exit %d without a folder, want %d", code, exitUsage)
	}
}
