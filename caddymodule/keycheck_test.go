// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-threepid/caddy-threepid/caddymodule"
	"github.com/caddy-threepid/caddy-threepid/caddymodule/guest"
	"github.com/caddy-threepid/caddy-threepid/caddymodule/guests/badger"
	"github.com/caddy-threepid/caddy-threepid/internal/doctor"
	"github.com/caddy-threepid/caddy-threepid/internal/instance"
	"github.com/caddy-threepid/caddy-threepid/internal/keycheck"
	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// TestSeveralProcessesBeginAtOnce: one of them serves, there is one key file, and
// the store opens with it. A look into the store is in nobody's way for long.
func TestSeveralProcessesBeginAtOnce(t *testing.T) {
	v := newVault(t)
	for _, round := range []string{"with nothing", "over what the first has left"} {
		const several = 4
		var served atomic.Int32
		done := make(chan string, several)
		pipes := make([]io.WriteCloser, several)
		file := filepath.Join(v.others, "Caddyfile")
		must(t, os.WriteFile(file, []byte(v.caddyfile()), 0o600))
		for i := range several {
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), childRun+"="+file)
			var err error
			pipes[i], err = cmd.StdinPipe()
			must(t, err)
			go func() {
				said, err := cmd.CombinedOutput()
				if err == nil {
					served.Add(1)
				}
				done <- string(said)
			}()
		}
		var refused []string
		for range several - 1 { // the last one serves until it is told to stop
			refused = append(refused, <-done)
		}
		for _, p := range pipes {
			_ = p.Close() // of those who have gone, too
		}
		last := <-done
		if served.Load() != 1 || !strings.Contains(last, "ready") {
			t.Errorf("%s: %d of %d have served, want 1\n%s", round, served.Load(), several, last)
		}
		for _, said := range refused {
			if !strings.Contains(said, "in use by another") {
				t.Errorf("%s: got\n%s\nwant the store to be in use", round, said)
			}
		}
		if left, err := os.ReadDir(filepath.Dir(v.keys)); err != nil || len(left) != 1 {
			t.Errorf("%s: there is %v, %v, want the key file alone", round, left, err)
		}
	}
	v.mustStart()
}

// memoryModule is a store of somebody else's: it can be opened, and no more. What
// is in it stays.
type memoryModule struct {
	fakeStore
	kept store.Store
}

func (m *memoryModule) OpenStore(*zap.Logger) (store.Store, error) {
	m.opened.Add(1)
	return &closingStore{Store: keptOpen{m.kept}, closed: &m.closed}, nil
}

// keptOpen is a store that can be opened again.
type keptOpen struct{ store.Store }

func (keptOpen) Close() error { return nil }

// TestStoresOfOthersAreKeptToo: the rule needs nothing that a store may lack.
func TestStoresOfOthersAreKeptToo(t *testing.T) {
	m := &memoryModule{fakeStore: fakeStore{key: t.Name()}, kept: storetest.NewMemory(nil)}
	path := filepath.Join(t.TempDir(), "keys", "keys.json")
	acquire := func() error {
		key, _, err := caddymodule.AcquireStore(m, path)
		if err == nil {
			must(t, caddymodule.ReleaseStore(key))
		}
		if m.opened.Load() != m.closed.Load() {
			t.Errorf("opened %d times, closed %d times", m.opened.Load(), m.closed.Load())
		}
		return err
	}
	must(t, acquire(), acquire())
	keys := read(t, path)
	must(t, os.RemoveAll(filepath.Dir(path)))
	if err := acquire(); !errors.Is(err, instance.ErrKeyFileMissing) {
		t.Errorf("got %v, want %v", err, instance.ErrKeyFileMissing)
	}
	if _, err := os.Stat(filepath.Dir(path)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there is something where the key file was (%v)", err)
	}
	newKeyFile(t, path)
	if err := acquire(); !errors.Is(err, instance.ErrKeyFileOther) {
		t.Errorf("got %v, want %v", err, instance.ErrKeyFileOther)
	}
	must(t, os.WriteFile(path, keys, 0o600), acquire())
}

// TestNoKeyFileForAStoreThatDoesNotOpen: not even for a moment, nor its folder.
func TestNoKeyFileForAStoreThatDoesNotOpen(t *testing.T) {
	v := newVault(t)
	must(t, os.WriteFile(v.data, nil, 0o600))
	check := v.unchanged()
	if err := v.start(); err == nil {
		t.Error("it starts over a file")
	}
	check()

	v = newVault(t)
	v.keys = filepath.Join(v.data+".file", "keys.json")
	must(t, os.WriteFile(filepath.Dir(v.keys), nil, 0o600))
	check = v.unchanged()
	if err := v.start(); err == nil {
		t.Error("it starts without a place for its keys")
	}
	check()
}

