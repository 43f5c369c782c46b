package template

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/shipperd/shipperd/pkg/document"
)

func TestLifecycleIsThatOfTheEngine(t *testing.T) {
	for name, test := range map[string]struct {
		list    string // the API that there is
		refusal int    // of all others
		path    string
		setting string
	}{
		"Elasticsearch":          {"/_ilm/policy", http.StatusNotFound, "/_ilm/policy/shipperd-cwl", "shipperd-cwl"},
		"Amazon's Elasticsearch": {"/_opendistro/_ism/policies", http.StatusUnauthorized, "/_opendistro/_ism/policies/shipperd-cwl", ""},
		"Elasticsearch OSS":      {"", http.StatusBadRequest, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := &fakeCluster{version: "7.10.2", stored: map[string]object{test.list: {}}}
			c.fault = func(r *http.Request) (int, error) {
				if r.URL.Path != "/" && (test.list == "" || !strings.HasPrefix(r.URL.Path, test.list)) {
					return test.refusal, nil
				}
				return http.StatusOK, nil
			}
			k, _ := kept(t, c, true)
			cluster, err := Open(t.Context(), k.sink)
			if err != nil {
				t.Fatal(err)
			}
			config := document.DefaultConfig()
			l, err := cluster.Lifecycle(t.Context(), config, 30)
			if test.list == "" {
				if !errors.Is(err, ErrNoLifecycle) {
					t.Errorf("got %v, want that there is none", err)
				}
				return
			}
			if err != nil || l.State != Absent || l.Path != test.path || l.Setting[policy] != test.setting {
				t.Fatalf("got %+v, %v, want it absent at %s", l, err, test.path)
			}
			if err := cluster.PutLifecycle(t.Context(), l); err != nil {
				t.Fatal(err)
			}
			for days, want := range map[int]State{30: Current, 60: Edited} {
				if l, err := cluster.Lifecycle(t.Context(), config, days); err != nil || l.State != want {
					t.Errorf("%d days: got %+v, %v, want %s", days, l, err, want)
				}
			}
		})
	}
}
