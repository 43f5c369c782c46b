package document

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/shipperd/shipperd/pkg/format"
	"github.com/shipperd/shipperd/pkg/format/pattern"
	"github.com/shipperd/shipperd/pkg/setting"
)

// Config is what an operator decides about documents.
type Config struct {
	// IndexPrefix begins the name of every index.
	IndexPrefix string `yaml:"index_prefix"`
	// Dialect says which root fields documents have.
	Dialect Dialect `yaml:"dialect"`
	// Accounts are the owners whose events are taken; empty means all.
	Accounts []string `yaml:"accounts"`
	// MaxInflated is the largest text that one record may inflate to.
	MaxInflated setting.Size `yaml:"max_inflated"`

	// Groups has its own key at the top of the file.
	Groups []Group `yaml:"-"`
}

// Dialect is a family of root fields.
type Dialect string

// The dialects.
const (
	Standard   Dialect = "standard"    // the lab's fields, and typed ones beside them
	Lambda     Dialect = "lambda"      // what the console's LogsToElasticsearch v1.1.2 wrote, nothing added
	SolutionV4 Dialect = "solution-v4" // the fields of AWS's Centralized Logging solution v4, and typed ones
)

// Group says how the events of the log groups that Match names are read.
type Group struct {
	Name        string     `yaml:"name"`         // label of metrics
	Match       string     `yaml:"match"`        // glob over the log group's name; * also matches /
	Format      string     `yaml:"format"`       // name of a format; empty: the log stream or the content decides
	Columns     string     `yaml:"columns"`      // filter pattern whose fields become root fields
	FlowFields  FlowFields `yaml:"flow_fields"`  // fields of a VPC flow log; empty: the default ones
	Drop        []string   `yaml:"drop"`         // filter patterns; what matches one is left out
	IndexPrefix string     `yaml:"index_prefix"` // begins with documents.index_prefix; empty: equal to it
}

// FlowFields lists the fields of a VPC flow log in their order. It also reads the
// text of the flow log's own format, "${version} ${account-id} …".
type FlowFields []string

// UnmarshalYAML reads a text or a list of them.
func (f *FlowFields) UnmarshalYAML(node *yaml.Node) error {
	texts := []string{node.Value}
	if node.Kind != yaml.ScalarNode {
		if err := node.Decode(&texts); err != nil {
			return err
		}
	}
	list := strings.Fields(strings.Join(texts, " "))
	for i, field := range list {
		if inner, ok := strings.CutPrefix(field, "${"); ok {
			list[i] = strings.TrimSuffix(inner, "}")
		}
	}
	*f = list
	return nil
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		IndexPrefix: "cwl",
		Dialect:     Standard,
		MaxInflated: 64 * setting.MiB, // a record has at most 10 MiB, and logs shrink 10 to 20 times; most records are 1 MiB and less
	}
}

// GroupNames returns the labels of the log groups in metrics, in the order of
// record.Event.Group: first "other", for those that no group matches.
func (c Config) GroupNames() []string {
	names := []string{otherGroup}
	for _, g := range c.Groups {
		names = append(names, g.Name)
	}
	return names
}

const (
	otherGroup = "other"
	// maxGroups bounds the label set of metrics.
	maxGroups = 500
	// largestInflated keeps the offsets of a record's documents in 32 bits: the
	// documents may take encodedPerInflated times as much.
	largestInflated = 512 * setting.MiB
)

// indexPrefix is stricter than an index name has to be: what a person can type.
var indexPrefix = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,99}$`)

// Validate reports every value that cannot work, by its key.
func (c Config) Validate() error {
	var errs []error
	if !indexPrefix.MatchString(c.IndexPrefix) {
		errs = append(errs, fmt.Errorf("documents.index_prefix: %q begins no index name; use a-z, 0-9, '.', '_' and '-', and begin with a letter or digit", c.IndexPrefix))
	}
	if !slices.Contains([]Dialect{Standard, Lambda, SolutionV4}, c.Dialect) {
		errs = append(errs, fmt.Errorf("documents.dialect: %q is not known; choose %s, %s or %s", c.Dialect, Standard, Lambda, SolutionV4))
	}
	for i, account := range c.Accounts {
		if len(account) != 12 || strings.Trim(account, "0123456789") != "" {
			errs = append(errs, fmt.Errorf("documents.accounts[%d]: %q is no account id of 12 digits; quote it, so that leading zeros stay", i, account))
		}
	}
	if c.MaxInflated < setting.MiB || c.MaxInflated > largestInflated {
		errs = append(errs, fmt.Errorf("documents.max_inflated: %s is not between %s and %s", c.MaxInflated, setting.MiB, largestInflated))
	}
	if len(c.Groups) > maxGroups {
		errs = append(errs, fmt.Errorf("groups: %d are too many, each is a label in metrics; use at most %d", len(c.Groups), maxGroups))
	}
	seen := map[string]bool{}
	for i, g := range c.Groups {
		for _, err := range g.validate(c.IndexPrefix) {
			errs = append(errs, fmt.Errorf("groups[%d].%w", i, err))
		}
		if seen[g.Name] {
			errs = append(errs, fmt.Errorf("groups[%d].name: %q is the name of another group", i, g.Name))
		}
		seen[g.Name] = true
	}
	return errors.Join(errs...)
}

func (g Group) validate(prefix string) (errs []error) {
	report := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if g.Name == "" || g.Name == otherGroup {
		report("name: %q cannot be one; it is the group's label in metrics, and %q is for events of no group", g.Name, otherGroup)
	}
	if g.Match == "" {
		report("match: missing; write a log group's name, in which * stands for anything")
	}
	if g.IndexPrefix != "" && (!strings.HasPrefix(g.IndexPrefix, prefix) || !indexPrefix.MatchString(g.IndexPrefix)) {
		report("index_prefix: %q does not begin with documents.index_prefix (%q), by which the index template and the index pattern find it", g.IndexPrefix, prefix)
	}
	if _, err := newColumns(g.Columns, newKindIndex(roots(Standard))); err != nil {
		report("columns: %w", err)
	}
	for i, text := range g.Drop {
		if _, err := pattern.Parse(text); err != nil {
			report("drop[%d]: %w", i, err)
		} else if strings.TrimSpace(text) == "" {
			report("drop[%d]: an empty pattern would drop every event", i)
		}
	}
	switch entry, ok := entryOf(g.Format); {
	case !ok && g.Format != "":
		report("format: %q is not known; choose one of %s", g.Format, strings.Join(formatNames(), ", "))
	case g.Format == formatPattern && g.Columns == "":
		report("columns: missing; the format %q has no other fields", formatPattern)
	case len(g.FlowFields) > 0 && g.Format != formatVPCFlow:
		report("flow_fields: only the format %q has them", formatVPCFlow)
	case ok:
		if _, err := entry.New(format.Options{FlowFields: g.FlowFields}); err != nil {
			report("flow_fields: %w", err)
		}
	}
	return errs
}

// The formats that this package knows by name.
const (
	formatText       = "text"
	formatPattern    = "pattern"
	formatCloudTrail = "cloudtrail"
	formatVPCFlow    = "vpcflow"
)

func entryOf(name string) (format.Entry, bool) {
	table := format.Table()
	i := slices.IndexFunc(table, func(e format.Entry) bool { return e.Name == name })
	if i < 0 {
		return format.Entry{}, false
	}
	return table[i], true
}

func formatNames() (names []string) {
	for _, e := range format.Table() {
		names = append(names, e.Name)
	}
	return names
}
