package subscription

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	kinesistypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/shipperd/shipperd/pkg/format/pattern"
)

func ignore(Row) {}

func TestPlanOf500GroupsUnderThrottlingEndsWithATableAndNoWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		for i := range 500 {
			name := fmt.Sprintf("/aws/lambda/f%03d", i)
			f.groups[name] = newFake(name).groups[name]
		}
		dice := rand.New(rand.NewPCG(1, 2))
		f.fault = func(int, string) error {
			if dice.IntN(10) < 7 {
				return &types.ThrottlingException{Message: aws.String("Rate exceeded")}
			}
			return nil
		}
		start := time.Now()
		plan := mustPlan(t, f, request("/aws/lambda/*"))
		if got := plan.Count(Create); got != 500 {
			t.Errorf("got %d groups to create, want 500", got)
		}
		if f.writes != 0 {
			t.Errorf("got %d writes, want none", f.writes)
		}
		if rate := float64(f.calls-1) / time.Since(start).Seconds(); rate > 5 {
			t.Errorf("got %.1f calls a second, want 5 at most", rate)
		}
		var table strings.Builder
		if err := plan.WriteTable(&table); err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(table.String(), "create  /aws/lambda/f"); got != 500 {
			t.Errorf("got %d rows in the table, want 500", got)
		}
		if want := "500 to create, 0 to update, 0 to remove, 0 to keep, 0 refused\n"; !strings.Contains(table.String(), want) {
			t.Errorf("the table lacks %q", want)
		}
	})
}

func TestThirdFilterIsRefusedBeforeAnyWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake("AccessLogGroup", "SSHLogGroup")
		f.has("SSHLogGroup", "LambdaStream_logs", "arn:aws:lambda:"+region+":"+account+":function:LogsToElasticsearch")
		f.has("SSHLogGroup", "audit", "arn:aws:firehose:"+region+":"+account+":deliverystream/audit")
		plan := mustPlan(t, f, request("*"))
		want := []Row{
			{"AccessLogGroup", Create, "it has no filter"},
			{"SSHLogGroup", Refuse, `it has 2 filters, "LambdaStream_logs" and "audit", and CloudWatch Logs takes no third; ` +
				"remove one, plan with its name to replace it, or let that filter's reader read this stream too"},
		}
		if diff := cmp.Diff(want, plan.Rows); diff != "" {
			t.Errorf("rows (-want +got):\n%s", diff)
		}
		if err := f.manager().Apply(t.Context(), plan, ignore); !errors.Is(err, ErrRefused) {
			t.Errorf("Apply: got %v, want %v", err, ErrRefused)
		}
		if f.writes != 0 {
			t.Errorf("got %d writes, want none, not for the other group either", f.writes)
		}
	})
}

func TestPlanDecidesByWhatIsThere(t *testing.T) {
	const other = "arn:aws:kinesis:" + region + ":" + account + ":stream/other"
	const function = "arn:aws:lambda:" + region + ":" + account + ":function:LogsToElasticsearch"
	for _, tt := range []struct {
		name    string
		change  func(*fakeLogs)
		request func(*Request)
		want    Action
		why     string // a part of it
	}{
		{name: "no filter", want: Create, why: "no filter"},
		{name: "beside another", change: func(f *fakeLogs) { f.has("g", "a", other) }, want: Create, why: `beside filter "a", the second and last of 2`},
		{name: "the same name elsewhere", change: func(f *fakeLogs) { f.has("g", "shipperd", other) }, want: Update,
			why: `destination "` + other + `" becomes "` + streamARN + `"`},
		{name: "a function's filter as one of two", change: func(f *fakeLogs) { f.has("g", "a", other); f.has("g", "shipperd", function) }, want: Update,
			why: `destination "` + function + `" becomes "` + streamARN + `"`},
		{name: "one of two has the name", change: func(f *fakeLogs) { f.has("g", "a", other); f.has("g", "shipperd", other) }, want: Update, why: "role"},
		{name: "another name, the same stream", change: func(f *fakeLogs) { f.has("g", "a", other); f.has("g", "b", streamARN) }, want: Refuse,
			why: `filter "b" delivers to this stream already`},
		{name: "own group", request: func(r *Request) { r.OwnGroups = []string{"/ecs/shipperd", "g*"} }, want: Refuse, why: "recursion: shipperd logs here itself"},
		{name: "own flow logs", change: func(f *fakeLogs) { f.logStreams["g"] = []string{"eni-1-all", "eni-2-all"} },
			request: func(r *Request) { r.OwnInterfaces = []string{"eni-0", "eni-2"} }, want: Refuse, why: "own network interface eni-2"},
		{name: "flow logs of others", change: func(f *fakeLogs) { f.logStreams["g"] = []string{"eni-22-all"} },
			request: func(r *Request) { r.OwnInterfaces = []string{"eni-2"} }, want: Create},
		{name: "infrequent access", change: func(f *fakeLogs) {
			g := f.groups["g"]
			g.LogGroupClass = types.LogGroupClassInfrequentAccess
			f.groups["g"] = g
		}, want: Refuse, why: "INFREQUENT_ACCESS"},
		{name: "another region", change: func(f *fakeLogs) {
			g := f.groups["g"]
			g.Arn = aws.String("arn:aws:logs:eu-west-1:" + account + ":log-group:g:*")
			f.groups["g"] = g
		}, want: Refuse, why: "eu-west-1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, r := newFake("g"), request("g")
				if tt.change != nil {
					tt.change(f)
				}
				if tt.request != nil {
					tt.request(&r)
				}
				got := mustPlan(t, f, r).Rows[0]
				if got.Action != tt.want || !strings.Contains(got.Why, tt.why) {
					t.Errorf("got %s: %s, want %s: …%s…", got.Action, got.Why, tt.want, tt.why)
				}
			})
		})
	}
}

func TestApplyingTwiceWritesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake("a", "b", "c")
		r := request("*")
		r.Random, r.Pattern = true, "ERROR"
		m := f.manager()
		var done []string
		for range 2 {
			if err := m.Apply(t.Context(), mustPlan(t, f, r), func(row Row) { done = append(done, row.Group) }); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff([]string{"a", "b", "c"}, done); diff != "" || f.writes != 3 {
			t.Errorf("got %d writes, want 3; groups (-want +got):\n%s", f.writes, diff)
		}
		if got := mustPlan(t, f, r).Count(Keep); got != 3 {
			t.Errorf("afterwards %d groups are as they should be, want 3", got)
		}
		r.Pattern = ""
		if got := mustPlan(t, f, r).Rows[0]; got.Action != Update || got.Why != `pattern "ERROR" becomes ""` {
			t.Errorf("with another pattern: got %+v, want an update that names it", got)
		}
	})
}

func TestRemovalTakesOnlyTheFilterThatDeliversHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake("a", "b", "c")
		f.has("a", "shipperd", streamARN)
		f.has("b", "other", streamARN)
		f.has("c", "shipperd", streamARN+"2")
		m := f.manager()
		plan, err := m.PlanRemoval(t.Context(), Selection{Groups: []string{"*"}}, "shipperd", "logs")
		if err != nil {
			t.Fatal(err)
		}
		want := []Row{
			{"a", Remove, `filter "shipperd" delivers to this stream`},
			{"b", Keep, `it has no filter "shipperd"`},
			{"c", Refuse, `filter "shipperd" delivers to ` + streamARN + `2, not to this stream`},
		}
		if diff := cmp.Diff(want, plan.Rows); diff != "" {
			t.Errorf("rows (-want +got):\n%s", diff)
		}
		plan.Rows = plan.Rows[:2]
		for range 2 { // the second time it is gone already
			if err := m.Apply(t.Context(), plan, ignore); err != nil {
				t.Fatal(err)
			}
		}
		if len(f.filters["a"]) != 0 || len(f.filters["b"]) != 1 {
			t.Errorf("got filters %v, want a's removed and b's kept", f.filters)
		}
	})
}

func TestSelectionIsByNamePrefixAndGlobLessExceptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake("/aws/lambda/a", "/aws/lambda/b/deep", "/aws/lambda/c", "/ecs/shipperd", "SSHLogGroup", "SSHLogGroup2", "a.b", "axb")
		for _, tt := range []struct {
			groups, except, want []string
		}{
			{groups: []string{"SSHLogGroup"}, want: []string{"SSHLogGroup"}},
			{groups: []string{"SSHLogGroup*"}, want: []string{"SSHLogGroup", "SSHLogGroup2"}},
			{groups: []string{"/aws/*/*"}, except: []string{"*/c"}, want: []string{"/aws/lambda/a", "/aws/lambda/b/deep"}},
			{groups: []string{"SSH*", "SSHLogGroup", "*2"}, want: []string{"SSHLogGroup", "SSHLogGroup2"}},
			{groups: []string{"a.*"}, want: []string{"a.b"}},
		} {
			groups, err := f.manager().groups(t.Context(), Selection{Groups: tt.groups, Except: tt.except})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, g := range groups {
				got = append(got, *g.LogGroupName)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%v except %v (-want +got):\n%s", tt.groups, tt.except, diff)
			}
		}
		_, err := f.manager().groups(t.Context(), Selection{Groups: []string{"sshLogGroup", "web*"}})
		if err == nil || !strings.Contains(err.Error(), `"sshLogGroup"`) || !strings.Contains(err.Error(), `"web*"`) {
			t.Errorf("got %v, want both mistakes named", err)
		}
	})
}

