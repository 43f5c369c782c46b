package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/shipperd/shipperd/deploy/kibana"
)

// fakeCluster is what setup asks of an OpenSearch of Amazon's, and no more.
type fakeCluster struct {
	mu     sync.Mutex
	puts   []string                  // paths
	stored map[string]map[string]any // by path: what was put last
	denied bool                      // to put
}

func (c *fakeCluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	reply := func(status int, v any) {
		w.WriteHeader(status)
		if err := json.NewEncoder(w).Encode(v); err != nil {
			panic(err)
		}
	}
	type object = map[string]any
	switch path := r.URL.Path; {
	case path == "/":
		reply(200, object{"version": object{"distribution": "opensearch", "number": "2.19.0"}})
	case r.Method == http.MethodPut && c.denied:
		reply(403, object{"error": object{"type": "security_exception", "reason": "no permissions"}})
	case r.Method == http.MethodPut:
		var body object
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			panic(err)
		}
		c.puts = append(c.puts, r.RequestURI)
		c.stored[path] = body
		reply(200, object{"acknowledged": true})
	case path == "/_index_template/_simulate", path == "/_plugins/_ism/policies":
		reply(200, object{})
	case strings.HasPrefix(path, "/_index_template/_simulate_index/"):
		reply(200, object{"template": c.stored["/_index_template/shipperd-cwl"]["template"]})
	case c.stored[path] == nil:
		reply(404, object{"error": object{"type": "resource_not_found_exception"}})
	case strings.HasPrefix(path, "/_index_template/"):
		reply(200, object{"index_templates": []object{{"name": "shipperd-cwl", "index_template": c.stored[path]}}})
	default:
		answer := object{"_seq_no": 7, "_primary_term": 2}
		maps.Copy(answer, c.stored[path])
		reply(200, answer)
	}
}

// fakeKibana keeps saved objects as Kibana does, and answers 200 to every import.
type fakeKibana struct {
	mu       sync.Mutex
	objects  map[string]map[string]any // by type/id
	imported int
	refuse   string // an id
}

func (k *fakeKibana) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if r.Header.Get("kbn-xsrf") == "" || r.Header.Get("osd-xsrf") == "" {
		http.Error(w, `{"statusCode":400,"error":"Bad Request","message":"Request must contain a kbn-xsrf header."}`, http.StatusBadRequest)
		return
	}
	type object = map[string]any
	answer := object{}
	switch r.URL.Path {
	case "/base/api/saved_objects/_bulk_get":
		var names []struct{ Type, ID string }
		if err := json.NewDecoder(r.Body).Decode(&names); err != nil {
			panic(err)
		}
		found := []object{}
		for _, name := range names {
			o := k.objects[name.Type+"/"+name.ID]
			if o == nil {
				o = object{"type": name.Type, "id": name.ID, "error": object{"statusCode": 404}}
			}
			found = append(found, o)
		}
		answer["saved_objects"] = found
	case "/base/api/saved_objects/_import":
		k.take(r, answer)
	default:
		http.NotFound(w, r)
		return
	}
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		panic(err)
	}
}

func (k *fakeKibana) take(r *http.Request, answer map[string]any) {
	file, header, err := r.FormFile("file")
	if err != nil || !strings.HasSuffix(header.Filename, ".ndjson") {
		panic(fmt.Sprint("not a file of saved objects: ", err))
	}
	count, errs := 0, []any{}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var o map[string]any
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			panic(err)
		}
		key := fmt.Sprint(o["type"], "/", o["id"])
		if k.refuse == o["id"] || k.objects[key] != nil && r.URL.Query().Get("overwrite") != "true" {
			errs = append(errs, map[string]any{"id": o["id"], "error": map[string]any{"type": "conflict"}})
			continue
		}
		k.objects[key] = o
		k.imported++
		count++
	}
	answer["success"], answer["successCount"], answer["errors"] = len(errs) == 0, count, errs
}

// rigSetup starts both and returns the command line for them.
func rigSetup(t *testing.T) (*fakeCluster, *fakeKibana, func(args ...string) (int, string)) {
	cluster := &fakeCluster{stored: map[string]map[string]any{}}
	boards := &fakeKibana{objects: map[string]map[string]any{}}
	clusterServer, kibanaServer := httptest.NewServer(cluster), httptest.NewServer(boards)
	t.Cleanup(clusterServer.Close)
	t.Cleanup(kibanaServer.Close)
	return cluster, boards, func(args ...string) (int, string) {
		args = append([]string{"setup", "--kibana", kibanaServer.URL + "/base",
			"--set", "elasticsearch.endpoints=" + clusterServer.URL}, args...)
		code, stdout, stderr := command(t, args...)
		return code, stdout + stderr
	}
}

