// SPDX-License-Identifier: Apache-2.0

package keycheck_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-threepid/caddy-threepid/internal/keycheck"
	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// world is an operator who loses, restores and mixes up key files and stores,
// and a server that is started over what there is.
type world struct {
	t *rapid.T

	file   []keyring.Key // nil: missing
	copies [][]keyring.Key
	shelf  []store.Store // the first is the one in use
	made   byte
	names  int

	told map[string]bool // records of which was said that they cannot be read

	running *keyring.Ring
	keys    []keyring.Key // of running
}

// contents is all that is in a store.
func contents(s store.Store) map[string]string {
	all := map[string]string{}
	for _, p := range append([]store.Partition{keycheck.Partition}, layout.Partitions...) {
		err := s.Scan(context.Background(), p, "", func(key string, value []byte) (bool, error) {
			all[string(p)+"/"+key] = string(value)
			return true, nil
		})
		if err != nil {
			panic(err) // of a store in memory
		}
	}
	return all
}

func (w *world) ring(keys []keyring.Key) *keyring.Ring {
	r, err := keyring.New(keys...)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) newKey(id byte) keyring.Key {
	w.made++
	return key(id, w.made)
}

// start is what a server does.
func (w *world) start() {
	w.running = nil
	s := w.shelf[0]
	before, file := contents(s), w.file
	var keys *keyring.Ring
	if w.file != nil {
		keys = w.ring(w.file)
	}
	found, err := keycheck.Inspect(context.Background(), s, keys, layout)
	if err != nil {
		w.t.Fatal(err)
	}
	verdict := keycheck.Decide(w.file != nil, found.Contents)
	if verdict.Refused() {
		if !maps.Equal(before, contents(s)) {
			w.t.Fatal("a refusal has changed the store")
		}
		return
	}
	if verdict == keycheck.Create {
		if len(before) > 0 || file != nil {
			w.t.Fatalf("a key was made for a store with %d entries", len(before))
		}
		w.file = []keyring.Key{w.newKey(1)}
		keys = w.ring(w.file)
	}
	record, err := keycheck.Claim(context.Background(), s, keys, now)
	if err != nil {
		w.t.Fatalf("claim what was found to be ours: %v", err)
	}
	said := found.Closed > 0 || len(record.Lacks(keys)) > 0
	for _, name := range w.unreadable(s, keys) {
		if !said && !w.told[name] {
			w.t.Fatalf("%s vanishes in silence (%v)", name, verdict)
		}
		w.told[name] = true
	}
	w.running, w.keys = keys, slices.Clone(w.file)
}

// unreadable are the sealed records that keys do not open.
func (w *world) unreadable(s store.Store, keys *keyring.Ring) (names []string) {
	for name, value := range contents(s) {
		if name[2:5] != "/s/" {
			continue
		}
		if _, err := keys.Open(name[3:], []byte(value)); err != nil {
			names = append(names, name)
		}
	}
	return names
}

func (w *world) seal() {
	w.names++
	name := fmt.Sprintf("s/%d", w.names)
	put2(w.t, w.shelf[0], name, w.running.Seal(name, []byte("x")))
}

func put2(t *rapid.T, s store.Store, key string, value []byte) {
	err := s.Update(context.Background(), "00", func(txn store.Txn) error { return txn.Set(key, value, time.Time{}) })
	if err != nil {
		t.Fatal(err)
	}
}

// keep puts a copy of the key file aside.
func (w *world) keep() {
	if w.file != nil {
		w.copies = append(w.copies, w.file)
	}
}

// change is what a server does to its keys: the file, the record, the use.
func (w *world) change(keys []keyring.Key) {
	w.keep()
	w.file = keys
	ring := w.ring(keys)
	if _, err := keycheck.Claim(context.Background(), w.shelf[0], ring, now); err != nil {
		w.t.Fatalf("claim with a new key: %v", err)
	}
	w.running, w.keys = ring, slices.Clone(keys)
}

// copyOf is a store as a backup of it would be restored.
func copyOf(t *rapid.T, s store.Store) store.Store {
	c := storetest.NewMemory(nil)
	for name, value := range contents(s) {
		p, key := store.Partition(name[:2]), name[3:]
		if name[:2] == "ch" {
			p, key = keycheck.Partition, name[len("check/"):]
		}
		err := c.Update(context.Background(), p, func(txn store.Txn) error { return txn.Set(key, []byte(value), time.Time{}) })
		if err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// TestNothingVanishesInSilence: whatever an operator does, a key is made for an
// empty store only, a refusal changes nothing, and a server that starts can read
// what is in its store, or says that it cannot.
func TestNothingVanishesInSilence(t *testing.T) {
	starts, refusals := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		w := &world{t: t, told: map[string]bool{}, shelf: []store.Store{storetest.NewMemory(nil)}}
		serving := func(do func()) func(*rapid.T) {
			return func(t *rapid.T) {
				if w.running == nil {
					t.Skip("not running")
				}
				do()
			}
		}
		begin := func() {
			w.start()
			if starts++; w.running == nil {
				refusals++
			}
		}
		// What is done while the server is stopped is mostly followed by a start.
		stopped := func(do func()) func(*rapid.T) {
			return func(t *rapid.T) {
				w.running = nil
				do()
				if rapid.IntRange(0, 3).Draw(t, "start") > 0 {
					begin()
				}
			}
		}
		pick := func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "which") }
		t.Repeat(map[string]func(*rapid.T){
			"start": func(*rapid.T) { begin() },
			"write": serving(w.seal),
			"rotate": serving(func() {
				if len(w.keys) < keyring.MaxKeys {
					w.change(slices.Insert(slices.Clone(w.keys), 0, w.newKey(w.keys[0].ID+1)))
				}
			}),
			"drop what is not needed": serving(func() {
				without := w.keys[:len(w.keys)-1]
				if len(without) > 0 && len(w.unreadable(w.shelf[0], w.ring(without))) == 0 {
					w.change(slices.Clone(without))
				}
			}),
			"write as before": stopped(func() { // a version without check records
				if by, err := sealed.SealedBy(context.Background(), w.shelf[0]); err != nil || len(by) > 0 || w.file == nil {
					return
				}
				w.running = w.ring(w.file)
				w.seal()
				w.running = nil
			}),
			"back the store up":     func(t *rapid.T) { w.shelf = append(w.shelf, copyOf(t, w.shelf[0])) },
			"lose the key file":     stopped(func() { w.keep(); w.file = nil }),
			"take another key file": stopped(func() { w.keep(); w.file = []keyring.Key{w.newKey(1)} }),
			"bring a key file back": stopped(func() {
				if len(w.copies) > 0 {
					w.file = slices.Clone(w.copies[pick(len(w.copies))])
				}
			}),
			"take a key out": stopped(func() {
				if len(w.file) > 1 {
					i := pick(len(w.file))
					w.file = slices.Delete(slices.Clone(w.file), i, i+1)
				}
			}),
			"lose the store":      stopped(func() { w.shelf[0] = storetest.NewMemory(nil) }),
			"take another store":  stopped(func() { i := pick(len(w.shelf)); w.shelf[0], w.shelf[i] = w.shelf[i], w.shelf[0] }),
			"bring a backup back": stopped(func() { w.shelf[0] = copyOf(t, w.shelf[pick(len(w.shelf))]) }),
		})
	})
	if starts == 0 || refusals == 0 || refusals == starts {
		t.Errorf("%d of %d starts were refused, want some and not all", refusals, starts)
	}
}
