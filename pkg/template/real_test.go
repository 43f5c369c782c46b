package template

import (
	"crypto/rand"
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

// realClusters calls test with a cluster of each engine and a prefix of its own.
func realClusters(t *testing.T, test func(t *testing.T, c *Cluster, config document.Config)) {
	for name, start := range map[string]func(testing.TB) string{"elasticsearch": servers.Elasticsearch, "opensearch": servers.OpenSearch} {
		t.Run(name, func(t *testing.T) {
			url := start(t)
			c, err := Open(t.Context(), testSink(t, url))
			if err != nil {
				t.Fatal(err)
			}
			config := document.DefaultConfig()
			config.IndexPrefix = "template-" + strings.ToLower(rand.Text()[:10])
			t.Cleanup(func() {
				for _, path := range []string{"/_index_template/shipperd-" + config.IndexPrefix, "/_index_template/other-" + config.IndexPrefix, "/" + config.IndexPrefix + "*"} {
					if request, err := http.NewRequest(http.MethodDelete, url+path, nil); err == nil {
						if response, err := http.DefaultClient.Do(request); err == nil {
							response.Body.Close()
						}
					}
				}
			})
			test(t, c, config)
		})
	}
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

func TestRealTemplateIsTakenAndRecognised(t *testing.T) {
	realClusters(t, func(t *testing.T, c *Cluster, config document.Config) {
		installed(t, c, planned(t, c, config, Settings{Shards: "3"}, Absent))
		planned(t, c, config, nil, Current) // what the operator decided stays
		planned(t, c, config, Settings{Shards: "1"}, Older)
		flat := c.Engine.Distribution == "opensearch"
		if e := effect(t, c, config); !e.Verified || !e.Ours || e.Flattened != flat || e.Earlier != nil {
			t.Errorf("got the effect %+v, want ours, flattened %t", e, flat)
		}
	})
}

func TestRealTemplateOfEveryDialectIsTaken(t *testing.T) {
	realClusters(t, func(t *testing.T, c *Cluster, config document.Config) {
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
	})
}

func TestRealTemplateOfAPersonIsSeen(t *testing.T) {
	realClusters(t, func(t *testing.T, c *Cluster, config document.Config) {
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
	})
}

func TestRealTemplateThatLosesIsReported(t *testing.T) {
	realClusters(t, func(t *testing.T, c *Cluster, config document.Config) {
		installed(t, c, planned(t, c, config, nil, Absent))
		other := object{"index_patterns": []string{config.IndexPrefix + "-*"}, "priority": 500, "template": object{"settings": object{"number_of_shards": 1}}}
		if err := c.do(t.Context(), http.MethodPut, "/_index_template/other-"+config.IndexPrefix, other, nil); err != nil {
			t.Fatal(err)
		}
		if e := effect(t, c, config); e.Ours || e.Winner != "other-"+config.IndexPrefix {
			t.Errorf("got the effect %+v, want other-%s to win", e, config.IndexPrefix)
		}
	})
}

func TestRealIndexOfBeforeIsNamed(t *testing.T) {
	realClusters(t, func(t *testing.T, c *Cluster, config document.Config) {
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
	})
}
