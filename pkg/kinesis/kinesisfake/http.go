package kinesisfake

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/schemas"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/aws/smithy-go/transport/http/protocol/awsjson"
)

// ErrReset is for a Hook to return: the connection is cut in place of a reply.
// Without HTTP it is the error that a cut connection gives.
var ErrReset error = syscall.ECONNRESET

// maxRequest is more than the largest request: 10 MiB of records in base64.
const maxRequest = 16 << 20

// ServeHTTP speaks the service's protocol, AWS JSON 1.1.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, op, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	serve, ok := s.operations()[op]
	if !ok {
		writeError(w, &smithy.GenericAPIError{Code: "UnknownOperationException", Message: "unknown operation " + op})
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		writeError(w, &smithy.GenericAPIError{Code: "SerializationException", Message: err.Error()})
		return
	}
	out, err := serve(r.Context(), body)
	if err != nil {
		writeError(w, err)
		return
	}
	data, err := marshal(out)
	if err != nil {
		writeError(w, &smithy.GenericAPIError{Code: "InternalFailure", Message: err.Error(), Fault: smithy.FaultServer})
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	_, _ = w.Write(data) // the client has gone
}

type operation func(ctx context.Context, body []byte) (smithy.Serializable, error)

func (s *Service) operations() map[string]operation {
	return map[string]operation{
		"CreateStream":          handle(s.CreateStream),
		"DeleteStream":          handle(s.DeleteStream),
		"DescribeStreamSummary": handle(s.DescribeStreamSummary),
		"ListShards":            s.handleListShards,
		"GetShardIterator":      s.handleGetShardIterator,
		"GetRecords":            handle(s.GetRecords),
		"PutRecord":             handle(s.PutRecord),
		"PutRecords":            handle(s.PutRecords),
		"SplitShard":            handle(s.SplitShard),
		"MergeShards":           handle(s.MergeShards),
		"UpdateShardCount":      handle(s.UpdateShardCount),
	}
}

// handle reads the input as JSON: the SDK's structs have the protocol's names.
func handle[In any, Out smithy.Serializable](call func(context.Context, *In, ...func(*sdk.Options)) (Out, error)) operation {
	return func(ctx context.Context, body []byte) (smithy.Serializable, error) {
		in := new(In)
		if err := unmarshal(body, in); err != nil {
			return nil, err
		}
		out, err := call(ctx, in)
		if err != nil {
			return nil, err
		}
		return out, nil
	}
}

func (s *Service) handleGetShardIterator(ctx context.Context, body []byte) (smithy.Serializable, error) {
	var in struct {
		sdk.GetShardIteratorInput
		Timestamp *epoch // in place of the SDK's, which reads RFC 3339
	}
	if err := unmarshal(body, &in); err != nil {
		return nil, err
	}
	in.GetShardIteratorInput.Timestamp = in.Timestamp.time()
	out, err := s.GetShardIterator(ctx, &in.GetShardIteratorInput)
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *Service) handleListShards(ctx context.Context, body []byte) (smithy.Serializable, error) {
	var in struct {
		sdk.ListShardsInput
		StreamCreationTimestamp *epoch
		ShardFilter             *struct {
			types.ShardFilter
			Timestamp *epoch
		}
	}
	if err := unmarshal(body, &in); err != nil {
		return nil, err
	}
	in.ListShardsInput.StreamCreationTimestamp = in.StreamCreationTimestamp.time()
	if in.ShardFilter != nil {
		in.ListShardsInput.ShardFilter = &in.ShardFilter.ShardFilter
		in.ListShardsInput.ShardFilter.Timestamp = in.ShardFilter.Timestamp.time()
	}
	out, err := s.ListShards(ctx, &in.ListShardsInput)
	if err != nil {
		return nil, err
	}
	return out, nil
}

// epoch is a time as the protocol has it: Unix seconds with a fraction.
type epoch struct{ value time.Time }

// UnmarshalJSON reads a number.
func (e *epoch) UnmarshalJSON(data []byte) error {
	seconds, err := strconv.ParseFloat(string(data), 64)
	if err != nil {
		return err
	}
	e.value = time.UnixMilli(int64(math.Round(seconds * 1000)))
	return nil
}

func (e *epoch) time() *time.Time {
	if e == nil {
		return nil
	}
	return &e.value
}

func unmarshal(body []byte, in any) error {
	if err := json.Unmarshal(body, in); err != nil {
		return &smithy.GenericAPIError{Code: "SerializationException", Message: err.Error()}
	}
	return nil
}

// marshal writes an output with the SDK's own serializer, by taking it for the
// input of a request: in this protocol the two look the same.
func marshal(out smithy.Serializable) ([]byte, error) {
	request := smithyhttp.NewStackRequest().(*smithyhttp.Request)
	operation := smithy.NewOperationSchema(schemas.GetRecords, schemas.GetRecordsOutput, nil) // only its name is used
	if err := awsjson.New11(schemas.Kinesis_20131202).SerializeRequest(context.Background(), operation, out, request); err != nil {
		return nil, err
	}
	return io.ReadAll(request.GetStream())
}

// writeError answers with what the SDK makes the same error of again.
func writeError(w http.ResponseWriter, err error) {
	if errors.Is(err, ErrReset) {
		reset(w)
		return
	}
	code, message, status := "InternalFailure", err.Error(), http.StatusInternalServerError
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		code, message = api.ErrorCode(), api.ErrorMessage()
		if api.ErrorFault() != smithy.FaultServer {
			status = http.StatusBadRequest
		}
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": code, "message": message}) // the client has gone
}

// reset closes the connection without a reply, by RST where it is TCP.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // HTTP/2: the server cuts the stream
	}
	if tcp, ok := conn.(interface{ SetLinger(int) error }); ok {
		_ = tcp.SetLinger(0) // without it the close is orderly
	}
	_ = conn.Close()
}
