package subscription

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/shipperd/shipperd/pkg/logsapi"
)

// glob matches names: * stands for any text. Anything else stands for itself,
// because a group's name may have - _ / # . and nothing more.
type glob struct {
	text string
	re   *regexp.Regexp
}

func newGlob(text string) glob {
	expression := strings.ReplaceAll(regexp.QuoteMeta(text), `\*`, `.*`)
	return glob{text: text, re: regexp.MustCompile(`(?s)^` + expression + `$`)}
}

// prefix returns the part that every match begins with.
func (g glob) prefix() string {
	prefix, _, _ := strings.Cut(g.text, "*")
	return prefix
}

func (g glob) isName() bool { return !strings.Contains(g.text, "*") }

func matchesAny(globs []string, name string) bool {
	return slices.ContainsFunc(globs, func(g string) bool { return newGlob(g).re.MatchString(name) })
}

// groups returns the selected log groups, by name.
func (m *Manager) groups(ctx context.Context, s Selection) ([]types.LogGroup, error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	found := make(map[string]types.LogGroup)
	var missing []error
	for _, text := range s.Groups {
		g, matched := newGlob(text), false
		err := m.list(ctx, g.prefix(), func(group types.LogGroup) {
			if name := aws.ToString(group.LogGroupName); g.re.MatchString(name) {
				found[name], matched = group, true
			}
		})
		switch {
		case err != nil:
			return nil, err
		case !matched && g.isName():
			missing = append(missing, fmt.Errorf("there is no log group %q in this account and region", text))
		case !matched:
			missing = append(missing, fmt.Errorf("no log group in this account and region matches %q", text))
		}
	}
	if len(missing) > 0 {
		return nil, errors.Join(missing...)
	}
	selected := make([]types.LogGroup, 0, len(found))
	for name, group := range found {
		if !matchesAny(s.Except, name) {
			selected = append(selected, group)
		}
	}
	slices.SortFunc(selected, func(a, b types.LogGroup) int {
		return cmp.Compare(aws.ToString(a.LogGroupName), aws.ToString(b.LogGroupName))
	})
	return selected, nil
}

// list calls each for every log group whose name begins with prefix.
func (m *Manager) list(ctx context.Context, prefix string, each func(types.LogGroup)) error {
	in := &cloudwatchlogs.DescribeLogGroupsInput{}
	if prefix != "" {
		in.LogGroupNamePrefix = aws.String(prefix)
	}
	for {
		page, err := logsapi.Call(ctx, m.caller, "DescribeLogGroups", m.api.DescribeLogGroups, in)
		if err != nil {
			return fmt.Errorf("list the log groups that begin with %q: %w", prefix, err)
		}
		for _, group := range page.LogGroups {
			each(group)
		}
		if in.NextToken = page.NextToken; in.NextToken == nil {
			return nil
		}
	}
}

// filters returns the subscription filters of a log group.
func (m *Manager) filters(ctx context.Context, group string) ([]types.SubscriptionFilter, error) {
	in := &cloudwatchlogs.DescribeSubscriptionFiltersInput{LogGroupName: aws.String(group)}
	var filters []types.SubscriptionFilter
	for {
		page, err := logsapi.Call(ctx, m.caller, "DescribeSubscriptionFilters", m.api.DescribeSubscriptionFilters, in)
		if err != nil {
			return nil, fmt.Errorf("list the subscription filters of %q: %w", group, err)
		}
		filters = append(filters, page.SubscriptionFilters...)
		if in.NextToken = page.NextToken; in.NextToken == nil {
			return filters, nil
		}
	}
}

// holdsFlowLogs returns the first of the network interfaces whose flow logs are in
// the group: their log streams are named after it, such as eni-0a1b2c3d-all.
func (m *Manager) holdsFlowLogs(ctx context.Context, group string, interfaces []string) (string, error) {
	for _, id := range interfaces {
		page, err := logsapi.Call(ctx, m.caller, "DescribeLogStreams", m.api.DescribeLogStreams, &cloudwatchlogs.DescribeLogStreamsInput{
			LogGroupName: aws.String(group), LogStreamNamePrefix: aws.String(id + "-"), Limit: aws.Int32(1),
		})
		if err != nil {
			return "", fmt.Errorf("look for flow logs of %s in %q: %w", id, group, err)
		}
		if len(page.LogStreams) > 0 {
			return id, nil
		}
	}
	return "", nil
}
