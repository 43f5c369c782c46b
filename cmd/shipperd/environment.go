package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/shipperd/shipperd/pkg/config"
	"github.com/shipperd/shipperd/pkg/elastic"
	"github.com/shipperd/shipperd/pkg/kinesis"
	"github.com/shipperd/shipperd/pkg/template"
)

// checkTimeout bounds one check: a peer that takes longer is as good as away.
const checkTimeout = 10 * time.Second

// check is one thing that the daemon needs, tried.
type check struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
	Found   string  `json:"found,omitempty"`
	Error   string  `json:"error,omitempty"`
}

func (c *check) row() string {
	if c.Error != "" {
		return fmt.Sprintf("FAILED\t%s\t%.3f s\t%s", c.Name, c.Seconds, c.Error)
	}
	return fmt.Sprintf("ok\t%s\t%.3f s\t%s", c.Name, c.Seconds, c.Found)
}

// checkEnvironment tries what the daemon needs, one after the other. It reads only.
func checkEnvironment(ctx context.Context, c config.Config) []check {
	var checks []check
	try := func(name string, f func(context.Context) (string, error)) (ok bool) {
		ctx, cancel := context.WithTimeout(ctx, checkTimeout)
		defer cancel()
		start := time.Now()
		found, err := f(ctx)
		result := check{Name: name, Seconds: time.Since(start).Seconds(), Found: found}
		if err != nil {
			result.Error = err.Error()
		}
		checks = append(checks, result)
		return err == nil
	}
	try("stream "+c.Kinesis.Name(), func(ctx context.Context) (string, error) { return checkStream(ctx, c.Kinesis) })
	reached := true
	for _, endpoint := range c.Elasticsearch.Endpoints {
		reached = try("index "+endpoint, func(ctx context.Context) (string, error) {
			return checkEndpoint(ctx, c.Elasticsearch, endpoint)
		}) && reached
	}
	if reached && c.Elasticsearch.Template != templateOff {
		try("index template", func(ctx context.Context) (string, error) { return checkTemplate(ctx, c) })
	}
	try("checkpoint "+c.Checkpoint.File, func(context.Context) (string, error) { return checkFolder(filepath.Dir(c.Checkpoint.File)) })
	try("dead letters "+c.DeadLetters.Dir, func(context.Context) (string, error) { return checkFolder(c.DeadLetters.Dir) })
	return checks
}

func checkStream(ctx context.Context, c kinesis.Config) (string, error) {
	client, err := kinesis.NewClient(ctx, c)
	if err != nil {
		return "", err
	}
	credentials, err := client.Options().Credentials.Retrieve(ctx)
	if err != nil {
		return "", fmt.Errorf("there are no AWS credentials; give the task or instance a role, or set AWS_PROFILE: %w", err)
	}
	found, err := kinesis.Check(ctx, client, c)
	if err != nil {
		return "", err
	}
	return found + ", credentials from " + credentials.Source, nil
}

// checkEndpoint asks one endpoint what it is, and whether it takes bulk requests of
// the daemon's own credentials: one without a document is a bad one.
func checkEndpoint(ctx context.Context, c elastic.Config, endpoint string) (string, error) {
	c.Endpoints = []string{endpoint}
	sink, err := newCaller(ctx, c)
	if err != nil {
		return "", err
	}
	engine, err := sink.Engine(ctx)
	if err != nil {
		return "", fmt.Errorf("%w; check elasticsearch.endpoints and the way there", err)
	}
	_, err = sink.Call(ctx, elastic.Call{Method: http.MethodPost, Path: "/_bulk", Body: []byte("\n")})
	refused, answered := errors.AsType[*elastic.RefusedError](err)
	switch {
	case err != nil && !answered:
		return "", err
	case answered && refused.Status != http.StatusBadRequest:
		return "", fmt.Errorf("bulk requests are refused: %w; %s", err, endpointAdvice(refused))
	case engine == (elastic.Engine{}):
		return "takes bulk requests; does not say what it is", nil
	}
	return engine.Distribution + " " + engine.Version + ", takes bulk requests", nil
}

// endpointAdvice says what a person has to do where bulk requests are refused.
func endpointAdvice(refused *elastic.RefusedError) string {
	if refused.Type == "cluster_block_exception" {
		return "free disk space or remove the block (cluster.blocks.*)"
	}
	switch refused.Status {
	case http.StatusUnauthorized:
		return "check elasticsearch.auth: the user name, the password file or key file, or the role"
	case http.StatusForbidden:
		return "allow es:ESHttpPost on the domain to the role, or the user to create and write indices"
	case http.StatusNotFound:
		return "check the path of elasticsearch.endpoints"
	}
	return "look at the cluster's health and at what lies between"
}

// checkTemplate says what the index of today and the next new one map: another
// template, or the mapping of what wrote before, wins silently.
func checkTemplate(ctx context.Context, c config.Config) (string, error) {
	caller, err := newCaller(ctx, c.Elasticsearch)
	if err != nil {
		return "", err
	}
	cluster, err := template.Open(ctx, caller)
	if err != nil {
		return "", err
	}
	effect, err := cluster.Effect(ctx, c.Documents, time.Now())
	if err != nil {
		return "", fmt.Errorf("%w; let an administrator run shipperd setup", err)
	}
	found := "new indices get it"
	switch {
	case !effect.Verified:
		found = "what a new index gets cannot be asked here"
	case !effect.Ours && c.Elasticsearch.Template == templateEnsure && effect.Winner == "":
		found = "absent; the daemon puts it"
	case !effect.Ours && effect.Winner == "":
		return "", errors.New("new indices do not get it; run shipperd setup")
	case !effect.Ours:
		return "", otherWins(effect)
	}
	if len(effect.Earlier) > 0 {
		found += fmt.Sprintf("; %s had other mappings first and keep them: give another writer another prefix, or switch at 00:00 UTC", strings.Join(effect.Earlier, " "))
	}
	return found, nil
}

// otherWins says what a person has to do where a template of their own is in the way.
func otherWins(effect template.Effect) error {
	return fmt.Errorf("another template wins: %q has a higher priority; lower that, or take these indices out of its patterns", effect.Winner)
}

// checkFolder makes sure that files can be made in dir, or in the folder that it
// would be made in.
func checkFolder(dir string) (string, error) {
	for {
		info, err := os.Stat(dir)
		switch {
		case errors.Is(err, os.ErrNotExist) && filepath.Dir(dir) != dir:
			dir = filepath.Dir(dir) // the daemon makes what is missing
			continue
		case err != nil:
			return "", err
		case !info.IsDir():
			return "", fmt.Errorf("%s is no folder", dir)
		}
		f, err := os.CreateTemp(dir, ".shipperd-check-")
		if err != nil {
			return "", fmt.Errorf("no file can be made: %w", advised(err))
		}
		return dir + " is writable", errors.Join(f.Close(), os.Remove(f.Name()))
	}
}

// advised adds to an error of the disk what a person has to do.
func advised(err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w; give user %d access to it", err, os.Getuid())
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w; mount a volume for it, or choose another place", err)
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("%w; make room", err)
	}
	return err
}