// TestAStoreThatHasLostItsList: Badger would make a new list and delete all tables.
func TestAStoreThatHasLostItsList(t *testing.T) {
	v := newVault(t)
	remember(t, v.mustStart())
	v.stop()
	must(t, os.Remove(filepath.Join(v.data, "MANIFEST")))
	check := v.unchanged()
	if err := v.start(); err == nil || !strings.Contains(err.Error(), "MANIFEST") {
		t.Errorf("got %v, want the list to be missed", err)
	}
	check()
}

// TestAKilledStoreAndAWrongKeyFile: the database mends itself when it is opened,
// and is closed again with everything in it.
func TestAKilledStoreAndAWrongKeyFile(t *testing.T) {
	_, upstream := homeserver(t, fakehs.Options{})
	s := newSite(t, upstream)
	running := s.startChild(s.simple())
	sid, err := askAs(t.Context(), s.url(), 1)
	must(t, err)
	running.kill()
	keys := read(t, s.path("keys.json"))
	must(t, os.Remove(s.path("keys.json")))
	newKeyFile(t, s.path("keys.json"))
	if err := s.load(s.simple()); err == nil || !strings.Contains(err.Error(), instance.ErrKeyFileOther.Error()) {
		t.Errorf("got %v, want %v", err, instance.ErrKeyFileOther)
	}
	must(t, os.WriteFile(s.path("keys.json"), keys, 0o600))
	s.mustLoad(s.simple())
	if got, err := askAs(t.Context(), s.url(), 1); err != nil || got != sid {
		t.Errorf("got session %q (%v), want %q", got, err, sid)
	}
}

// TestKeysThatWereTakenOut of the file by hand: it starts, and says so once.
func TestKeysThatWereTakenOut(t *testing.T) {
	v := newVault(t)
	v.set(ordinary(t), keyFiles6[1].place)
	_, err := keyring.Drop(v.keys, func(keyring.KeyInfo) bool { return true })
	must(t, err)
	for i, log := range []string{"first", "second"} {
		v.log = filepath.Join(v.others, log)
		v.mustStart()
		if said := v.logged("has lost keys", `"keys":[1]`, "caddy threepid doctor"); said != (i == 0) {
			t.Errorf("%s start: said %v", log, said)
		}
		v.stop()
	}
}

// noUpdate is a store that cannot be written.
type noUpdate struct{ store.Store }

var errNoUpdate = errors.New("disk is full")

func (noUpdate) Update(context.Context, store.Partition, func(store.Txn) error) error {
	return errNoUpdate
}

// TestRotationThatCannotBeNoted: the new key is in the file and not in use, so
// that whatever happens next, file and store are for each other.
func TestRotationThatCannotBeNoted(t *testing.T) {
	v := newVault(t)
	rt := v.mustStart()
	remember(t, rt)
	broken := *rt
	broken.Store = &instance.SharedStore{Store: noUpdate{rt.Store.Store}}
	before := read(t, v.keys)
	_, err := broken.RotateKeys(t.Context())
	if !errors.Is(err, errNoUpdate) {
		t.Errorf("got %v, want %v", err, errNoUpdate)
	}
	if got := len(rt.Keys.Keys()); got != 1 {
		t.Errorf("%d keys are in use, want 1", got)
	}
	after := read(t, v.keys)
	if slices.Equal(before, after) {
		t.Error("the file is as it was: a key could be used that is in no file")
	}
	v.stop()
	for _, keys := range [][]byte{before, after} { // nothing was sealed with the new key
		must(t, os.WriteFile(v.keys, keys, 0o600))
		if !knows(t, v.mustStart()) {
			t.Error("what was known is lost")
		}
		v.stop()
	}
	must(t, os.WriteFile(v.keys, before, 0o600))
	if err := v.start(); err == nil || !strings.Contains(err.Error(), instance.ErrKeyFileOther.Error()) {
		t.Errorf("with the file of before the new key: got %v, want %v", err, instance.ErrKeyFileOther)
	}
}

// TestTheCheckRecordKeepsItsKey: a key that has sealed nothing else is not dropped
// as long as the check record is sealed with it.
func TestTheCheckRecordKeepsItsKey(t *testing.T) {
	v := newVault(t)
	rt := v.mustStart()
	records := func() map[byte]int {
		t.Helper()
		report, err := rt.PruneKeys(t.Context())
		must(t, err)
		counts := map[byte]int{}
		for _, k := range report.Keys {
			counts[k.ID] = k.Records
		}
		return counts
	}
	if counts := records(); counts[1] != 1 {
		t.Errorf("got %v, want the check record to be counted", counts)
	}
	rotate(t)
	if counts := records(); counts[1] != 0 || counts[2] != 1 {
		t.Errorf("got %v, want it to be sealed with the new key", counts)
	}
}

