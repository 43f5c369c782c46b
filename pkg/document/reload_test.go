package document

import (
	"encoding/json"
	"testing"

	"github.com/shipperd/shipperd/pkg/record"
)

func TestDropRulesChangeWhileWorkersDecode(t *testing.T) {
	config := DefaultConfig()
	config.Groups = []Group{{Name: "web", Match: "g", Drop: []string{"healthz"}}}
	documents, err := New(config, Options{})
	if err != nil {
		t.Fatal(err)
	}
	decoder := documents.NewDecoder()
	filtered := func() (kinds [2]record.Filter) {
		r := &record.Record{Data: []byte(`{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"g","logStream":"s","logEvents":[` +
			`{"id":"1","timestamp":1,"message":"GET /healthz"},{"id":"2","timestamp":1,"message":"GET /metrics"}]}`)}
		if err := decoder.Decode(r); err != nil {
			t.Fatal(err)
		}
		return [2]record.Filter{r.Events[0].Filter, r.Events[1].Filter}
	}
	if got, want := filtered(), [2]record.Filter{record.FilterDrop, record.NotFiltered}; got != want {
		t.Errorf("got %v at first, want %v", got, want)
	}
	changed := []Group{{Name: "new", Match: "*", Drop: []string{"GET"}}, {Name: "web", Match: "other", Drop: []string{"metrics"}, IndexPrefix: "cwl-x"}}
	if err := documents.SetDrop(changed); err != nil {
		t.Fatal(err)
	}
	if got, want := filtered(), [2]record.Filter{record.NotFiltered, record.FilterDrop}; got != want {
		t.Errorf("got %v after the change, want %v: the rules of the group web alone", got, want)
	}
	if err := documents.SetDrop([]Group{{Name: "web", Drop: []string{"[a,"}}}); err == nil {
		t.Error("got no error for a pattern that is none")
	}
	if got, want := filtered(), [2]record.Filter{record.NotFiltered, record.FilterDrop}; got != want {
		t.Errorf("got %v after a refused change, want %v", got, want)
	}
	if got := documents.config.Groups[0].Match; got != "g" {
		t.Errorf("got the route %q, want it as it was", got)
	}
}

// An index without the template maps a root field by its first value of the day.
func TestFlowFieldsAreOfOneKindInEveryLine(t *testing.T) {
	config := DefaultConfig()
	config.Groups = []Group{{Name: "flow", Match: "flow", Format: "vpcflow", FlowFields: []string{"srcaddr", "tcp-flags", "tgw-src-vpc-account-id"}}}
	documents, err := New(config, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]map[string]any{
		"203.0.113.9 19 123456789012": {"srcaddr": "203.0.113.9", "tcp_flags": 19.0, "tgw_src_vpc_account_id": "123456789012"},
		"- - -":                       {"srcaddr": "-", "tcp_flags": nil, "tgw_src_vpc_account_id": "-"},
	} {
		x, err := documents.Explain(Line{Text: []byte(text), Group: "flow"})
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(x.Document, &got); err != nil {
			t.Fatal(err)
		}
		for name := range want {
			if got[name] != want[name] {
				t.Errorf("%s: got %s %v, want %v", text, name, got[name], want[name])
			}
		}
	}
}

func TestFlowFieldsAreRootFieldsInTheirOwnOrder(t *testing.T) {
	config := DefaultConfig()
	config.Groups = []Group{{Name: "flow", Match: "flow", Format: "vpcflow", FlowFields: []string{"srcaddr", "dstport", "vpc-id"}}}
	documents, err := New(config, Options{})
	if err != nil {
		t.Fatal(err)
	}
	x, err := documents.Explain(Line{Text: []byte("203.0.113.9 443 vpc-1"), Group: "flow"})
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		SrcAddr string `json:"srcaddr"`
		DstPort int    `json:"dstport"`
		VPC     string `json:"vpc_id"`
		Version any    `json:"version"`
	}
	if err := json.Unmarshal(x.Document, &got); err != nil {
		t.Fatal(err)
	}
	if got.SrcAddr != "203.0.113.9" || got.DstPort != 443 || got.VPC != "vpc-1" || got.Version != nil {
		t.Errorf("got %+v from %s, want the three fields that were configured", got, x.Document)
	}
}
