package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Command lines as the documents give them: a line of a code block, a word within a
// sentence, and the list that a container gets instead of its command.
var (
	docBlock  = regexp.MustCompile("(?s)```sh\\n.*?```")
	docLine   = regexp.MustCompile(`(?m)^ *shipperd ((?:\\\n|[^\n#])+)`)
	docInline = regexp.MustCompile("`shipperd ([^`]+)`")
	docList   = regexp.MustCompile(`"command": (\[[^\]]+\])`)
	shellWord = regexp.MustCompile(`'[^']*'|"[^"]*"|[^\s'"]+`)
)

// A flag that was renamed, or a command, makes the documents wrong without a word.
func TestCommandsInTheDocumentsParse(t *testing.T) {
	found := 0
	for _, pattern := range []string{"../../*.md", "../../docs/*.md", "../../deploy/*.md"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no documents at %s: %v", pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, args := range documentedCommands(t, string(text)) {
				found++
				if err := parses(args); err != nil {
					t.Errorf("%s: shipperd %s: %v", file, strings.Join(args, " "), err)
				}
			}
		}
	}
	if found < 25 {
		t.Errorf("got %d command lines, want 25 at least", found)
	}
}

func documentedCommands(t *testing.T, text string) (commands [][]string) {
	t.Helper()
	blocks := strings.Join(docBlock.FindAllString(text, -1), "\n")
	for _, match := range append(docLine.FindAllStringSubmatch(blocks, -1), docInline.FindAllStringSubmatch(text, -1)...) {
		line, _, _ := strings.Cut(strings.ReplaceAll(match[1], "\\\n", " "), " >")
		var args []string
		for _, word := range shellWord.FindAllString(line, -1) {
			args = append(args, strings.Trim(word, `'"`))
		}
		commands = append(commands, args)
	}
	for _, match := range docList.FindAllStringSubmatch(strings.ReplaceAll(text, `\"`, `"`), -1) {
		var args []string
		if err := json.Unmarshal([]byte(match[1]), &args); err != nil {
			t.Errorf("%s: %v", match[1], err)
		}
		commands = append(commands, args)
	}
	return commands
}

// parses says what is wrong with a command line, without running it. A command that
// is only named may lack the flags that it needs.
func parses(args []string) error {
	root := newRoot()
	root.InitDefaultCompletionCmd()
	cmd, rest, err := root.Find(args)
	if err != nil {
		return err
	}
	if err := cmd.ParseFlags(rest); err != nil || len(rest) == 0 {
		return err
	}
	return cmd.ValidateArgs(cmd.Flags().Args())
}
