package template

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/shipperd/shipperd/pkg/document"
	"github.com/shipperd/shipperd/pkg/elastic"
	"github.com/shipperd/shipperd/test/servers"
)

// TestRealEngines holds what this package believes of the engines against them.
// Each is started once.
func TestRealEngines(t *testing.T) {
	for name, start := range map[string]func(testing.TB) string{"elasticsearch": servers.Elasticsearch, "opensearch": servers.OpenSearch} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := start(t)
			for what, test := range map[string]func(*testing.T, *Cluster, document.Config){
				"a template is taken and recognised":   templateIsTakenAndRecognised,
				"that of every dialect is taken":       everyDialectIsTaken,
				"one that a person has edited is seen": editedTemplateIsSeen,
				"one that loses is reported":           losingTemplateIsReported,
				"an index of before is named":          earlierIndexIsNamed,
				"no lifecycle is found":                noLifecycleIsFound,
			} {
				t.Run(what, func(t *testing.T) {
					c, config := realCluster(t, url)
					test(t, c, config)
				})
			}
		})
	}
}

// realCluster returns the cluster and a prefix that no other test has.
func realCluster(t *testing.T, url string) (*Cluster, document.Config) {
	t.Helper()
	c, err := Open(t.Context(), testSink(t, url))
	if err != nil {
		t.Fatal(err)
	}
	config := document.DefaultConfig()
	config.IndexPrefix = "template-" + strings.ToLower(rand.Text()[:10])
	t.Cleanup(func() {
		// Where one fails, a shared server keeps a template or an index.
		for _, path := range []string{"/_index_template/shipperd-" + config.IndexPrefix, "/_index_template/other-" + config.IndexPrefix, "/" + config.IndexPrefix + "*"} {
			_ = c.do(context.WithoutCancel(t.Context()), http.MethodDelete, path, nil, nil)
		}
	})
	return c, config
}

// testSink returns a sink that only calls.
func testSink(t *testing.T, url string) *elastic.Sink {
	t.Helper()
	c := elastic.DefaultConfig()
	c.Endpoints = []string{url}
	sink, err := elastic.New(t.Context(), c, elastic.Deps{Log: zap.NewNop(), Registerer: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	return sink
}

func planned(t *testing.T, c *Cluster, config document.Config, settings Settings, want State) *Plan {
	t.Helper()
	p, err := c.Plan(t.Context(), config, settings)
	if err != nil {
		t.Fatal(err)
	}
	if p.State != want {
		t.Fatalf("got the template %s, want %s:\n%s", p.State, want, strings.Join(p.Diff, "\n"))
	}
	return p
}

func installed(t *testing.T, c *Cluster, p *Plan) {
	t.Helper()
	if err := c.Put(t.Context(), p.Template); err != nil {
		t.Fatal(err)
	}
}

func effect(t *testing.T, c *Cluster, config document.Config) Effect {
	t.Helper()
	e, err := c.Effect(t.Context(), config, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func templateIsTakenAndRecognised(t *testing.T, c *Cluster, config document.Config) {
	installed(t, c, planned(t, c, config, Settings{Shards: "3"}, Absent))
	planned(t, c, config, nil, Current) // what the operator decided stays
	planned(t, c, config, Settings{Shards: "1"}, Older)
	flat := c.Engine.Distribution == "opensearch"
	if e := effect(t, c, config); !e.Verified || !e.Ours || e.Flattened != flat || e.Earlier != nil {
		t.Errorf("got the effect %+v, want ours, flattened %t", e, flat)
	}
}

func everyDialectIsTaken(t *testing.T, c *Cluster, config document.Config) {
	config.Groups = []document.Group{
		{Columns: "[when, level, took_ms]", IndexPrefix: config.IndexPrefix + "-shop"},
		{Format: "vpcflow", FlowFields: []string{"version", "srcaddr", "tcp-flags", "future-field"}},
	}
	for _, dialect := range []document.Dialect{document.Standard, document.SolutionV4, document.Lambda} {
		config.Dialect = dialect
		p, err := c.Plan(t.Context(), config, nil)
		if err != nil {
			t.Fatal(err)
		}
		installed(t, c, p)
		planned(t, c, config, nil, Current)
		if e := effect(t, c, config); !e.Ours {
			t.Errorf("%s: got the effect %+v, want ours", dialect, e)
		}
	}
}

func editedTemplateIsSeen(t *testing.T, c *Cluster, config document.Config) {
	p := planned(t, c, config, nil, Absent)
	text := strings.Replace(string(p.Template.JSON(false)), `"eventName": {`, `"mine": {"type": "keyword"}, "eventName": {`, 1)
	if err := c.Put(t.Context(), p.Template); err != nil {
		t.Fatal(err)
	}
	if _, err := c.sink.Call(t.Context(), elastic.Call{Method: http.MethodPut, Path: c.place(p.Template.Name), Body: []byte(text)}); err != nil {
		t.Fatal(err)
	}
	p = planned(t, c, config, nil, Edited)
	for _, line := range p.Diff {
		if line != "- template.mappings.properties.fields.properties.mine.type: keyword" && line != "- template.mappings.properties.mine.type: keyword" {
			t.Errorf("got the line %q in the difference, want only the person's field", line)
		}
	}
	if len(p.Diff) == 0 {
		t.Error("got no difference, want the person's field")
	}
}

func losingTemplateIsReported(t *testing.T, c *Cluster, config document.Config) {
	installed(t, c, planned(t, c, config, nil, Absent))
	other := object{"index_patterns": []string{config.IndexPrefix + "-*"}, "priority": 500, "template": object{"settings": object{"number_of_shards": 1}}}
	if err := c.do(t.Context(), http.MethodPut, "/_index_template/other-"+config.IndexPrefix, other, nil); err != nil {
		t.Fatal(err)
	}
	if e := effect(t, c, config); e.Ours || e.Winner != "other-"+config.IndexPrefix {
		t.Errorf("got the effect %+v, want other-%s to win", e, config.IndexPrefix)
	}
}

func earlierIndexIsNamed(t *testing.T, c *Cluster, config document.Config) {
	today := config.IndexPrefix + time.Now().UTC().Format("-2006.01.02")
	for _, index := range []string{today, config.IndexPrefix + "-2020.01.01"} {
		if err := c.do(t.Context(), http.MethodPut, "/"+index+"/_doc/1?refresh=true", object{"@message": "m"}, nil); err != nil {
			t.Fatal(err)
		}
	}
	installed(t, c, planned(t, c, config, nil, Absent))
	if e := effect(t, c, config); len(e.Earlier) != 1 || e.Earlier[0] != today || e.Flattened {
		t.Errorf("got the effect %+v, want %s named, and nothing flattened", e, today)
	}
}

// Neither of the vendors' builds that the tests run has ILM or ISM: the first is
// the OSS distribution, the second comes without plugins.
func noLifecycleIsFound(t *testing.T, c *Cluster, config document.Config) {
	if l, err := c.Lifecycle(t.Context(), config, 30); !errors.Is(err, ErrNoLifecycle) {
		t.Errorf("got %+v and %v, want %v", l, err, ErrNoLifecycle)
	}
}
