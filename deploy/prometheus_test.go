package deploy_test

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

const (
	rulesFile     = "prometheus/shipperd.rules.yaml"
	rulesTestFile = "prometheus/shipperd.rules.test.yaml"
	boardFile     = "grafana/shipperd.json"
)

var metricName = regexp.MustCompile(`\bshipperd_[a-z_]+`)

// metricNames are the daemon's metrics, histograms without the endings of their series: those of the table that is held
// against a running daemon.
func metricNames(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, row := range regexp.MustCompile("(?m)^\\| `(shipperd_[a-z_]+)` ").FindAllSubmatch(readFile(t, "../docs/METRICS.md"), -1) {
		names = append(names, string(row[1]))
	}
	if len(names) == 0 {
		t.Fatal("no metrics found")
	}
	return names
}

func isMetric(known []string, name string) bool {
	for _, ending := range []string{"", "_bucket", "_sum", "_count"} {
		if base, ok := strings.CutSuffix(name, ending); ok && slices.Contains(known, base) {
			return true
		}
	}
	return false
}

type rule struct {
	Alert, Expr         string
	Labels, Annotations map[string]string
}

func readRules(t *testing.T) []rule {
	t.Helper()
	var file struct{ Groups []struct{ Rules []rule } }
	if err := yaml.Unmarshal(readFile(t, rulesFile), &file); err != nil {
		t.Fatal(err)
	}
	var rules []rule
	for _, group := range file.Groups {
		rules = append(rules, group.Rules...)
	}
	return rules
}

func TestEveryQueryNamesMetricsThatExist(t *testing.T) {
	queries := map[string]string{}
	for _, rule := range readRules(t) {
		queries[rule.Alert] = rule.Expr
		for _, said := range rule.Annotations {
			queries[rule.Alert+" says"] += said
		}
	}
	walk(readJSON(t, boardFile), func(object tree) {
		if query, ok := object["expr"].(string); ok {
			queries[query] = query
		}
	})
	known := metricNames(t)
	for where, query := range queries {
		for _, name := range metricName.FindAllString(query, -1) {
			if !isMetric(known, name) {
				t.Errorf("%s: no metric %s", where, name)
			}
		}
	}
}

func TestEveryAlertSaysWhatToDoAndIsTested(t *testing.T) {
	var tests struct {
		Tests []struct {
			AlertRuleTest []struct {
				Alertname string
				ExpAlerts []any `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	if err := yaml.Unmarshal(readFile(t, rulesTestFile), &tests); err != nil {
		t.Fatal(err)
	}
	var fires, alerts []string
	for _, test := range tests.Tests {
		for _, alert := range test.AlertRuleTest {
			if len(alert.ExpAlerts) > 0 {
				fires = append(fires, alert.Alertname)
			}
		}
	}
	for _, rule := range readRules(t) {
		alerts = append(alerts, rule.Alert)
		if !slices.Contains([]string{"critical", "warning"}, rule.Labels["severity"]) {
			t.Errorf("%s: severity %q", rule.Alert, rule.Labels["severity"])
		}
		for _, annotation := range []string{"summary", "description"} {
			if !strings.HasSuffix(rule.Annotations[annotation], ".") {
				t.Errorf("%s: %s %q is no sentence", rule.Alert, annotation, rule.Annotations[annotation])
			}
		}
	}
	slices.Sort(fires)
	slices.Sort(alerts)
	if diff := cmp.Diff(alerts, fires); diff != "" {
		t.Errorf("alerts and tests in which they fire (-alerts +tests):\n%s", diff)
	}
}

func TestRulesFireAsTheirTestsSay(t *testing.T) {
	promtool := lookTool(t, "promtool")
	run(t, promtool, "check", "rules", rulesFile)
	run(t, promtool, "test", "rules", rulesTestFile)
}

func TestPrometheusOfComposeReadsTheRules(t *testing.T) {
	config := string(readFile(t, "compose/prometheus.yaml"))
	rules, err := filepath.Abs(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	// The rules lie elsewhere in the container.
	local := filepath.Join(t.TempDir(), "prometheus.yaml")
	writeFile(t, local, strings.ReplaceAll(config, "/etc/prometheus/shipperd.rules.yaml", rules))
	run(t, lookTool(t, "promtool"), "check", "config", local)
}

func TestBoardPanelsAskQuestionsAndOverlapNone(t *testing.T) {
	ids := map[any]bool{}
	var taken [200][24]bool
	for _, p := range at(t, readJSON(t, boardFile), "panels").([]any) {
		p := p.(tree)
		title := p["title"].(string)
		if ids[p["id"]] {
			t.Errorf("%s: id %v twice", title, p["id"])
		}
		ids[p["id"]] = true
		if p["type"] != "row" && (!strings.HasSuffix(title, "?") || p["description"] == "") {
			t.Errorf("panel %q asks nothing or does not say what a bad value means", title)
		}
		grid := p["gridPos"].(tree)
		left, top := int(grid["x"].(float64)), int(grid["y"].(float64))
		for y := range int(grid["h"].(float64)) {
			for x := range int(grid["w"].(float64)) {
				if taken[top+y][left+x] {
					t.Fatalf("panel %q lies over another", title)
				}
				taken[top+y][left+x] = true
			}
		}
	}
}
