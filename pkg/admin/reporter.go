package admin

import (
	"context"
	"log/slog" //nolint:depguard // the interface of exporter-toolkit and, for its errors, of net/http

	"go.uber.org/zap"
)

// reporter hands the warnings of exporter-toolkit and of net/http to zap, under one
// constant message: they quote clients, and the logger holds repeated messages back.
type reporter struct{ log *zap.Logger }

// Enabled implements slog.Handler: the rest is about listening, which we say
// ourselves.
func (reporter) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

// Handle implements slog.Handler.
func (r reporter) Handle(_ context.Context, record slog.Record) error { //nolint:gocritic // the interface has it by value
	fields := []zap.Field{zap.String("report", record.Message)}
	record.Attrs(func(a slog.Attr) bool {
		fields = append(fields, zap.String(a.Key, a.Value.String()))
		return true
	})
	r.log.Warn("the endpoint has trouble with a client or its web configuration", fields...)
	return nil
}

// WithAttrs implements slog.Handler.
func (r reporter) WithAttrs(attrs []slog.Attr) slog.Handler {
	for _, a := range attrs {
		r.log = r.log.With(zap.String(a.Key, a.Value.String()))
	}
	return r
}

// WithGroup implements slog.Handler; neither source has groups.
func (r reporter) WithGroup(string) slog.Handler { return r }
