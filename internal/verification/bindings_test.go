// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/store"
)

func binding(change ...func(*Binding)) Binding {
	b := Binding{
		User: "@alice:example.org", Medium: Email, Address: "alice@example.com", IDServer: "id.example.org",
		SID: "abc123987", ClientSecret: "d0nt-T3ll",
	}
	for _, c := range change {
		c(&b)
	}
	return b
}

func at(server string) func(*Binding) { return func(b *Binding) { b.IDServer = server } }
func of(user string) func(*Binding)   { return func(b *Binding) { b.User = user } }

func (f *fixture) bind(list ...Binding) {
	f.Helper()
	for _, b := range list {
		if err := f.Bind(bg, b); err != nil {
			f.Fatalf("Bind: %v", err)
		}
	}
}

func (f *fixture) bindings(user string) []Binding {
	f.Helper()
	list, err := f.Bindings(bg, user)
	if err != nil {
		f.Fatalf("Bindings: %v", err)
	}
	return list
}

func servers(list []Binding) []string {
	names := make([]string, len(list))
	for i, b := range list {
		names[i] = b.IDServer
	}
	return names
}

func TestR45_BindingsAreKeptPerUser(t *testing.T) {
	f := newFixture(t)
	f.bind(binding(), binding(at("two.example.org")), binding(of("@bob:example.org")))
	f.clock.Advance(time.Hour)
	f.bind(binding(func(b *Binding) { b.Address, b.IDServer = "other@example.com", "three.example.org" }))
	if got, want := servers(f.bindings("@alice:example.org")), []string{"three.example.org", "id.example.org", "two.example.org"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q: newest first", got, want)
	}
	if got, want := servers(f.bindings("@bob:example.org")), []string{"id.example.org"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := f.bindings("@carol:example.org"); len(got) != 0 {
		t.Errorf("got %v, want none", got)
	}
}

// TestR45_BindingsAreOfOneAddressAtOneServer: two that differ in anything are two.
func TestR45_BindingsAreOfOneAddressAtOneServer(t *testing.T) {
	f := newFixture(t)
	f.bind(binding(), binding(at("two.example.org")), binding(func(b *Binding) { b.Address = "other@example.com" }),
		binding(func(b *Binding) { b.Medium = MSISDN }), binding())
	if got := f.bindings("@alice:example.org"); len(got) != 4 {
		t.Errorf("got %+v, want four", got)
	}
}

func TestR45_BindingAgainReplacesTheProof(t *testing.T) {
	f := newFixture(t)
	f.bind(binding())
	f.clock.Advance(time.Hour)
	f.bind(binding(func(b *Binding) { b.SID, b.ClientSecret = "second", "newer" }))
	got := f.bindings("@alice:example.org")
	if len(got) != 1 || got[0].SID != "second" || got[0].ClientSecret != "newer" || !got[0].Bound.Equal(f.clock.Now()) {
		t.Errorf("got %+v, want the second alone", got)
	}
}

func TestR45_BindingsDoNotExpire(t *testing.T) {
	f := newFixture(t)
	f.bind(binding())
	f.clock.Advance(10 * 365 * 24 * time.Hour)
	if got := f.bindings("@alice:example.org"); len(got) != 1 {
		t.Errorf("got %v, want the binding of ten years ago", got)
	}
}

func TestUnbindForgetsWhatIsNamed(t *testing.T) {
	f := newFixture(t)
	f.bind(binding(), binding(at("two.example.org")), binding(of("@bob:example.org")))
	if err := f.Unbind(bg, "@alice:example.org", binding(), binding(at("unknown.example.org"))); err != nil {
		t.Fatal(err)
	}
	if got, want := servers(f.bindings("@alice:example.org")), []string{"two.example.org"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := f.bindings("@bob:example.org"); len(got) != 1 {
		t.Errorf("got %v, want Bob's left alone", got)
	}
	if err := f.Unbind(bg, "@alice:example.org"); err != nil || len(f.bindings("@alice:example.org")) != 1 {
		t.Errorf("got %v, want nothing forgotten", err)
	}
}

// TestBindingsModel compares the records with a map.
func TestBindingsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := newFixture(t)
		model := map[string]map[string]string{}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			b := binding(
				of(rapid.SampledFrom([]string{"@a:x", "@b:x"}).Draw(t, "user")),
				at(rapid.SampledFrom([]string{"one", "two", "three"}).Draw(t, "server")),
			)
			b.SID = rapid.StringMatching(`[0-9a-z]{1,4}`).Draw(t, "sid")
			if model[b.User] == nil {
				model[b.User] = map[string]string{}
			}
			if rapid.Bool().Draw(t, "bind") {
				f.bind(b)
				model[b.User][b.IDServer] = b.SID
			} else {
				if err := f.Unbind(bg, b.User, b); err != nil {
					t.Fatalf("Unbind: %v", err)
				}
				delete(model[b.User], b.IDServer)
			}
			for user, want := range model {
				got := map[string]string{}
				for _, b := range f.bindings(user) {
					got[b.IDServer] = b.SID
				}
				if fmt.Sprint(got) != fmt.Sprint(want) {
					t.Fatalf("%s has %v, want %v", user, got, want)
				}
			}
		}
	})
}

