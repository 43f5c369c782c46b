package pipeline

import (
	"os"
	"runtime"
	"runtime/debug"
	"sync"

	"github.com/shipperd/shipperd/pkg/setting"
)

// Heap tells the garbage collector how much memory the process should keep to: what was
// live when it was made, the budget, and a rest. Otherwise garbage would grow to the
// size of all that is live.
type Heap struct {
	base    int64 // live at the start, and the budget
	most    int64 // that the rest may grow to
	workers int64

	mu   sync.Mutex
	rest int64
}

// outside is what a busy process takes beside the budget and what it began with:
// request bodies, the workers' own buffers, garbage between two collections.
const outside = int64(24 * setting.MiB)

// LimitHeap sets the limit for so many decode workers. GOMEMLIMIT in the environment
// counts more. To be called when databases are loaded and before anything is read.
func (c Config) LimitHeap(workers int) *Heap {
	if os.Getenv("GOMEMLIMIT") != "" {
		return nil
	}
	runtime.GC()
	var now runtime.MemStats
	runtime.ReadMemStats(&now)
	h := &Heap{base: int64(now.HeapAlloc) + int64(c.Memory), most: max(outside, 2*int64(c.Memory)), workers: int64(workers), rest: outside}
	debug.SetMemoryLimit(h.base + h.rest)
	return h
}

// decoded makes room for records whose documents take so many bytes, three for each
// worker: the one that it makes, what that is made of, and the garbage of the one before.
// Under a limit that large records do not fit into, the collector would run all the time.
// A bomb does not count for more than twice the budget.
func (h *Heap) decoded(bytes int64) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if rest := min(3*h.workers*bytes, h.most); rest > h.rest {
		h.rest = rest
		debug.SetMemoryLimit(h.base + h.rest)
	}
}
