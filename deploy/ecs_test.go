package deploy_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shipperd/shipperd/pkg/checkpoint"
	"github.com/shipperd/shipperd/pkg/deadletter"
)

const taskFile = "ecs/task-definition.json"

func TestTaskKeepsStateOnEFSAndNothingOnItsOwnDisk(t *testing.T) {
	task := readJSON(t, taskFile)
	container := at(t, task, "containerDefinitions", 0)
	if got := at(t, container, "readonlyRootFilesystem"); got != true {
		t.Errorf("read-only root %v, want true", got)
	}
	mounted := at(t, container, "mountPoints", 0, "containerPath").(string)
	for _, path := range []string{checkpoint.DefaultConfig().File, deadletter.DefaultConfig().Dir} {
		if !strings.HasPrefix(path, mounted+"/") {
			t.Errorf("the daemon writes %s, want it below %s", path, mounted)
		}
	}
	if got := at(t, task, "volumes", 0, "name"); got != at(t, container, "mountPoints", 0, "sourceVolume") {
		t.Errorf("volume %v is not the one mounted", got)
	}
	for _, key := range []string{"transitEncryption", "fileSystemId"} {
		at(t, task, "volumes", 0, "efsVolumeConfiguration", key)
	}
}

func TestTaskDrainsBeforeItIsKilled(t *testing.T) {
	container := at(t, readJSON(t, taskFile), "containerDefinitions", 0)
	const kill = 120 * time.Second // Fargate's most
	if seconds := at(t, container, "stopTimeout"); seconds != kill.Seconds() {
		t.Errorf("stop timeout %v s, want %v", seconds, kill)
	}
	drain, err := time.ParseDuration(settings(t, at(t, container, "environment"), "name", "value")["SHIPPERD_PIPELINE_DRAIN_TIMEOUT"])
	if err != nil || drain >= kill {
		t.Errorf("drain timeout %v (%v), want less than %v", drain, err, kill)
	}
}

func TestTaskLogsToAGroupOfItsOwn(t *testing.T) {
	group := at(t, readJSON(t, taskFile), "containerDefinitions", 0, "logConfiguration", "options", "awslogs-group").(string)
	if !strings.HasPrefix(group, "/shipperd/") {
		t.Errorf("own log group %s, want one that no subscription covers", group)
	}
}

// The file and the template's task differ in the spelling of keys, and the template names the log groups.
func TestTemplateRunsTheSameTask(t *testing.T) {
	inTemplate := at(t, readTemplate(t).resources, "DaemonTask", "Properties", "ContainerDefinitions", 0)
	inFile := at(t, readJSON(t, taskFile), "containerDefinitions", 0)
	for fileKey, templateKey := range map[string]string{
		"command": "Command", "user": "User", "readonlyRootFilesystem": "ReadonlyRootFilesystem", "stopTimeout": "StopTimeout",
		"healthCheck": "HealthCheck", "linuxParameters": "LinuxParameters", "mountPoints": "MountPoints",
	} {
		want, got := lowerKeys(at(t, inFile, fileKey)), lowerKeys(at(t, inTemplate, templateKey))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-file +template):\n%s", fileKey, diff)
		}
	}
	want := settings(t, at(t, inFile, "environment"), "name", "value")
	got := settings(t, at(t, inTemplate, "Environment"), "Name", "Value")
	delete(got, "SHIPPERD_GROUPS")
	for _, key := range []string{"SHIPPERD_KINESIS_STREAM", "SHIPPERD_ELASTICSEARCH_ENDPOINTS"} {
		want[key], got[key] = "", ""
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("environment (-file +template):\n%s", diff)
	}
}

// settings turns a list of name and value pairs into a map.
func settings(t *testing.T, list any, name, value string) map[string]string {
	t.Helper()
	pairs := map[string]string{}
	for _, pair := range list.([]any) {
		pairs[at(t, pair, name).(string)] = fmt.Sprint(at(t, pair, value))
	}
	return pairs
}

// lowerKeys writes value as text with all keys in lower case, so that ECS's and CloudFormation's spellings compare.
func lowerKeys(value any) string {
	switch value := value.(type) {
	case tree:
		var parts []string
		for key, inner := range value {
			parts = append(parts, strings.ToLower(key)+": "+lowerKeys(inner))
		}
		slices.Sort(parts)
		return "{" + strings.Join(parts, ", ") + "}"
	case []any:
		var parts []string
		for _, inner := range value {
			parts = append(parts, lowerKeys(inner))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case string:
		return value
	}
	text, _ := json.Marshal(value)
	return string(text)
}
