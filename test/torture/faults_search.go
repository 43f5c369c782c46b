package torture

import (
	"net/http"
	"strings"

	"github.com/shipperd/shipperd/pkg/elastic/elasticfake"
)

const (
	bulkRequests = "shipperd_bulk_requests_total"
	itemErrors   = "shipperd_bulk_item_errors_total"
	retries      = "shipperd_retries_total"
	letters      = "shipperd_dead_letters_written_total"
)

// bulks has the first bulk requests go wrong.
func bulks(times int, f elasticfake.Fault) func(*site) {
	return func(s *site) {
		s.search.Script = func(r *elasticfake.Request) elasticfake.Fault {
			if r.Number >= 1 && r.Number <= times {
				return f
			}
			return elasticfake.Fault{}
		}
	}
}

// someItems has half of the documents of the first requests refused.
func someItems(times, status int, kind string) func(*site) {
	return bulks(times, elasticfake.Fault{Item: func(i int, _ elasticfake.Document) *elasticfake.ItemError {
		if i%2 == 1 {
			return nil
		}
		return &elasticfake.ItemError{Status: status, Type: kind, Reason: "no"}
	}})
}

func searchFaults() []fault {
	status := func(name string, code int, kind, shows string) fault {
		return fault{name: name, inject: bulks(2, elasticfake.Fault{Status: code, Type: kind, Reason: "no"}), metric: retries, label: `reason="` + shows + `"`}
	}
	damage := func(name string, d elasticfake.Damage) fault {
		return fault{
			name: name, inject: bulks(2, elasticfake.Fault{Damage: d}), settings: []string{"SHIPPERD_ELASTICSEARCH_TIMEOUT=1s"},
			metric: retries, label: `reason="unknown"`,
		}
	}
	item := func(name string, code int, kind, shows string) fault {
		return fault{name: name, inject: someItems(2, code, kind), metric: retries, label: `reason="` + shows + `"`}
	}
	early := func(name string, code int) fault {
		return fault{name: name, inject: func(s *site) {
			s.search.Early = func(number int) int {
				if number <= 2 {
					return code
				}
				return 0
			}
		}, metric: bulkRequests, label: `code="` + itoa(code) + `"`}
	}
	return append(searchStates(), []fault{
		status("search: 429", 429, "es_rejected_execution_exception", "busy"),
		{name: "search: 429 with Retry-After", inject: bulks(2, elasticfake.Fault{Status: 429, RetryAfter: "1"}), metric: retries, label: `reason="busy"`},
		status("search: circuit breaker", 503, "circuit_breaking_exception", "busy"),
		status("search: out of storage", 507, "", "busy"),
		status("search: request timeout", 408, "", "busy"),
		status("search: proxy without a backend", 502, "", "unknown"),
		status("search: proxy gives up", 504, "", "unknown"),
		status("search: internal error", 500, "x_exception", "unknown"),
		status("search: request refused for one of its documents", 400, "illegal_argument_exception", "rejected"),
		status("search: body too large", 413, "", "too_large"),
		status("search: credentials refused", 401, "security_exception", "paused"),
		status("search: forbidden", 403, "security_exception", "paused"),
		status("search: no such endpoint", 404, "", "paused"),
		status("search: redirect", 301, "", "paused"),
		status("search: cluster is read-only", 403, "cluster_block_exception", "blocked"),
		{name: "search: connection reset", inject: bulks(2, elasticfake.Fault{Reset: true}), metric: retries, label: `reason="unknown"`},
		damage("search: applied, reply lost", elasticfake.Lost),
		damage("search: applied, reply torn", elasticfake.Torn),
		damage("search: applied, reply truncated", elasticfake.Truncated),
		damage("search: applied, an item missing", elasticfake.Fewer),
		damage("search: applied, an item too many", elasticfake.More),
		damage("search: applied, HTML with 200", elasticfake.NotJSON),
		damage("search: applied, empty reply", elasticfake.Empty),
		damage("search: applied, reply without items", elasticfake.Itemless),
		damage("search: applied, reply of 100 MB", elasticfake.Huge),
		damage("search: applied, reply a byte a second", elasticfake.Slow),
		damage("search: applied, reply never comes", elasticfake.Hung),
		early("search: 429 before the body was read", 429),
		early("search: 503 before the body was read", 503),
		item("search: items 429", 429, "es_rejected_execution_exception", "busy"),
		item("search: items without enough shards", 503, "unavailable_shards_exception", "busy"),
		item("search: items forbidden", 403, "security_exception", "paused"),
		item("search: items without an index", 404, "index_not_found_exception", "paused"),
		item("search: no new indices", 403, "index_create_block_exception", "paused"),
		item("search: index read-only", 403, "cluster_block_exception", "paused"),
		item("search: disk over the flood stage", 429, "cluster_block_exception", "paused"),
	}...)
}

