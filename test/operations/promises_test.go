package operations

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// testNames returns the tests of the whole tree.
func testNames(t *testing.T) []string {
	t.Helper()
	function := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	var names []string
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range function.FindAllSubmatch(text, -1) {
			names = append(names, string(m[1]))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestEveryPromiseOfSECURITYHasItsTest(t *testing.T) {
	text, err := os.ReadFile("../../SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	names := testNames(t)
	has := func(promised string) bool {
		prefix, open := strings.CutSuffix(promised, "…")
		return slices.ContainsFunc(names, func(name string) bool {
			rest, ok := strings.CutPrefix(name, prefix)
			// Threat1… is not Threat14.
			return ok && (rest == "" || open && (rest[0] < '0' || rest[0] > '9'))
		})
	}
	promised := regexp.MustCompile("`(Test\\w+…?)`").FindAllSubmatch(text, -1)
	for _, m := range promised {
		if !has(string(m[1])) {
			t.Errorf("SECURITY.md: there is no test %s", m[1])
		}
	}
	for _, threat := range []int{1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 14, 15, 17, 18, 19, 22} {
		if name := "TestThreat" + strconv.Itoa(threat) + "…"; !has(name) || !strings.Contains(string(text), name) {
			t.Errorf("threat %d has no test, or SECURITY.md does not name it", threat)
		}
	}
}
