// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-threepid/caddy-threepid/caddymodule"
	"github.com/caddy-threepid/caddy-threepid/caddymodule/guests/badger"
	"github.com/caddy-threepid/caddy-threepid/internal/instance"
	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

func TestCanonicalDir(t *testing.T) {
	base, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(base, "real", "deep"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(
		os.Symlink("real", filepath.Join(base, "link")),
		os.Symlink("loop", filepath.Join(base, "loop")),
		os.WriteFile(filepath.Join(base, "file"), nil, 0o600),
	); err != nil {
		t.Fatal(err)
	}
	t.Chdir(base)
	tests := map[string]string{
		base + "/real":                    "/real",
		base + "/real/":                   "/real",
		base + "//real/./x/..":            "/real",
		base + "/link":                    "/real",
		base + "/link/deep":               "/real/deep",
		base + "/link/deep/../new/newer/": "/real/new/newer",
		"real":                            "/real",
		"./link/new":                      "/real/new",
		base + "/absent":                  "/absent",
	}
	for dir, want := range tests {
		if got, err := badger.CanonicalDir(dir); err != nil || got != base+want {
			t.Errorf("%s: got %q (%v), want %q", dir, got, err, base+want)
		}
	}
	for _, dir := range []string{base + "/loop", base + "/file/below"} {
		if got, err := badger.CanonicalDir(dir); err == nil {
			t.Errorf("%s: got %q, want an error", dir, got)
		}
	}
}

// fakeStore is a store module that keeps nothing.
type fakeStore struct {
	key, options string
	keyErr, err  error
	opened       atomic.Int32
	closed       atomic.Int32
}

func (*fakeStore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "threepid.stores.fake", New: func() caddy.Module { return new(fakeStore) }}
}
func (f *fakeStore) PoolKey() (string, error) { return f.key, f.keyErr }
func (f *fakeStore) FixedOptions() string     { return f.options }
func (f *fakeStore) OpenStore(*zap.Logger) (store.Store, error) {
	if f.err != nil {
		return nil, f.err
	}
	f.opened.Add(1)
	return &closingStore{Store: storetest.NewMemory(time.Now), closed: &f.closed}, nil
}

type closingStore struct {
	store.Store
	closed *atomic.Int32
}

func (c *closingStore) Close() error {
	c.closed.Add(1)
	return c.Store.Close()
}

// oddStore opens what its function does.
type oddStore struct {
	*fakeStore
	open func() (store.Store, error)
}

func (o oddStore) OpenStore(*zap.Logger) (store.Store, error) { return o.open() }

// TestAStoreThatCannotBeOpenedIsRefused, also where its module panics, at once or when the
// store is looked into, or returns none; and the next one of that name can be opened.
func TestAStoreThatCannotBeOpenedIsRefused(t *testing.T) {
	for name, open := range map[string]func() (store.Store, error){
		"panics":         func() (store.Store, error) { panic("out of paper") },
		"nothing":        func() (store.Store, error) { return nil, nil }, //nolint:nilnil // that is the fault
		"a nil pointer":  func() (store.Store, error) { return (*closingStore)(nil), nil },
		"an empty store": func() (store.Store, error) { return new(closingStore), nil },
	} {
		good, keys := &fakeStore{key: t.Name()}, holding(t, 1)
		if _, _, err := caddymodule.AcquireStore(oddStore{good, open}, keys); err == nil || !strings.Contains(err.Error(), "oddStore") {
			t.Errorf("%s: got %v, want an error that names the module", name, err)
		}
		key, _, err := caddymodule.AcquireStore(good, keys)
		if err == nil {
			err = caddymodule.ReleaseStore(key)
		}
		if err != nil {
			t.Errorf("%s: the next one: %v", name, err)
		}
	}
}

// holding is a key file with a key.
func holding(t *testing.T, fill byte) (path string) {
	t.Helper()
	secret := make([]byte, keyring.SecretSize)
	secret[0] = fill
	path = filepath.Join(t.TempDir(), "keys.json")
	must(t, os.WriteFile(path, fmt.Appendf(nil, `{"version":1,"keys":[{"id":1,"secret":%q}]}`, base64.StdEncoding.EncodeToString(secret)), 0o600))
	return path
}

