// Package kibana holds the saved objects of the dashboards, for Kibana 7.10 and OpenSearch Dashboards alike: an index pattern,
// searches, visualizations and dashboards. They are written in generate and kept in shipperd.ndjson, which people import by
// hand where no program reaches Kibana.
package kibana

import _ "embed" // of the objects

//go:generate go run ./generate shipperd.ndjson

//go:embed shipperd.ndjson
var objects string

// Objects returns the saved objects as the import of both products takes them: one JSON object a line. The bytes are the caller's.
func Objects() []byte { return []byte(objects) }
