// Package story is the analysis lab from its log groups to its dashboards, with the
// real binary between real servers: logs are put into CloudWatch Logs, `shipperd
// subscribe` attaches their groups to a stream, `shipperd backfill` loads what was
// there before and `shipperd run` what comes after. Then the lab's analyses have to
// find what a direct count over the lines finds, on Elasticsearch and OpenSearch.
//
// LocalStack's defects are worked round here: it applies no filter pattern, makes no
// extracted fields, and numbers the events of a group with a pattern anew for its
// subscription, so that history and stream may overlap only where the pattern is
// empty.
package story

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shipperd/shipperd/pkg/demo"
	"github.com/shipperd/shipperd/test/daemon"
	"github.com/shipperd/shipperd/test/servers"
)

// formats are the lab's log groups with the formats that they are subscribed in: two
// patterns of the lab's own, and two that the service has.
func formats() map[string]string {
	return map[string]string{
		demo.AccessLogGroup:     "apache",
		demo.SSHLogGroup:        "sshd",
		demo.CloudTrailLogGroup: "cloudtrail",
		demo.VPCFlowLogGroup:    "vpcflow",
	}
}

// overlapping is the group whose pattern is empty.
const overlapping = demo.CloudTrailLogGroup

const patience = 3 * time.Minute

// timeline says when the lab's events happen. All are of one day, so that they meet
// in one index, and within the two weeks that CloudWatch Logs takes.
type timeline struct{ start, subscribed, end time.Time }

func yesterday() timeline {
	noon := time.Now().UTC().Truncate(24 * time.Hour).Add(-12 * time.Hour)
	return timeline{noon, noon.Add(time.Hour), noon.Add(2 * time.Hour)}
}

// engine is a search engine. One is set up before anything is indexed; in the other
// the template is left to the first command that indexes.
type engine struct {
	name, url string
	setUp     bool
}

func TestLabFindsItsAttackers(t *testing.T) {
	engines := []engine{
		{"Elasticsearch", servers.Elasticsearch(t), true},
		{"OpenSearch", servers.OpenSearch(t), false},
	}
	aws := newAccount(t, servers.LocalStack(t))
	binary := filepath.Join(t.TempDir(), "shipperd")
	if err := daemon.Build(t.Context(), binary); err != nil {
		t.Fatal(err)
	}
	shipperd := newShipperd(t, binary, aws, &daemon.Index{})
	when := yesterday()
	history, live := labEvents(t, when)

	aws.createGroups(slices.Concat(history, live))
	aws.put(history)
	subscribe(t, shipperd, aws)
	refuseThird(t, shipperd, aws)
	aws.put(live)
	compareIDs(t, aws, live)

	unsubscribe(t, shipperd, aws)

	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			lab := daemon.NewIndex(t, e.url, "story-"+aws.id)
			shipperd := newShipperd(t, binary, aws, lab)
			if e.setUp {
				setUp(t, shipperd)
			}
			loadHistory(t, shipperd, aws, when)
			readStream(t, shipperd, live)
			lab.Ask(http.MethodPost, "/"+lab.Prefix+"-*/_refresh", "", new(struct{}))
			wantOnce(t, lab, slices.Concat(history, live))
			wantAnalyses(t, lab, slices.Concat(history, live))
			wantDrawn(t, lab)
		})
	}
}

// subscribe attaches each group in its format, and once more, which changes nothing.
func subscribe(t *testing.T, shipperd *daemon.Test, aws *account) {
	t.Helper()
	for _, want := range []string{"create", "keep"} {
		for group, format := range formats() {
			args := append([]string{"subscribe", "apply", "--group", group, "--format", format}, aws.destination()...)
			code, table := run(t, shipperd, args...)
			if got := actions(table); code != 0 || got[group] != want {
				t.Fatalf("%v: got exit %d and the actions %v, want 0 and %s:\n%s", args, code, got, want, table)
			}
		}
	}
}

// unsubscribe takes the filters off again. What they have delivered is on the stream.
func unsubscribe(t *testing.T, shipperd *daemon.Test, aws *account) {
	t.Helper()
	for group := range formats() {
		args := append([]string{"subscribe", "remove", "--yes", "--group", group, "--stream", stream}, aws.flags()...)
		code, table := run(t, shipperd, args...)
		if left := aws.filters(group); code != 0 || actions(table)[group] != "remove" || len(left) > 0 {
			t.Errorf("%v: got exit %d and left %q, want 0 and no filter:\n%s", args, code, left, table)
		}
	}
}

// setUp runs setup, and once more, which finds nothing to do.
func setUp(t *testing.T, shipperd *daemon.Test) {
	t.Helper()
	for range 2 {
		if code, out := run(t, shipperd, "setup", "--replicas", "0"); code != 0 {
			t.Fatalf("setup: got exit %d, want 0:\n%s", code, out)
		}
	}
}

// actions reads what a plan's table says of each log group.
func actions(table string) map[string]string {
	rows := make(map[string]string)
	for line := range strings.Lines(table) {
		if words := strings.Fields(line); len(words) > 2 && strings.Contains("create update keep remove refuse", words[0]) {
			rows[words[1]] = words[0]
		}
	}
	return rows
}

