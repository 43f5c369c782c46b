package document

import (
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime returns the CPU time of this thread: other processes do not count.
func cpuTime() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t)
	return time.Duration(t.Nano())
}