func TestNothingIsPlannedForAStreamOrRoleThatCannotWork(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*fakeLogs, *Request)
		want   string
	}{
		{"no such stream", func(_ *fakeLogs, r *Request) { r.Stream = "lgos" }, "there is no such stream"},
		{"stream in creation", func(f *fakeLogs, _ *Request) { f.streamStatus = kinesistypes.StreamStatusCreating }, "is CREATING"},
		{"role of another account", func(_ *fakeLogs, r *Request) { r.Role = "arn:aws:iam::210987654321:role/x" }, "account 210987654321"},
		{"role of another partition", func(_ *fakeLogs, r *Request) { r.Role = "arn:aws-cn:iam::" + account + ":role/x" }, "aws-cn"},
		{"a user for a role", func(_ *fakeLogs, r *Request) { r.Role = "arn:aws:iam::" + account + ":user/x" }, "want the ARN of the role"},
		{"broken pattern", func(_ *fakeLogs, r *Request) { r.Pattern = "[a, b" }, "pattern: "},
		{"filter name", func(_ *fakeLogs, r *Request) { r.Filter = "a:b" }, "filter name"},
		{"no groups", func(_ *fakeLogs, r *Request) { r.Groups = nil }, "groups: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, r := newFake("g"), request("g")
				tt.change(f, &r)
				_, err := f.manager().Plan(t.Context(), r)
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got %v, want an error with %q", err, tt.want)
				}
			})
		})
	}
}

func TestApplyExplainsWhatCloudWatchRefuses(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&types.InvalidParameterException{Message: aws.String("Could not deliver test message to specified Kinesis stream.")}, "kinesis:PutRecord on " + streamARN},
		{&types.AccessDeniedException{}, "iam:PassRole on " + role},
		{&types.LimitExceededException{}, "another filter since the plan"},
		{&types.ResourceNotFoundException{}, "has gone since the plan"},
		{&smithy.GenericAPIError{Code: "ExpiredToken"}, "ExpiredToken"},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake("a", "b")
			f.fault = func(_ int, op string) error {
				if op == "PutSubscriptionFilter" {
					return tt.err
				}
				return nil
			}
			plan, calls := mustPlan(t, f, request("*")), f.calls
			err := f.manager().Apply(t.Context(), plan, ignore)
			if !errors.Is(err, tt.err) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q and the cause", err, tt.want)
			}
			if got := f.calls - calls; got != 1 {
				t.Errorf("%v: got %d calls, want one: it does not heal, and the second group would fail as well", tt.err, got)
			}
		})
	}
}

func TestPlanAdvisesTheEmptyPatternForWebAndSSHLogs(t *testing.T) {
	want := map[string]string{"apache": "common format", "sshd": "1,602", "cloudtrail": "", "vpcflow": "", "empty": ""}
	for _, p := range Presets() {
		synctest.Test(t, func(t *testing.T) {
			r := request("g")
			r.Pattern = p.Pattern
			advice := strings.Join(mustPlan(t, newFake("g"), r).Advice, "\n")
			if got := strings.Contains(advice, "empty pattern is better"); got != (want[p.Name] != "") || !strings.Contains(advice, want[p.Name]) {
				t.Errorf("%s: got advice %q, want one with %q", p.Name, advice, want[p.Name])
			}
		})
	}
	for name, fields := range map[string]int{"apache": 9, "sshd": 12, "cloudtrail": 0, "vpcflow": 14, "empty": 0} {
		p, err := pattern.Parse(preset(t, name))
		if err != nil || len(p.Names()) != fields {
			t.Errorf("%s: got the pattern %q and %v, want one of %d fields", name, preset(t, name), err, fields)
		}
	}
	if _, ok := FindPreset("nginx"); ok {
		t.Error("found a preset nginx, want none")
	}
}

func TestThreat7TablesShowControlCharactersInsteadOfObeyingThem(t *testing.T) {
	plan := Plan{Rows: []Row{{Group: "a\x1b]0;x\a\tb\n\u202e", Action: Keep, Why: `filter "é" \o/`}}}
	var got strings.Builder
	if err := plan.WriteTable(&got); err != nil {
		t.Fatal(err)
	}
	want := `keep    a\x1b]0;x\a\tb\n\u202e  filter "é" \o/`
	if lines := strings.Split(got.String(), "\n"); lines[1] != want {
		t.Errorf("got %q, want %q", lines[1], want)
	}
}

func TestStatusShowsEachFilterOfEachGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake("a", "b")
		if err := f.manager().Apply(t.Context(), mustPlan(t, f, request("a")), ignore); err != nil {
			t.Fatal(err)
		}
		status, err := f.manager().Status(t.Context(), Selection{Groups: []string{"*"}})
		if err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		if err := status.WriteTable(&got); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"a          shipperd  2026-11-23 00:08:27  " + streamARN + `  ""`, "b          none"} {
			if !strings.Contains(got.String(), want) {
				t.Errorf("got\n%s\nwant a line with %q", got.String(), want)
			}
		}
	})
}
