package config

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/shipperd/shipperd/pkg/document"
	"github.com/shipperd/shipperd/pkg/setting"
)

var update = flag.Bool("update", false, "write the golden files anew")

// enough is the smallest file without a mistake.
const enough = "kinesis: {stream: logs}\nelasticsearch: {endpoints: [https://a]}\n"

// load loads a file with this text, as shipperd.yaml.
func loadText(t *testing.T, text string, environ []string, overrides ...Override) (*Loaded, error) {
	t.Helper()
	t.Chdir(t.TempDir())
	if err := os.WriteFile("shipperd.yaml", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return load("shipperd.yaml", "", environ, overrides)
}

// TestMistakes holds the errors for each bad file against the golden one.
func TestMistakes(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, name := range files {
		name, err := filepath.Abs(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			part := func(name string) *txtar.File {
				i := slices.IndexFunc(archive.Files, func(f txtar.File) bool { return f.Name == name })
				if i < 0 {
					return &txtar.File{}
				}
				return &archive.Files[i]
			}
			loaded, err := loadText(t, string(part("shipperd.yaml").Data), strings.Split(string(part("environ").Data), "\n"))
			if err == nil || !errors.Is(err, ErrInvalid) {
				t.Fatalf("got error %v, want ErrInvalid", err)
			}
			lines := []string{err.Error()}
			for _, warning := range loaded.Warnings {
				lines = append(lines, "warning: "+warning)
			}
			got := strings.Join(lines, "\n") + "\n"
			if strings.Contains(got, "hunter2") {
				t.Errorf("the secret is in %s", got)
			}
			if *update {
				part("want").Data = []byte(got)
				if err := os.WriteFile(name, txtar.Format(archive), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(part("want").Data), got); diff != "" {
				t.Errorf("mistakes (-want +got):\n%s", diff)
			}
		})
	}
}

// TestExampleHoldsEveryKeyAndItsDefault keeps configs/shipperd.yaml complete.
func TestExampleHoldsEveryKeyAndItsDefault(t *testing.T) {
	const name = "../../configs/shipperd.yaml"
	loaded, err := load(name, "", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range loaded.Settings {
		if s.Origin.Source != name {
			t.Errorf("%s is not in %s", s.Key, name)
		}
	}
	want := Default()
	want.Kinesis.Stream, want.Elasticsearch.Endpoints = "cloudwatch-logs", []string{"https://search.example.com"}
	defaults := newLoader(reflect.ValueOf(&want).Elem(), nil).settings()
	for i, s := range loaded.Settings {
		if s.Key != defaults[i].Key || s.Value != defaults[i].Value {
			t.Errorf("got %s: %s in %s, want the default %s", s.Key, s.Value, name, defaults[i].Value)
		}
	}

	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var example strings.Builder
	for line := range strings.Lines(string(text)) {
		if line, ok := strings.CutPrefix(line, "#| "); ok {
			example.WriteString(line)
		}
	}
	loaded, err = loadText(t, enough+example.String(), nil)
	if err != nil {
		t.Fatalf("the example of a group: %v", err)
	}
	for _, key := range keysOf(reflect.TypeFor[document.Group]()) {
		if !slices.ContainsFunc(loaded.Settings, func(s Setting) bool { return s.Key == "groups[0]."+key && s.Origin.Line > 0 }) {
			t.Errorf("the example of a group lacks %s", key)
		}
	}
}

func TestFlagsBeatEnvironmentBeatsFileBeatsDefaults(t *testing.T) {
	key := "log.level"
	var environ []string
	var overrides []Override
	text := enough
	for _, step := range []struct {
		add          func()
		want, origin string
	}{
		{func() {}, "info", "default"},
		{func() { text = enough + "log:\n  level: warn\n" }, "warn", "shipperd.yaml:4:3"},
		{func() { environ = []string{"SHIPPERD_LOG_LEVEL=error"} }, "error", "SHIPPERD_LOG_LEVEL"},
		{func() { overrides = []Override{{key, "debug", "--log-level"}} }, "debug", "--log-level"},
	} {
		step.add()
		loaded, err := loadText(t, text, environ, overrides...)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(loaded.Settings, func(s Setting) bool { return s.Key == key })
		if got := loaded.Settings[i]; got.Value != step.want || got.Origin.String() != step.origin || loaded.Config.Log.Level != step.want {
			t.Errorf("got %s %q from %q, want %q from %q", key, got.Value, got.Origin, step.want, step.origin)
		}
	}
}

// TestEveryKeyHasItsVariable sets each key by its variable: numbers and durations, and
// what has no default, to another value than the default.
func TestEveryKeyHasItsVariable(t *testing.T) {
	base := Default()
	base.Kinesis.Stream, base.Elasticsearch.Endpoints = "logs", []string{"https://a", "https://b"}
	seen := map[string]string{}
	for _, f := range leaves(reflect.ValueOf(&base).Elem(), "") {
		name := f.variable()
		if other, ok := seen[name]; ok {
			t.Errorf("%s sets %s and %s", name, other, f.key)
		}
		seen[name] = f.key
		value := strings.Trim(show(f.value), "[]")
		switch v := f.value.Addr().Interface().(type) {
		case *int:
			value = strconv.Itoa(*v + 1)
		case *time.Duration:
			value = (*v + time.Second).String()
		}
		if value == "" {
			value = map[string]string{
				"kinesis.endpoint": "http://127.0.0.1", "geo.city": os.Args[0], "geo.asn": os.Args[0], "kinesis.region": "eu-west-1",
				"kinesis.role_arn": "arn:aws:iam::123456789012:role/r", "documents.accounts": "012345678901", "groups": "[]",
				"admin.pprof_listen": "127.0.0.1:6060",
			}[f.key]
		}
		if value == "" {
			value = "x"
		}
		loaded, _ := load("", "absent", []string{name + "=" + value}, nil) // other keys may be missing
		i := slices.IndexFunc(loaded.Settings, func(s Setting) bool { return s.Key == f.key })
		if got := loaded.Settings[i]; strings.Trim(got.Value, "[]") != strings.Trim(value, "[]") || got.Origin.Source != name {
			t.Errorf("%s=%s: got %q from %q", name, value, got.Value, got.Origin)
		}
	}
}

func TestListsComeWithCommasAndGroupsAsYAML(t *testing.T) {
	loaded, err := loadText(t, "kinesis: {stream: logs}\ngroups: [{name: a, match: a}, {name: b, match: b, format: pattern, columns: '[a]'}]\n", []string{
		"SHIPPERD_ELASTICSEARCH_ENDPOINTS=https://a, https://b",
		"DOMAIN_ENDPOINT=ignored.example.com",
		"SHIPPERD_DOCUMENTS_ACCOUNTS=",
		"SHIPPERD_GROUPS=[{name: c, match: c}, {name: d, match: '$${x}', format: vpcflow, flow_fields: '${version} ${account-id}'}]",
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"https://a", "https://b"}, loaded.Config.Elasticsearch.Endpoints); diff != "" {
		t.Errorf("endpoints (-want +got):\n%s", diff)
	}
	want := []document.Group{
		{Name: "c", Match: "c"},
		{Name: "d", Match: "$${x}", Format: "vpcflow", FlowFields: document.FlowFields{"version", "account-id"}},
	}
	if diff := cmp.Diff(want, loaded.Config.Documents.Groups); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
	for _, s := range loaded.Settings {
		if s.Key == "groups[1].columns" && s.Origin.String() != "default" {
			t.Errorf("got %s from %s, want the default: the file's group is gone", s.Key, s.Origin)
		}
	}
}

func TestDomainEndpointStandsIn(t *testing.T) {
	loaded, err := loadText(t, "kinesis: {stream: logs}\n", []string{"DOMAIN_ENDPOINT=search.example.com"})
	if err != nil || !slices.Equal(loaded.Config.Elasticsearch.Endpoints, []string{"search.example.com"}) {
		t.Errorf("got endpoints %v, %v", loaded.Config.Elasticsearch.Endpoints, err)
	}
}

func TestFileIsFoundByNameThenVariableThenDefault(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"flag", "variable", "default"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(enough), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	for _, test := range []struct{ file, variable, standard, want string }{
		{in("flag"), in("variable"), in("default"), in("flag")},
		{"", in("variable"), in("default"), in("variable")},
		{"", "", in("default"), in("default")},
		{"", "", in("absent"), ""},
	} {
		loaded, err := load(test.file, test.standard, []string{"SHIPPERD_CONFIG=" + test.variable}, nil)
		if loaded.File != test.want || (err == nil) != (test.want != "") || len(loaded.Warnings) > 0 {
			t.Errorf("%v: got file %q, %v, warnings %q", test, loaded.File, err, loaded.Warnings)
		}
	}
	if _, err := load(in("absent"), in("default"), nil, nil); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), in("absent")+": ") {
		t.Errorf("got %v for a named file that is not there", err)
	}
}

