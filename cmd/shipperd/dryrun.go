package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"

	"github.com/shipperd/shipperd/pkg/checkpoint"
	"github.com/shipperd/shipperd/pkg/logging"
	"github.com/shipperd/shipperd/pkg/record"
)

// dryOutput prints what an index and the dead letters would get, and keeps nothing.
type dryOutput struct {
	mu  sync.Mutex
	out io.Writer // gets whole lines
}

func newDryOutput(w io.Writer) output {
	dry := &dryOutput{out: logging.Terminal(w)}
	return output{store: &checkpoint.Memory{}, letters: dry, sink: dry, close: func() error { return nil }}
}

// Write implements pipeline.Sink: the lines of the bulk request.
func (d *dryOutput) Write(_ context.Context, records []*record.Record) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var lines bytes.Buffer
	for _, r := range records {
		for i := range r.Events {
			e := &r.Events[i]
			if e.Outcome != record.Pending {
				continue
			}
			fmt.Fprintf(&lines, "{\"create\":{\"_index\":%q,\"_id\":\"%s\"}}\n%s\n", e.Index, r.ID(e), r.Doc(e))
			e.Outcome = record.Indexed
		}
	}
	_, err := lines.WriteTo(d.out)
	return err
}

// Put implements pipeline.DeadLetters.
func (d *dryOutput) Put(_ context.Context, letters ...record.Letter) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var lines bytes.Buffer
	for i := range letters {
		text, err := json.Marshal(map[string]*record.Letter{"dead_letter": &letters[i]})
		if err != nil {
			return err
		}
		fmt.Fprintf(&lines, "%s\n", text)
	}
	_, err := lines.WriteTo(d.out)
	return err
}
