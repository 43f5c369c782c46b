package kinesis

import (
	"context"
	"time"
)

// pacer says when a shard may be read again. It belongs to one goroutine.
type pacer struct {
	limits Limits
	next   time.Time
}

// read sets the time of the next call from one that began at start and brought
// bytes. jitter is called for the part that spreads the polls of idle shards.
func (p *pacer) read(start time.Time, bytes int64, behind bool, jitter func(time.Duration) time.Duration) {
	var gap time.Duration
	if p.limits.CallsPerSecond > 0 {
		gap = time.Second / time.Duration(p.limits.CallsPerSecond)
	}
	if p.limits.BytesPerSecond > 0 {
		// A reply of 10 MiB closes the shard for 5 s; so does this.
		gap = max(gap, time.Duration(float64(bytes)/float64(p.limits.BytesPerSecond)*float64(time.Second)))
	}
	if !behind {
		gap = max(gap, p.limits.Idle+jitter(p.limits.Idle/4))
	}
	p.next = start.Add(gap)
}

// wait returns when the shard may be read again.
func (p *pacer) wait(ctx context.Context) error { return sleep(ctx, time.Until(p.next)) }

// sleep waits for d. Its error is that of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

const (
	// usualReply is how much one call asks for: two of them a second are all that
	// a shard gives (2 MiB/s), so larger replies would only take more memory.
	usualReply = 1 << 20
	maxReply   = 10 << 20 // the service's limit
	maxRecords = 10_000   // the service's limit

	// firstRecord is the size that is taken for a record before one was seen: 100
	// kB is 10,000 log lines, gzipped.
	firstRecord = 100 << 10
)

// appetite knows how large a shard's replies are: how much memory to reserve
// before a call, and how many records to ask for so that the reply keeps to it.
type appetite struct {
	reply  int64 // the largest of late; an old one counts half as much with every newer
	record int64 // the average of the last reply that had records; 0 before
}

// reserve returns the bytes to reserve for the next call.
func (a *appetite) reserve() int64 { return min(max(a.reply, usualReply), maxReply) }

// limit returns how many records to ask for.
func (a *appetite) limit() int32 {
	size := a.record
	if size == 0 {
		size = firstRecord
	}
	return int32(min(max(usualReply/size, 1), maxRecords))
}

// learn takes a reply into account.
func (a *appetite) learn(records int, bytes int64) {
	a.reply = max(bytes, a.reply/2)
	if records > 0 {
		a.record = bytes / int64(records)
	}
}
