// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"
	"time"
)

// newRig starts everything for the length of a test.
func newRig(t *testing.T, pace time.Duration) *rig {
	t.Helper()
	r, err := start(t.TempDir(), pace)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
	return r
}
