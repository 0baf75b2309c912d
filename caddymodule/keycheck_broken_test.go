// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/zap"

	"github.com/caddy-threepid/caddy-threepid/caddymodule"
	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// meanwhile is a store whose opening takes so long that something else happens.
type meanwhile struct {
	memoryModule
	happens func()
}

func (m *meanwhile) OpenStore(log *zap.Logger) (store.Store, error) {
	m.happens()
	return m.memoryModule.OpenStore(log)
}

// TestAFirstKeyThatCannotBePlaced is not used: nothing is sealed with it, the store
// is closed and stays empty, and with a place for the file all goes well.
func TestAFirstKeyThatCannotBePlaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys", "keys.json")
	dir := filepath.Dir(path)
	for name, happens := range map[string]func(){
		"the folder is removed":    func() { must(t, os.RemoveAll(dir)) },
		"a file takes its place":   func() { must(t, os.RemoveAll(dir), os.WriteFile(dir, []byte("not ours"), 0o600)) },
		"half a key file is there": func() { must(t, os.WriteFile(path, []byte(`{"version":1,`), 0o600)) },
		"a folder has the name":    func() { must(t, os.Mkdir(path, 0o700)) },
	} {
		m := &meanwhile{memoryModule{fakeStore: fakeStore{key: t.Name() + name}, kept: storetest.NewMemory(nil)}, happens}
		acquire := func() error {
			key, _, err := caddymodule.AcquireStore(m, path)
			if err == nil {
				must(t, caddymodule.ReleaseStore(key))
			}
			if m.opened.Load() != m.closed.Load() {
				t.Errorf("%s: opened %d times, closed %d times", name, m.opened.Load(), m.closed.Load())
			}
			return err
		}
		if err := acquire(); err == nil || !strings.Contains(err.Error(), "key file") {
			t.Errorf("%s: got %v, want the key file to be missed", name, err)
		}
		if by, err := sealed.SealedBy(t.Context(), m.kept); err != nil || len(by) > 0 {
			t.Errorf("%s: the store is bound to a key (%v, %v), which is in no file", name, by, err)
		}
		if raw, err := os.ReadFile(dir); err == nil && string(raw) != "not ours" {
			t.Errorf("%s: the file of somebody else is %q", name, raw)
		}
		must(t, os.RemoveAll(dir))
		m.happens = func() {}
		must(t, acquire(), acquire())
		must(t, os.RemoveAll(dir))
	}
}

// crowded is a folder in which a file of a short name can be read and written, and
// none of a longer name be made: its own path is nearly as long as a path may be.
func crowded(t *testing.T) string {
	t.Helper()
	const longest = 4095 - len("/k")
	dir := t.TempDir()
	for len(dir) < longest-1 {
		dir = filepath.Join(dir, strings.Repeat("d", min(200, longest-len(dir)-1)))
	}
	must(t, os.MkdirAll(dir, 0o700))
	return dir
}

// TestARotationThatCannotBeWritten changes nothing: the old key is in use and in its
// file, nobody notices, and it can be tried again.
func TestARotationThatCannotBeWritten(t *testing.T) {
	v := newVault(t)
	v.mustStart()
	v.stop()
	real := filepath.Join(crowded(t), "k")
	before := read(t, v.keys)
	must(t, os.WriteFile(real, before, 0o600), os.Remove(v.keys), os.Symlink(real, v.keys))
	rt := v.mustStart()
	remember(t, rt)
	app, err := caddymodule.Running()
	must(t, err)
	marks := rt.Keys.Marks()
	if answer, err := app.Instance().RotateKeys(t.Context()); !errors.Is(err, syscall.ENAMETOOLONG) {
		t.Errorf("got %v, %v, want that there is no room", answer, err)
	}
	if got := rt.Keys.Marks(); !slices.Equal(got, marks) {
		t.Errorf("got keys %v in use, want those of before, %v", got, marks)
	}
	if !slices.Equal(read(t, real), before) || !knows(t, rt) {
		t.Error("the key file was changed, or what was known is lost")
	}
	must(t, os.Remove(v.keys), os.WriteFile(v.keys, before, 0o600))
	rotate(t)
	v.stop()
	if rt := v.mustStart(); !knows(t, rt) || len(rt.Keys.Keys()) != 2 {
		t.Error("the rotation that was tried again has lost something")
	}
}
