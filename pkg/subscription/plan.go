package subscription

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
)

// maxFilters is CloudWatch's limit per log group. It cannot be raised.
const maxFilters = 2

// Action is what is done with a log group.
type Action string

// The actions.
const (
	Create Action = "create" // a filter is put where none of that name is
	Update Action = "update" // the filter of that name is changed
	Keep   Action = "keep"   // all is as it should be
	Remove Action = "remove" // the filter is deleted
	Refuse Action = "refuse" // it must not or cannot be done; Why says what to do
)

// Row is what a plan says of one log group.
type Row struct {
	Group  string
	Action Action
	Why    string
}

// Plan is what Apply will do. It is made by Manager.Plan and Manager.PlanRemoval.
type Plan struct {
	Rows   []Row    // by group
	Advice []string // sentences for the person who reads the plan

	// filter is what a created or updated filter shall be, but for its group. A
	// removal needs its name alone.
	filter cloudwatchlogs.PutSubscriptionFilterInput
}

// Count returns how many rows have the action.
func (p Plan) Count(a Action) int {
	n := 0
	for _, row := range p.Rows {
		if row.Action == a {
			n++
		}
	}
	return n
}

// Plan compares the log groups with the request. It reads only. Its error is a
// mistake in the request, a stream or role that cannot work, or that of ctx.
func (m *Manager) Plan(ctx context.Context, r Request) (Plan, error) {
	if err := r.Validate(); err != nil {
		return Plan{}, err
	}
	stream, err := m.destination(ctx, r.Stream)
	if err == nil {
		err = checkRole(r.Role, stream)
	}
	if err != nil {
		return Plan{}, err
	}
	groups, err := m.groups(ctx, r.Selection)
	if err != nil {
		return Plan{}, err
	}
	plan := Plan{Advice: advice(r), filter: cloudwatchlogs.PutSubscriptionFilterInput{
		FilterName:     aws.String(r.Filter),
		FilterPattern:  aws.String(r.Pattern),
		DestinationArn: aws.String(stream.String()),
		RoleArn:        aws.String(r.Role),
		Distribution:   types.DistributionByLogStream,
	}}
	if r.Random {
		plan.filter.Distribution = types.DistributionRandom
	}
	for _, group := range groups {
		row, err := m.row(ctx, r, &plan.filter, stream, group)
		if err != nil {
			return Plan{}, err
		}
		plan.Rows = append(plan.Rows, row)
	}
	return plan, nil
}

// row decides about one log group.
func (m *Manager) row(ctx context.Context, r Request, want *cloudwatchlogs.PutSubscriptionFilterInput, stream arn.ARN, group types.LogGroup) (Row, error) {
	name := aws.ToString(group.LogGroupName)
	if why := unfit(r, stream, group); why != "" {
		return Row{Group: name, Action: Refuse, Why: why}, nil
	}
	own, err := m.holdsFlowLogs(ctx, name, r.OwnInterfaces)
	if err != nil {
		return Row{}, err
	}
	if own != "" {
		return Row{Group: name, Action: Refuse, Why: "recursion: it holds the flow logs of shipperd's own network interface " + own +
			", and delivering them is traffic; make flow logs of other subnets or interfaces only"}, nil
	}
	filters, err := m.filters(ctx, name)
	if err != nil {
		return Row{}, err
	}
	action, why := decide(filters, want)
	return Row{Group: name, Action: action, Why: why}, nil
}

// unfit says why a group cannot be subscribed, whatever its filters are.
func unfit(r Request, stream arn.ARN, group types.LogGroup) string {
	if matchesAny(r.OwnGroups, aws.ToString(group.LogGroupName)) {
		return "recursion: shipperd logs here itself, each delivered line would make another; leave the group out"
	}
	if class := group.LogGroupClass; class != "" && class != types.LogGroupClassStandard {
		return fmt.Sprintf("its class is %s; only groups of the class STANDARD take subscription filters", class)
	}
	if a, err := arn.Parse(aws.ToString(group.Arn)); err == nil && (a.AccountID != stream.AccountID || a.Region != stream.Region) {
		return fmt.Sprintf("it is in %s, account %s, the stream in %s, account %s; both must be in one region and account",
			a.Region, a.AccountID, stream.Region, stream.AccountID)
	}
	return ""
}

