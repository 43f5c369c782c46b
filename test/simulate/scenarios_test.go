package simulate

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// scenario is how a test says which scenario it is.
var scenario = regexp.MustCompile(`(?m)^// Scenario: (Kinesis T|Elasticsearch )(\d+)\.\n`)

// TestEveryScenarioHasItsTest looks for the scenarios that a consumer of Kinesis and
// a writer of bulk requests must come through. The numbers that are not here are
// about fleets, and about servers, which have tests of their own.
func TestEveryScenarioHasItsTest(t *testing.T) {
	want := map[string][]int{
		"Kinesis T":      {1, 2, 3, 4, 5, 6, 7, 8, 12, 13, 14, 16, 18, 21, 25, 26},
		"Elasticsearch ": {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 15, 16, 17, 18, 20, 22},
	}
	found := make(map[string]bool)
	err := filepath.WalkDir("../..", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, "_test.go") {
			return err
		}
		text, err := os.ReadFile(name)
		for _, match := range scenario.FindAllStringSubmatch(string(text), -1) {
			found[match[1]+match[2]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for list, numbers := range want {
		for _, n := range numbers {
			if name := fmt.Sprint(list, n); !found[name] {
				t.Errorf("no test says that it is of the scenario %s", name)
			}
		}
	}
}
