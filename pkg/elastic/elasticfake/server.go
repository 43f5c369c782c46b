// Package elasticfake is the part of Elasticsearch that shipperd uses, in this
// process: bulk create with explicit ids, multi-get, count, search for all, index
// templates, GET /. It is a http.Handler for real connections and a
// http.RoundTripper without any, for tests in fake time. Faults are scripted by request and by item. It has no
// mappings; what a mapping would refuse is a fault.
package elasticfake

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
)

// Server is the fake. Its zero value is an empty Elasticsearch 7.10.2. Set the
// exported fields before use.
type Server struct {
	// Script returns what goes wrong with a request, if it is set. It is called
	// before the request has any effect, once a request, one call at a time.
	Script func(*Request) Fault
	// Early returns a status to answer bulk request number with, before its body has
	// been read; 0 goes on. It is for real connections.
	Early func(number int) int
	// MaxBody is http.max_content_length: a body that is larger, compressed or
	// inflated, gets 413. 0 is 100 MiB, as in Elasticsearch.
	MaxBody int
	// Full has the replies ignore filter_path.
	Full bool
	// Root is the answer to GET /.
	Root string

	script sync.Mutex // held while Script runs

	mu        sync.Mutex
	number    int
	indices   map[string]map[string]json.RawMessage
	applied   map[string]int // index/id: how often it was sent to be applied
	templates map[string]json.RawMessage
}

// Request is a request as a Script sees it.
type Request struct {
	Number int // from 1, bulk requests only; 0 for others
	Method string
	Host   string
	Path   string
	Header http.Header
	Wire   int // size of the body as it came
	Raw    int // and inflated
	Docs   []Document
	body   []byte
}

// Document is one document of a bulk request.
type Document struct {
	Index, ID string
	Source    json.RawMessage
}

// Documents returns a copy of what index holds, by id.
func (s *Server) Documents(index string) map[string]json.RawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.indices[index])
}

// Count returns how many documents there are in all indices.
func (s *Server) Count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, documents := range s.indices {
		n += len(documents)
	}
	return n
}

// Requests returns how many bulk requests have come.
func (s *Server) Requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.number
}

// Applied returns how often the document was created or found to be there.
func (s *Server) Applied(index, id string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.applied[index+"/"+id]
}

// Put stores a document, as another client would.
func (s *Server) Put(index, id, source string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.createLocked(Document{index, id, json.RawMessage(source)})
}

func (s *Server) createLocked(d Document) (created bool) {
	if s.indices == nil {
		s.indices = make(map[string]map[string]json.RawMessage)
		s.applied = make(map[string]int)
	}
	documents := s.indices[d.Index]
	if documents == nil {
		documents = make(map[string]json.RawMessage)
		s.indices[d.Index] = documents
	}
	s.applied[d.Index+"/"+d.ID]++
	if _, there := documents[d.ID]; there {
		return false
	}
	documents[d.ID] = bytes.Clone(d.Source)
	return true
}

// read reads a request's body. A status of 0 means that it can be answered.
func (s *Server) read(r *http.Request) (*Request, int) {
	request := &Request{Method: r.Method, Host: r.Host, Path: r.URL.Path, Header: r.Header}
	most := int64(cmp.Or(s.MaxBody, 100<<20))
	if r.Body == nil {
		return request, 0
	}
	wire, err := io.ReadAll(io.LimitReader(r.Body, most+1))
	if err != nil {
		return request, http.StatusBadRequest
	}
	request.Wire, request.Raw, request.body = len(wire), len(wire), wire
	if int64(len(wire)) > most {
		return request, http.StatusRequestEntityTooLarge
	}
	if r.Header.Get("Content-Encoding") == "gzip" {
		reader, err := gzip.NewReader(bytes.NewReader(wire))
		if err != nil {
			return request, http.StatusBadRequest
		}
		raw, err := io.ReadAll(io.LimitReader(reader, most+1))
		if err != nil {
			return request, http.StatusBadRequest
		}
		request.Raw, request.body = len(raw), raw
		if int64(len(raw)) > most {
			return request, http.StatusRequestEntityTooLarge
		}
	}
	return request, 0
}

// answer is a whole reply, before it is damaged.
func (s *Server) answer(r *http.Request, request *Request, fault Fault) reply {
	switch {
	case fault.Status != 0:
		return errorReply(fault.Status, fault.Type, fault.Reason, fault.RetryAfter)
	case request.Path == "/":
		return jsonReply(http.StatusOK, cmp.Or(s.Root, defaultRoot))
	case strings.HasSuffix(request.Path, "/_bulk"):
		return s.bulk(request, fault, r.URL.Query().Get("filter_path") != "" && !s.Full)
	case strings.HasSuffix(request.Path, "/_mget"):
		return s.multiGet(request)
	case strings.HasSuffix(request.Path, "/_count"), strings.HasSuffix(request.Path, "/_search"):
		return s.search(request)
	case strings.HasPrefix(request.Path, "/_index_template/"):
		return s.template(request)
	case strings.HasSuffix(request.Path, "/_mapping"):
		return jsonReply(http.StatusOK, "{}")
	}
	return errorReply(http.StatusMethodNotAllowed, "", "no handler found for uri", "")
}

const defaultRoot = `{"name":"fake","version":{"number":"7.10.2","build_flavor":"oss"},"tagline":"You Know, for Search"}`

