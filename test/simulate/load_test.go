package simulate

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// The names of events say what the index makes of them.
const (
	good     = "good"     // taken as it is
	poison   = "poison"   // taken in reduced form only
	picky    = "picky"    // taken bare only
	rejected = "rejected" // never taken
)

// load puts the records of the plan on the stream, while shards split and merge;
// then, unless all is quiet, a good one now and then until all has settled.
func (w *world) load(ctx context.Context) {
	last := ""
	for i := range w.plan.records {
		r := w.draw("load", i)
		gap := w.plan.spread / time.Duration(w.plan.records)
		if !w.pause(ctx, gap/2+time.Duration(r.Int64N(int64(gap)))) {
			return
		}
		last = w.put(r, i, last, w.compose)
		if r.IntN(1000) < w.plan.reshard {
			w.reshard(r)
		}
		if i+1 == w.plan.remake && !w.remake(ctx, r) {
			return
		}
	}
	for i := w.plan.records; ; i++ {
		r := w.draw("load", i)
		if !w.pause(ctx, 6*time.Second+time.Duration(r.Int64N(int64(time.Second)))) {
			return
		}
		switch {
		case !w.calm():
		case w.allSettled():
			w.finish()
		case !w.plan.quiet:
			w.put(r, i, "", w.composeGood)
		}
	}
}

// pause waits for d, and for the end of the weekend.
func (w *world) pause(ctx context.Context, d time.Duration) bool {
	if !sleep(ctx, d) {
		return false
	}
	w.mu.Lock()
	over := w.weekendOver
	w.mu.Unlock()
	if over == nil {
		return true
	}
	select {
	case <-over:
		return true
	case <-ctx.Done():
		return false
	}
}

// put puts one record on an open shard. An event of the record before may come
// again, as through a second subscription filter.
func (w *world) put(r *rand.Rand, number int, again string, compose func(*rand.Rand, int, string) (payload string, record sent, last string)) string {
	payload, record, last := compose(r, number, again)
	w.mu.Lock()
	defer w.mu.Unlock()
	data := []byte(payload)
	if r.IntN(4) == 0 {
		data = w.compress(payload)
	}
	open := w.stream.Shards()
	id := open[r.IntN(len(open))]
	sequence := w.stream.Put(id, data)
	if record.broken != "" {
		record.broken = id + "/" + sequence
	}
	w.truth.add(w.truth.stream().shard(id), sequence, &record)
	w.noteLocked("load", "record %d on %s: %s %s", number, short(id), strings.Join(record.events, " "), record.broken)
	return last
}

// compose makes a record of any kind.
func (w *world) compose(r *rand.Rand, number int, again string) (payload string, record sent, last string) {
	switch r.IntN(20) {
	case 0:
		return `{"messageType":"CONTROL_MESSAGE","owner":"CloudwatchLogs","logGroup":"","logStream":"","subscriptionFilters":[],"logEvents":[]}`, record, again
	case 1:
		record.broken = "yes"
		return "this is no payload", record, again
	}
	if again != "" && r.IntN(10) == 0 {
		record.events, last = append(record.events, again), again
	}
	for i := range 1 + r.IntN(4) {
		kind, index := good, w.days[r.IntN(len(w.days))]
		switch r.IntN(40) {
		case 0:
			kind = poison
		case 1:
			kind = picky
		case 2:
			kind = rejected
		}
		last = fmt.Sprintf("%s/%s-%d-%d", index, kind, number, i)
		record.events = append(record.events, last)
	}
	payload = w.payload(record.events)
	if r.IntN(20) == 0 {
		record.broken = "yes" // what comes before the bad part stays
		payload += `{"messageType":1}`
	}
	return payload, record, last
}

// composeGood makes a record with a good event for each index.
func (w *world) composeGood(_ *rand.Rand, number int, _ string) (payload string, record sent, last string) {
	for i, index := range w.days {
		record.events = append(record.events, fmt.Sprintf("%s/%s-%d-%d", index, good, number, i))
	}
	return w.payload(record.events), record, ""
}

// payload returns the events as CloudWatch Logs sends them; the day in their time
// decides their index.
func (w *world) payload(events []string) string {
	var b strings.Builder
	b.WriteString(`{"messageType":"DATA_MESSAGE","owner":"123456789012","logGroup":"g","logStream":"s","subscriptionFilters":["f"],"logEvents":[`)
	for i, e := range events {
		index, id, _ := strings.Cut(e, "/")
		day, err := time.Parse("cwl-2006.01.02", index)
		if err != nil {
			w.Fatalf("index %s has no day: %v", index, err)
		}
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":%q,"timestamp":%d,"message":"line of %s"}`, id, day.UnixMilli(), id)
	}
	b.WriteString("]}")
	return b.String()
}

func (w *world) compress(text string) []byte {
	var b bytes.Buffer
	w.zip.Reset(&b)
	_, err := w.zip.Write([]byte(text))
	if err == nil {
		err = w.zip.Close()
	}
	if err != nil {
		w.Fatal(err)
	}
	return b.Bytes()
}

// reshard splits a shard or merges two.
func (w *world) reshard(r *rand.Rand) {
	w.mu.Lock()
	defer w.mu.Unlock()
	open := w.stream.Shards()
	var parents, children []string
	if i := r.IntN(len(open)); i > 0 && r.IntN(2) == 0 || len(open) > 6 {
		j := (i + 1) % len(open)
		parents, children = []string{open[i], open[j]}, []string{w.stream.Merge(open[i], open[j])}
	} else {
		left, right := w.stream.Split(open[i])
		parents, children = []string{open[i]}, []string{left, right}
	}
	stream := w.truth.stream()
	for _, child := range children {
		for _, id := range parents {
			parent := stream.shard(id)
			parent.closed, parent.closedAt = true, time.Now()
			stream.shard(child).parents = append(stream.shard(child).parents, parent)
		}
	}
	w.noteLocked("load", "reshard %v into %v", parents, children)
}

// short shortens a shard's name.
func short(shard string) string {
	return strings.TrimLeft(strings.TrimPrefix(shard, "shardId-"), "0") + "."
}
