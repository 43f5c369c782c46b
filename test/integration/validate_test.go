package integration

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/shipperd/shipperd/test/daemon"
)

func TestValidateSaysHowRealPeersStand(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, kinesisURL, searchURL string) {
		name := uniqueName(t)
		newStream(t, kinesisURL, name, 2)
		index := daemon.NewIndex(t, searchURL, name)
		d := prepare(t, kinesisURL, searchURL, name)
		says := func(want ...string) {
			t.Helper()
			code, out, errs := d.Run("validate", "--check-environment")
			if code != 0 {
				t.Errorf("got exit %d, want 0: %s", code, errs)
			}
			for _, want := range append(want, "ACTIVE, 2 open shards", "takes bulk requests") {
				if !strings.Contains(out, want) {
					t.Errorf("got %s\nwant %q in it", out, want)
				}
			}
		}
		says("absent; the daemon puts it")
		today := name + time.Now().UTC().Format("-2006.01.02") // as another writer makes it
		index.Ask(http.MethodPut, "/"+today, `{"mappings":{"properties":{"@message":{"type":"text"}}}}`, new(struct{}))
		if code, out, errs := d.Run("setup", "--replicas", "0"); code != 0 {
			t.Fatalf("setup: got exit %d, want 0\n%s%s", code, out, errs)
		}
		says("new indices get it", today+" had other mappings first")
	})
}