func TestSetupMayBeRepeated(t *testing.T) {
	cluster, boards, run := rigSetup(t)
	objects := strings.Count(string(kibana.Objects()), "\n")
	if code, said := run("--dry-run", "--retention", "30d"); code != exitDone || len(cluster.puts) != 0 || boards.imported != 0 {
		t.Errorf("dry run: got exit %d, %v put and %d objects imported, want nothing: %s", code, cluster.puts, boards.imported, said)
	}
	if code, said := run("--retention", "30d"); code != exitDone || len(cluster.puts) != 2 || boards.imported != objects {
		t.Fatalf("got exit %d, %v put and %d objects imported, want a policy, a template and %d: %s", code, cluster.puts, boards.imported, objects, said)
	}
	code, said := run("--retention", "30d")
	if code != exitDone || len(cluster.puts) != 2 || boards.imported != objects || strings.Count(said, "as wanted") != 2 {
		t.Errorf("again: got exit %d, %v put and %d imported, want nothing more: %s", code, cluster.puts, boards.imported, said)
	}
	if code, said := run("--replicas", "0"); code != exitDone || len(cluster.puts) != 3 || !strings.Contains(said, "+ template.settings.index.number_of_replicas: 0") {
		t.Errorf("other replicas: got exit %d, %v put: %s", code, cluster.puts, said)
	}
}

func TestSetupLeavesWhatAPersonHasEdited(t *testing.T) {
	cluster, boards, run := rigSetup(t)
	if code, said := run("--retention", "30d"); code != exitDone {
		t.Fatal(said)
	}
	template := cluster.stored["/_index_template/shipperd-cwl"]["template"].(map[string]any)
	template["mappings"].(map[string]any)["dynamic"] = true
	boards.objects["dashboard/shipperd-lab"]["attributes"].(map[string]any)["title"] = "Mine"
	before, imported := len(cluster.puts), boards.imported

	code, said := run("--retention", "60d")
	if code != exitFailed || len(cluster.puts) != before || boards.imported != imported {
		t.Errorf("got exit %d, %v put, %d imported, want nothing touched: %s", code, cluster.puts, boards.imported, said)
	}
	for _, want := range []string{"- template.mappings.dynamic: true", "+ template.mappings.dynamic: false", `min_index_age: 60d`, `dashboard "Lab: `} {
		if !strings.Contains(said, want) {
			t.Errorf("got %s, want %q in it", said, want)
		}
	}
	code, said = run("--retention", "60d", "--force")
	if code != exitDone || len(cluster.puts) != before+2 || boards.imported != imported+1 {
		t.Errorf("forced: got exit %d, %v put, %d imported, want all: %s", code, cluster.puts, boards.imported, said)
	}
	if got := cluster.puts[before]; !strings.HasSuffix(got, "?if_seq_no=7&if_primary_term=2") {
		t.Errorf("got the policy put at %s, want its place in the log", got)
	}
}

func TestSetupSaysWhatWasRefused(t *testing.T) {
	cluster, boards, run := rigSetup(t)
	cluster.denied, boards.refuse = true, "shipperd-lab"
	code, said := run()
	if code != exitFailed || !strings.Contains(said, "security_exception") || !strings.Contains(said, `"shipperd-lab"`) {
		t.Errorf("got exit %d and %s, want both refusals", code, said)
	}
}

func TestSetupWritesFilesForAKibanaThatNoProgramReaches(t *testing.T) {
	dir := t.TempDir()
	code, stdout, stderr := command(t, "setup", "--out", dir, "--shards", "2", "--retention", "7d", "--set", "documents.index_prefix=shop")
	if code != exitDone || !strings.Contains(stdout, "PUT _index_template/shipperd-shop") {
		t.Fatalf("got exit %d, %s, %s", code, stdout, stderr)
	}
	for file, want := range map[string]string{
		"index-template.json": `"number_of_shards": "2"`, "ism-policy.json": `"min_index_age": "7d"`, "shipperd.ndjson": `"title":"shop-*"`,
	} {
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: got %.200s, %v, want %s in it", file, text, err, want)
		}
	}
}

func TestSetupRefusesWhatItCannotMean(t *testing.T) {
	for _, args := range [][]string{{"--retention", "30"}, {"--retention", "0d"}, {"--shards", "0"}, {"--refresh", "1ms"}, {"--out", "x", "--dry-run"}} {
		if code, _, stderr := command(t, append([]string{"setup"}, args...)...); code != exitUsage {
			t.Errorf("%q: got exit %d, %s, want %d", args, code, stderr, exitUsage)
		}
	}
}