// What Validate would say of the defaults then means nothing.
func TestFileThatCannotBeReadIsTheOnlyMistake(t *testing.T) {
	dir := t.TempDir()
	for name, size := range map[string]int{"full": maxFileBytes, "large": maxFileBytes + 1} {
		text := enough + "#" + strings.Repeat("x", size-len(enough)-1)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := load(filepath.Join(dir, "full"), "", nil, nil); err != nil {
		t.Errorf("got %v for a file of the largest size", err)
	}
	for name, want := range map[string]string{"large": "larger than 1 MiB", "": "is a directory", "absent": "no such file"} {
		file := filepath.Join(dir, name)
		_, err := load(file, "", nil, nil)
		var mistakes Mistakes
		if !errors.As(err, &mistakes) || len(mistakes) != 1 || mistakes[0].Source != file || !strings.Contains(mistakes[0].Message, want) {
			t.Errorf("%s: got %v, want one mistake with %q", file, err, want)
		}
	}
}

func TestAliasIsWhatItsAnchorIs(t *testing.T) {
	loaded, err := loadText(t, "kinesis: {stream: &name logs}\nelasticsearch: {endpoints: [https://a]}\ngroups: [{name: *name, match: *name, drop: &drop [x]}, {name: b, match: b, drop: *drop}]\n", nil)
	want := []document.Group{{Name: "logs", Match: "logs", Drop: []string{"x"}}, {Name: "b", Match: "b", Drop: []string{"x"}}}
	if diff := cmp.Diff(want, loaded.Config.Groups); err != nil || diff != "" {
		t.Errorf("error %v, groups (-want +got):\n%s", err, diff)
	}
}

func TestValueStaysOneScalar(t *testing.T) {
	for _, value := range []string{"\n  admin: true", "[1,2]", "x: y", "${OTHER}", "# no", "*a", "null", "\"'"} {
		loaded, err := loadText(t, enough+"geo:\n", []string{"VALUE=" + value}, Override{Key: "checkpoint.file", Value: value, Flag: "--f"})
		if err != nil || loaded.Config.Checkpoint.File != value {
			t.Errorf("flag %q: got %q, %v", value, loaded.Config.Checkpoint.File, err)
		}
		loaded, err = loadText(t, enough+"checkpoint:\n  file: ${VALUE}\n", []string{"VALUE=" + value, "OTHER=other"})
		if err != nil || loaded.Config.Checkpoint.File != value {
			t.Errorf("variable %q: got %q, %v", value, loaded.Config.Checkpoint.File, err)
		}
	}
}

func TestExpansion(t *testing.T) {
	l := newLoader(reflect.Value{}, []string{"A=a$b", "EMPTY=", "_1=one"})
	for text, want := range map[string]string{
		"": "", "plain": "plain", "$": "$", "$$": "$", "a$": "a$", "$x": "$x", "{ $.a = 1 }": "{ $.a = 1 }", "$${A}": "${A}", "$$$": "$$",
		"${A}": "a$b", "<${A}${_1}>": "<a$bone>", "${EMPTY}": "", "${EMPTY:-d}": "d", "${NONE:-}": "", "${NONE:-a:-b}": "a:-b",
		"${NONE:-a:?b}": "a:?b", "${A:-d}": "a$b", "${A:?m}": "a$b", "}": "}",
	} {
		if got, err := l.expand(text); err != nil || got != want {
			t.Errorf("%q: got %q, %v, want %q", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"${NONE}": "NONE is not set", "${EMPTY:?say it}": "say it", "${NONE:?say it}": "say it", "${A": "without }",
		"${}": "not a variable", "${0a}": "not a variable", "${9}": "not a variable", "${a b}": "not a variable", "${A:-${B}}": "none inside another",
	} {
		if got, err := l.expand(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %q, %v, want an error with %q", text, got, err, want)
		}
	}
}

// It reads a secret as a package may declare it.
func TestThreat12SecretIsNeverShown(t *testing.T) {
	var config struct {
		Token   setting.Secret `yaml:"token"`
		Enabled bool           `yaml:"enabled"`
	}
	l := newLoader(reflect.ValueOf(&config).Elem(), []string{"P=hunter2"})
	l.applyYAML("f", []byte("token: ${P}\nenabled: true\n"))
	if config.Token.Reveal() != "hunter2" || !config.Enabled || len(l.mistakes) > 0 {
		t.Errorf("got %q, %v, %v", config.Token.Reveal(), config.Enabled, l.mistakes)
	}
	if shown := fmt.Sprintf("%v %+v", l.settings(), config); strings.Contains(shown, "hunter2") {
		t.Errorf("the secret is in %s", shown)
	}
	for _, url := range []string{"https://user:hunter2@a", "user:hunter2@a", "https://user:hunter2@a:port", "https://user:hunter2/2@a", "https://hunter2@a"} {
		loaded, err := loadText(t, "kinesis: {stream: logs}\nelasticsearch: {endpoints: ['"+url+"']}", nil)
		shown := fmt.Sprint(loaded.Settings, err)
		if err == nil || strings.Contains(shown, "hunter2") || !strings.Contains(shown, "redacted@a") {
			t.Errorf("%s: the password is in %s", url, shown)
		}
	}
}

func TestRoutingHashFollowsRoutingAlone(t *testing.T) {
	base := func() Config {
		c := Default()
		c.Groups = []document.Group{{Name: "a", Match: "a*", IndexPrefix: "cwl-a"}, {Name: "b", Match: "*"}}
		return c
	}
	original := base()
	for name, test := range map[string]struct {
		change func(*Config)
		same   bool
	}{
		"nothing":         {func(*Config) {}, true},
		"a name":          {func(c *Config) { c.Groups[0].Name = "c" }, true},
		"a format":        {func(c *Config) { c.Groups[0].Format = "json" }, true},
		"prefix":          {func(c *Config) { c.Documents.IndexPrefix = "logs" }, false},
		"a group":         {func(c *Config) { c.Groups[0].Match = "b*" }, false},
		"a group's index": {func(c *Config) { c.Groups[1].IndexPrefix = "cwl-b" }, false},
		"order":           {func(c *Config) { slices.Reverse(c.Groups) }, false},
	} {
		changed := base()
		test.change(&changed)
		if got := changed.RoutingHash() == original.RoutingHash(); got != test.same {
			t.Errorf("%s changed: got the same hash: %v, want %v", name, got, test.same)
		}
	}
}

func TestNearest(t *testing.T) {
	for name, want := range map[string]string{"straem": "stream", "Stream": "stream", "strm": "stream", "endpoint": "endpoints", "banana": "", "": ""} {
		if got := Nearest(name, []string{"endpoints", "region", "stream"}); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

func FuzzLoad(f *testing.F) {
	example, err := os.ReadFile("../../configs/shipperd.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(example), "7")
	f.Add(enough+"log: {level: ${A:-debug}}\ngroups: [{name: x, flow_fields: [a, *b]}]", "")
	f.Add("a: &a [*a]", "")
	f.Fuzz(func(t *testing.T, text, value string) {
		config := Default()
		l := newLoader(reflect.ValueOf(&config).Elem(), []string{"A=" + value, "SHIPPERD_GROUPS=" + value})
		l.applyYAML("f", []byte(text))
		l.applyEnvironment()
		for section, err := range config.validate() {
			l.refuse(section, err)
		}
		for _, m := range l.sortedMistakes() {
			if m.Message == "" || m.Line < 0 {
				t.Errorf("got the mistake %+v", m)
			}
		}
		l.settings()
	})
}

func TestUnknownKeyOfAFlagIsAMistake(t *testing.T) {
	_, err := loadText(t, enough, nil, Override{Key: "log.levle", Value: "hunter2", Flag: "--set"})
	want := Mistakes{{Origin: Origin{Source: "--set"}, Key: "log.levle", Message: `unknown key; did you mean "log.level"?`}}
	if diff := cmp.Diff(want, err); diff != "" {
		t.Errorf("mistakes (-want +got):\n%s", diff)
	}
}

func TestKeyThatIsSetNowhereSaysWhereItMayBeSet(t *testing.T) {
	_, err := load("", "/etc/shipperd.yaml", nil, nil)
	for _, want := range []string{
		"kinesis.stream: \"\" is no stream name",
		"set it in /etc/shipperd.yaml, or as SHIPPERD_KINESIS_STREAM\n",
		"set it in /etc/shipperd.yaml, or as SHIPPERD_ELASTICSEARCH_ENDPOINTS\n",
	} {
		if got := fmt.Sprintln(err); !strings.Contains(got, want) {
			t.Errorf("got %s\nwant %q in it", got, want)
		}
	}
}

func TestHashFollowsMeaningAlone(t *testing.T) {
	hash := func(text string, environ ...string) string {
		loaded, err := loadText(t, text, environ)
		if err != nil {
			t.Fatal(err)
		}
		return loaded.Hash()
	}
	base := hash(enough)
	if same := hash("# by variable\nkinesis: {stream: logs}\n", "SHIPPERD_ELASTICSEARCH_ENDPOINTS=https://a"); same != base {
		t.Errorf("got %s for the same values from elsewhere, want %s", same, base)
	}
	if other := hash(enough + "log: {level: debug}\n"); other == base {
		t.Errorf("got %s for another log level, too", other)
	}
}
