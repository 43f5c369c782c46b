package logsapi

import (
	"context"
	"errors"
	"net"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// passing says whether err, of any call, heals by itself, so that the call is to
// be repeated.
func passing(err error) bool {
	if is[*types.LimitExceededException](err) {
		return false // the third filter of a group; the SDK's own tables take it for throttling
	}
	if is[*types.OperationAbortedException](err) {
		return true // somebody else changes the same group in this moment
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		if _, throttled := retry.DefaultThrottleErrorCodes[api.ErrorCode()]; throttled {
			return true
		}
		if api.ErrorFault() == smithy.FaultServer {
			return true // the service itself failed
		}
	}
	// The SDK makes one with status 0 where there was no reply; why is inside.
	if response, ok := errors.AsType[*smithyhttp.ResponseError](err); ok && response.HTTPStatusCode() != 0 {
		// What is left of 5xx came from a proxy, and an error with 200 is a reply that
		// was cut off. Any other status refuses: credentials, permissions, parameters.
		status := response.HTTPStatusCode()
		return status >= http.StatusInternalServerError || status == http.StatusOK
	}
	return errors.Is(err, context.DeadlineExceeded) || // no reply in time
		is[net.Error](err) || is[*smithyhttp.RequestSendError](err) // refused, reset, no such host
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}
