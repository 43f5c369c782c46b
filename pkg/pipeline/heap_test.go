package pipeline

import (
	"runtime/debug"
	"testing"

	"github.com/shipperd/shipperd/pkg/setting"
)

func TestHeapMakesRoomForLargeRecords(t *testing.T) {
	t.Setenv("GOMEMLIMIT", "")
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	config := DefaultConfig()
	config.Memory = 64 * setting.MiB
	heap := config.LimitHeap(2)
	usual := debug.SetMemoryLimit(-1)
	for _, step := range []struct{ record, more setting.Size }{
		{1 * setting.MiB, 0},                          // fits into the rest
		{16 * setting.MiB, (96 - 24) * setting.MiB},   // three for each worker
		{1 * setting.MiB, (96 - 24) * setting.MiB},    // more large ones are to be expected
		{256 * setting.MiB, (128 - 24) * setting.MiB}, // a bomb: twice the budget
	} {
		heap.decoded(int64(step.record))
		if got := setting.Size(debug.SetMemoryLimit(-1) - usual); got != step.more {
			t.Errorf("after a record of %s: got %s more than at the start, want %s", step.record, got, step.more)
		}
	}
}

func TestHeapLeavesTheLimitOfTheEnvironment(t *testing.T) {
	t.Setenv("GOMEMLIMIT", "1GiB")
	before := debug.SetMemoryLimit(-1)
	heap := DefaultConfig().LimitHeap(2)
	heap.decoded(1 << 30)
	if got := debug.SetMemoryLimit(-1); got != before {
		t.Errorf("got a limit of %d bytes, want %d as before", got, before)
	}
}
