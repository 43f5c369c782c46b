package kinesis

import (
	"context"
	"errors"
	"net"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// reason says why a call failed: what is done about it, and a metrics label.
type reason string

const (
	succeeded reason = "ok"
	throttled reason = "throttled" // the shard, the account or the key is asked too often
	expired   reason = "expired"   // an iterator or a page token has become too old
	invalid   reason = "invalid"   // the service does not know this position, iterator or name
	notFound  reason = "not_found" // the stream or the shard is not there
	denied    reason = "denied"    // credentials or permissions are missing
	key       reason = "key"       // the stream's encryption key cannot be used
	server    reason = "server"    // the service failed
	timeout   reason = "timeout"   // no reply in time
	network   reason = "network"   // no reply at all
	malformed reason = "malformed" // a reply that breaks the API's contract
	other     reason = "other"
)

// reasons lists all of them, for metrics.
func reasons() []reason {
	return []reason{succeeded, throttled, expired, invalid, notFound, denied, key, server, timeout, network, malformed, other}
}

// pauses says whether only a person can heal it: such calls are repeated slowly,
// and a metric shows it.
func (r reason) pauses() bool { return r == notFound || r == denied || r == key }

// errMalformed is wrapped by errors about replies that break the API's contract.
var errMalformed = errors.New("malformed reply")

// refusal says whether an error code is about credentials or permissions: those of
// the signing front of every AWS service, which have no Go types.
func refusal(code string) bool {
	switch code {
	case "AccessDenied", "AccessDeniedException", "NotAuthorized", "OptInRequired",
		"UnrecognizedClientException", "InvalidClientTokenId", "MissingAuthenticationToken",
		"MissingAuthenticationTokenException", "IncompleteSignature", "IncompleteSignatureException",
		"InvalidSignatureException", "SignatureDoesNotMatch", "ExpiredToken", "ExpiredTokenException":
		return true
	}
	return false
}

// classify returns what err, of any call, means.
func classify(err error) reason {
	if err == nil {
		return succeeded
	}
	if r := classifyType(err); r != other {
		return r
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		if _, ok := retry.DefaultThrottleErrorCodes[api.ErrorCode()]; ok {
			return throttled // codes of the front, such as ThrottlingException
		}
		if refusal(api.ErrorCode()) {
			return denied
		}
		if api.ErrorFault() == smithy.FaultServer {
			return server
		}
	}
	if response, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		switch code := response.HTTPStatusCode(); {
		case code >= http.StatusInternalServerError:
			return server // also what a proxy or load balancer says, as HTML
		case code == http.StatusForbidden:
			return denied
		}
	}
	return classifyTransport(err)
}

// classifyType knows the errors that the API declares.
func classifyType(err error) reason {
	switch {
	case is[*types.ProvisionedThroughputExceededException](err), // 5 calls or 2 MiB in this second, by all readers
		is[*types.LimitExceededException](err), // calls a second of the account
		is[*types.KMSThrottlingException](err): // heals by itself, unlike the other errors of KMS
		return throttled
	case is[*types.ExpiredIteratorException](err), // five minutes without a call
		is[*types.ExpiredNextTokenException](err):
		return expired
	case is[*types.InvalidArgumentException](err), is[*types.ValidationException](err):
		return invalid
	case is[*types.ResourceNotFoundException](err):
		return notFound
	case is[*types.AccessDeniedException](err):
		return denied
	case is[*types.KMSAccessDeniedException](err), is[*types.KMSDisabledException](err), is[*types.KMSInvalidStateException](err),
		is[*types.KMSNotFoundException](err), is[*types.KMSOptInRequired](err):
		return key
	case is[*types.InternalFailureException](err):
		return server
	}
	return other
}

// classifyTransport knows the ways of getting no reply, or half of one.
func classifyTransport(err error) reason {
	socket, ok := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, context.DeadlineExceeded), ok && socket.Timeout():
		return timeout
	case errors.Is(err, errMalformed):
		return malformed
	case ok, is[*smithyhttp.RequestSendError](err), // refused, reset, no such host
		is[*smithy.DeserializationError](err): // most often a body that was cut off
		return network
	}
	return other // such as credentials that cannot be fetched
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// advice says in one sentence what a person has to do.
func advice(r reason, op string) string {
	switch r {
	case denied:
		return "check the credentials and allow kinesis:" + op + " on the stream"
	case key:
		return "allow kms:Decrypt on the stream's key, and enable the key"
	case notFound:
		return "check kinesis.stream and kinesis.region, or create the stream"
	case timeout, network:
		return "check kinesis.region, kinesis.endpoint and the network; shipperd tries again without end"
	case other:
		return "where the error speaks of credentials, give the process a role or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; shipperd tries again without end"
	default:
		return "nothing; shipperd tries again without end"
	}
}
