package simulate

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"

	"github.com/shipperd/shipperd/pkg/elastic/elasticfake"
	"github.com/shipperd/shipperd/pkg/kinesis/kinesisfake"
)

// travel lets a message be under way, in one direction. It fails when the process
// dies or gives up meanwhile.
func (w *world) travel(ctx context.Context, r *rand.Rand) error {
	latency := w.latency(r)
	w.arrives(latency)
	timer := time.NewTimer(latency)
	defer timer.Stop()
	select {
	case <-timer.C:
		return w.life.err()
	case <-w.life.dead:
		return errDead
	case <-ctx.Done():
		return ctx.Err()
	}
}

// onKinesis is how every call of the service goes.
func (w *world) onKinesis(ctx context.Context, call kinesisfake.Call, next func() (any, error)) (out any, err error) {
	peer := call.Op + " " + short(call.Shard)
	r := w.draw(peer, call.Number)
	defer func() { w.note(peer, "#%d: %s", call.Number, describe(out, err)) }()
	if err := w.travel(ctx, r); err != nil {
		return nil, err
	}
	if w.reach(call.Op); w.life.err() != nil {
		return nil, errDead
	}
	switch fault := w.kinesisFault(r, call.Op); fault {
	case "":
		out, err = next()
	case "reply lost":
		if _, err = next(); err == nil {
			err = kinesisfake.ErrReset
		}
	case "empty but behind":
		in := call.In.(*sdk.GetRecordsInput)
		out = &sdk.GetRecordsOutput{NextShardIterator: in.ShardIterator, MillisBehindLatest: aws.Int64(1000)}
	case "iterator lost":
		if out, err = next(); err == nil {
			reply := out.(*sdk.GetRecordsOutput)
			reply.NextShardIterator, reply.ChildShards = nil, nil
		}
	case "hung":
		select {
		case <-ctx.Done():
			err = ctx.Err()
		case <-w.life.dead:
			err = errDead
		}
	default:
		err = kinesisErrors[fault]
	}
	if err != nil {
		return nil, err
	}
	if w.reach(call.Op + " replied"); w.life.err() != nil {
		return nil, errDead
	}
	return out, w.travel(ctx, r)
}

// kinesisErrors are faults that are an error of the service.
var kinesisErrors = map[string]error{
	"throttled": &types.ProvisionedThroughputExceededException{},
	"limited":   &types.LimitExceededException{},
	"expired":   &types.ExpiredIteratorException{},
	"denied":    &types.AccessDeniedException{},
	"key":       &types.KMSDisabledException{},
	"failed":    &types.InternalFailureException{},
	"gateway":   &smithy.GenericAPIError{Code: "ServiceUnavailable", Fault: smithy.FaultServer},
	"reset":     kinesisfake.ErrReset,
	"refused":   &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED},
}

func (w *world) kinesisFault(r *rand.Rand, op string) string {
	switch {
	case w.under(kinesisDown):
		return "gateway"
	case w.under(kinesisDenied):
		return "denied"
	case !w.happens(r, w.plan.kinesis):
		return ""
	}
	kinds := []string{"throttled", "limited", "key", "failed", "gateway", "reset", "refused", "reply lost", "hung"}
	if op == "GetRecords" {
		kinds = append(kinds, "expired", "empty but behind", "iterator lost", "throttled", "expired")
	}
	return kinds[r.IntN(len(kinds))]
}

func describe(out any, err error) string {
	if err != nil {
		return err.Error()
	}
	if reply, ok := out.(*sdk.GetRecordsOutput); ok {
		return fmt.Sprintf("%d records, ends: %v", len(reply.Records), reply.NextShardIterator == nil)
	}
	return "ok"
}

// RoundTrip implements http.RoundTripper: it is how every request to the index goes.
func (w *world) RoundTrip(request *http.Request) (*http.Response, error) {
	number := w.next("search")
	r := w.draw("search", number)
	response, err := w.exchange(request, r)
	if err != nil {
		w.note("search", "#%d %s: %v", number, request.URL, err)
	} else {
		w.note("search", "#%d %s: %d", number, request.URL, response.StatusCode)
	}
	return response, err
}

func (w *world) exchange(request *http.Request, r *rand.Rand) (*http.Response, error) {
	ctx := request.Context()
	err := w.travel(ctx, r)
	if err == nil {
		w.reach("search")
		err = w.life.err()
	}
	if err != nil {
		return nil, closeBody(request, err)
	}
	response, err := w.search.RoundTrip(request)
	w.reach("search replied")
	if err != nil {
		return nil, err
	}
	if err := w.travel(ctx, r); err != nil {
		return nil, closeBody(request, err)
	}
	return response, nil
}

func closeBody(request *http.Request, err error) error {
	if request.Body != nil {
		_ = request.Body.Close() // of a reader in memory
	}
	return err
}