func TestAcquireStoreShares(t *testing.T) {
	mod, keys := &fakeStore{key: t.Name()}, holding(t, 1)
	key, first, err := caddymodule.AcquireStore(mod, keys)
	if err != nil {
		t.Fatal(err)
	}
	again, second, err := caddymodule.AcquireStore(mod, keys)
	if err != nil || again != key || second != first || mod.opened.Load() != 1 {
		t.Errorf("got %v, %p, %v and %d openings, want the same store again", again, second, err, mod.opened.Load())
	}
	if err := caddymodule.ReleaseStore(key); err != nil || mod.closed.Load() != 0 {
		t.Errorf("got %v and %d closings after the first release, want none", err, mod.closed.Load())
	}
	if err := caddymodule.ReleaseStore(key); err != nil || mod.closed.Load() != 1 {
		t.Errorf("got %v and %d closings after the last release, want one", err, mod.closed.Load())
	}
	if err := caddymodule.ReleaseStore(key); err != nil || mod.closed.Load() != 1 {
		t.Errorf("got %v and %d closings after one release too many, want one", err, mod.closed.Load())
	}
}

func TestAcquireStoreRefusesWhatCannotChange(t *testing.T) {
	mod := &fakeStore{key: t.Name(), options: "a"}
	key, _, err := caddymodule.AcquireStore(mod, holding(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		mod  *fakeStore
		keys string
	}{
		"other options": {&fakeStore{key: t.Name(), options: "b"}, holding(t, 1)},
		"other keys":    {&fakeStore{key: t.Name(), options: "a"}, holding(t, 2)},
	}
	for name, test := range tests {
		if _, _, err := caddymodule.AcquireStore(test.mod, test.keys); !errors.Is(err, instance.ErrRestart) || test.mod.opened.Load() != 0 {
			t.Errorf("%s: got %v, want %v", name, err, instance.ErrRestart)
		}
	}
	// None of the refusals has kept or given up a reference.
	if refs, ok := caddymodule.References("threepid.stores.fake", t.Name()); !ok || refs != 1 {
		t.Errorf("got %d references, want 1", refs)
	}
	if err := caddymodule.ReleaseStore(key); err != nil || mod.closed.Load() != 1 {
		t.Errorf("got %v and %d closings, want one", err, mod.closed.Load())
	}
	// Closed, it can be opened in another way.
	key, _, err = caddymodule.AcquireStore(&fakeStore{key: t.Name(), options: "b"}, holding(t, 2))
	if err != nil {
		t.Fatal(err)
	}
	if err := caddymodule.ReleaseStore(key); err != nil {
		t.Error(err)
	}
}

func TestAcquireStoreFails(t *testing.T) {
	cause := errors.New("no such place")
	for name, mod := range map[string]*fakeStore{"key": {keyErr: cause}, "open": {key: t.Name(), err: cause}} {
		if _, _, err := caddymodule.AcquireStore(mod, holding(t, 1)); !errors.Is(err, cause) {
			t.Errorf("%s: got %v, want %v", name, err, cause)
		}
	}
	if _, ok := caddymodule.References("threepid.stores.fake", t.Name()); ok {
		t.Error("a store that did not open is in the pool")
	}
}

// TestProcessLoggerFollowsTheConfiguration: what outlives a configuration must
// not write into its closed files.
func TestProcessLoggerFollowsTheConfiguration(t *testing.T) {
	logger := caddymodule.ProcessLogger("threepid.test").With(zap.String("field", "value"))
	for _, name := range []string{"first", "second"} {
		file := filepath.Join(t.TempDir(), "log")
		config := `{"admin":{"disabled":true,"config":{"persist":false}},"logging":{"logs":{"default":{"level":"INFO","writer":{"output":"file","filename":"` + file + `"}}}}}`
		if err := caddy.Load([]byte(config), true); err != nil {
			t.Fatal(err)
		}
		logger.Info(name)
		logger.Debug("unwanted")
		if err := logger.Sync(); err != nil {
			t.Error(err)
		}
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got := string(raw)
		if !strings.Contains(got, `"logger":"threepid.test","msg":"`+name+`","field":"value"`) || strings.Contains(got, "unwanted") {
			t.Errorf("got log\n%s\nwant the message %q in it", got, name)
		}
	}
	if err := caddy.Stop(); err != nil {
		t.Error(err)
	}
}
