package logging

import (
	"errors"
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

// limiter holds repeated lines back. How many were, is said by a line like them, once
// their window is over and anything is logged, or at the end.
type limiter struct {
	zapcore.Core
	seen *seen // shared by all loggers that come from one
}

type seen struct {
	core zapcore.Core // without the fields of any logger

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
	return &limiter{Core: core, seen: &seen{core: core, lines: make(map[line]*window)}}
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
	err := l.seen.tell(e.Time, lineWindow)
	if l.seen.pass(e) {
		err = errors.Join(err, l.Core.Write(e, fields))
	}
	return err
}

// Sync implements zapcore.Core.
func (l *limiter) Sync() error { return errors.Join(l.seen.tell(time.Now(), 0), l.Core.Sync()) }

// pass says whether e may be written.
func (s *seen) pass(e zapcore.Entry) bool {
	key := line{e.Level, e.LoggerName, e.Message}
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.lines[key]
	if w == nil {
		if len(s.lines) >= maxLines {
			return true
		}
		w = &window{start: e.Time}
		s.lines[key] = w
	}
	if w.passed == lineBurst {
		w.suppressed++
		return false
	}
	w.passed++
	return true
}

// tell ends the windows that began so long ago, and says what was held back in them.
func (s *seen) tell(now time.Time, age time.Duration) (err error) {
	for key, suppressed := range s.end(now, age) {
		e := zapcore.Entry{Level: key.level, Time: now, LoggerName: key.logger, Message: key.message}
		err = errors.Join(err, s.core.Write(e, []zapcore.Field{zap.Int("suppressed", suppressed)}))
	}
	return err
}

// end ends the windows that began so long ago, and returns how many lines were held
// back in them.
func (s *seen) end(now time.Time, age time.Duration) map[line]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	suppressed := make(map[line]int)
	for key, w := range s.lines {
		if now.Sub(w.start) < age {
			continue
		}
		delete(s.lines, key)
		if w.suppressed > 0 {
			suppressed[key] = w.suppressed
		}
	}
	return suppressed
}
