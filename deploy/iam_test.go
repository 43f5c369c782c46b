package deploy_test

import (
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shipperd/shipperd/pkg/backfill"
	"github.com/shipperd/shipperd/pkg/kinesis"
	"github.com/shipperd/shipperd/pkg/subscription"
)

// The capitals that a user of a policy file replaces.
var placeholder = regexp.MustCompile(`[A-Z][A-Z-]+`)

func TestPoliciesNameEveryActionAndResource(t *testing.T) {
	files, err := filepath.Glob("iam/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no policies found: %v", err)
	}
	known := []string{"ACCOUNT", "DELIVERY-ROLE", "DOMAIN", "FILE-SYSTEM", "REGION", "STREAM"}
	for _, file := range files {
		for _, statement := range at(t, readJSON(t, file), "Statement").([]any) {
			for _, action := range texts(at(t, statement, "Action")) {
				if strings.Contains(action, "*") {
					t.Errorf("%s: action %s", file, action)
				}
			}
			for _, resource := range texts(statement.(tree)["Resource"]) {
				if resource == "*" {
					t.Errorf("%s: every resource", file)
				}
				for _, name := range placeholder.FindAllString(resource, -1) {
					if !slices.Contains(known, name) {
						t.Errorf("%s: placeholder %s, want one of %v", file, name, known)
					}
				}
			}
		}
	}
}

func TestTemplateGrantsWhatThePolicyFilesSay(t *testing.T) {
	tmpl := readTemplate(t)
	for role, file := range map[string]string{"DaemonRole": "iam/daemon.json", "SetupRole": "iam/setup.json"} {
		inline := at(t, tmpl.resources, role, "Properties", "Policies", 0, "PolicyDocument")
		if diff := cmp.Diff(grants(t, readJSON(t, file)), grants(t, inline)); diff != "" {
			t.Errorf("%s against %s (-file +template):\n%s", role, file, diff)
		}
	}
	for resource, pair := range map[string][2]string{
		"SubscriptionPolicy": {"PolicyDocument", "iam/delivery.json"},
		"Volume":             {"FileSystemPolicy", "iam/volume.json"},
	} {
		got := texts(at(t, tmpl.resources, resource, "Properties", pair[0], "Statement", 0, "Action"))
		want := texts(at(t, readJSON(t, pair[1]), "Statement", 0, "Action"))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s against %s (-file +template):\n%s", resource, pair[1], diff)
		}
	}
	for role, file := range map[string]string{"SubscriptionRole": "iam/delivery-trust.json", "SetupRole": "iam/task-trust.json"} {
		trust := at(t, tmpl.resources, role, "Properties", "AssumeRolePolicyDocument")
		if diff := cmp.Diff(conditionKeys(t, readJSON(t, file)), conditionKeys(t, trust)); diff != "" {
			t.Errorf("trust of %s against %s (-file +template):\n%s", role, file, diff)
		}
	}
}

// grants maps each statement's Sid to its actions and the keys of its conditions; resources differ by placeholders.
func grants(t *testing.T, policy any) map[string][]string {
	t.Helper()
	granted := map[string][]string{}
	for _, statement := range at(t, policy, "Statement").([]any) {
		statement := statement.(tree)
		granted[at(t, statement, "Sid").(string)] = slices.Concat(texts(statement["Action"]), conditions(statement))
	}
	return granted
}

// conditionKeys lists who may assume a role and under which condition keys.
func conditionKeys(t *testing.T, trust any) []string {
	t.Helper()
	statement := at(t, trust, "Statement", 0).(tree)
	return append(conditions(statement), fmt.Sprint(at(t, statement, "Principal", "Service")))
}

func conditions(statement tree) []string {
	var keys []string
	condition, _ := statement["Condition"].(tree)
	for operator, operands := range condition {
		for key := range maps.Keys(operands.(tree)) {
			keys = append(keys, operator+" "+key)
		}
	}
	slices.Sort(keys)
	return keys
}

// The SDK interfaces of the code and the policies say the same: a call without a permission fails in production, a permission
// without a call is one too many. What goes to the domain has no interface of its own: es:ESHttp*.
func TestPoliciesAllowTheCallsThatTheCodeMakes(t *testing.T) {
	for file, want := range map[string][]string{
		"iam/daemon.json": calls[kinesis.API]("kinesis"),
		"iam/setup.json": slices.Concat(
			calls[subscription.API]("logs"), calls[backfill.API]("logs"), calls[subscription.Streams]("kinesis"), []string{"iam:PassRole"},
		),
	} {
		var got []string
		for _, actions := range grants(t, readJSON(t, file)) {
			for _, action := range actions {
				if strings.HasPrefix(action, "kinesis:") || strings.HasPrefix(action, "logs:") || action == "iam:PassRole" {
					got = append(got, action)
				}
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(slices.Compact(want), got); diff != "" {
			t.Errorf("%s (-code +policy):\n%s", file, diff)
		}
	}
}

// calls lists the methods of an SDK interface as actions of the service.
func calls[API any](service string) []string {
	var actions []string
	for method := range reflect.TypeFor[API]().Methods() {
		actions = append(actions, service+":"+method.Name)
	}
	return actions
}
