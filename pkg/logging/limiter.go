package logging

import (
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

const (
	// A line may come so often in a window; what comes more often tells nothing
	// new and fills disks.
	lineBurst  = 10
	lineWindow = 10 * time.Second
	// maxLines bounds the memory of the limiter. Messages are constants: shipperd
	// has some hundred.
	maxLines = 1000
)

// limiter holds repeated lines back. The next line that passes says how many.
type limiter struct {
	zapcore.Core
	seen *seen // shared by all loggers that come from one
}

type seen struct {
	mu    sync.Mutex
	lines map[line]*window
}

// line is what two entries have in common that tell the same.
type line struct {
	level   zapcore.Level
	logger  string
	message string
}

type window struct {
	start      time.Time
	passed     int
	suppressed int
}

func newLimiter(core zapcore.Core) zapcore.Core {
	return &limiter{Core: core, seen: &seen{lines: make(map[line]*window)}}
}

// With implements zapcore.Core.
func (l *limiter) With(fields []zapcore.Field) zapcore.Core {
	return &limiter{Core: l.Core.With(fields), seen: l.seen}
}

// Check implements zapcore.Core.
func (l *limiter) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if l.Enabled(e.Level) {
		return checked.AddCore(e, l)
	}
	return checked
}

// Write implements zapcore.Core.
func (l *limiter) Write(e zapcore.Entry, fields []zapcore.Field) error {
	suppressed, pass := l.seen.pass(e)
	if !pass {
		return nil
	}
	if suppressed > 0 {
		fields = append(slices.Clip(fields), zap.Int("suppressed", suppressed))
	}
	return l.Core.Write(e, fields)
}

// pass says whether e may be written, and how many like it were not since the last.
func (s *seen) pass(e zapcore.Entry) (suppressed int, ok bool) {
	key := line{e.Level, e.LoggerName, e.Message}
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.lines[key]
	if w == nil {
		if len(s.lines) >= maxLines {
			return 0, true
		}
		w = &window{start: e.Time}
		s.lines[key] = w
	}
	if e.Time.Sub(w.start) >= lineWindow {
		suppressed = w.suppressed
		*w = window{start: e.Time}
	}
	if w.passed == lineBurst {
		w.suppressed++
		return 0, false
	}
	w.passed++
	return suppressed, true
}
