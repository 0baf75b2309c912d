// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFileWritesOneFilePerMessage(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "sms")
	g := NewFile(dir)
	for range 3 {
		if _, err := g.Send(t.Context(), hostile()); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 {
		t.Fatalf("got %d files, %v, want 3", len(entries), err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("got %v, %v, want mode 0700", info.Mode(), err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || info.Mode().Perm() != 0o600 || !strings.HasSuffix(e.Name(), ".json") || strings.Contains(e.Name(), number) {
			t.Errorf("got %s, %v, %v", e.Name(), info.Mode(), err)
		}
		content, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(content, &got); err != nil {
			t.Fatal(err)
		}
		m := hostile()
		if got["to"] != "+"+number || got["text"] != m.Text || got["from"] != m.From || got["receipt_url"] != receipt || got["id"] != "m-1" {
			t.Errorf("got %v", got)
		}
	}
}

func TestFileFailures(t *testing.T) {
	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := refusedBy(t, NewFile(filepath.Join(blocked, "x")), message()); got.Reason != ReasonFolder || !got.Again || !got.Fault || got.Unsure {
		t.Errorf("got %+v", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := NewFile(t.TempDir()).Send(ctx, message()); err == nil || !strings.Contains(err.Error(), ReasonInterrupted) {
		t.Errorf("got %v, want it interrupted", err)
	}
}