// onBulk says what goes wrong with a bulk request.
func (w *world) onBulk(request *elasticfake.Request) elasticfake.Fault {
	r := w.draw("bulk", request.Number)
	w.checkParents(request.Docs)
	w.checkInvariants(w.life)
	fault := w.bulkFault(request, r)
	switch {
	case fault.Status == http.StatusBadRequest, fault.Status == http.StatusRequestEntityTooLarge:
		w.refuse(request.Docs...)
	case fault.Status == 0 && !fault.Reset && !fault.Refused:
		wrong := make([]*elasticfake.ItemError, len(request.Docs))
		for i, d := range request.Docs {
			wrong[i] = w.itemFault(request.Number, i, d)
			switch {
			case wrong[i] == nil:
			case wrong[i].Type == clusterBlock:
				w.refuse(elasticfake.Document{Index: d.Index}) // all that is to go there
			default:
				w.refuse(d)
			}
		}
		fault.Item = func(i int, _ elasticfake.Document) *elasticfake.ItemError { return wrong[i] }
	}
	w.note("bulk", "#%d: %d documents, fault: %d reset %v refused %v damage %d",
		request.Number, len(request.Docs), fault.Status, fault.Reset, fault.Refused, fault.Damage)
	return fault
}

// refuse notes documents that are refused.
func (w *world) refuse(docs ...elasticfake.Document) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, d := range docs {
		w.truth.refused[d.Index+"/"+d.ID] = true
	}
}

const clusterBlock = "cluster_block_exception"

func (w *world) bulkFault(request *elasticfake.Request, r *rand.Rand) elasticfake.Fault {
	switch {
	case w.under(searchDown), w.under(endpointDown) && strings.HasPrefix(request.Host, "a."):
		return elasticfake.Fault{Refused: true}
	case w.under(searchStorm):
		return elasticfake.Fault{Status: 429, Type: "es_rejected_execution_exception", RetryAfter: "3"}
	case w.under(searchLocked):
		return elasticfake.Fault{Status: 401, Type: "security_exception"}
	case w.under(searchMissing):
		return elasticfake.Fault{Status: 404}
	case w.under(searchBlocked):
		return elasticfake.Fault{Status: 403, Type: clusterBlock}
	case !w.happens(r, w.plan.search):
		return elasticfake.Fault{}
	}
	faults := []elasticfake.Fault{
		{Status: 429, RetryAfter: "2"}, {Status: 429}, {Status: 503}, {Status: 502}, {Status: 504}, {Status: 500, Type: "x"},
		{Status: 413}, {Status: 400, Type: "illegal_argument_exception"}, {Status: 408}, {Status: 507}, {Status: 403}, {Status: 301},
		{Reset: true}, {Refused: true},
		{Damage: elasticfake.Lost}, {Damage: elasticfake.Torn}, {Damage: elasticfake.Truncated}, {Damage: elasticfake.Fewer},
		{Damage: elasticfake.More}, {Damage: elasticfake.NotJSON}, {Damage: elasticfake.Empty}, {Damage: elasticfake.Itemless},
		{Damage: elasticfake.Slow}, {Damage: elasticfake.Hung}, {Damage: elasticfake.Lost}, {Damage: elasticfake.Lost},
	}
	return faults[r.IntN(len(faults))]
}

// itemFault says why a document is not taken.
func (w *world) itemFault(request, i int, d elasticfake.Document) *elasticfake.ItemError {
	kind, _, _ := strings.Cut(d.ID, "-")
	whole, reduced := bytes.Contains(d.Source, []byte(`"ingested"`)), bytes.Contains(d.Source, []byte(`"pipeline_error"`))
	if kind == rejected || kind == poison && whole || kind == picky && (whole || reduced) {
		return &elasticfake.ItemError{Status: 400, Type: "mapper_parsing_exception", Reason: "failed to parse field [message] of type [long]"}
	}
	if d.Index == w.days[0] && w.under(indexBlocked) {
		return &elasticfake.ItemError{Status: 403, Type: clusterBlock}
	}
	if d.Index == w.days[0] && w.under(indexFlooded) {
		return &elasticfake.ItemError{Status: 429, Type: clusterBlock}
	}
	if d.Index == w.days[0] && w.under(indexForbidden) {
		return &elasticfake.ItemError{Status: 403, Type: "security_exception"}
	}
	r := w.draw("item", request<<16+i)
	if !w.happens(r, w.plan.item) {
		return nil
	}
	errors := []elasticfake.ItemError{
		{Status: 429, Type: "es_rejected_execution_exception"}, {Status: 503, Type: "unavailable_shards_exception"},
		{Status: 500, Type: "x"}, {Status: 429, Type: clusterBlock}, {Status: 403, Type: clusterBlock},
		{Status: 404, Type: "index_not_found_exception"}, {Status: 401, Type: "security_exception"},
		{Status: 400, Type: "illegal_argument_exception"}, {Status: 403, Type: "index_create_block_exception"},
	}
	return &errors[r.IntN(len(errors))]
}

// onDisk is asked before every call that changes the disk of a life.
func (w *world) onDisk(l *life, op, name string) error {
	file := "checkpoint"
	if strings.HasPrefix(name, lettersDir) {
		file = "letters"
	}
	if l.err() != nil {
		return errDead
	}
	if file == "checkpoint" && op == "syncdir" {
		w.checkCheckpoint()
	}
	peer := file + " " + op
	number := w.next(peer)
	w.note(peer, "#%d %s", number, path.Base(name))
	if w.reach(peer); l.err() != nil {
		return errDead
	}
	if w.under(diskFull) && (op == "write" || op == "open") || w.happens(w.draw(peer, number), w.plan.disk) {
		w.note(peer, "#%d fails", number)
		return errFull
	}
	return nil
}
