// SPDX-License-Identifier: Apache-2.0

package keyring_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
)

func TestLoadOrCreateMakesAPrivateFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "here")
	path := filepath.Join(dir, "keys.json")
	first, err := keyring.LoadOrCreate(path)
	if err != nil {
		t.Fatalf("LoadOrCreate: %v", err)
	}
	for name, want := range map[string]fs.FileMode{path: 0o600, dir: fs.ModeDir | 0o700} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode(); got != want {
			t.Errorf("mode of %s is %v, want %v", filepath.Base(name), got, want)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("folder holds %v (%v), want only the key file", entries, err)
	}
	for name, load := range map[string]func(string) (*keyring.Ring, error){"Load": keyring.Load, "LoadOrCreate": keyring.LoadOrCreate} {
		again, err := load(path)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got, err := again.Open("c", first.Seal("c", []byte("x"))); err != nil || string(got) != "x" {
			t.Errorf("after %s: Open = %q, %v", name, got, err)
		}
	}
	other, err := keyring.LoadOrCreate(filepath.Join(dir, "other.json"))
	if err != nil {
		t.Fatal(err)
	}
	if other.Hash("l") == first.Hash("l") {
		t.Errorf("two files were made with the same key")
	}
}

// TestLoadOrCreateConcurrently: whoever starts together with others must not
// go on with a key that is not in the file.
func TestLoadOrCreateConcurrently(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "keys.json")
	const starters = 40
	var (
		rings [starters]*keyring.Ring
		errs  [starters]error
		wg    sync.WaitGroup
	)
	start := make(chan struct{})
	for i := range starters {
		wg.Go(func() {
			<-start
			rings[i], errs[i] = keyring.LoadOrCreate(path)
		})
	}
	close(start)
	wg.Wait()
	onDisk, err := keyring.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range starters {
		if errs[i] != nil {
			t.Fatalf("starter %d: %v", i, errs[i])
		}
		if rings[i].Hash("l") != onDisk.Hash("l") {
			t.Errorf("starter %d has another key than the file", i)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("folder holds %v (%v), want only the key file", entries, err)
	}
}

func TestLoadMissingFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	if _, err := keyring.Load(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Load = %v, want ErrNotExist", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Load made a file")
	}
}

func TestLoadOrCreateWhereNoFileCanBe(t *testing.T) {
	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if ring, err := keyring.LoadOrCreate(filepath.Join(blocked, "keys.json")); err == nil || ring != nil {
		t.Errorf("LoadOrCreate below a file = %v, %v, want an error", ring, err)
	}
	dangling := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(filepath.Join(t.TempDir(), "nowhere"), dangling); err != nil {
		t.Fatal(err)
	}
	if ring, err := keyring.LoadOrCreate(dangling); err == nil || ring != nil {
		t.Errorf("LoadOrCreate of a dangling link = %v, %v, want an error", ring, err)
	}
}

// marker stands for a secret inside broken files; no error may repeat it.
const marker = "c2VjcmV0LW1hcmtlci1zZWNyZXQtbWFya2VyLXNlY3I="

func TestLoadRefusesAndDoesNotQuote(t *testing.T) {
	good := fmt.Sprintf(`{"version":1,"keys":[{"id":1,"secret":%q}]}`, marker)
	tests := []struct{ name, content string }{
		{"empty", ""},
		{"not JSON", marker},
		{"cut short", good[:len(good)-2]},
		{"a second value behind", good + good},
		{"text behind", good + marker},
		{"wrong type of secret", fmt.Sprintf(`{"version":1,"keys":[{"id":1,"secret":{%q:1}}]}`, marker)},
		{"not base64", fmt.Sprintf(`{"version":1,"keys":[{"id":1,"secret":"!%s"}]}`, marker)},
		{"unknown member", fmt.Sprintf(`{"version":1,%q:2,"keys":[{"id":1,"secret":%q}]}`, marker, marker)},
		{"id too large", fmt.Sprintf(`{"version":1,"keys":[{"id":256,"secret":%q}]}`, marker)},
		{"id negative", fmt.Sprintf(`{"version":1,"keys":[{"id":-1,"secret":%q}]}`, marker)},
		{"version 0", strings.Replace(good, `"version":1`, `"version":0`, 1)},
		{"version 2", strings.Replace(good, `"version":1`, `"version":2`, 1)},
		{"no version", strings.Replace(good, `"version":1,`, ``, 1)},
		{"no keys", `{"version":1,"keys":[]}`},
		{"keys missing", `{"version":1}`},
		{"secret too short", fmt.Sprintf(`{"version":1,"keys":[{"id":1,"secret":%q}]}`, marker[:40])},
		{"the same id twice", fmt.Sprintf(`{"version":1,"keys":[{"id":1,"secret":%q},{"id":1,"secret":%q}]}`, marker, marker)},
		{"array", "[" + good + "]"},
		{"null", "null"},
	}
	plain, err := base64.StdEncoding.DecodeString(marker)
	if err != nil || len(plain) != keyring.SecretSize {
		t.Fatalf("the marker is %d bytes (%v), want a whole key", len(plain), err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "keys.json")
			if err := os.WriteFile(path, []byte(tt.content), 0o600); err != nil {
				t.Fatal(err)
			}
			ring, err := keyring.LoadOrCreate(path)
			if err == nil || ring != nil {
				t.Fatalf("LoadOrCreate = %v, %v, want an error", ring, err)
			}
			if strings.Contains(err.Error(), marker[:12]) || strings.Contains(err.Error(), string(plain[:12])) {
				t.Errorf("the error quotes the file: %v", err)
			}
			if !strings.Contains(err.Error(), path) {
				t.Errorf("the error does not name the file: %v", err)
			}
			if after, _ := os.ReadFile(path); string(after) != tt.content {
				t.Errorf("the broken file was changed")
			}
		})
	}
}

func TestLoadTwoKeys(t *testing.T) {
	b64 := func(fill byte) string { return base64.StdEncoding.EncodeToString(secret(fill)) }
	path := filepath.Join(t.TempDir(), "keys.json")
	content := fmt.Sprintf(`{"version":1,"keys":[{"id":2,"secret":%q},{"id":1,"secret":%q}]}`, b64('b'), b64('a'))
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	ring, err := keyring.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	old := newRing(t, keyring.Key{ID: 1, Secret: secret('a')})
	if got, err := ring.Open("c", old.Seal("c", []byte("x"))); err != nil || string(got) != "x" {
		t.Errorf("record of the old key = %q, %v", got, err)
	}
	if _, err := old.Open("c", ring.Seal("c", nil)); !errors.Is(err, keyring.ErrSealed) {
		t.Errorf("a new record opens with the old key alone: %v", err)
	}
	fresh := newRing(t, keyring.Key{ID: 2, Secret: secret('b')})
	if _, err := fresh.Open("c", ring.Seal("c", nil)); err != nil {
		t.Errorf("a new record does not open with the new key alone: %v", err)
	}
}
