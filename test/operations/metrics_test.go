package operations

import (
	"bytes"
	"cmp"
	"errors"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/shipperd/shipperd/pkg/elastic/elasticfake"
)

// table is where operators look metrics up.
const table = "../../docs/METRICS.md"

// family is what a metric's users rely on: name, type and labels.
type family struct{ name, kind, labels string }

var (
	typeLine   = regexp.MustCompile(`(?m)^# TYPE (shipperd_\S+) (\w+)$`)
	seriesLine = regexp.MustCompile(`(?m)^(shipperd_[a-z_]+)(?:\{(.*)\})? \S+$`)
	labelName  = regexp.MustCompile(`([a-z_]+)="(?:[^"\\]|\\.)*"`)
	tableRow   = regexp.MustCompile("(?m)^\\| `(shipperd_[a-z_]+)` \\| (\\w+) \\|([^|]*)\\| ([^|]+) \\| ([^|]+) \\|$")
)

// exposed reads the families of a scrape.
func exposed(t *testing.T, scrape []byte) []family {
	t.Helper()
	families := map[string]*family{}
	for _, m := range typeLine.FindAllSubmatch(scrape, -1) {
		families[string(m[1])] = &family{name: string(m[1]), kind: string(m[2])}
	}
	for _, m := range seriesLine.FindAllSubmatch(scrape, -1) {
		f := families[string(m[1])]
		for _, ending := range []string{"_bucket", "_sum", "_count"} {
			if base, ok := strings.CutSuffix(string(m[1]), ending); ok && f == nil {
				f = families[base]
			}
		}
		if f == nil {
			t.Fatalf("the series %s has no type", m[0])
		}
		var labels []string
		for _, l := range labelName.FindAllSubmatch(m[2], -1) {
			if name := string(l[1]); name != "le" {
				labels = append(labels, name)
			}
		}
		slices.Sort(labels)
		f.labels = strings.Join(labels, " ")
	}
	var all []family
	for _, name := range slices.Sorted(maps.Keys(families)) {
		all = append(all, *families[name])
	}
	return all
}

// documented reads the families of the table.
func documented(t *testing.T) []family {
	t.Helper()
	text, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	var families []family
	for _, m := range tableRow.FindAllSubmatch(text, -1) {
		labels := strings.Fields(strings.ReplaceAll(string(m[3]), "`", ""))
		slices.Sort(labels)
		families = append(families, family{string(m[1]), string(m[2]), strings.Join(labels, " ")})
	}
	if rows := bytes.Count(text, []byte("\n| `")); rows != len(families) {
		t.Errorf("%s: got %d rows of metrics, %d of them with all columns", table, rows, len(families))
	}
	slices.SortFunc(families, func(a, b family) int { return cmp.Compare(a.name, b.name) })
	return families
}

func TestMetricsAreThoseOfTheTable(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil, func(*elasticfake.Request) elasticfake.Fault {
		return elasticfake.Fault{Item: func(_ int, d elasticfake.Document) *elasticfake.ItemError {
			if d.ID == "bad" && bytes.Contains(d.Source, []byte("apache")) {
				return &elasticfake.ItemError{Status: 400, Type: "mapper_parsing_exception", Reason: "no number"}
			}
			return nil
		}}
	})
	p := s.daemon(t, `SHIPPERD_GROUPS=[{name: web, match: AccessLogGroup, format: apache, drop: [drop]}]`)
	p.Start()
	first := p.Get("/metrics")
	s.put("a", "bad", "drop")
	p.AwaitMetric(`shipperd_events_total{group="web",outcome="indexed"}`, 2)
	p.Await(func() error { // the first checkpoint is up to a second later
		if !bytes.Contains(p.Get("/metrics"), []byte("shipperd_checkpoint_timestamp_seconds{")) {
			return errors.New("no checkpoint has been stored")
		}
		return nil
	})
	got, want := exposed(t, p.Get("/metrics")), documented(t)
	if diff := gocmp.Diff(want, got, gocmp.AllowUnexported(family{})); diff != "" {
		t.Errorf("metrics (-%s +/metrics):\n%s", table, diff)
	}

	// A rate needs the 0 before the first fault.
	there := exposed(t, first)
	for _, f := range want {
		if f.kind != "gauge" && !slices.Contains(there, f) {
			t.Errorf("%s has no series before the first event", f.name)
		}
	}
	checkMetrics(t, p.Get("/metrics"))
}

// checkMetrics has promtool judge names, units and help texts.
func checkMetrics(t *testing.T, scrape []byte) {
	t.Helper()
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Log("promtool is not there to check the metrics (Debian package prometheus)")
		return
	}
	cmd := exec.CommandContext(t.Context(), promtool, "check", "metrics")
	cmd.Stdin = bytes.NewReader(scrape)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}
