package subscription

import (
	"slices"

	"github.com/shipperd/shipperd/pkg/format"
)

// Preset is a filter pattern under the name of the logs that it is for.
type Preset struct {
	Name    string
	Pattern string
	Advice  string // why another preset is better; empty for those to be recommended
}

// Presets returns the empty pattern and those that the training lab uses, under the
// names of shipperd's formats, whose columns they are.
//
// CloudTrail and VPC flow logs always fit theirs. Web and SSH logs do not: the
// figures are those of the corpora, see package pattern.
func Presets() []Preset {
	presets := []Preset{
		{Name: "apache", Advice: "lines of Apache's common format have seven fields of these nine and would not be delivered, " +
			"and a line with a virtual host in front shifts all of them; " +
			"the empty pattern delivers every line, and shipperd makes the same fields from groups[].columns"},
		{Name: "sshd", Advice: "of 2,000 real sshd lines this pattern delivers 1,602 and has the attacker's address in srcIp in none; " +
			"the empty pattern delivers every line, and shipperd finds the address in the message"},
		{Name: "cloudtrail"},
		{Name: "vpcflow"},
		{Name: "empty"},
	}
	for _, entry := range format.Table() {
		for i := range presets {
			if presets[i].Name == entry.Name {
				presets[i].Pattern = entry.Columns
			}
		}
	}
	return presets
}

// FindPreset returns the preset of that name.
func FindPreset(name string) (Preset, bool) {
	presets := Presets()
	i := slices.IndexFunc(presets, func(p Preset) bool { return p.Name == name })
	if i < 0 {
		return Preset{}, false
	}
	return presets[i], true
}

// advice returns what a person should know before the plan is applied.
func advice(r Request) []string {
	var sentences []string
	for _, p := range Presets() {
		if p.Pattern == r.Pattern && p.Advice != "" {
			sentences = append(sentences, "The empty pattern is better here: "+p.Advice+".")
		}
	}
	return append(sentences, "A delivery that is refused disables a filter for up to ten minutes, and the logs of that time are lost: "+
		"never delete or replace the stream or the role while groups are subscribed.")
}
