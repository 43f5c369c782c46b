package template

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/shipperd/shipperd/pkg/document"
	"github.com/shipperd/shipperd/pkg/elastic"
)

// fakeCluster is a cluster's templates in this process. It is used by one goroutine.
type fakeCluster struct {
	version string // of Elasticsearch
	stored  map[string]object
	puts    []string
	fault   func(r *http.Request) (status int, err error)
}

func (c *fakeCluster) RoundTrip(r *http.Request) (*http.Response, error) {
	status, body := http.StatusOK, object{}
	if c.fault != nil {
		var err error
		if status, err = c.fault(r); err != nil {
			return nil, err
		}
	}
	if status == http.StatusOK {
		status, body = c.answer(r)
	}
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(string(text)))}, nil
}

func (c *fakeCluster) answer(r *http.Request) (status int, body object) {
	path := r.URL.Path
	name := path[strings.LastIndexByte(path, '/')+1:]
	switch {
	case path == "/":
		return http.StatusOK, object{"version": object{"number": c.version}}
	case r.Method == http.MethodPut:
		body := object{}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			return http.StatusBadRequest, nil
		}
		c.puts = append(c.puts, path)
		c.stored[path] = body
		return http.StatusOK, nil
	case strings.HasPrefix(path, "/_index_template/_simulate_index/") && c.version > "7.8":
		return http.StatusOK, object{"template": c.stored["/_index_template/shipperd-cwl"]["template"]}
	case strings.Contains(path, "/_simulate"):
		return http.StatusBadRequest, nil
	case c.stored[path] == nil:
		return http.StatusNotFound, nil
	case strings.HasPrefix(path, "/_index_template/"):
		return http.StatusOK, object{"index_templates": []any{object{"name": name, "index_template": c.stored[path]}}}
	}
	return http.StatusOK, object{name: c.stored[path]}
}

// kept is a Keeper before a fake cluster.
func kept(t *testing.T, c *fakeCluster, install bool) (*Keeper, *observer.ObservedLogs) {
	t.Helper()
	config := elastic.DefaultConfig()
	config.Endpoints = []string{"http://127.0.0.1:9200"}
	sink, err := elastic.New(t.Context(), config, elastic.Deps{Log: zap.NewNop(), Registerer: prometheus.NewRegistry(), Transport: c})
	if err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zap.InfoLevel)
	return NewKeeper(sink, document.DefaultConfig(), install, zap.New(core), prometheus.NewRegistry()), logs
}

func wantInstalled(t *testing.T, k *Keeper, want float64) {
	t.Helper()
	if got := testutil.ToFloat64(k.installed); got != want {
		t.Errorf("got shipperd_template_installed %v, want %v", got, want)
	}
}

func TestAbsentTemplateIsPutAtStart(t *testing.T) {
	for version, path := range map[string]string{"7.10.2": "/_index_template/shipperd-cwl", "7.4.0": "/_template/shipperd-cwl"} {
		c := &fakeCluster{version: version, stored: map[string]object{}}
		k, _ := kept(t, c, true)
		k.Start(t.Context())
		wantInstalled(t, k, 1)
		if !slices.Equal(c.puts, []string{path}) {
			t.Errorf("%s: got %v put, want %s", version, c.puts, path)
		}
		if again, _ := kept(t, c, true); again.Start(t.Context()) || len(c.puts) != 1 {
			t.Errorf("%s: got %v put by a second start, want nothing more", version, c.puts)
		}
	}
}

func TestStartDoesNotWaitForAClusterThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		c := &fakeCluster{version: "7.10.2", stored: map[string]object{}}
		c.fault = func(r *http.Request) (int, error) {
			if time.Since(began) < 10*time.Minute {
				<-r.Context().Done()
				return 0, errors.New("no answer")
			}
			return http.StatusOK, nil
		}
		k, logs := kept(t, c, true)
		k.Start(t.Context())
		if took := time.Since(began); took != firstTry {
			t.Errorf("got a start of %v, want %v", took, firstTry)
		}
		wantInstalled(t, k, 0)
		if err := k.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantInstalled(t, k, 1)
		if len(c.puts) != 1 || logs.FilterLevelExact(zap.WarnLevel).Len() != 1 {
			t.Errorf("got %v put and the warnings %v, want one of each", c.puts, logs.All())
		}
		if took := time.Since(began); took > 10*time.Minute+2*lastRetry {
			t.Errorf("got the template in effect after %v, want at most two tries after the cluster came back", took)
		}
	})
}

func TestKeeperMayNotPut(t *testing.T) {
	for name, test := range map[string]struct {
		install bool
		fault   func(r *http.Request) (int, error)
		warning string
	}{
		"refused": {true, func(r *http.Request) (int, error) {
			if r.Method == http.MethodPut {
				return http.StatusForbidden, nil
			}
			return http.StatusOK, nil
		}, "administrator"},
		"only checks": {false, nil, "there is no index template"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &fakeCluster{version: "7.10.2", stored: map[string]object{}, fault: test.fault}
				k, logs := kept(t, c, test.install)
				k.Start(t.Context())
				wantInstalled(t, k, 0)
				ctx, cancel := context.WithTimeout(t.Context(), 5*lastRetry)
				defer cancel()
				if err := k.Run(ctx); err != nil {
					t.Fatal(err)
				}
				if all := logs.All(); len(all) != 1 || !strings.Contains(all[0].Message, test.warning) || len(c.puts) != 0 {
					t.Errorf("got %v put and the log %v, want nothing put and one line with %q", c.puts, all, test.warning)
				}
				// A person puts it.
				c.stored["/_index_template/shipperd-cwl"] = decode(t, New(document.DefaultConfig(), nil, "").JSON(false))
				k.Start(t.Context())
				wantInstalled(t, k, 1)
			})
		})
	}
}

