package config

import (
	"encoding"
	"fmt"
	"reflect"
	"regexp"
	"strings"
)

// Setting is one key as it is in effect.
type Setting struct {
	Key    string `json:"key"`
	Value  string `json:"value"` // as it could be written in the file; secrets are masked
	Origin Origin `json:"origin"`
}

// settings returns every key, lists of sections item by item.
func (l *loader) settings() []Setting { return l.settingsBelow(l.root, "") }

func (l *loader) settingsBelow(v reflect.Value, key string) []Setting {
	var all []Setting
	for _, f := range leaves(v, key) {
		if f.value.Kind() != reflect.Slice || f.value.Type().Elem().Kind() != reflect.Struct || f.value.Len() == 0 {
			all = append(all, Setting{Key: f.key, Value: show(f.value), Origin: l.origins[f.key]})
			continue
		}
		for i := range f.value.Len() {
			all = append(all, l.settingsBelow(f.value.Index(i), fmt.Sprintf("%s[%d]", f.key, i))...)
		}
	}
	return all
}

// show writes a value.
func show(v reflect.Value) string {
	if m, ok := reflect.TypeAssert[encoding.TextMarshaler](v); ok {
		if text, err := m.MarshalText(); err == nil {
			return string(text)
		}
	}
	if v.Kind() == reflect.Slice {
		items := make([]string, v.Len())
		for i := range items {
			items[i] = show(v.Index(i))
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	// Validate refuses a password in a URL, but it is shown all the same.
	return userInfo.ReplaceAllString(fmt.Sprint(v.Interface()), "${1}redacted@")
}

// userInfo is what stands before the host of a URL, also of one that cannot be
// parsed or that lacks its scheme.
var userInfo = regexp.MustCompile(`^(?:(\w+://)\S*@|[^\s/:@]+:\S*@)`)
