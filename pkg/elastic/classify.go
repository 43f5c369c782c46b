package elastic

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
)

// class says what an answer means for the documents it is about.
type class uint8

const (
	accepted    class = iota // item: it is in the index. Request: it was answered, item by item
	duplicate                // its id is in the index already
	busy                     // refused for now
	failing                  // item: the server failed at it
	unreachable              // never sent
	unknown                  // sent, and nobody can tell what became of it
	rejected                 // item: refused as it is. Request: refused for one of its documents
	tooLarge                 // over the server's limit
	blocked                  // writes are blocked, by a person or by a full disk
	paused                   // a fault of configuration: only a person can end it
)

// classes lists all classes, for metrics.
var classes = [...]class{ //nolint:gochecknoglobals // a table
	accepted, duplicate, busy, failing, unreachable, unknown, rejected, tooLarge, blocked, paused,
}

// String returns the class as the metrics labels have it.
func (c class) String() string {
	return [...]string{
		"accepted", "duplicate", "busy", "failing", "unreachable",
		"unknown", "rejected", "too_large", "blocked", "paused",
	}[c]
}

// Types of errors that are told apart. All else goes by status: a type is the
// server's own word, a reason quotes the document and is never looked at.
const (
	typeClusterBlock     = "cluster_block_exception"
	typeIndexCreateBlock = "index_create_block_exception"
)

// answer is what came back: for a whole request, or for one item of a bulk.
type answer struct {
	item   bool
	status int    // 0 when there was no reply
	kind   string // the error's type, if it has one
	err    error  // no reply, or one that cannot be trusted
}

// classify is the one place that decides what an answer means.
func classify(a answer) class {
	switch {
	case a.err != nil && unsent(a.err):
		return unreachable // no byte of it left: nothing can have been applied
	case a.err != nil:
		return unknown // timeout, reset, wrong count, not JSON: it may have been applied
	case a.item:
		return classifyItem(a.status, a.kind)
	}
	return classifyRequest(a.status, a.kind)
}

func classifyItem(status int, kind string) class {
	switch {
	case status == http.StatusOK, status == http.StatusCreated:
		return accepted
	case status == http.StatusConflict:
		return duplicate // create on an id that is there
	case kind == typeIndexCreateBlock:
		return paused // OpenSearch refuses new indices, for lack of disk or by a setting
	case kind == typeClusterBlock && status < 500:
		return blocked // 403 for read-only and write blocks, 429 for the flood stage of a disk
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusNotFound:
		return paused // no permission on the index, or it must not be created automatically
	case status == http.StatusRequestTimeout, status == http.StatusTooManyRequests:
		return busy // its shard's queue is full
	case status >= 400 && status < 500:
		return rejected // mapping, field limit, closed index, shard limit: the reduced form tells which
	}
	return failing // 503 without enough shards, 500 for a defect; other documents may pass
}

func classifyRequest(status int, kind string) class {
	switch status {
	case http.StatusOK:
		return accepted
	case http.StatusBadRequest:
		return rejected // all of it, for one malformed line
	case http.StatusRequestEntityTooLarge:
		return tooLarge
	case http.StatusRequestTimeout, http.StatusTooManyRequests,
		http.StatusServiceUnavailable, http.StatusInsufficientStorage:
		return busy // queue, indexing pressure, circuit breaker, a proxy without a backend
	}
	switch {
	case kind == typeClusterBlock && status < 500:
		return blocked // cluster.blocks.read_only
	case status >= 500, status < 300:
		return unknown // a proxy gave up on a server that may go on
	}
	return paused // 401, 403, 404; also 406, redirects and what else is no bulk endpoint
}

// unsent says whether err came up before the request was on a connection.
func unsent(err error) bool {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return true
	}
	var (
		dns         *net.DNSError
		certificate *tls.CertificateVerificationError
		record      tls.RecordHeaderError
		alert       tls.AlertError
	)
	return errors.Is(err, errNotSent) || errors.As(err, &dns) || errors.As(err, &certificate) ||
		errors.As(err, &record) || errors.As(err, &alert)
}

// errNotSent marks our own errors that come up before sending.
var errNotSent = errors.New("not sent")