// searchStates are faults that last: documents or indices that are never taken as
// they are.
func searchStates() []fault {
	return []fault{
		{
			name: "search: mapping refuses the whole document",
			inject: func(s *site) {
				s.search.Script = func(*elasticfake.Request) elasticfake.Fault { return elasticfake.Fault{Item: refuse} }
			},
			load:   func(s *site) error { return s.putEvents(0, s.stream.Shards()[0], "poison", 5, "") },
			metric: "shipperd_events_reduced_total",
		},
		{
			name:   "search: document over the request limit",
			inject: func(s *site) { s.search.MaxBody = maxBody },
			load: func(s *site) error {
				return s.putEvents(0, s.stream.Shards()[0], "large", 2, strings.Repeat("x", maxBody))
			},
			metric: letters, label: `reason="too_large"`,
		},
		{
			name: "search: document refused in every form", inject: neverTaken,
			load: func(s *site) error {
				if err := s.putEvents(0, s.stream.Shards()[0], "rejected", 1, ""); err != nil {
					return err
				}
				go s.keepComing()
				return nil
			},
			metric: letters, label: `reason="rejected"`,
		},
		{
			name: "search: index read-only for longer than blocked_after", settings: []string{"SHIPPERD_ELASTICSEARCH_BLOCKED_AFTER=2s"},
			inject: func(s *site) {
				s.search.Script = func(*elasticfake.Request) elasticfake.Fault {
					return elasticfake.Fault{Item: func(_ int, d elasticfake.Document) *elasticfake.ItemError {
						if d.Index != days[0] {
							return nil
						}
						return &elasticfake.ItemError{Status: http.StatusForbidden, Type: "cluster_block_exception"}
					}}
				}
			},
			load: func(s *site) error {
				go s.keepComing()
				return nil
			},
			metric: letters, label: `reason="index_read_only"`,
		},
		{
			name: "search: another event has the id",
			inject: func(s *site) {
				for i := range 20 {
					s.search.Put(days[i%len(days)], "taken-0-"+itoa(i), `{"@timestamp":"2026-01-01T00:00:00.000Z","@log_group":"another","@log_stream":"x"}`)
				}
			},
			load: func(s *site) error {
				go s.later(func() error { return s.putEvents(0, s.stream.Shards()[0], "taken", 20, "") })
				return nil
			},
			metric: letters, label: `reason="collision"`,
		},
	}
}

// neverTaken has the index refuse rejected events in every form.
func neverTaken(s *site) {
	s.search.Script = func(*elasticfake.Request) elasticfake.Fault {
		return elasticfake.Fault{Item: func(_ int, d elasticfake.Document) *elasticfake.ItemError {
			if !strings.HasPrefix(d.ID, "rejected-") {
				return nil
			}
			return &elasticfake.ItemError{Status: http.StatusBadRequest, Type: "mapper_parsing_exception", Reason: "no"}
		}}
	}
}
