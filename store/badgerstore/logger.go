// SPDX-License-Identifier: Apache-2.0

package badgerstore

import (
	"fmt"
	"strings"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// badgerLogger adapts zap to badger.Logger. Badger's Info tells of every
// replayed file and compaction, which is Debug for an operator.
type badgerLogger struct{ log *zap.Logger }

func (l badgerLogger) Errorf(format string, args ...any) {
	l.write(zapcore.ErrorLevel, format, args)
}

func (l badgerLogger) Warningf(format string, args ...any) {
	l.write(zapcore.WarnLevel, format, args)
}

func (l badgerLogger) Infof(format string, args ...any) {
	l.write(zapcore.DebugLevel, format, args)
}

func (l badgerLogger) Debugf(format string, args ...any) {
	l.write(zapcore.DebugLevel, format, args)
}

// write formats only what will be logged: Badger has four messages for each commit. It
// drops the newlines that they end with and the empty ones that separate them.
func (l badgerLogger) write(level zapcore.Level, format string, args []any) {
	if !l.log.Core().Enabled(level) {
		return
	}
	if msg := strings.Trim(fmt.Sprintf(format, args...), "\n"); msg != "" {
		l.log.Log(level, msg)
	}
}
