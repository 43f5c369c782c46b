package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime/metrics"
	"time"

	"golang.org/x/sys/unix"
)

// measure is the state of this process at one moment.
type measure struct {
	at     time.Time
	cpu    time.Duration // of all threads, in user and kernel mode, less the endpoint's
	allocs uint64
	events int
}

func take(events int, spent time.Duration) measure {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:objects"}, {Name: "/gc/heap/tiny/allocs:objects"}}
	metrics.Read(sample)
	return measure{
		at: time.Now(), cpu: clock(unix.CLOCK_PROCESS_CPUTIME_ID) - spent,
		allocs: sample[0].Value.Uint64() + sample[1].Value.Uint64(), events: events,
	}
}

// threadTime returns the CPU time of this thread.
func threadTime() time.Duration { return clock(unix.CLOCK_THREAD_CPUTIME_ID) }

func clock(id int32) time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(id, &t)
	return time.Duration(t.Nano())
}

// peakMiB returns the largest resident set that this process has had. Rusage would
// give the larger one of this process and its parent.
func peakMiB() (int, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(status) {
		var kib int
		if n, _ := fmt.Sscanf(string(line), "VmHWM: %d kB", &kib); n == 1 {
			return kib >> 10, nil
		}
	}
	return 0, fmt.Errorf("no VmHWM in /proc/self/status")
}
