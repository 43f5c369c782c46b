package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/shipperd/shipperd/deploy/kibana"
	"github.com/shipperd/shipperd/pkg/config"
	"github.com/shipperd/shipperd/pkg/document"
	"github.com/shipperd/shipperd/pkg/elastic"
	"github.com/shipperd/shipperd/pkg/template"
)

// setupOptions are the flags of setup.
type setupOptions struct {
	shards, replicas int
	refresh          time.Duration
	retention        int // days; 0: none
	kibana           string
	out              string
	dryRun, force    bool
}

func newSetupCommand() *cobra.Command {
	var flags configFlags
	var o setupOptions
	var retention string
	cmd := &cobra.Command{
		Use:   "setup",
		Short: "Put index template, lifecycle policy and dashboards in place",
		Long: `setup installs what documents need: the index template; with --retention a lifecycle
policy, because nothing is ever deleted unless asked; with --kibana the dashboards. It
may be repeated at any time. What a person has edited is shown and left alone unless
--force is given. A template takes effect in indices that are made after it: the
indices of today keep their mapping until 00:00 UTC. The configuration may lack the
stream here, and with --out the endpoints.`,
		Example: `  shipperd setup --dry-run
  shipperd setup --shards 2 --replicas 1 --retention 90d
  shipperd setup --kibana https://search.example.com/_dashboards
  shipperd setup --out files                     for a Kibana that no program reaches`,
		GroupID: groupSetup,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if err := o.check(retention); err != nil {
				return usageError{err}
			}
			unused := []string{unusedStream}
			if o.out != "" {
				unused = append(unused, unusedEndpoints)
			}
			loaded, err := flags.without(unused...).load()
			if err != nil {
				return err
			}
			s := setup{options: o, config: loaded.Config, settings: o.settings(cmd.Flags().Changed), stdout: cmd.OutOrStdout()}
			if o.out != "" {
				return s.writeFiles()
			}
			return s.run(cmd.Context())
		},
	}
	flags.add(cmd)
	f := cmd.Flags()
	f.IntVar(&o.shards, "shards", 1, "primary shards of each daily index; one holds 30 GB well")
	f.IntVar(&o.replicas, "replicas", 1, "copies of each shard; 0 on a single node")
	f.DurationVar(&o.refresh, "refresh", 5*time.Second, "time until a document is found; shorter costs indexing speed")
	f.StringVar(&retention, "retention", "", "delete indices after this time, as 90d (default: never)")
	f.StringVar(&o.kibana, "kibana", "", "URL of Kibana or OpenSearch Dashboards, with its path")
	f.StringVar(&o.out, "out", "", "write files into this folder instead, and say what to do with them; asks no server")
	f.BoolVar(&o.dryRun, "dry-run", false, "show what would change; writes nothing")
	f.BoolVar(&o.force, "force", false, "overwrite what a person has edited, too")
	return cmd
}

// check reads what flags alone do not check.
func (o *setupOptions) check(retention string) error {
	var errs []error
	if retention != "" {
		days, isDays := strings.CutSuffix(retention, "d")
		n, err := strconv.Atoi(days)
		if o.retention = n; err != nil || !isDays || n < 1 {
			errs = append(errs, fmt.Errorf("--retention %q: write a number of days, as 90d", retention))
		}
	}
	if o.shards < 1 || o.shards > 1024 {
		errs = append(errs, fmt.Errorf("--shards %d: is not from 1 to 1024", o.shards))
	}
	if o.replicas < 0 {
		errs = append(errs, fmt.Errorf("--replicas %d: is below zero", o.replicas))
	}
	if o.refresh < time.Second {
		errs = append(errs, fmt.Errorf("--refresh %v: is below a second", o.refresh))
	}
	if o.out != "" && (o.dryRun || o.kibana != "") {
		errs = append(errs, errors.New("--out asks no server; it goes with neither --dry-run nor --kibana"))
	}
	return errors.Join(errs...)
}

// settings returns what the operator has decided now; the rest stays as it is.
func (o *setupOptions) settings(changed func(flag string) bool) template.Settings {
	all := template.Settings{}
	for flag, setting := range map[string][2]string{
		"shards":   {template.Shards, strconv.Itoa(o.shards)},
		"replicas": {template.Replicas, strconv.Itoa(o.replicas)},
		"refresh":  {template.Refresh, fmt.Sprintf("%ds", int(o.refresh.Seconds()))},
	} {
		if changed(flag) {
			all[setting[0]] = setting[1]
		}
	}
	return all
}

// setup is one run.
type setup struct {
	options  setupOptions
	config   config.Config
	settings template.Settings
	stdout   io.Writer
}

func (s *setup) say(format string, args ...any) { fmt.Fprintf(s.stdout, format+"\n", args...) }

// errLeft says that something is not as it was asked for; what, has been said.
var errLeft = errors.New("not all is as wanted; see above")

func (s *setup) run(ctx context.Context) error {
	caller, err := newCaller(ctx, s.config.Elasticsearch)
	if err != nil {
		return err
	}
	cluster, err := template.Open(ctx, caller)
	if err != nil {
		return fmt.Errorf("%w; check elasticsearch.endpoints and the way there", err)
	}
	if cluster.Engine == (elastic.Engine{}) {
		s.say("engine: it does not say what it is; taken for Elasticsearch 7.10")
	} else {
		s.say("engine: %s %s", cluster.Engine.Distribution, cluster.Engine.Version)
	}
	var errs []error
	if s.options.retention > 0 {
		errs = append(errs, s.lifecycle(ctx, cluster))
	}
	errs = append(errs, s.template(ctx, cluster))
	if s.options.kibana != "" {
		errs = append(errs, s.dashboards(ctx))
	}
	return errors.Join(errs...)
}

