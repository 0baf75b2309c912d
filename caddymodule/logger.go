// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"slices"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// processLogger is for what outlives a configuration. A configuration's own
// logger writes into files that are closed together with it.
func processLogger(name string) *zap.Logger {
	return zap.New(defaultCore{}).Named(name)
}

// defaultCore writes to whatever is Caddy's default log at the moment.
type defaultCore struct{ fields []zap.Field }

func (defaultCore) Enabled(level zapcore.Level) bool {
	return caddy.Log().Core().Enabled(level)
}

func (c defaultCore) With(fields []zap.Field) zapcore.Core {
	return defaultCore{append(slices.Clip(c.fields), fields...)}
}

func (c defaultCore) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(entry.Level) {
		return checked.AddCore(entry, c)
	}
	return checked
}

func (c defaultCore) Write(entry zapcore.Entry, fields []zap.Field) error {
	return caddy.Log().Core().Write(entry, append(slices.Clip(c.fields), fields...))
}

func (defaultCore) Sync() error { return caddy.Log().Core().Sync() }
