package deploy_test

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Names of the files, parameters, outputs and resources that the README gives to readers.
var (
	readmeLink     = regexp.MustCompile(`\]\(([^)#:]+)\)`)
	readmeFile     = regexp.MustCompile(`\bdeploy/[\w./-]+\w`)
	readmeOutput   = regexp.MustCompile(`output (Step\w+)`)
	readmeResource = regexp.MustCompile(`resource (\w+)\)`)
	readmeSetting  = regexp.MustCompile("[ `]([A-Z][a-z]+[A-Za-z]*)=")
	readmeBlock    = regexp.MustCompile("(?ms)^( *)```sh\n(.*?)^ *```$")
)

func TestReadmeNamesOnlyWhatExists(t *testing.T) {
	text := string(readFile(t, "README.md"))
	tmpl := readTemplate(t)
	find := func(pattern *regexp.Regexp) (names []string) {
		for _, match := range pattern.FindAllStringSubmatch(text, -1) {
			names = append(names, match[len(match)-1])
		}
		if len(names) == 0 {
			t.Errorf("nothing in the README looks like %v", pattern)
		}
		return names
	}
	for _, path := range find(readmeLink) {
		if _, err := os.Stat(path); err != nil {
			t.Errorf("link: %v", err)
		}
	}
	for _, path := range find(readmeFile) {
		if _, err := os.Stat(strings.TrimPrefix(path, "deploy/")); err != nil {
			t.Errorf("file: %v", err)
		}
	}
	for pattern, declared := range map[*regexp.Regexp]tree{
		readmeOutput: tmpl.outputs, readmeResource: tmpl.resources, readmeSetting: tmpl.parameters,
	} {
		for _, name := range find(pattern) {
			if _, ok := declared[name]; !ok && !slices.Contains([]string{"Enabled", "EnvironmentFile", "ProxyCommand"}, name) { // of other tools
				t.Errorf("the template has no %s", name)
			}
		}
	}
}

// A quote that is not closed shows only when somebody pastes the command. What shipperd's own commands take is tested beside them.
func TestReadmeCommandsAreShell(t *testing.T) {
	blocks := readmeBlock.FindAllStringSubmatch(string(readFile(t, "README.md")), -1)
	if len(blocks) < 10 {
		t.Errorf("got %d blocks of commands, want 10 at least", len(blocks))
	}
	for _, block := range blocks {
		shell := exec.CommandContext(t.Context(), "bash", "-n")
		shell.Stdin = strings.NewReader(block[2])
		if out, err := shell.CombinedOutput(); err != nil {
			t.Errorf("%v: %s\n%s", err, out, block[2])
		}
	}
}