// lifecycle comes before the template, which names the policy.
func (s *setup) lifecycle(ctx context.Context, cluster *template.Cluster) error {
	l, err := cluster.Lifecycle(ctx, s.config.Documents, s.options.retention)
	if errors.Is(err, template.ErrNoLifecycle) {
		return fmt.Errorf("--retention: %w; delete old indices with a job of your own", err)
	}
	if err != nil {
		return err
	}
	put, err := s.decide("lifecycle policy "+l.Name, l.State, l.Diff)
	if put {
		err = cluster.PutLifecycle(ctx, l)
	}
	if err != nil {
		return err
	}
	maps.Copy(s.settings, l.Setting)
	return nil
}

// decide says how something stands and whether it is to be put. It is an error
// that it would have to be, and is a person's.
func (s *setup) decide(what string, state template.State, diff []string) (put bool, err error) {
	s.say("%s: %s", what, state)
	if state == template.Current {
		return false, nil
	}
	if state != template.Absent {
		for _, line := range diff {
			s.say("  %s", line)
		}
	}
	switch {
	case (state == template.Edited || state == template.Newer) && !s.options.force:
		s.say("  left as it is; --force overwrites it")
		return false, errLeft
	case s.options.dryRun:
		s.say("  would be put")
		return false, nil
	}
	s.say("  put")
	return true, nil
}

func (s *setup) template(ctx context.Context, cluster *template.Cluster) error {
	plan, err := cluster.Plan(ctx, s.config.Documents, s.settings)
	if err != nil {
		return err
	}
	put, left := s.decide("index template "+plan.Template.Name, plan.State, plan.Diff)
	if put {
		if err := cluster.Put(ctx, plan.Template); err != nil {
			return err
		}
	}
	if !put && plan.State != template.Current && left == nil {
		return nil // a dry run: what is there says nothing of what would be
	}
	effect, err := cluster.Effect(ctx, s.config.Documents, time.Now())
	if err != nil {
		return err
	}
	for _, index := range effect.Earlier {
		s.say("  %s was made without it and keeps its mapping", index)
	}
	switch {
	case !effect.Verified:
		s.say("  what a new index would get cannot be asked here")
	case effect.Ours:
		s.say("  verified: a new index gets it")
	default:
		s.say("  %v", otherWins(effect))
		left = errLeft
	}
	return left
}

func (s *setup) dashboards(ctx context.Context) error {
	c := s.config.Elasticsearch
	c.Endpoints = []string{s.options.kibana}
	if err := c.Validate(); err != nil {
		return usageError{fmt.Errorf("--kibana: %w", err)}
	}
	caller, err := newCaller(ctx, c)
	if err != nil {
		return err
	}
	boards := template.Dashboards{Sink: caller}
	objects, err := boards.Compare(ctx, savedObjects(s.config.Documents))
	if err != nil {
		return fmt.Errorf("%w; check --kibana, its path and who may write there", err)
	}
	var put []template.SavedObject
	left := 0
	for _, o := range objects {
		switch {
		case o.State == template.Current:
		case o.State == template.Edited && !s.options.force:
			s.say("%s %q: edited, or of another version; left as it is, --force overwrites it", o.Type, o.Title)
			left++
		default:
			put = append(put, o)
		}
	}
	s.say("dashboards: %d of %d objects to put", len(put), len(objects))
	if len(put) > 0 && !s.options.dryRun {
		if err := boards.Import(ctx, put, s.options.force); err != nil {
			return err
		}
		s.say("  put")
	}
	if left > 0 {
		return errLeft
	}
	return nil
}

// savedObjects are those of the dashboards, on the configuration's own indices.
func savedObjects(c document.Config) []byte {
	return bytes.ReplaceAll(kibana.Objects(), []byte("cwl-*"), []byte(c.IndexPrefix+"-*"))
}

// writeFiles writes what run would install, as any engine from 7.8 takes it.
func (s *setup) writeFiles() error {
	if err := os.MkdirAll(s.options.out, 0o755); err != nil {
		return err
	}
	t := template.New(s.config.Documents, s.settings, "")
	files := map[string][]byte{"index-template.json": t.JSON(false), "shipperd.ndjson": savedObjects(s.config.Documents)}
	if s.options.retention > 0 {
		files["ism-policy.json"] = template.StatePolicy(s.config.Documents, s.options.retention)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(s.options.out, name), content, 0o644); err != nil {
			return err
		}
	}
	s.say("In Kibana, under Dev Tools, run each line with the file's content below it:")
	s.say("  PUT _index_template/%s      index-template.json", t.Name)
	if s.options.retention > 0 {
		s.say("  PUT _plugins/_ism/policies/%s      ism-policy.json (Amazon Elasticsearch: _opendistro/_ism)", t.Name)
		s.say("  It attaches itself to new indices. Elasticsearch with ILM: use setup against the cluster.")
	}
	s.say("Under Stack Management, Saved Objects, Import (OpenSearch: Dashboards Management) choose shipperd.ndjson.")
	s.say("The files are in %s.", s.options.out)
	return nil
}
