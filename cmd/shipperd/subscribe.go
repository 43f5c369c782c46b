package main

import (
	"cmp"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/shipperd/shipperd/pkg/kinesis"
	"github.com/shipperd/shipperd/pkg/logging"
	"github.com/shipperd/shipperd/pkg/logsapi"
	"github.com/shipperd/shipperd/pkg/subscription"
)

// subscribeOptions are the flags of subscribe's commands.
type subscribeOptions struct {
	logs    logsFlags
	request subscription.Request
}

func newSubscribeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "subscribe",
		Short: "Attach log groups to the stream with subscription filters",
		Long: `subscribe plans, applies, shows and removes the subscription filters that put log groups
onto the stream. A plan is shown before anything is written, and a plan with a refused
row writes nothing. For SSH and Apache logs use the empty pattern: it delivers every
line, and shipperd makes the pattern's fields itself.`,
		Example: `  shipperd subscribe plan  --group '/lab/*' --stream logs --role arn:aws:iam::123456789012:role/logs-to-kinesis
  shipperd subscribe apply --group SSHLogGroup --stream logs --role arn:aws:iam::123456789012:role/logs-to-kinesis
  shipperd subscribe test --format sshd --file /var/log/secure`,
		GroupID: groupSetup,
		Args:    noArgs,
		RunE:    showHelp,
	}
	cmd.AddCommand(newSubscribePlanCommand(false), newSubscribePlanCommand(true),
		newSubscribeStatusCommand(), newSubscribeRemoveCommand(), newSubscribeTestCommand())
	return cmd
}

// addSelection adds the flags that name log groups and the account.
func (o *subscribeOptions) addSelection(cmd *cobra.Command) {
	flags, groups := cmd.Flags(), &o.request.Groups
	flags.Func("group", "log `group`, or a glob in which * also matches /; may be repeated", func(group string) error {
		*groups = append(*groups, group)
		return nil
	})
	flags.Func("prefix", "all log groups whose name begins with this `prefix`; may be repeated", func(prefix string) error {
		*groups = append(*groups, prefix+"*")
		return nil
	})
	flags.StringArrayVar(&o.request.Except, "except", nil, "log `group` or glob to leave out; may be repeated")
	o.logs.add(cmd)
}

// addPattern adds the flags that say which lines are delivered.
func (o *subscribeOptions) addPattern(cmd *cobra.Command) {
	var names []string
	for _, p := range subscription.Presets() {
		names = append(names, p.Name)
	}
	known := strings.Join(names, ", ")
	cmd.Flags().StringVar(&o.request.Pattern, "pattern", "", "filter pattern; empty delivers every line")
	cmd.Flags().Func("format", "the lab's pattern of that `name`: "+known, func(name string) error {
		preset, ok := subscription.FindPreset(name)
		if !ok {
			return fmt.Errorf("choose one of %s", known)
		}
		o.request.Pattern = preset.Pattern
		return nil
	})
	cmd.MarkFlagsMutuallyExclusive("pattern", "format")
}

func (o *subscribeOptions) manager(cmd *cobra.Command) (*subscription.Manager, error) {
	log, _ := logging.New(logging.DefaultConfig(), cmd.ErrOrStderr())
	api, err := logsapi.NewClient(cmd.Context(), cmp.Or(o.logs.region, regionOf(o.request.Stream)), o.logs.endpoint)
	if err != nil {
		return nil, setupError{fmt.Errorf("--region: %w", err)}
	}
	source := kinesis.DefaultConfig()
	source.Stream, source.Region, source.Endpoint = o.request.Stream, o.logs.region, o.logs.endpoint
	streams, err := kinesis.NewClient(cmd.Context(), source)
	if err != nil {
		return nil, err
	}
	return subscription.NewManager(api, streams, log), nil
}

