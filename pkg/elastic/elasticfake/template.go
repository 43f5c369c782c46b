package elasticfake

import (
	"encoding/json"
	"net/http"
	"path"
)

// template keeps index templates by name. It applies none and cannot simulate one:
// it has no mappings.
func (s *Server) template(r *Request) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := path.Base(r.Path)
	stored, found := s.templates[name]
	switch {
	case r.Method == http.MethodPut:
		if s.templates == nil {
			s.templates = make(map[string]json.RawMessage)
		}
		s.templates[name] = r.body
		return jsonReply(http.StatusOK, `{"acknowledged":true}`)
	case r.Method != http.MethodGet:
		return errorReply(http.StatusMethodNotAllowed, "", "no handler found for uri", "")
	case !found:
		return errorReply(http.StatusNotFound, "resource_not_found_exception", "index template matching ["+name+"] not found", "")
	}
	return jsonReply(http.StatusOK, map[string]any{"index_templates": []any{map[string]any{"name": name, "index_template": stored}}})
}
