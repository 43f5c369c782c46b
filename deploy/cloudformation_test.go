package deploy_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shipperd/shipperd/pkg/config"
)

// CloudFormation takes a template of this size from a file; a larger one has to be uploaded to S3 first.
const templateLimitBytes = 51_200

func TestTemplateFitsIntoOneRequest(t *testing.T) {
	if got := len(readFile(t, templateFile)); got > templateLimitBytes {
		t.Errorf("got %d bytes, want at most %d", got, templateLimitBytes)
	}
}

func TestTemplatePointsOnlyAtWhatExistsAndUsesEverything(t *testing.T) {
	tmpl := readTemplate(t)
	names, conditions, mappings := targets([]any{tmpl.conditions, tmpl.resources, tmpl.outputs})
	for _, name := range names {
		_, isParameter := tmpl.parameters[name]
		_, isResource := tmpl.resources[name]
		if !isParameter && !isResource && !strings.HasPrefix(name, "AWS::") {
			t.Errorf("%q is neither a parameter nor a resource", name)
		}
	}
	for what, pair := range map[string]struct {
		declared tree
		used     []string
	}{
		"parameter": {tmpl.parameters, names},
		"condition": {tmpl.conditions, conditions},
		"mapping":   {tmpl.mappings, mappings},
	} {
		for name := range pair.declared {
			if !slices.Contains(pair.used, name) {
				t.Errorf("%s %s is never used", what, name)
			}
		}
	}
	for _, name := range conditions {
		if _, ok := tmpl.conditions[name]; !ok {
			t.Errorf("condition %s does not exist", name)
		}
	}
}

// A Ref to a resource that a condition leaves out fails only at launch, and only with those parameters.
func TestEveryLaunchHasAllThatItsResourcesPointAt(t *testing.T) {
	tmpl := readTemplate(t)
	for _, given := range everyChoice(tmpl) {
		made := tmpl.launch(t, given)
		for name, resource := range made {
			names, _, _ := targets(resource)
			for _, target := range names {
				_, isResource := tmpl.resources[target]
				if _, ok := made[target]; isResource && !ok {
					t.Errorf("with %v %s points at %s, which is not made", given, name, target)
				}
			}
		}
	}
}

// everyChoice gives all combinations of the parameters that have a short list of values.
func everyChoice(tmpl template) []map[string]string {
	choices := []map[string]string{{"Image": "shipperd:1", "Release": "bucket/folder"}}
	for _, name := range slices.Sorted(maps.Keys(tmpl.parameters)) {
		allowed, _ := tmpl.parameters[name].(tree)["AllowedValues"].([]any)
		if len(allowed) != 2 {
			continue
		}
		var next []map[string]string
		for _, choice := range choices {
			for _, value := range allowed {
				with := maps.Clone(choice)
				with[name] = value.(string)
				next = append(next, with)
			}
		}
		choices = next
	}
	return choices
}

func TestTemplateGrantsNoWildcard(t *testing.T) {
	for name, statements := range policies(t, readTemplate(t)) {
		for _, statement := range statements {
			actions := texts(statement["Action"])
			for _, action := range actions {
				if strings.Contains(action, "*") {
					t.Errorf("%s: action %s", name, action)
				}
			}
			// Getting a token is the one call here for which IAM knows no narrower resource.
			if slices.Contains(texts(statement["Resource"]), "*") && !slices.Equal(actions, []string{"ecr:GetAuthorizationToken"}) {
				t.Errorf("%s: %v on every resource", name, actions)
			}
			if principal := fmt.Sprint(statement["Principal"]); principal == "*" || strings.Contains(principal, ":*]") {
				t.Errorf("%s: principal %s", name, principal)
			}
		}
	}
}

