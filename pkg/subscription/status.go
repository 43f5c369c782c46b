package subscription

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Filter is one subscription filter as it is.
type Filter struct {
	Name        string
	Pattern     string
	Destination string // ARN
	Created     time.Time
}

// GroupStatus is one log group with its filters, at most two.
type GroupStatus struct {
	Group   string
	Filters []Filter
}

// Status is what Manager.Status found.
type Status []GroupStatus

// Status returns the filters of the selected log groups, by group. It reads only.
func (m *Manager) Status(ctx context.Context, s Selection) (Status, error) {
	groups, err := m.groups(ctx, s)
	if err != nil {
		return nil, err
	}
	status := make(Status, 0, len(groups))
	for _, group := range groups {
		name := aws.ToString(group.LogGroupName)
		filters, err := m.filters(ctx, name)
		if err != nil {
			return nil, err
		}
		row := GroupStatus{Group: name}
		for _, f := range filters {
			row.Filters = append(row.Filters, Filter{
				Name:        aws.ToString(f.FilterName),
				Pattern:     aws.ToString(f.FilterPattern),
				Destination: aws.ToString(f.DestinationArn),
				Created:     time.UnixMilli(aws.ToInt64(f.CreationTime)).UTC(),
			})
		}
		status = append(status, row)
	}
	return status, nil
}
