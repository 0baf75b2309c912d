// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

func TestDirKeepsMessagesInOrder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "mail")
	d := NewDir(path)
	for i := range 10 {
		if err := d.Send(t.Context(), "a@x.test", "b@x.test", fmt.Appendf(nil, "message %d\r\n", i)); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := os.ReadDir(path) // sorted by name
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(entries), 10; got != want {
		t.Fatalf("got %d files, want %d", got, want)
	}
	name := regexp.MustCompile(`^\d{8}T\d{6}\.\d{9}-[A-Z0-9]{8}\.eml$`)
	for i, entry := range entries {
		got, err := os.ReadFile(filepath.Join(path, entry.Name()))
		if want := fmt.Sprintf("message %d\r\n", i); err != nil || string(got) != want {
			t.Errorf("got %q (%v), want %q", got, err, want)
		}
		if !name.MatchString(entry.Name()) {
			t.Errorf("got name %q", entry.Name())
		}
		if info, err := entry.Info(); err != nil || info.Mode() != 0o600 {
			t.Errorf("got mode %v (%v), want 0600", info.Mode(), err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("got mode %v (%v) of the folder, want 0700", info.Mode(), err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

func TestDirNeverShowsHalfAMessage(t *testing.T) {
	path := t.TempDir()
	d := NewDir(path)
	message := bytes.Repeat([]byte("0123456789abcde\n"), 1<<12)
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			for range 8 {
				if err := d.Send(t.Context(), "a@x.test", "b@x.test", message); err != nil {
					t.Error(err)
				}
			}
		})
	}
	written := make(chan struct{})
	go func() { writers.Wait(); close(written) }()
	for done := false; !done; {
		select {
		case <-written:
			done = true
		default:
		}
		files, err := filepath.Glob(filepath.Join(path, "*.eml"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if got, err := os.ReadFile(file); err != nil || len(got) != len(message) {
				t.Fatalf("got %d of %d bytes (%v)", len(got), len(message), err)
			}
		}
	}
	if entries, err := os.ReadDir(path); err != nil || len(entries) != 32 {
		t.Errorf("got %d files (%v), want 32 and no remains", len(entries), err)
	}
}

func TestDirRefuses(t *testing.T) {
	path := t.TempDir()
	if err := NewDir(path).Send(t.Context(), "a@x.test\r\n", "b@x.test", nil); !errors.Is(err, ErrInvalidSender) {
		t.Errorf("got %v, want %v", err, ErrInvalidSender)
	}
	if err := NewDir(path).Send(t.Context(), "a@x.test", "../b", nil); !errors.Is(err, ErrInvalidRecipient) {
		t.Errorf("got %v, want %v", err, ErrInvalidRecipient)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := NewDir(path).Send(ctx, "a@x.test", "b@x.test", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	if entries, err := os.ReadDir(path); err != nil || len(entries) != 0 {
		t.Errorf("got %d files (%v), want none", len(entries), err)
	}
}

func TestDirThatCannotBeWrittenIsForTheOperator(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := NewDir(file).Send(t.Context(), "a@x.test", "victim@x.test", nil)
	var failed *SendError
	if !errors.As(err, &failed) || !failed.Temporary() || !failed.Operator() {
		t.Fatalf("got %v, want an operator's fault that passes", err)
	}
	if strings.Contains(err.Error(), "victim") || !strings.Contains(err.Error(), file) {
		t.Errorf("got %q, want the folder and no address", err)
	}
}
