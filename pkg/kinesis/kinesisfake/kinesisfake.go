// Package kinesisfake is Kinesis Data Streams in this process, for tests, the
// demo and benchmarks: streams with shards, splits, merges, iterators that expire
// and records that are trimmed.
//
// A Service has the SDK client's methods, so that it stands in for the client
// without HTTP, goroutines or a clock of its own (testing/synctest's will do). It
// is an http.Handler too, of the service's JSON protocol, for the real SDK. A
// Hook sees every call and can let it fail in any way.
//
// It does not throttle writers, and what takes the service seconds (CREATING,
// UPDATING) is done at once.
package kinesisfake

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// Account and Region are those of every stream's ARN.
const (
	Account = "123456789012"
	Region  = "us-east-1"
)

const defaultRetention = 24 * time.Hour

// Service holds streams by name. Set its fields before the first call.
type Service struct {
	// Hook, if there is one, is asked before every call. It is called without locks.
	Hook Hook
	// Throttle makes GetRecords keep to 5 calls and 2 MiB a second and shard.
	Throttle bool

	mu      sync.Mutex
	streams map[string]*Stream
	calls   map[callKey]int
}

// Call is one call of the service.
type Call struct {
	Op     string // such as GetRecords
	Stream string // name
	Shard  string // of calls about one shard
	Number int    // among the calls of this Op and Shard, from 1
	In     any    // the SDK's input; changes to it count
}

type callKey struct{ op, stream, shard string }

// Hook decides how a call goes. next carries it out, and returns the SDK's
// output. A Hook may wait before, change what comes after, or return an error
// instead: the SDK's own, a *smithy.GenericAPIError, or ErrReset.
type Hook func(ctx context.Context, call Call, next func() (any, error)) (any, error)

// serve counts a call, and carries it out under the lock unless the hook decides otherwise.
func serve[In, Out any](ctx context.Context, s *Service, call Call, in *In, do func(*In) (*Out, error)) (*Out, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	key := callKey{call.Op, call.Stream, call.Shard}
	if s.calls == nil {
		s.calls = make(map[callKey]int)
	}
	s.calls[key]++
	call.Number, call.In = s.calls[key], in
	s.mu.Unlock()
	next := func() (*Out, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return do(in)
	}
	if s.Hook == nil {
		return next()
	}
	out, err := s.Hook(ctx, call, func() (any, error) { return next() })
	if err != nil {
		return nil, err
	}
	return out.(*Out), nil
}

// Stream is one data stream, for tests that change it by hand. Its methods panic
// on shards that it does not have.
type Stream struct {
	service   *Service
	name      string
	created   time.Time
	retention time.Duration
	shards    []*shard // by number
}

// Create makes a stream whose shards divide the hash keys evenly.
func (s *Service) Create(name string, shards int) *Stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.createLocked(name, shards)
}

func (s *Service) createLocked(name string, shards int) *Stream {
	st := &Stream{service: s, name: name, created: time.Now(), retention: defaultRetention}
	for _, keys := range divide(shards) {
		st.addShardLocked(st.created, keys)
	}
	if s.streams == nil {
		s.streams = make(map[string]*Stream)
	}
	s.streams[name] = st
	return st
}

// Delete removes a stream and all in it.
func (s *Service) Delete(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.streams, name)
}

// ARN returns the stream's ARN.
func (st *Stream) ARN() string {
	return fmt.Sprintf("arn:aws:kinesis:%s:%s:stream/%s", Region, Account, st.name)
}

// SetRetention changes how long records are kept; the service's least is 24 h.
func (st *Stream) SetRetention(d time.Duration) {
	st.service.mu.Lock()
	defer st.service.mu.Unlock()
	st.retention = d
}

// Put adds a record to an open shard and returns its sequence number.
func (st *Stream) Put(shard string, data []byte) (sequence string) {
	st.service.mu.Lock()
	defer st.service.mu.Unlock()
	return st.mustLocked(shard).putLocked("key", data)
}

// Split closes a shard and returns its children, which take half of its hash keys each.
func (st *Stream) Split(shard string) (left, right string) {
	st.service.mu.Lock()
	defer st.service.mu.Unlock()
	parent := st.mustLocked(shard)
	return st.splitLocked(parent, parent.keys.middle())
}

// Merge closes two shards and returns the child that takes the hash keys of both.
func (st *Stream) Merge(shard, adjacent string) (child string) {
	st.service.mu.Lock()
	defer st.service.mu.Unlock()
	return st.mergeLocked(st.mustLocked(shard), st.mustLocked(adjacent))
}

// Shards returns the open shards, oldest first.
func (st *Stream) Shards() []string {
	st.service.mu.Lock()
	defer st.service.mu.Unlock()
	var ids []string
	for _, sh := range st.openLocked() {
		ids = append(ids, sh.id)
	}
	return ids
}

func (st *Stream) mustLocked(id string) *shard {
	for _, sh := range st.openLocked() {
		if sh.id == id {
			return sh
		}
	}
	panic(fmt.Sprintf("kinesisfake: stream %s has no open shard %s", st.name, id))
}

// streamName returns the name of the stream that a request names, for calls and errors.
func streamName(name, arn *string) string {
	if name != nil {
		return *name
	}
	full := aws.ToString(arn)
	return full[strings.LastIndexByte(full, '/')+1:]
}

// findLocked returns the stream that a request names, by name or ARN.
func (s *Service) findLocked(name, arn *string) (*Stream, error) {
	if aws.ToString(name) == "" && aws.ToString(arn) == "" {
		return nil, invalid("StreamName or StreamARN is required")
	}
	st, ok := s.streams[streamName(name, arn)]
	if !ok || arn != nil && *arn != st.ARN() {
		return nil, notFound("stream %s under account %s not found", streamName(name, arn), Account)
	}
	return st, nil
}

func invalid(format string, args ...any) error {
	return &types.InvalidArgumentException{Message: aws.String(fmt.Sprintf(format, args...))}
}

func notFound(format string, args ...any) error {
	return &types.ResourceNotFoundException{Message: aws.String(fmt.Sprintf(format, args...))}
}
