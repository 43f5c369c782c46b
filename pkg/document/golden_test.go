package document

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	gocmp "github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
	"golang.org/x/tools/txtar"

	"github.com/shipperd/shipperd/pkg/record"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestGoldens decodes payloads.json of each file under config.yaml and compares what
// becomes of each event with documents.json.
func TestGoldens(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("got no golden files: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { checkGolden(t, file) }) // event.ingested is then fixed
		})
	}
}

func checkGolden(t *testing.T, file string) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]*txtar.File{}
	for i := range archive.Files {
		sections[archive.Files[i].Name] = &archive.Files[i]
	}
	input := struct {
		Documents Config
		Groups    []Group
	}{Documents: DefaultConfig()}
	if err := yaml.Unmarshal(sections["config.yaml"].Data, &input); err != nil {
		t.Fatal(err)
	}
	d := testDocuments(t, func(c *Config) {
		*c = input.Documents
		c.Groups = input.Groups
	}).NewDecoder()
	var compact bytes.Buffer
	for line := range strings.SplitSeq(string(sections["payloads.json"].Data), "\n") {
		if line != "" && !strings.HasPrefix(line, "#") {
			compact.WriteString(line)
		}
	}
	got := describe(t, decode(t, d, compact.String()))
	want := sections["documents.json"]
	if *update {
		want.Data = got
		if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := gocmp.Diff(string(want.Data), string(got)); diff != "" {
		t.Errorf("documents (-want +got):\n%s", diff)
	}
}

func describe(t *testing.T, r *record.Record) []byte {
	var b bytes.Buffer
	for i := range r.Events {
		e := &r.Events[i]
		if e.Filter != 0 {
			fmt.Fprintf(&b, "# filtered: %s\n", e.Filter)
			continue
		}
		strictly(t, r.Doc(e))
		fmt.Fprintf(&b, "# %s/_create/%s\n", e.Index, r.ID(e))
		if err := json.Indent(&b, r.Doc(e), "", "  "); err != nil {
			t.Fatal(err)
		}
		b.WriteByte('\n')
	}
	if r.Control > 0 {
		fmt.Fprintf(&b, "# control messages: %d\n", r.Control)
	}
	return b.Bytes()
}