// policies gives the statements of every policy document of the template under the name of its resource, text documents included.
func policies(t *testing.T, tmpl template) map[string][]tree {
	t.Helper()
	found := map[string][]tree{}
	for name, resource := range tmpl.resources {
		walk(resource, func(object tree) {
			if text, _ := subText(object["Fn::Sub"]); strings.Contains(text, `"Statement"`) {
				object = tree{}
				if err := json.Unmarshal([]byte(text), &object); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			list, _ := object["Statement"].([]any)
			for _, statement := range list {
				found[name] = append(found[name], statement.(tree))
			}
		})
	}
	if len(found) < 10 {
		t.Fatalf("got %d policies, want those of all roles", len(found))
	}
	return found
}

func TestServiceRolesAreBoundToThisAccount(t *testing.T) {
	tmpl := readTemplate(t)
	for _, role := range []string{"SubscriptionRole", "FlowLogRole", "TrailRole", "CognitoAccessRole"} {
		trust := at(t, tmpl.resources, role, "Properties", "AssumeRolePolicyDocument", "Statement", 0, "Condition")
		if text := fmt.Sprint(trust); !strings.Contains(text, "aws:Source") {
			t.Errorf("%s trusts its service for every account: %s", role, text)
		}
	}
}

func TestNothingIsReachableFromOutsideUnlessAsked(t *testing.T) {
	tmpl := readTemplate(t)
	for _, given := range everyChoice(tmpl) {
		for name, resource := range tmpl.launch(t, given) {
			properties, _ := resource["Properties"].(tree)
			switch resource["Type"] {
			case "AWS::EC2::SecurityGroup":
				ingress, _ := properties["SecurityGroupIngress"].([]any)
				for _, rule := range ingress {
					if cidr := fmt.Sprint(rule.(tree)["CidrIp"]); strings.HasSuffix(cidr, "/0") {
						t.Errorf("%s lets %s in", name, cidr)
					}
				}
			case "AWS::OpenSearchService::Domain":
				if subnets := texts(at(t, properties, "VPCOptions", "SubnetIds")); !slices.Equal(subnets, []string{"map[Ref:PrivateSubnetA]", "map[Ref:PrivateSubnetB]"}) {
					t.Errorf("domain in %v, want the private subnets", subnets)
				}
			case "AWS::ECS::Service":
				if got := at(t, properties, "NetworkConfiguration", "AwsvpcConfiguration", "AssignPublicIp"); got != "DISABLED" {
					t.Errorf("%s: public address %v", name, got)
				}
			case "AWS::EC2::Instance":
				subnet := fmt.Sprint(properties["SubnetId"])
				if !strings.HasPrefix(name, "WebServer") && !strings.Contains(subnet, "Private") {
					t.Errorf("%s in %s, want a private subnet", name, subnet)
				}
			case "AWS::Cognito::IdentityPool":
				if got := properties["AllowUnauthenticatedIdentities"]; got != "false" {
					t.Errorf("%s: unauthenticated identities %v", name, got)
				}
			}
		}
	}
}

func TestWhatHoldsDataOutlivesTheStack(t *testing.T) {
	tmpl := readTemplate(t)
	for _, name := range []string{"Stream", "Volume", "TrailBucket"} {
		for _, policy := range []string{"DeletionPolicy", "UpdateReplacePolicy"} {
			if got := at(t, tmpl.resources, name, policy); got != "Retain" {
				t.Errorf("%s: %s %v, want Retain", name, policy, got)
			}
		}
	}
	stream := at(t, tmpl.resources, "Stream", "Properties")
	if got := at(t, stream, "StreamEncryption", "EncryptionType"); got != "KMS" {
		t.Errorf("stream encryption %v, want KMS", got)
	}
	if got := at(t, stream, "StreamModeDetails", "StreamMode"); got != "ON_DEMAND" {
		t.Errorf("stream mode %v, want ON_DEMAND", got)
	}
}

func TestProfilesGiveTheDomainsTheyPromise(t *testing.T) {
	tmpl := readTemplate(t)
	common := map[string]any{
		"InstanceCount": "2", "ZoneAwarenessEnabled": "true", "ZoneAwarenessConfig": tree{"AvailabilityZoneCount": "2"},
	}
	for _, test := range []struct {
		name          string
		given         map[string]string
		engine        string
		cluster       tree
		volumes       tree
		fineGrained   bool
		wantAuditLogs bool
	}{
		{
			name: "lab", given: map[string]string{"Profile": "lab"}, engine: "Elasticsearch_7.10",
			cluster: tree{"InstanceType": "i3.large.search", "DedicatedMasterEnabled": "false"},
			volumes: tree{"EBSEnabled": "false"},
		},
		{
			name: "lab without i3", given: map[string]string{"Profile": "lab", "DataNodeType": "r7g.large.search"}, engine: "Elasticsearch_7.10",
			cluster: tree{"InstanceType": "r7g.large.search", "DedicatedMasterEnabled": "false"},
			volumes: tree{"EBSEnabled": "true", "VolumeType": "gp3", "VolumeSize": "100"},
		},
		{
			name: "lab with disks of another type", given: map[string]string{"Profile": "lab", "DataNodeType": "r6gd.large.search", "DataVolumeGiB": "0"},
			engine:  "Elasticsearch_7.10",
			cluster: tree{"InstanceType": "r6gd.large.search", "DedicatedMasterEnabled": "false"},
			volumes: tree{"EBSEnabled": "false"},
		},
		{
			name: "production", given: map[string]string{"Profile": "production"}, engine: "OpenSearch_2.19",
			cluster: tree{
				"InstanceType": "r7g.large.search", "DedicatedMasterEnabled": "true", "DedicatedMasterType": "m7g.large.search",
				"DedicatedMasterCount": "3",
			},
			volumes:     tree{"EBSEnabled": "true", "VolumeType": "gp3", "VolumeSize": "100"},
			fineGrained: true, wantAuditLogs: true,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			domain := tmpl.launch(t, test.given)["Domain"]["Properties"].(tree)
			maps.Copy(test.cluster, common)
			for property, want := range map[string]any{
				"EngineVersion": test.engine, "ClusterConfig": test.cluster, "EBSOptions": test.volumes,
				"EncryptionAtRestOptions": tree{"Enabled": "true"}, "NodeToNodeEncryptionOptions": tree{"Enabled": "true"},
			} {
				if diff := cmp.Diff(want, domain[property]); diff != "" {
					t.Errorf("%s (-want +got):\n%s", property, diff)
				}
			}
			if tls := at(t, domain, "DomainEndpointOptions", "TLSSecurityPolicy").(string); !strings.HasPrefix(tls, "Policy-Min-TLS-1-2") {
				t.Errorf("TLS policy %s, want 1.2 at least", tls)
			}
			if got := at(t, domain, "CognitoOptions", "Enabled"); got != "true" {
				t.Errorf("Cognito %v, want true", got)
			}
			if _, got := domain["AdvancedSecurityOptions"]; got != test.fineGrained {
				t.Errorf("fine-grained access %v, want %v", got, test.fineGrained)
			}
			if _, got := at(t, domain, "LogPublishingOptions").(tree)["AUDIT_LOGS"]; got != test.wantAuditLogs {
				t.Errorf("audit logs %v, want %v", got, test.wantAuditLogs)
			}
		})
	}
}