// refuseThird plans a third filter for a group that has two, together with a group
// that has none. The plan has advice, and nothing of it is written.
func refuseThird(t *testing.T, shipperd *daemon.Test, aws *account) {
	t.Helper()
	aws.createGroup("full")
	aws.createGroup("free")
	for _, filter := range []string{"LambdaStream_logs", "audit"} {
		aws.subscribeOther("full", filter)
	}
	args := append([]string{"--group", "full", "--group", "free", "--filter", "third"}, aws.destination()...)
	for sub, exit := range map[string]int{"plan": 0, "apply": 1} {
		code, table := run(t, shipperd, append([]string{"subscribe", sub}, args...)...)
		if diff := cmp.Diff(map[string]string{"full": "refuse", "free": "create"}, actions(table)); code != exit || diff != "" {
			t.Errorf("%s: got exit %d, want %d, and actions (-want +got):\n%s", sub, code, exit, diff)
		}
		if want := "remove one, plan with its name to replace it"; !strings.Contains(table, want) {
			t.Errorf("%s: got the table\n%s\nwant the advice %q", sub, table, want)
		}
	}
	want := map[string][]string{"full": {"LambdaStream_logs", "audit"}, "free": nil}
	for group, filters := range want {
		if got := aws.filters(group); !slices.Equal(got, filters) {
			t.Errorf("filters of %s: got %q, want %q", group, got, filters)
		}
	}
}

// compareIDs compares what FilterLogEvents and the subscription call an event. What
// LocalStack does says nothing about AWS, so one of each group is printed.
func compareIDs(t *testing.T, aws *account, live []demo.Event) {
	t.Helper()
	delivered := aws.delivered()
	for group := range formats() {
		found := aws.found(group)
		compared := 0
		for _, e := range live {
			history, stream := found[identity(e)], delivered[identity(e)]
			if e.Group != group || len(history) != 1 || len(stream) != 1 {
				continue // another group, or lines that are equal in all but the id
			}
			if compared++; compared == 1 {
				t.Logf("%s: FilterLogEvents calls an event %q, its subscription %q", group, history[0], stream[0])
			}
			if group == overlapping && history[0] != stream[0] {
				t.Errorf("%.200s: got the id %q by FilterLogEvents, want %q as by subscription", e.Message, history[0], stream[0])
			}
		}
		if compared == 0 {
			t.Errorf("%s: no event could be compared", group)
		}
	}
}

// loadHistory backfills all groups. One of them reaches over all that the stream has
// of it; its backfill is killed and resumed.
func loadHistory(t *testing.T, shipperd *daemon.Test, aws *account, when timeline) {
	t.Helper()
	for group := range formats() {
		args := []string{"backfill", "--region", region, "--group", group, "--from", when.start.Format(time.RFC3339), "--to"}
		if group == overlapping {
			args = append(args, when.end.Format(time.RFC3339))
			killBackfill(t, shipperd, aws, args)
			args = []string{"backfill", "--region", region, "--resume"}
		} else {
			args = append(args, when.subscribed.Format(time.RFC3339))
		}
		if code, out := run(t, shipperd, append(args, "--endpoint", aws.url)...); code != 0 {
			t.Fatalf("%v: got exit %d, want 0:\n%s", args, code, out)
		}
	}
}

// killBackfill kills a backfill that reads its second hour; what of the first has
// been indexed then is not known.
func killBackfill(t *testing.T, shipperd *daemon.Test, aws *account, args []string) {
	t.Helper()
	ctx, kill := context.WithCancel(t.Context())
	defer kill()
	url := aws.behind(t, func(hour int) bool {
		if hour > 1 {
			kill()
		}
		return hour == 1
	})
	const killed = -1
	if code, out, errs := shipperd.RunContext(ctx, append(args, "--endpoint", url)...); code != killed {
		t.Fatalf("%v: got exit %d before it was killed:\n%s%s", args, code, out, errs)
	}
}

// readStream runs the daemon until all that is on the stream has settled. What the
// history had already is a duplicate.
func readStream(t *testing.T, shipperd *daemon.Test, live []demo.Event) {
	t.Helper()
	overlap := 0
	for _, e := range live {
		if e.Group == overlapping {
			overlap++
		}
	}
	shipperd.Start()
	shipperd.Await(func() error {
		m := shipperd.Scrape()
		indexed, duplicate := m.Outcome("indexed"), m.Outcome("duplicate")
		if indexed+duplicate < len(live) {
			return fmt.Errorf("got %d events indexed and %d there already, want %d together", indexed, duplicate, len(live))
		}
		if indexed+duplicate > len(live) || duplicate != overlap {
			t.Errorf("got %d events indexed and %d there already, want %d together and %d there already", indexed, duplicate, len(live), overlap)
		}
		return nil
	})
	shipperd.Terminate()
}

// wantOnce checks that the index has all that was put, each once and nothing else.
func wantOnce(t *testing.T, lab *daemon.Index, put []demo.Event) {
	t.Helper()
	want := make(map[string]int)
	for _, e := range put {
		want[identity(e)]++
	}
	got := identities(t, lab)
	for id, n := range want {
		if got[id] != n {
			t.Errorf("got %d documents, want %d, of %.200s", got[id], n, id)
		}
		delete(got, id)
	}
	if len(got) > 0 {
		t.Errorf("got %d documents that were not put", len(got))
	}
}

// identity tells events apart but for those that are equal in everything.
func identity(e demo.Event) string {
	return fmt.Sprintf("%s/%s %d %s", e.Group, e.Stream, e.Time.UnixMilli(), e.Message)
}
