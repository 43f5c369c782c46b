package deploy_test

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAgentSendsToTheGroupsThatDashboardsFilterOn(t *testing.T) {
	got := map[string]string{}
	files, err := filepath.Glob("cloudwatch-agent/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		for _, source := range collected(t, readJSON(t, file)) {
			got[filepath.Base(file)+" "+sourceName(source)] = source["log_group_name"].(string)
			if stream := source["log_stream_name"]; stream != "{instance_id}" {
				t.Errorf("%s: stream %v, want one for each instance", file, stream)
			}
		}
	}
	want := map[string]string{
		"httpd.json /var/log/httpd/access_log": "AccessLogGroup",
		"httpd.json /var/log/httpd/error_log":  "ErrorLogGroup",
		"secure.json /var/log/secure":          "SSHLogGroup",
		"journal.json sshd.service":            "SSHLogGroup",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sources and groups (-want +got):\n%s", diff)
	}
}

// The template's web servers write the agent's configuration themselves; it is httpd.json and secure.json in one.
func TestTemplateConfiguresTheAgentAsTheFilesDo(t *testing.T) {
	script := at(t, readTemplate(t).resources, "WebServerTemplate", "Properties", "LaunchTemplateData", "UserData", "Fn::Base64", "Fn::Sub").(string)
	_, rest, _ := strings.Cut(script, "<<'JSON'\n")
	text, _, found := strings.Cut(rest, "\nJSON\n")
	if !found {
		t.Fatal("no agent configuration in the user data")
	}
	var inTemplate tree
	// A log group's Ref is its name, and the names of resource and group are the same.
	if err := json.Unmarshal([]byte(substitution.ReplaceAllString(text, "$1")), &inTemplate); err != nil {
		t.Fatal(err)
	}
	want := slices.Concat(collected(t, readJSON(t, "cloudwatch-agent/httpd.json")), collected(t, readJSON(t, "cloudwatch-agent/secure.json")))
	if diff := cmp.Diff(want, collected(t, inTemplate)); diff != "" {
		t.Errorf("sources (-files +template):\n%s", diff)
	}
}

// collected lists the sources of an agent's configuration, files and journal units.
func collected(t *testing.T, config tree) []tree {
	t.Helper()
	var sources []tree
	for kind, collector := range at(t, config, "logs", "logs_collected").(tree) {
		for _, source := range at(t, collector, "collect_list").([]any) {
			source := source.(tree)
			if (kind == "journald") != (source["units"] != nil) || (kind == "files") != (source["file_path"] != nil) {
				t.Errorf("%s cannot collect %v", kind, source)
			}
			sources = append(sources, source)
		}
	}
	return sources
}

func sourceName(source tree) string {
	if path, ok := source["file_path"].(string); ok {
		return path
	}
	return strings.Join(texts(source["units"]), " ")
}
