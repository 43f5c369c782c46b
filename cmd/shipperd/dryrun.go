package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"

	"github.com/shipperd/shipperd/pkg/checkpoint"
	"github.com/shipperd/shipperd/pkg/record"
)

// dryOutput prints what an index and the dead letters would get, and keeps nothing.
type dryOutput struct {
	mu  sync.Mutex
	out *bufio.Writer
}

func newDryOutput(w io.Writer) output {
	dry := &dryOutput{out: bufio.NewWriter(w)}
	return output{store: &checkpoint.Memory{}, letters: dry, sink: dry, close: func() error { return nil }}
}

// Write implements pipeline.Sink: the lines of the bulk request.
func (d *dryOutput) Write(_ context.Context, records []*record.Record) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range records {
		for i := range r.Events {
			e := &r.Events[i]
			if e.Outcome != record.Pending {
				continue
			}
			fmt.Fprintf(d.out, "{\"create\":{\"_index\":%q,\"_id\":\"%s\"}}\n%s\n", e.Index, r.ID(e), r.Doc(e))
			e.Outcome = record.Indexed
		}
	}
	return d.out.Flush()
}

// Put implements pipeline.DeadLetters.
func (d *dryOutput) Put(_ context.Context, letters ...record.Letter) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range letters {
		text, err := json.Marshal(map[string]*record.Letter{"dead_letter": &letters[i]})
		if err != nil {
			return err
		}
		fmt.Fprintf(d.out, "%s\n", text)
	}
	return d.out.Flush()
}
