package kinesis

import (
	"context"
	"errors"
	"io"
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

// refusals are error codes about credentials, which come from the signing front
// of every AWS service and have no Go types.
var refusals = map[string]bool{
	"AccessDenied": true, "AccessDeniedException": true, "NotAuthorized": true, "OptInRequired": true,
	"UnrecognizedClientException": true, "InvalidClientTokenId": true, "MissingAuthenticationToken": true,
	"MissingAuthenticationTokenException": true, "IncompleteSignature": true, "IncompleteSignatureException": true,
	"InvalidSignatureException": true, "SignatureDoesNotMatch": true, "ExpiredToken": true, "ExpiredTokenException": true,
}

// classify returns what err, of any call, means.
func classify(err error) reason {
	if err == nil {
		return succeeded
	}
	if r := classifyType(err); r != other {
		return r
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		if _, ok := retry.DefaultThrottleErrorCodes[api.ErrorCode()]; ok {
			return throttled // codes of the front, such as ThrottlingException
		}
		if refusals[api.ErrorCode()] {
			return denied
		}
		if api.ErrorFault() == smithy.FaultServer {
			return server
		}
	}
	var response *smithyhttp.ResponseError
	if errors.As(err, &response) {
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
	var (
		netErr   net.Error
		sendErr  *smithyhttp.RequestSendError
		parseErr *smithy.DeserializationError
	)
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout():
		return timeout
	case errors.Is(err, errMalformed):
		return malformed
	case errors.As(err, &netErr), errors.As(err, &sendErr), // refused, reset, no such host
		errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &parseErr): // a body that was cut off
		return network
	}
	return other // such as credentials that cannot be fetched
}

func is[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}

// advice says in one sentence what a person has to do, for reasons that pause.
func advice(r reason, op string) string {
	switch r {
	case denied:
		return "check the credentials and allow kinesis:" + op + " on the stream"
	case key:
		return "allow kms:Decrypt on the stream's key, and enable the key"
	case notFound:
		return "check kinesis.stream and kinesis.region, or create the stream"
	default:
		return "nothing; shipperd tries again without end"
	}
}
