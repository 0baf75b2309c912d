// SPDX-License-Identifier: Apache-2.0

package sys

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"
)

func TestLockFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := LockFile(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := LockFile(cancelled, path); !errors.Is(err, context.Canceled) {
		t.Errorf("second holder: got error %v, want context.Canceled", err)
	}
	waits, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
	defer cancel()
	if _, err := LockFile(waits, path); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("second holder: got %v, want that it waits", err)
	}
	unlock()
	unlock, err = LockFile(t.Context(), path)
	if err != nil {
		t.Fatalf("after unlock: %v", err)
	}
	unlock()
	if _, err := LockFile(t.Context(), filepath.Join(path, "below a file")); err == nil {
		t.Error("impossible path: got no error")
	}
}