// newSubscribePlanCommand returns plan, or apply, which goes on to write.
func newSubscribePlanCommand(apply bool) *cobra.Command {
	var o subscribeOptions
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Show what apply would do; writes nothing",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.request.Validate(); err != nil {
				return usageError{err}
			}
			manager, err := o.manager(cmd)
			if err != nil {
				return err
			}
			plan, err := manager.Plan(cmd.Context(), o.request)
			if err != nil {
				return err
			}
			if err := plan.WriteTable(cmd.OutOrStdout()); err != nil || !apply {
				return err
			}
			return applyPlan(cmd, manager, plan)
		},
	}
	if apply {
		cmd.Use, cmd.Short = "apply", "Put the planned filters; a plan with a refused row writes nothing"
	}
	o.addSelection(cmd)
	o.addPattern(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.request.Filter, "filter", "shipperd", "name of the subscription filter")
	flags.StringVar(&o.request.Stream, "stream", "", "name or ARN of the stream")
	flags.StringVar(&o.request.Role, "role", "", "ARN of the role that CloudWatch Logs writes to the stream with")
	flags.BoolVar(&o.request.Random, "random", false, "spread a log stream over all shards; its order is lost")
	flags.StringArrayVar(&o.request.OwnGroups, "own-group", nil, "log group that shipperd itself logs to: never subscribed; may be repeated")
	flags.StringArrayVar(&o.request.OwnInterfaces, "own-interface", nil, "network interface (eni-…) of shipperd: its flow logs are never subscribed; may be repeated")
	return cmd
}

func applyPlan(cmd *cobra.Command, manager *subscription.Manager, plan subscription.Plan) error {
	return manager.Apply(cmd.Context(), plan, func(row subscription.Row) {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", row.Action, logging.Printable([]byte(row.Group)))
	})
}

func newSubscribeStatusCommand() *cobra.Command {
	var o subscribeOptions
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the filters of log groups",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			manager, err := o.manager(cmd)
			if err != nil {
				return err
			}
			status, err := manager.Status(cmd.Context(), o.request.Selection)
			if err != nil {
				return err
			}
			return status.WriteTable(cmd.OutOrStdout())
		},
	}
	o.addSelection(cmd)
	cmd.MarkFlagsOneRequired("group", "prefix")
	return cmd
}

func newSubscribeRemoveCommand() *cobra.Command {
	var o subscribeOptions
	var yes bool
	cmd := &cobra.Command{
		Use:   "remove",
		Short: "Show the filters that would be removed, and with --yes remove them",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			manager, err := o.manager(cmd)
			if err != nil {
				return err
			}
			plan, err := manager.PlanRemoval(cmd.Context(), o.request.Selection, o.request.Filter, o.request.Stream)
			if err != nil {
				return err
			}
			if err := plan.WriteTable(cmd.OutOrStdout()); err != nil || !yes {
				return err
			}
			return applyPlan(cmd, manager, plan)
		},
	}
	o.addSelection(cmd)
	cmd.Flags().StringVar(&o.request.Filter, "filter", "shipperd", "name of the subscription filter")
	cmd.Flags().StringVar(&o.request.Stream, "stream", "", "name or ARN of the stream; filters onto others stay")
	cmd.Flags().BoolVar(&yes, "yes", false, "remove them")
	cmd.MarkFlagsOneRequired("group", "prefix")
	cmd.MarkFlagsOneRequired("stream")
	return cmd
}

func newSubscribeTestCommand() *cobra.Command {
	var o subscribeOptions
	var file string
	cmd := &cobra.Command{
		Use:   "test",
		Short: "Show offline which lines a pattern would deliver, and which fields it would make",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			in := cmd.InOrStdin()
			if file != "" {
				f, err := os.Open(file)
				if err != nil {
					return err
				}
				defer f.Close()
				in = f
			}
			trial, err := subscription.Test(o.request.Pattern, in, func(l subscription.Line) error {
				return l.WriteTable(cmd.OutOrStdout())
			})
			if err != nil {
				return usageError{err}
			}
			return trial.WriteTable(cmd.OutOrStdout())
		},
	}
	o.addPattern(cmd)
	cmd.Flags().StringVar(&file, "file", "", "file of log lines (default: standard input)")
	return cmd
}