func TestMayBindIsBounded(t *testing.T) {
	f := newFixture(t)
	for i := range MaxBindings {
		if err := f.MayBind(bg, "@alice:example.org"); err != nil {
			t.Fatalf("after %d: %v", i, err)
		}
		f.bind(binding(at(fmt.Sprintf("s%d", i))))
	}
	if err := f.MayBind(bg, "@alice:example.org"); !errors.Is(err, ErrTooManyBindings) {
		t.Errorf("got %v, want ErrTooManyBindings", err)
	}
	if err := f.MayBind(bg, "@bob:example.org"); err != nil {
		t.Errorf("got %v for another user", err)
	}
}

func TestBindingsAreSealed(t *testing.T) {
	f := newFixture(t)
	f.bind(binding())
	entries := 0
	for n := range sealed.Partitions {
		err := f.store.Scan(bg, sealed.PartitionName(n), "", func(key string, value []byte) (bool, error) {
			entries++
			for _, secret := range []string{"alice", "example", "abc123987", "d0nt-T3ll"} {
				if strings.Contains(key, secret) || bytes.Contains(value, []byte(secret)) {
					t.Errorf("%q can be read in the store", secret)
				}
			}
			return true, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if entries != 1 {
		t.Errorf("got %d entries, want 1", entries)
	}
}

func TestBindingThatWasTamperedWith(t *testing.T) {
	f := newFixture(t)
	f.bind(binding())
	on := f.bindingPrefixes("@alice:example.org")[0]
	key := f.bindingKey(on, binding())
	err := f.store.Update(bg, on.partition, func(txn store.Txn) error {
		value, err := txn.Get(key)
		if err != nil {
			return err
		}
		value[len(value)-1] ^= 1
		return txn.Set(key, value, time.Time{})
	})
	if err != nil {
		t.Fatal(err)
	}
	if list, err := f.Bindings(bg, "@alice:example.org"); err == nil || strings.Contains(err.Error(), "alice") {
		t.Errorf("got %v, %v, want an error without an address", list, err)
	}
}

func TestProofExpiresAfterADay(t *testing.T) {
	f := newFixture(t)
	f.bind(binding())
	b := f.bindings("@alice:example.org")[0]
	f.clock.Advance(MaxLifetime - time.Second)
	if f.ProofExpired(b) {
		t.Error("the proof expired early")
	}
	f.clock.Advance(time.Second)
	if !f.ProofExpired(b) {
		t.Error("the proof did not expire")
	}
}

// TestBindingsOutliveAChangeOfKeys: they have no end, and keys have.
func TestBindingsOutliveAChangeOfKeys(t *testing.T) {
	key := func(id byte) keyring.Key {
		return keyring.Key{ID: id, Secret: bytes.Repeat([]byte{id}, keyring.SecretSize)}
	}
	with := func(keys ...keyring.Key) func(*Config) {
		ring, err := keyring.New(keys...)
		if err != nil {
			t.Fatal(err)
		}
		return func(c *Config) { c.Keys = ring }
	}
	before := newFixture(t, with(key(1)))
	before.bind(binding(), binding(at("two.example.org")))
	after := newFixture(t, with(key(2), key(1)), func(c *Config) { c.Store = before.store })
	if got := after.bindings("@alice:example.org"); len(got) != 2 {
		t.Fatalf("got %v, want both", got)
	}
	after.bind(binding(func(b *Binding) { b.SID = "newer" })) // replaces the one of before
	if err := after.Unbind(bg, "@alice:example.org", binding(at("two.example.org"))); err != nil {
		t.Fatal(err)
	}
	got := after.bindings("@alice:example.org")
	if len(got) != 1 || got[0].SID != "newer" {
		t.Errorf("got %+v, want the newer one alone", got)
	}
	if got := before.bindings("@alice:example.org"); len(got) != 0 {
		t.Errorf("got %+v under the old key, want none left", got)
	}
}
