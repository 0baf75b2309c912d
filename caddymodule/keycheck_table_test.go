// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-threepid/caddy-threepid/caddymodule"
	"github.com/caddy-threepid/caddy-threepid/internal/instance"
	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/badgerstore"
)

// scene is what an occasion leaves on the disk: a store, the key file of that
// moment, and one of an earlier one.
type scene struct {
	keys, older []byte
	data        string // empty: there is no store
	// olderOpens: what is stored was written before the rotation that the older
	// file lacks.
	olderOpens bool
}

// The conditions of a key file, and what is to come of each at a store with data.
var keyFiles6 = []struct {
	name  string
	place func(t *testing.T, path string, of scene)
	// refused is what the error says; empty if it starts.
	refused string
	// empty is the same for a store that is empty.
	empty string
}{
	{"missing", func(*testing.T, string, scene) {}, "the key file is missing", ""},
	{"right", func(t *testing.T, path string, of scene) { must(t, os.WriteFile(path, of.keys, 0o600)) }, "", ""},
	{"wrong", func(t *testing.T, path string, _ scene) { newKeyFile(t, path) }, "the key file is not the one", ""},
	{"older", func(t *testing.T, path string, of scene) { must(t, os.WriteFile(path, of.older, 0o600)) }, "the key file is not the one", ""},
	{"corrupt", func(t *testing.T, path string, of scene) {
		must(t, os.WriteFile(path, of.keys[:len(of.keys)/2], 0o600))
	}, "is not a key file", "is not a key file"},
	{"unreadable", func(t *testing.T, path string, _ scene) { must(t, os.Mkdir(path, 0o700)) }, "read key file", "read key file"},
}

// TestEveryKeyFileAtEveryStore is the whole matrix. Whatever is refused leaves
// everything as it was, and what starts knows what it knew.
func TestEveryKeyFileAtEveryStore(t *testing.T) {
	occasions := map[string]func(*testing.T) scene{
		"first start": ordinary, "rotated": rotated, "pruned": pruned, "restored": restored,
		"before": before, "before, rotated": beforeRotated, "before, restored": beforeRestored,
	}
	for occasion, stage := range occasions {
		of := stage(t)
		t.Run(occasion, func(t *testing.T) {
			for _, key := range keyFiles6 {
				opens := key.refused == "" || (key.name == "older" && of.olderOpens)
				refused := key.refused
				if opens {
					refused = ""
				}
				t.Run(key.name, func(t *testing.T) {
					t.Run("start", func(t *testing.T) { arrive(t, of, key.place, refused, false) })
					t.Run("reload", func(t *testing.T) { arrive(t, of, key.place, refused, true) })
				})
				t.Run(key.name+", store locked", func(t *testing.T) { locked(t, of, key.place, refused) })
				if sameFiles[occasion] {
					continue // of a store that is not there, the key file is all there is
				}
				t.Run(key.name+", store empty", func(t *testing.T) {
					lost := scene{keys: of.keys, older: of.older}
					t.Run("start", func(t *testing.T) { arrive(t, lost, key.place, key.empty, false) })
					t.Run("reload", func(t *testing.T) { arrive(t, lost, key.place, key.empty, true) })
				})
			}
		})
	}
}

// sameFiles are the occasions whose key files another one has too.
var sameFiles = map[string]bool{"restored": true, "before": true, "before, rotated": true, "before, restored": true}

// set puts a scene on the stage.
func (v *vault) set(of scene, place func(*testing.T, string, scene)) {
	v.t.Helper()
	must(v.t, os.MkdirAll(filepath.Dir(v.keys), 0o700))
	place(v.t, v.keys, of)
	if of.data != "" {
		must(v.t, os.CopyFS(v.data, os.DirFS(of.data)))
	}
}