// A role may be allowed to put templates and little else.
func TestKeeperThatMayNotAskTrustsWhatItPut(t *testing.T) {
	c := &fakeCluster{version: "7.17.0", stored: map[string]object{}}
	c.fault = func(r *http.Request) (int, error) {
		if strings.Contains(r.URL.Path, "_simulate_index") || strings.HasSuffix(r.URL.Path, "/_mapping") {
			return http.StatusForbidden, nil
		}
		return http.StatusOK, nil
	}
	k, _ := kept(t, c, true)
	if k.Start(t.Context()) {
		t.Error("got documents flattened into indices that could not be looked at")
	}
	wantInstalled(t, k, 1)
}

func TestKeeperChangesNothingThatIsThere(t *testing.T) {
	for name, change := range map[string]func(t object){
		"edited":      func(t object) { put(t, "keyword", "template", "mappings", "properties", "eventName", "type") },
		"of a person": func(t object) { delete(t["template"].(object)["mappings"].(object), "_meta") },
		"newer":       func(t object) { put(t, 99, "template", "mappings", "_meta", "shipperd", "version") },
	} {
		c := &fakeCluster{version: "7.10.2", stored: map[string]object{}}
		there := decode(t, New(document.DefaultConfig(), nil, "").JSON(false))
		change(there)
		c.stored["/_index_template/shipperd-cwl"] = there
		k, _ := kept(t, c, true)
		if k.Start(t.Context()); len(c.puts) != 0 {
			t.Errorf("%s: got %v put, want nothing", name, c.puts)
		}
	}
}

func decode(t *testing.T, text []byte) (o object) {
	t.Helper()
	if err := json.Unmarshal(text, &o); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestStatesOfATemplate(t *testing.T) {
	shop := document.DefaultConfig()
	shop.Groups = []document.Group{{IndexPrefix: "cwl-shop", Columns: "[a, b]"}}
	for name, test := range map[string]struct {
		there  func() object
		config document.Config
		want   State
	}{
		"nothing there":       {func() object { return nil }, shop, Absent},
		"the same":            {func() object { return decode(t, New(shop, nil, "").JSON(false)) }, shop, Current},
		"with other settings": {func() object { return decode(t, New(shop, Settings{Shards: "9"}, "").JSON(false)) }, shop, Current},
		"of other groups":     {func() object { return decode(t, New(document.DefaultConfig(), nil, "").JSON(false)) }, shop, Older},
		"of a later shipperd": {func() object {
			there := decode(t, New(document.DefaultConfig(), nil, "").JSON(false))
			put(there, 99, "template", "mappings", "_meta", "shipperd", "version")
			return there
		}, shop, Newer},
		"edited": {func() object {
			there := decode(t, New(shop, nil, "").JSON(false))
			put(there, "strict", "template", "mappings", "dynamic")
			return there
		}, shop, Edited},
	} {
		c := &fakeCluster{version: "7.10.2", stored: map[string]object{}}
		if there := test.there(); there != nil {
			c.stored["/_index_template/shipperd-cwl"] = there
		}
		k, _ := kept(t, c, false)
		cluster, err := Open(t.Context(), k.sink)
		if err != nil {
			t.Fatal(err)
		}
		p, err := cluster.Plan(t.Context(), test.config, nil)
		if err != nil || p.State != test.want || (len(p.Diff) == 0) != (test.want == Current) {
			t.Errorf("%s: got %s with %d lines of difference, %v, want %s", name, p.State, len(p.Diff), err, test.want)
		}
	}
}

func TestDialectsHaveTheirOwnMappings(t *testing.T) {
	for dialect, want := range map[document.Dialect]string{
		document.Standard:   "@timestamp date, timestamp text, status long, source.ip ip, dynamic false",
		document.SolutionV4: "@timestamp date, timestamp date, status long, source.ip ip, dynamic false",
		document.Lambda:     "@timestamp date, timestamp <nil>, status <nil>, source.ip <nil>, dynamic <nil>",
	} {
		config := document.DefaultConfig()
		config.Dialect = dialect
		mapping := mappingOf(config, "")
		var got []string
		for _, path := range []string{"@timestamp", "timestamp", "status", "source.ip"} {
			got = append(got, path+" "+fmt.Sprint(mappingAt(mapping["properties"].(object), path)["type"]))
		}
		got = append(got, "dynamic "+fmt.Sprint(mapping["dynamic"]))
		if strings.Join(got, ", ") != want {
			t.Errorf("%s: got %s, want %s", dialect, strings.Join(got, ", "), want)
		}
	}
}