// decide compares the filters of a group with the one that is wanted.
func decide(filters []types.SubscriptionFilter, want *cloudwatchlogs.PutSubscriptionFilterInput) (Action, string) {
	var names []string
	for i := range filters {
		f := &filters[i]
		name := aws.ToString(f.FilterName)
		if name == *want.FilterName {
			if changes := differences(f, want); len(changes) > 0 {
				return Update, strings.Join(changes, "; ")
			}
			return Keep, "the filter is there already"
		}
		names = append(names, fmt.Sprintf("%q", name))
	}
	if i := slices.IndexFunc(filters, func(f types.SubscriptionFilter) bool {
		return aws.ToString(f.DestinationArn) == *want.DestinationArn
	}); i >= 0 {
		return Refuse, fmt.Sprintf("filter %s delivers to this stream already, each event would come twice; plan with that filter's name to change it", names[i])
	}
	if len(filters) >= maxFilters {
		return Refuse, fmt.Sprintf("it has %d filters, %s, and CloudWatch Logs takes no third; remove one, plan with its name to replace it, or let that filter's reader read this stream too",
			len(filters), strings.Join(names, " and "))
	}
	if len(filters) == 1 {
		return Create, fmt.Sprintf("beside filter %s, the second and last of %d", names[0], maxFilters)
	}
	return Create, "it has no filter"
}

// differences says what an update would change of f.
func differences(f *types.SubscriptionFilter, want *cloudwatchlogs.PutSubscriptionFilterInput) []string {
	var changes []string
	compare := func(what, is, wanted string) {
		if is != wanted {
			changes = append(changes, fmt.Sprintf("%s %q becomes %q", what, is, wanted))
		}
	}
	compare("pattern", aws.ToString(f.FilterPattern), *want.FilterPattern)
	compare("destination", aws.ToString(f.DestinationArn), *want.DestinationArn)
	compare("role", aws.ToString(f.RoleArn), *want.RoleArn)
	distribution := f.Distribution
	if distribution == "" { // an old filter, or an emulator's
		distribution = types.DistributionByLogStream
	}
	compare("distribution", string(distribution), string(want.Distribution))
	compare("transformed logs", fmt.Sprint(f.ApplyOnTransformedLogs), fmt.Sprint(want.ApplyOnTransformedLogs))
	compare("system fields", strings.Join(f.EmitSystemFields, ","), strings.Join(want.EmitSystemFields, ","))
	compare("selection", aws.ToString(f.FieldSelectionCriteria), aws.ToString(want.FieldSelectionCriteria))
	return changes
}

// PlanRemoval plans to delete the filter of that name from the selected groups,
// where it delivers to the stream. It reads only.
func (m *Manager) PlanRemoval(ctx context.Context, s Selection, filter, stream string) (Plan, error) {
	if filter == "" {
		return Plan{}, errors.New("filter: name the subscription filter to remove")
	}
	groups, err := m.groups(ctx, s)
	if err != nil {
		return Plan{}, err
	}
	plan := Plan{filter: cloudwatchlogs.PutSubscriptionFilterInput{FilterName: aws.String(filter)}}
	for _, group := range groups {
		name := aws.ToString(group.LogGroupName)
		filters, err := m.filters(ctx, name)
		if err != nil {
			return Plan{}, err
		}
		action, why := decideRemoval(filters, filter, stream)
		plan.Rows = append(plan.Rows, Row{Group: name, Action: action, Why: why})
	}
	return plan, nil
}

// decideRemoval does not ask whether the stream exists: a filter on a stream that
// was deleted is the one that most needs to go.
func decideRemoval(filters []types.SubscriptionFilter, name, stream string) (Action, string) {
	for _, f := range filters {
		if aws.ToString(f.FilterName) != name {
			continue
		}
		destination := aws.ToString(f.DestinationArn)
		if destination != stream && !strings.HasSuffix(destination, ":stream/"+stream) {
			return Refuse, fmt.Sprintf("filter %q delivers to %s, not to this stream", name, destination)
		}
		return Remove, fmt.Sprintf("filter %q delivers to this stream", name)
	}
	return Keep, fmt.Sprintf("it has no filter %q", name)
}