// arrive starts a scene, or reloads into it from a server that has its own.
func arrive(t *testing.T, of scene, place func(*testing.T, string, scene), refused string, reload bool) {
	v := newVault(t)
	v.set(of, place)
	var old *instance.Instance
	if reload {
		other := newVault(t)
		old = other.mustStart()
		remember(t, old)
	}
	check := v.unchanged()
	err := v.start()
	if refused == "" {
		if err != nil {
			t.Fatalf("got %v, want it to start", err)
		}
		if got, want := knows(t, running(t)), of.data != ""; got != want {
			t.Errorf("what was known is known: %v, want %v", got, want)
		}
		if !reload {
			again(t, v)
		}
		return
	}
	if err == nil || !strings.Contains(err.Error(), refused) || !strings.Contains(err.Error(), "backup") {
		t.Errorf("got %v, want %q, and what to do", err, refused)
	}
	check()
	if reload && (running(t) != old || !knows(t, old)) {
		t.Error("the configuration of before is not in force any more")
	}
}

// again starts once more what has started: nothing of the first start may be in
// the way of the second.
func again(t *testing.T, v *vault) {
	t.Helper()
	remember(t, running(t))
	v.stop()
	if rt := v.mustStart(); !knows(t, rt) {
		t.Error("what was noted after the start is not known after the next")
	}
}

// locked is a store that another process has open.
func locked(t *testing.T, of scene, place func(*testing.T, string, scene), refused string) {
	v := newVault(t)
	v.set(of, place)
	holder, err := badgerstore.Open(badgerstore.Options{Dir: v.data})
	must(t, err)
	defer func() { must(t, holder.Close()) }()
	check := v.unchanged()
	err = v.start()
	want := "in use by another"
	// One that is missing may be about to be made by whoever has the store.
	for _, first := range []string{"is not a key file", "read key file"} {
		if refused == first {
			want = first // which is seen without the store
		}
	}
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
	check()
}

// What follows makes the scenes.

func read(t *testing.T, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	must(t, err)
	return raw
}

// ordinary is a server that was rotated once, some time ago.
func ordinary(t *testing.T) scene {
	v := newVault(t)
	remember(t, v.mustStart())
	of := scene{older: read(t, v.keys), data: v.data}
	rotate(t)
	of.keys = read(t, v.keys)
	v.stop()
	v.mustStart()
	v.stop()
	return of
}

func rotate(t *testing.T) {
	t.Helper()
	app, err := caddymodule.Running()
	must(t, err)
	_, err = app.Instance().RotateKeys(t.Context())
	must(t, err)
}

// rotated was stopped right after its second rotation, before anything was
// written with the new key.
func rotated(t *testing.T) scene {
	of := ordinary(t)
	v := newVault(t)
	v.set(of, keyFiles6[1].place)
	v.mustStart()
	of.older = read(t, v.keys)
	rotate(t)
	v.stop()
	return scene{keys: read(t, v.keys), older: of.older, data: v.data}
}

// pruned has lost its first key.
func pruned(t *testing.T) scene {
	of := ordinary(t)
	v := newVault(t)
	year := time.Now().UTC().Format(`"2006-`)
	of.keys = []byte(strings.ReplaceAll(string(of.keys), year, `"2000-`))
	v.set(of, keyFiles6[1].place)
	v.mustStart()
	app, err := caddymodule.Running()
	must(t, err)
	kept, err := app.Instance().PruneKeys(t.Context())
	must(t, err)
	if len(kept.Dropped) != 1 {
		t.Fatalf("got %+v, want one key dropped", kept)
	}
	v.stop()
	return scene{keys: read(t, v.keys), older: of.older, data: v.data}
}

// restored was made of a backup.
func restored(t *testing.T) scene {
	of := ordinary(t)
	v := newVault(t)
	v.set(of, keyFiles6[1].place)
	rt := v.mustStart()
	file := filepath.Join(v.others, "backup")
	f, err := os.Create(file)
	must(t, err)
	err = rt.Store.Store.(store.Backuper).WriteBackup(t.Context(), f)
	must(t, err, f.Close())
	v.stop()
	of.data = filepath.Join(v.others, "restored")
	_, err = offline("restore", "--input", file, "--store", of.data)
	must(t, err)
	return of
}

// before is a store of before check records.
func before(t *testing.T) scene {
	dir := unpack(t)
	keys := read(t, filepath.Join(dir, "keys.json"))
	return scene{keys: keys, older: keys, data: filepath.Join(dir, "store"), olderOpens: true}
}