// parse fills r.Docs. It refuses the whole body as Elasticsearch does.
func (r *Request) parse() *ItemError {
	refuse := func(kind, format string, args ...any) *ItemError {
		return &ItemError{Status: http.StatusBadRequest, Type: kind, Reason: fmt.Sprintf(format, args...)}
	}
	if len(r.body) == 0 {
		return refuse("parse_exception", "request body is required")
	}
	lines := bytes.Split(r.body, []byte{'\n'})
	if len(lines) < 2 || len(lines[len(lines)-1]) != 0 {
		return refuse("illegal_argument_exception", `The bulk request must be terminated by a newline [\n]`)
	}
	lines = lines[:len(lines)-1]
	for i := 0; i < len(lines); i += 2 {
		var action map[string]struct {
			Index string `json:"_index"`
			ID    string `json:"_id"`
		}
		decoder := json.NewDecoder(bytes.NewReader(lines[i]))
		decoder.DisallowUnknownFields()
		err := decoder.Decode(&action)
		create, ok := action["create"]
		switch {
		case err != nil, !ok, len(action) != 1, create.Index == "", i+1 == len(lines):
			return refuse("illegal_argument_exception", "Malformed action/metadata line [%d]", i+1)
		case len(create.ID) > maxID:
			return refuse("action_request_validation_exception",
				"Validation Failed: 1: id [%s] is too long, must be no longer than %d bytes but was: %d;", create.ID, maxID, len(create.ID))
		}
		r.Docs = append(r.Docs, Document{create.Index, create.ID, lines[i+1]})
	}
	return nil
}

// maxID is the most bytes of an id.
const maxID = 512

func (s *Server) bulk(r *Request, fault Fault, filtered bool) reply {
	if r.Docs == nil {
		if wrong := r.parse(); wrong != nil {
			return errorReply(wrong.Status, wrong.Type, wrong.Reason, "")
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	items := make([]map[string]any, 0, len(r.Docs))
	failed := false
	for i, d := range r.Docs {
		item := map[string]any{}
		if !filtered {
			item = map[string]any{"_index": d.Index, "_type": "_doc", "_id": d.ID}
		}
		wrong := fault.item(i, d)
		switch {
		case wrong != nil:
		case !json.Valid(d.Source) || d.Source[0] != '{':
			wrong = &ItemError{Status: http.StatusBadRequest, Type: "mapper_parsing_exception", Reason: "failed to parse"}
		case !s.createLocked(d):
			wrong = &ItemError{Status: http.StatusConflict, Type: "version_conflict_engine_exception",
				Reason: fmt.Sprintf("[%s]: version conflict, document already exists (current version [1])", d.ID)}
		}
		item["status"] = http.StatusCreated
		if wrong != nil {
			failed = true
			item["status"] = wrong.Status
			item["error"] = map[string]string{"type": wrong.Type, "reason": wrong.Reason}
		} else if !filtered {
			item["result"], item["_version"], item["_seq_no"], item["_primary_term"] = "created", 1, 10, 1
			item["_shards"] = map[string]int{"total": 2, "successful": 1, "failed": 0}
		}
		items = append(items, map[string]any{"create": item})
	}
	reply := map[string]any{"errors": failed, "items": fault.count(items)}
	if !filtered {
		reply["took"] = 3
	}
	return jsonReply(http.StatusOK, reply)
}

func (s *Server) multiGet(r *Request) reply {
	var request struct {
		Docs []struct {
			Index  string   `json:"_index"`
			ID     string   `json:"_id"`
			Source []string `json:"_source"`
		} `json:"docs"`
	}
	if err := json.Unmarshal(r.body, &request); err != nil {
		return errorReply(http.StatusBadRequest, "parse_exception", err.Error(), "")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	docs := []map[string]any{}
	for _, d := range request.Docs {
		source, found := s.indices[d.Index][d.ID]
		got := map[string]any{"_index": d.Index, "_id": d.ID, "found": found}
		if found {
			fields := map[string]json.RawMessage{}
			_ = json.Unmarshal(source, &fields) // it was checked when it came
			maps.DeleteFunc(fields, func(key string, _ json.RawMessage) bool {
				return d.Source != nil && !slices.Contains(d.Source, key)
			})
			got["_source"] = fields
		}
		docs = append(docs, got)
	}
	return jsonReply(http.StatusOK, map[string]any{"docs": docs})
}

// search answers _count and a _search for all documents, in the order of their ids.
func (s *Server) search(r *Request) reply {
	pattern := strings.Trim(path.Dir(r.Path), "/")
	var query struct {
		Size *int `json:"size"`
	}
	_ = json.Unmarshal(r.body, &query) // without a body it is a search for all
	s.mu.Lock()
	defer s.mu.Unlock()
	hits := []map[string]any{}
	for _, index := range slices.Sorted(maps.Keys(s.indices)) {
		if ok, err := path.Match(cmp.Or(pattern, "*"), index); err != nil || !ok {
			continue
		}
		for _, id := range slices.Sorted(maps.Keys(s.indices[index])) {
			hits = append(hits, map[string]any{"_index": index, "_id": id, "_source": s.indices[index][id]})
		}
	}
	if strings.HasSuffix(r.Path, "/_count") {
		return jsonReply(http.StatusOK, map[string]int{"count": len(hits)})
	}
	total, size := len(hits), 10
	if query.Size != nil {
		size = *query.Size
	}
	return jsonReply(http.StatusOK, map[string]any{"hits": map[string]any{
		"total": map[string]any{"value": total, "relation": "eq"}, "hits": hits[:min(size, total)],
	}})
}
