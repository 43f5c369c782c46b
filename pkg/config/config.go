// Package config puts the packages' own configurations together and fills them
// from defaults, one YAML file, the environment and flags, each over the one
// before. It is strict: a key that nobody knows, a value that does not fit and
// whatever the packages' Validate refuses are mistakes, and one run shows all of
// them, each with its place.
//
// The packages own their keys, defaults and rules; this one owns only how values
// get there and where they came from. Nobody but the commands imports it.
package config

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"

	"github.com/shipperd/shipperd/pkg/admin"
	"github.com/shipperd/shipperd/pkg/checkpoint"
	"github.com/shipperd/shipperd/pkg/deadletter"
	"github.com/shipperd/shipperd/pkg/document"
	"github.com/shipperd/shipperd/pkg/elastic"
	"github.com/shipperd/shipperd/pkg/enrich"
	"github.com/shipperd/shipperd/pkg/kinesis"
	"github.com/shipperd/shipperd/pkg/logging"
	"github.com/shipperd/shipperd/pkg/pipeline"
)

// DefaultFile is read when no other file is named and it is there.
const DefaultFile = "/etc/shipperd/shipperd.yaml"

// Config is the whole configuration.
type Config struct {
	Kinesis       kinesis.Config    `yaml:"kinesis"`
	Elasticsearch elastic.Config    `yaml:"elasticsearch"`
	Documents     document.Config   `yaml:"documents"`
	Groups        []document.Group  `yaml:"groups"` // Load puts them into Documents too
	Geo           enrich.Config     `yaml:"geo"`
	Pipeline      pipeline.Config   `yaml:"pipeline"`
	Checkpoint    checkpoint.Config `yaml:"checkpoint"`
	DeadLetters   deadletter.Config `yaml:"dead_letters"`
	Admin         admin.Config      `yaml:"admin"`
	Log           logging.Config    `yaml:"log"`
}

// Default returns the packages' defaults.
func Default() Config {
	return Config{
		Kinesis:       kinesis.DefaultConfig(),
		Elasticsearch: elastic.DefaultConfig(),
		Documents:     document.DefaultConfig(),
		Geo:           enrich.DefaultConfig(),
		Pipeline:      pipeline.DefaultConfig(),
		Checkpoint:    checkpoint.DefaultConfig(),
		DeadLetters:   deadletter.DefaultConfig(),
		Admin:         admin.DefaultConfig(),
		Log:           logging.DefaultConfig(),
	}
}

// validate returns what each package refuses, by the key of its section.
func (c *Config) validate() map[string]error {
	return map[string]error{
		"kinesis":       c.Kinesis.Validate(),
		"elasticsearch": c.Elasticsearch.Validate(),
		"documents":     c.Documents.Validate(),
		"geo":           c.Geo.Validate(),
		"pipeline":      c.Pipeline.Validate(),
		"checkpoint":    c.Checkpoint.Validate(),
		"dead_letters":  c.DeadLetters.Validate(),
		"admin":         c.Admin.Validate(),
		"log":           c.Log.Validate(),
	}
}

// RoutingHash hashes all that decides which index an event goes to. While it stays
// the same, an event that is read twice is indexed once.
func (c *Config) RoutingHash() string {
	type group struct{ Match, IndexPrefix string }
	routing := struct {
		IndexPrefix string
		Groups      []group
	}{IndexPrefix: c.Documents.IndexPrefix}
	for _, g := range c.Groups {
		routing.Groups = append(routing.Groups, group{g.Match, g.IndexPrefix})
	}
	text, err := json.Marshal(routing)
	if err != nil {
		panic(fmt.Sprintf("config: strings do not encode: %v", err))
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// Loaded is a configuration with what there is to know about it.
type Loaded struct {
	Config   Config
	File     string    // "" without a file
	Settings []Setting // every key in the file's order, with its origin
	Warnings []string  // what is odd, but no mistake
}

// Hash tells configurations apart: two that mean the same have the same, wherever their
// values came from.
func (l *Loaded) Hash() string {
	hash := sha256.New()
	for _, s := range l.Settings {
		fmt.Fprintf(hash, "%s=%q\n", s.Key, s.Value)
	}
	return hex.EncodeToString(hash.Sum(nil))[:12]
}

// Override is a value given on the command line.
type Override struct {
	Key   string // such as log.level
	Value string
	Flag  string // such as --log-level
}

// Load reads the configuration: defaults, then the file, then the environment,
// then overrides. An empty file means $SHIPPERD_CONFIG, else DefaultFile if it is
// there. The error is Mistakes, which wraps ErrInvalid; Loaded then holds what
// could be understood.
func Load(file string, overrides ...Override) (*Loaded, error) {
	return load(file, DefaultFile, os.Environ(), overrides)
}

func load(file, defaultFile string, environ []string, overrides []Override) (*Loaded, error) {
	loaded := &Loaded{Config: Default()}
	l := newLoader(reflect.ValueOf(&loaded.Config).Elem(), environ)
	loaded.File = l.applyFile(file, defaultFile)
	l.applyEnvironment()
	for _, o := range overrides {
		l.applyOverride(o)
	}
	loaded.Config.Documents.Groups = loaded.Config.Groups
	if !l.unread { // else every required key would be missed
		for section, err := range loaded.Config.validate() {
			l.refuse(section, err)
		}
	}
	loaded.Warnings = l.warnings
	loaded.Settings = l.settings()
	if len(l.mistakes) > 0 {
		return loaded, l.sortedMistakes()
	}
	return loaded, nil
}

// maxFileBytes bounds the file: 500 groups of 1 KB, twice.
const maxFileBytes = 1 << 20

// applyFile reads the file that was named, or the default one, and returns which.
func (l *loader) applyFile(file, defaultFile string) string {
	if file == "" {
		file = l.variables[fileVariable]
	}
	optional := file == ""
	if optional {
		file = defaultFile
	}
	l.file = file
	text, err := readFile(file)
	switch {
	case optional && errors.Is(err, fs.ErrNotExist):
		return ""
	case errors.Is(err, fs.ErrPermission):
		l.unread = true
		l.mistake(Origin{Source: file}, "", "the file cannot be read; give user %d access to it", os.Getuid())
	case err != nil:
		l.unread = true
		l.mistake(Origin{Source: file}, "", "the file cannot be read: %v", err)
	default:
		l.applyYAML(file, text)
	}
	return file
}

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, errors.Unwrap(err) // the name is said already
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if len(text) > maxFileBytes {
		return nil, errors.New("it is larger than 1 MiB")
	}
	return text, err
}