// beforeRotated has a key file that was rotated beside it.
func beforeRotated(t *testing.T) scene {
	dir := unpack(t)
	path := filepath.Join(dir, "keys.json")
	of := scene{older: read(t, path), data: filepath.Join(dir, "store"), olderOpens: true}
	_, err := keyring.Rotate(path, time.Now())
	must(t, err)
	of.keys = read(t, path)
	return of
}

// beforeRestored was made of a backup of before check records.
func beforeRestored(t *testing.T) scene {
	dir := unpack(t)
	of := before(t)
	of.data = filepath.Join(dir, "restored")
	_, err := offline("restore", "--input", filepath.Join(dir, "backup"), "--store", of.data)
	must(t, err)
	return of
}

// TestAStoreOfBeforeIsAdopted: it is bound to its keys by its first start, and
// everything in it is there.
func TestAStoreOfBeforeIsAdopted(t *testing.T) {
	for name, stage := range map[string]func(*testing.T) scene{"store": before, "rotated": beforeRotated, "backup": beforeRestored} {
		t.Run(name, func(t *testing.T) {
			of := stage(t)
			v := newVault(t)
			v.set(of, keyFiles6[1].place)
			rt := v.mustStart()
			bound, err := rt.Service.Bindings(t.Context(), "@alice:example.test")
			if err != nil || len(bound) != 1 || bound[0].Address != "alice@example.test" || !knows(t, rt) {
				t.Errorf("got %v, %v, want the binding and the suppression", bound, err)
			}
			if !v.logged("bound to the key file from now on") {
				t.Error("nothing was said of it")
			}
			v.stop()
			must(t, os.Remove(v.keys))
			newKeyFile(t, v.keys)
			check := v.unchanged()
			if err := v.start(); err == nil || !strings.Contains(err.Error(), instance.ErrKeyFileOther.Error()) {
				t.Errorf("got %v, want %v", err, instance.ErrKeyFileOther)
			}
			check()
		})
	}
}

// TestAStoreOfBeforeWithNothingSealed cannot be tried, so it is adopted in doubt.
func TestAStoreOfBeforeWithNothingSealed(t *testing.T) {
	v := newVault(t)
	must(t, os.MkdirAll(filepath.Dir(v.keys), 0o700))
	newKeyFile(t, v.keys)
	db, err := badgerstore.Open(badgerstore.Options{Dir: v.data})
	must(t, err)
	must(t, db.Update(t.Context(), "00", func(txn store.Txn) error { return txn.Set("l/name", []byte{1}, time.Time{}) }), db.Close())
	v.mustStart()
	if !v.logged("nothing that shows whether it belongs to the key file", "caddy threepid doctor") {
		t.Error("nothing was said of it")
	}
}

// TestReloadWithAnotherKeyFile moves to other key files over a store that is open.
func TestReloadWithAnotherKeyFile(t *testing.T) {
	v := newVault(t)
	rt := v.mustStart()
	remember(t, rt)
	first := *v
	for _, test := range []struct{ name, refused string }{
		{"missing", "the key file is missing"}, {"wrong", instance.ErrRestart.Error()}, {"same", ""},
	} {
		next := first
		next.keys = filepath.Join(first.others, test.name, "keys.json")
		must(t, os.MkdirAll(filepath.Dir(next.keys), 0o700))
		switch test.name {
		case "wrong":
			newKeyFile(t, next.keys)
		case "same":
			must(t, os.WriteFile(next.keys, read(t, first.keys), 0o600))
		}
		there := tree(t, filepath.Dir(next.keys))
		old := caddy.ActiveContext().Context
		err := next.start()
		if test.refused == "" {
			if err != nil || !knows(t, running(t)) {
				t.Errorf("%s: got %v, want it to go on", test.name, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), test.refused) || caddy.ActiveContext().Context != old || !knows(t, rt) {
			t.Errorf("%s: got %v, want %q and no change", test.name, err, test.refused)
		}
		if now := tree(t, filepath.Dir(next.keys)); len(now) != len(there) {
			t.Errorf("%s: there is %v, want %v", test.name, now, there)
		}
	}
}