// findings are those of the doctor about the key file and the store.
func findings(t *testing.T) (codes []string) {
	t.Helper()
	app, err := caddymodule.Running()
	must(t, err)
	all := app.Instance().Examination()
	o := doctor.Options{
		KeyFile: &doctor.KeyFile{Path: all.KeyFile.Path, State: all.KeyFile.State},
		Store:   &doctor.Store{Name: "store", Ping: all.Store.Ping, Age: all.Store.Age},
	}
	for _, f := range doctor.Run(t.Context(), o).Findings {
		if f.Check == "key_file" || f.Check == "store" {
			codes = append(codes, f.Check+" "+f.Code)
			if f.Severity != doctor.OK && f.Advice == "" {
				t.Errorf("%s: no advice", f.Code)
			}
		}
	}
	return codes
}

// TestDoctorSaysWhatBecameOfTheKeys of a running server.
func TestDoctorSaysWhatBecameOfTheKeys(t *testing.T) {
	v := newVault(t)
	rt := v.mustStart()
	want := func(when string, codes ...string) {
		t.Helper()
		if got := findings(t); !slices.Equal(got, codes) {
			t.Errorf("%s: got %v, want %v", when, got, codes)
		}
	}
	want("at first", "store ok", "key_file key_file_not_copied")
	_, err := keycheck.Save(t.Context(), rt.Store, rt.Keys, rt.Keys.Marks(), time.Now())
	must(t, err)
	want("copied", "store ok", "key_file ok")
	rotate(t)
	want("rotated", "store ok", "key_file key_file_not_copied")
	good := read(t, v.keys)
	must(t, os.WriteFile(v.keys, good[:40], 0o600))
	want("torn", "store ok", "key_file key_file_unusable")
	must(t, os.Remove(v.keys))
	want("removed", "store ok", "key_file key_file_missing")
	newKeyFile(t, v.keys)
	want("replaced", "store ok", "key_file key_file_other")
	v.stop()
	must(t, os.WriteFile(v.keys, []byte(oldKeyFile), 0o600), os.RemoveAll(v.data))
	v.mustStart()
	want("store lost", "store store_new", "key_file key_file_not_copied")
	v.stop()
	must(t, os.RemoveAll(v.data))
	v.set(before(t), keyFiles6[1].place)
	v.mustStart()
	want("adopted", "store ok", "key_file key_file_not_copied")
}

// TestCheckCopy: a copy is good if it has every key, and the keys stay at home.
func TestCheckCopy(t *testing.T) {
	_, upstream := homeserver(t, fakehs.Options{})
	s := newSite(t, upstream)
	s.mustLoad(s.simple())
	copied := s.path("copy.json")
	must(t, os.WriteFile(copied, read(t, s.path("keys.json")), 0o600))
	if text, err := s.command("check-copy", "--file", copied); err != nil || !strings.Contains(text, "has every key") {
		t.Errorf("got %q, %v, want the copy to be good", text, err)
	}
	if status, err := s.adminPost("keys/rotate", struct{}{}, nil); err != nil || status != http.StatusOK {
		t.Fatalf("got %d, %v", status, err)
	}
	if text, err := s.command("check-copy", "--file", copied); err == nil || !strings.Contains(text, "[2]") {
		t.Errorf("got %q, %v, want the new key to be missed", text, err)
	}
	for _, args := range [][]string{{}, {"--file", s.path("none")}} {
		if text, err := s.command("check-copy", args...); err == nil {
			t.Errorf("%v: got %q, want an error", args, text)
		}
	}
	if strings.Contains(s.log("caddy.log"), s.keySecret()) {
		t.Error("the log has a key")
	}
}

// TestLookWithoutAFolder is that of the module: nothing is made by looking.
func TestLookWithoutAFolder(t *testing.T) {
	b := &badger.Store{Path: filepath.Join(t.TempDir(), "a", "b")}
	b.Judge(caddymodule.NewExpander())
	if _, err := b.Look(); !errors.Is(err, guest.ErrNone) {
		t.Errorf("got %v, want %v", err, guest.ErrNone)
	}
	if _, err := os.Stat(filepath.Dir(b.Folder())); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder was made (%v)", err)
	}
}