func TestEveryLogGroupButTheDaemonsOwnIsSubscribedWithAnEmptyPattern(t *testing.T) {
	tmpl := readTemplate(t)
	var groups []string
	for name, resource := range tmpl.resources {
		switch resource.(tree)["Type"] {
		case "AWS::Logs::LogGroup":
			if logs := at(t, resource, "Properties", "LogGroupName"); logs == name {
				groups = append(groups, name)
			}
		case "AWS::Logs::SubscriptionFilter":
			if pattern := at(t, resource, "Properties", "FilterPattern"); pattern != "" {
				t.Errorf("%s: pattern %q, want none", name, pattern)
			}
		}
	}
	slices.Sort(groups)
	want := []string{"AccessLogGroup", "CloudTrailLogGroup", "ErrorLogGroup", "SSHLogGroup", "VPCFlowLogGroup"}
	if diff := cmp.Diff(want, groups); diff != "" {
		t.Errorf("log groups (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, subscribedGroups(t, tmpl)); diff != "" {
		t.Errorf("subscribed (-want +got):\n%s", diff)
	}
}

// subscribedGroups lists the log groups that have a subscription filter. Resource and group have one name.
func subscribedGroups(t *testing.T, tmpl template) []string {
	t.Helper()
	var groups []string
	for _, resource := range tmpl.resources {
		if resource.(tree)["Type"] == "AWS::Logs::SubscriptionFilter" {
			groups = append(groups, at(t, resource, "Properties", "LogGroupName", "Ref").(string))
		}
	}
	slices.Sort(groups)
	return groups
}

// The private subnets pull image and packages and reach every service that runs there, without the Internet or through NAT.
func TestPrivateSubnetsReachWhatTheyNeed(t *testing.T) {
	tmpl := readTemplate(t)
	for access, want := range map[string][]string{
		"endpoints": {"ecr.api", "ecr.dkr", "kinesis-streams", "logs", "s3", "secretsmanager", "ssm", "ssmmessages", "sts"},
		"nat":       {"kinesis-streams", "logs", "s3"},
	} {
		made := tmpl.launch(t, map[string]string{"PrivateAccess": access})
		var services []string
		for _, resource := range made {
			if resource["Type"] == "AWS::EC2::VPCEndpoint" {
				name, _ := subText(at(t, resource, "Properties", "ServiceName", "Fn::Sub"))
				services = append(services, strings.TrimPrefix(name, "com.amazonaws.${AWS::Region}."))
			}
		}
		slices.Sort(services)
		if diff := cmp.Diff(want, services); diff != "" {
			t.Errorf("%s: services (-want +got):\n%s", access, diff)
		}
		if _, route := made["NatRoute"]; route != (access == "nat") {
			t.Errorf("%s: a route to the Internet: %t", access, route)
		}
	}
}

// The alarms on deliveries ask for filters of one name: the template's, which is subscribe's own as well.
func TestAlarmsWatchTheFiltersAndTheReader(t *testing.T) {
	tmpl := readTemplate(t)
	for name, resource := range tmpl.resources {
		if resource.(tree)["Type"] == "AWS::Logs::SubscriptionFilter" && at(t, resource, "Properties", "FilterName") != "shipperd" {
			t.Errorf("%s has another name than the alarms ask for", name)
		}
	}
	for alarm, metric := range map[string]string{"ForwardingErrorsAlarm": "DeliveryErrors", "DeliveryThrottlingAlarm": "DeliveryThrottling"} {
		want := "SELECT SUM(" + metric + `) FROM "AWS/Logs" WHERE FilterName = 'shipperd'`
		if got := at(t, tmpl.resources, alarm, "Properties", "Metrics", 0, "Expression"); got != want {
			t.Errorf("%s: got %s, want %s", alarm, got, want)
		}
	}
	if got := at(t, tmpl.resources, "IteratorAgeAlarm", "Properties", "MetricName"); got != "GetRecords.IteratorAgeMilliseconds" {
		t.Errorf("got the iterator's alarm on %s", got)
	}
}

func TestDaemonRunsOnceWhereverItRuns(t *testing.T) {
	tmpl := readTemplate(t)
	fargate := tmpl.launch(t, map[string]string{"DaemonOn": "fargate"})
	service := fargate["DaemonService"]["Properties"]
	if got := at(t, service, "DesiredCount"); got != "1" {
		t.Errorf("desired count %v, want 1", got)
	}
	if diff := cmp.Diff(any(tree{"MinimumHealthyPercent": "0", "MaximumPercent": "100"}), at(t, service, "DeploymentConfiguration")); diff != "" {
		t.Errorf("deployment (-want +got):\n%s", diff)
	}
	if _, ok := fargate["DaemonInstance"]; ok {
		t.Error("an instance beside the Fargate service")
	}
	ec2 := tmpl.launch(t, map[string]string{"DaemonOn": "ec2"})
	if _, ok := ec2["DaemonService"]; ok {
		t.Error("a Fargate service beside the instance")
	}
	if _, ok := ec2["DaemonInstance"]; !ok {
		t.Error("no instance with DaemonOn=ec2")
	}
}

// A backfill makes the documents that the stream would have made only under the same configuration.
func TestDaemonAndOneOffTasksMakeTheSameDocumentsWhereverTheyRun(t *testing.T) {
	tmpl := readTemplate(t)
	daemon, machine := tmpl.launch(t, map[string]string{"DaemonOn": "fargate"}), tmpl.launch(t, map[string]string{"DaemonOn": "ec2"})
	loaded := map[string]*config.Loaded{
		"DaemonTask":     taskConfiguration(t, daemon["DaemonTask"]),
		"SetupTask":      taskConfiguration(t, daemon["SetupTask"]),
		"DaemonInstance": machineConfiguration(t, machine["DaemonInstance"]),
	}
	for name, l := range loaded {
		if diff := cmp.Diff(loaded["DaemonTask"].Config.Documents, l.Config.Documents); diff != "" {
			t.Errorf("documents (-DaemonTask +%s):\n%s", name, diff)
		}
	}
	formats := map[string]string{}
	for _, group := range loaded["DaemonTask"].Config.Groups {
		formats[group.Match] = group.Format
	}
	if diff := cmp.Diff(subscribedGroups(t, tmpl), slices.Sorted(maps.Keys(formats))); diff != "" {
		t.Errorf("configured groups (-subscribed +configured):\n%s", diff)
	}
	// Read as apache, an error's time would be its host and its client its date: the access log's columns.
	if got := formats["ErrorLogGroup"]; got != "apache_error" {
		t.Errorf("ErrorLogGroup: got format %s, want apache_error", got)
	}
}

// taskConfiguration loads what a task's container gets in its environment.
func taskConfiguration(t *testing.T, task tree) *config.Loaded {
	t.Helper()
	withoutSettings(t)
	for name, value := range settings(t, at(t, task, "Properties", "ContainerDefinitions", 0, "Environment"), "Name", "Value") {
		if strings.HasPrefix(value, "map[") {
			value = "x" // an attribute of a resource
		}
		t.Setenv(name, value)
	}
	// A file without a key, or the one of this machine would be read.
	return loadText(t, "")
}

// machineConfiguration loads the file that an instance's user data writes.
func machineConfiguration(t *testing.T, instance tree) *config.Loaded {
	t.Helper()
	withoutSettings(t)
	var script strings.Builder
	for _, part := range at(t, instance, "Properties", "UserData", "Fn::Base64", "Fn::Join", 1).([]any) {
		switch part := part.(type) {
		case string:
			script.WriteString(part)
		case tree:
			script.WriteString(part["Fn::Sub"].(string))
		}
	}
	_, rest, _ := strings.Cut(script.String(), "<<'YAML'\n")
	text, _, found := strings.Cut(rest, "\nYAML\n")
	if !found {
		t.Fatal("no configuration in the instance's user data")
	}
	return loadText(t, substitution.ReplaceAllString(text, "x"))
}

func loadText(t *testing.T, text string) *config.Loaded {
	t.Helper()
	file := filepath.Join(t.TempDir(), "shipperd.yaml")
	writeFile(t, file, text)
	loaded, err := config.Load(file)
	if err != nil || len(loaded.Warnings) > 0 {
		t.Errorf("%v, warnings %v, in\n%s", err, loaded.Warnings, text)
	}
	return loaded
}
