// Package logging makes the daemon's logger: JSON for machines, plain lines for a
// terminal. What comes from logs that shipperd carries is an attacker's text: none
// of its control characters reaches a terminal. A line that repeats is held back
// and counted.
package logging

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"unicode"
	"unicode/utf8"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/term"
)

// The formats.
const (
	formatAuto    = "auto"
	formatJSON    = "json"
	formatConsole = "console"
)

// Config is the section log of the configuration.
type Config struct {
	Level  string `yaml:"level"`  // debug, info, warn or error; SIGHUP takes a new one over
	Format string `yaml:"format"` // json, console, or auto: console on a terminal, else json
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config { return Config{Level: "info", Format: formatAuto} }

// Validate reports every value that cannot work, by its key.
func (c Config) Validate() error {
	var errs []error
	if _, err := c.ZapLevel(); err != nil {
		errs = append(errs, err)
	}
	if formats := []string{formatAuto, formatJSON, formatConsole}; !slices.Contains(formats, c.Format) {
		errs = append(errs, fmt.Errorf("log.format: %q is not known; choose one of %q", c.Format, formats))
	}
	return errors.Join(errs...)
}

// ZapLevel returns the level as zap has it.
func (c Config) ZapLevel() (zapcore.Level, error) {
	levels := map[string]zapcore.Level{"debug": zap.DebugLevel, "info": zap.InfoLevel, "warn": zap.WarnLevel, "error": zap.ErrorLevel}
	level, ok := levels[c.Level]
	if !ok {
		return 0, fmt.Errorf("log.level: %q is not known; choose debug, info, warn or error", c.Level)
	}
	return level, nil
}

// New returns a logger that writes to w, and its level, which may be changed while
// it is in use. c has been validated.
func New(c Config, w io.Writer) (*zap.Logger, zap.AtomicLevel) {
	parsed, err := c.ZapLevel()
	if err != nil {
		panic(err) // Validate has accepted it
	}
	level := zap.NewAtomicLevelAt(parsed)
	to := zapcore.Lock(zapcore.AddSync(w))
	if c.Format == formatConsole || c.Format == formatAuto && isTerminal(w) {
		encoder := zap.NewDevelopmentEncoderConfig()
		return zap.New(newLimiter(zapcore.NewCore(zapcore.NewConsoleEncoder(encoder), zapcore.AddSync(printable{to}), level))), level
	}
	encoder := zap.NewProductionEncoderConfig()
	encoder.TimeKey = "time"
	encoder.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	encoder.EncodeDuration = zapcore.StringDurationEncoder
	return zap.New(newLimiter(zapcore.NewCore(zapcore.NewJSONEncoder(encoder), to, level))), level
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// printable writes text on which a terminal acts in no way: control characters
// become their escapes. Line breaks and tabs are zap's own, which quotes those of
// fields.
type printable struct{ to zapcore.WriteSyncer }

// Write implements io.Writer.
func (p printable) Write(text []byte) (int, error) {
	if _, err := p.to.Write(Printable(text)); err != nil {
		return 0, err
	}
	return len(text), nil
}

// Sync implements zapcore.WriteSyncer.
func (p printable) Sync() error { return p.to.Sync() }

// Terminal returns w or, where it is a terminal, a writer that shows control
// characters instead of sending them: for commands that print what others wrote.
func Terminal(w io.Writer) io.Writer {
	if isTerminal(w) {
		return printable{zapcore.AddSync(w)}
	}
	return w
}

// Printable returns text with every control character but line break and tab
// replaced by its escape, those of one byte (C0) and of two (C1), and every byte
// that is no UTF-8. It is for all that goes to a terminal.
func Printable(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && size == 1:
			out = fmt.Appendf(out, `\x%02x`, text[0])
		case r == '\n' || r == '\t' || unicode.IsPrint(r) || r == utf8.RuneError:
			out = append(out, text[:size]...)
		default: // controls, and the invisible ones that reorder or hide text
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		text = text[size:]
	}
	return out
}
