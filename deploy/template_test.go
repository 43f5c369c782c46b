// Package deploy_test reads everything that lies in this folder as its users' tools would: the CloudFormation template, policies,
// units, task definitions, compose files and rules. What needs a tool that is not installed is skipped with its name.
package deploy_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const templateFile = "cloudformation/shipperd.yaml"

// tree is a decoded YAML or JSON object.
type tree = map[string]any

// A template is the CloudFormation template with its short intrinsic functions (!Ref x) written out ({"Ref": "x"}).
type template struct {
	parameters, mappings, conditions, resources, outputs tree
}

func readTemplate(t *testing.T) template {
	t.Helper()
	var node yaml.Node
	if err := yaml.Unmarshal(readFile(t, templateFile), &node); err != nil {
		t.Fatal(err)
	}
	all := writeOut(t, node.Content[0]).(tree)
	section := func(name string) tree { return all[name].(tree) }
	return template{section("Parameters"), section("Mappings"), section("Conditions"), section("Resources"), section("Outputs")}
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func readJSON(t *testing.T, name string) tree {
	t.Helper()
	var value tree
	if err := json.Unmarshal(readFile(t, name), &value); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return value
}

// writeOut turns a YAML node into maps, slices and strings; numbers and booleans stay the text that the author wrote.
func writeOut(t *testing.T, node *yaml.Node) any {
	t.Helper()
	var value any
	switch node.Kind {
	case yaml.MappingNode:
		object := tree{}
		for i := 0; i < len(node.Content); i += 2 {
			key := node.Content[i].Value
			if _, twice := object[key]; twice {
				t.Errorf("line %d: key %q stands twice", node.Content[i].Line, key)
			}
			object[key] = writeOut(t, node.Content[i+1])
		}
		value = object
	case yaml.SequenceNode:
		list := []any{}
		for _, item := range node.Content {
			list = append(list, writeOut(t, item))
		}
		value = list
	case yaml.ScalarNode:
		value = node.Value
	default:
		t.Fatalf("line %d: CloudFormation knows no YAML aliases", node.Line)
	}
	function, short := strings.CutPrefix(node.Tag, "!")
	switch {
	case !short || strings.HasPrefix(function, "!"):
		return value
	case function == "Ref" || function == "Condition":
		return tree{function: value}
	case function == "GetAtt":
		return tree{"Fn::GetAtt": strings.SplitN(value.(string), ".", 2)}
	default:
		return tree{"Fn::" + function: value}
	}
}

// walk calls visit for every object inside value, the outermost first.
func walk(value any, visit func(tree)) {
	switch value := value.(type) {
	case tree:
		visit(value)
		for _, inner := range value {
			walk(inner, visit)
		}
	case []any:
		for _, inner := range value {
			walk(inner, visit)
		}
	}
}

var substitution = regexp.MustCompile(`\$\{([A-Za-z0-9:.]+)\}`)

// targets lists the names that Ref, GetAtt, Sub, If, Condition and FindInMap in value point at.
func targets(value any) (names, conditions, mappings []string) {
	walk(value, func(object tree) {
		if name, ok := object["Ref"].(string); ok {
			names = append(names, name)
		}
		if parts, ok := object["Fn::GetAtt"].([]string); ok {
			names = append(names, parts[0])
		}
		if text, local := subText(object["Fn::Sub"]); text != "" {
			for _, match := range substitution.FindAllStringSubmatch(text, -1) {
				name, _, _ := strings.Cut(match[1], ".")
				if _, isLocal := local[name]; !isLocal {
					names = append(names, name)
				}
			}
		}
		if parts, ok := object["Fn::If"].([]any); ok {
			conditions = append(conditions, parts[0].(string))
		}
		if name, ok := object["Condition"].(string); ok {
			conditions = append(conditions, name)
		}
		if parts, ok := object["Fn::FindInMap"].([]any); ok {
			mappings = append(mappings, parts[0].(string))
		}
		switch after := object["DependsOn"].(type) {
		case string:
			names = append(names, after)
		case []any:
			for _, name := range after {
				names = append(names, name.(string))
			}
		}
	})
	return names, conditions, mappings
}

// subText gives the text of a Sub and the names that its own table defines.
func subText(sub any) (text string, local tree) {
	switch sub := sub.(type) {
	case string:
		return sub, nil
	case []any:
		return sub[0].(string), sub[1].(tree)
	}
	return "", nil
}

// launch evaluates the template's conditions, Ifs, maps and parameter Refs as CloudFormation would for the given parameters, and
// returns the resources that would be made and, named "output X", the outputs. Refs to resources, GetAtt and Sub stay as they are.
func (tmpl template) launch(t *testing.T, given map[string]string) map[string]tree {
	t.Helper()
	parameters := maps.Clone(given)
	for name, declared := range tmpl.parameters {
		if _, ok := parameters[name]; !ok {
			parameters[name], _ = declared.(tree)["Default"].(string)
		}
	}
	e := evaluator{tmpl, parameters}
	all := maps.Clone(tmpl.resources)
	for name, output := range tmpl.outputs {
		all["output "+name] = output
	}
	made := map[string]tree{}
	for name, resource := range all {
		condition, ok := resource.(tree)["Condition"].(string)
		if ok && !e.holds(tree{"Condition": condition}) {
			continue
		}
		made[name] = e.value(resource).(tree)
	}
	return made
}

type evaluator struct {
	tmpl       template
	parameters map[string]string
}

// noValue stands for AWS::NoValue: the property is left out.
type noValue struct{}

func (e evaluator) value(value any) any {
	switch value := value.(type) {
	case []any:
		list := []any{}
		for _, inner := range value {
			if inner = e.value(inner); inner != (noValue{}) {
				list = append(list, inner)
			}
		}
		return list
	case tree:
		if name, ok := value["Ref"].(string); ok {
			return e.reference(name)
		}
		if branch, ok := value["Fn::If"].([]any); ok {
			if e.holds(tree{"Condition": branch[0]}) {
				return e.value(branch[1])
			}
			return e.value(branch[2])
		}
		if path, ok := value["Fn::FindInMap"].([]any); ok {
			table := e.tmpl.mappings[path[0].(string)].(tree)
			return table[e.value(path[1]).(string)].(tree)[e.value(path[2]).(string)]
		}
		object := tree{}
		for key, inner := range value {
			if inner = e.value(inner); inner != (noValue{}) {
				object[key] = inner
			}
		}
		return object
	}
	return value
}

func (e evaluator) reference(name string) any {
	if name == "AWS::NoValue" {
		return noValue{}
	}
	if value, ok := e.parameters[name]; ok {
		return value
	}
	return tree{"Ref": name}
}

func (e evaluator) holds(condition any) bool {
	object := condition.(tree)
	for function, arguments := range object {
		switch function {
		case "Condition":
			return e.holds(e.tmpl.conditions[arguments.(string)])
		case "Fn::Equals":
			pair := arguments.([]any)
			return e.value(pair[0]) == e.value(pair[1])
		case "Fn::Not":
			return !e.holds(arguments.([]any)[0])
		case "Fn::And":
			return !slices.ContainsFunc(arguments.([]any), func(c any) bool { return !e.holds(c) })
		case "Fn::Or":
			return slices.ContainsFunc(arguments.([]any), e.holds)
		}
	}
	panic(fmt.Sprintf("condition that the tests do not know: %v", object))
}

// at follows keys and list positions into value and fails the test where one is missing.
func at(t *testing.T, value any, path ...any) any {
	t.Helper()
	for i, step := range path {
		var ok bool
		switch step := step.(type) {
		case string:
			var object tree
			if object, ok = value.(tree); ok {
				value, ok = object[step]
			}
		case int:
			var list []any
			if list, ok = value.([]any); ok && step < len(list) {
				value = list[step]
			}
		}
		if !ok {
			t.Fatalf("nothing at %v", path[:i+1])
		}
	}
	return value
}

// texts turns a string or a list of strings, as policies and DependsOn have them, into a sorted list.
func texts(value any) []string {
	var list []string
	switch value := value.(type) {
	case string:
		list = []string{value}
	case []any:
		for _, item := range value {
			list = append(list, fmt.Sprint(item))
		}
	}
	slices.Sort(list)
	return list
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
