package subscription

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/shipperd/shipperd/pkg/logsapi"
)

// ErrRefused is wrapped by Apply's error for a plan with refused rows. Nothing of
// such a plan is written.
var ErrRefused = errors.New("the plan has refused groups; follow their advice or leave them out")

// Apply does what plan says, group by group, and calls done for each row that was
// written. It stops at the first error; what it has done stays, and a new plan
// goes on from there.
func (m *Manager) Apply(ctx context.Context, plan Plan, done func(Row)) error {
	if n := plan.Count(Refuse); n > 0 {
		return fmt.Errorf("%w: %d of %d", ErrRefused, n, len(plan.Rows))
	}
	for _, row := range plan.Rows {
		var err error
		switch row.Action {
		case Create, Update:
			err = m.put(ctx, row.Group, plan.filter)
		case Remove:
			err = m.remove(ctx, row.Group, plan.filter.FilterName)
		case Keep, Refuse:
			continue
		}
		if err != nil {
			return fmt.Errorf("%s the subscription filter of %q: %w", row.Action, row.Group, err)
		}
		done(row)
	}
	return nil
}

func (m *Manager) put(ctx context.Context, group string, filter cloudwatchlogs.PutSubscriptionFilterInput) error {
	filter.LogGroupName = aws.String(group)
	_, err := logsapi.Call(ctx, m.caller, "PutSubscriptionFilter", m.api.PutSubscriptionFilter, &filter)
	return explain(err, &filter)
}

// explain puts before an error of PutSubscriptionFilter what a person can do.
func explain(err error, filter *cloudwatchlogs.PutSubscriptionFilterInput) error {
	switch {
	case err == nil:
		return nil
	case is[*types.InvalidParameterException](err):
		// The pattern was parsed and the stream is active: what is left is the role.
		return fmt.Errorf("CloudWatch Logs could not deliver its test record: the role %s must let the service logs.amazonaws.com assume it, "+
			"and allow kinesis:PutRecord on %s, and kms:GenerateDataKey where the stream has a key of yours; "+
			"a role that is a minute old may not be known everywhere yet: %w", *filter.RoleArn, *filter.DestinationArn, err)
	case is[*types.AccessDeniedException](err):
		return fmt.Errorf("you need logs:PutSubscriptionFilter on the log group, and iam:PassRole on %s: %w", *filter.RoleArn, err)
	case is[*types.LimitExceededException](err):
		return fmt.Errorf("the group got another filter since the plan was made; plan again: %w", err)
	case is[*types.ResourceNotFoundException](err):
		return fmt.Errorf("the log group or the stream has gone since the plan was made; plan again: %w", err)
	}
	return err
}

// remove deletes a filter. One that is gone already is as good as removed.
func (m *Manager) remove(ctx context.Context, group string, filter *string) error {
	_, err := logsapi.Call(ctx, m.caller, "DeleteSubscriptionFilter", m.api.DeleteSubscriptionFilter, &cloudwatchlogs.DeleteSubscriptionFilterInput{
		LogGroupName: aws.String(group), FilterName: filter,
	})
	if is[*types.ResourceNotFoundException](err) {
		return nil
	}
	return err
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}
