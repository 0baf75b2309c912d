// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"errors"
	"testing"
)

func mustObject(t *testing.T, raw []byte) Object {
	t.Helper()
	o, err := ParseObject(raw)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// codeOf is the code of a Matrix error, or empty.
func codeOf(err error) string {
	if me, ok := errors.AsType[*MatrixError](err); ok {
		return me.Errcode
	}
	return ""
}
