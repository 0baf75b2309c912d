// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/sealed"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// bindAll records n bindings of a user at as many servers.
func (f *fixture) bindAll(user string, n int) {
	f.Helper()
	for i := range n {
		b := Binding{User: user, Medium: threepid.Email, Address: "alice@example.com", IDServer: fmt.Sprintf("id%d.example", i)}
		if err := f.Bind(bg, b); err != nil {
			f.Fatalf("Bind: %v", err)
		}
	}
}

// TestReseal: afterwards the former key is needed for no binding.
func TestReseal(t *testing.T) {
	f := newFixture(t)
	f.bindAll("@u:example.com", 5)
	f.bindAll("@v:example.com", 2)
	before := f.bound("@u:example.com")
	f.rotate()
	f.rotate()
	f.bindAll("@u:example.com", 1) // again: it moves by itself
	if n, err := f.Reseal(bg); err != nil || n != 6 {
		t.Errorf("Reseal = %d, %v, want the 6 that are sealed with the first key", n, err)
	}
	if n, err := f.Reseal(bg); err != nil || n != 0 {
		t.Errorf("Reseal again = %d, %v, want nothing to do", n, err)
	}
	counts := map[byte]int{}
	if err := f.SealedBy(bg, counts); err != nil || counts[1] != 0 || counts[3] != 7 {
		t.Errorf("got %v (%v), want all 7 sealed with key 3", counts, err)
	}
	f.renew(testKey(3))
	if got := f.bound("@u:example.com"); !slices.Equal(got, before) {
		t.Errorf("without the former keys: got %q, want %q", got, before)
	}
	if got := len(f.bound("@v:example.com")); got != 2 {
		t.Errorf("another user has %d, want 2", got)
	}
}

// faulty fails one access of many, as a process that dies there would.
type faulty struct {
	store.Store
	left int
}

var errDied = errors.New("died")

func (s *faulty) Update(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
	if s.left--; s.left == 0 {
		return errDied
	}
	return s.Store.Update(ctx, p, fn)
}

// TestResealDiesAnywhere: whenever the process dies, every binding is there, once,
// and the next one goes on to the end.
func TestResealDiesAnywhere(t *testing.T) {
	const bindings = 4
	died := 0
	for at := 1; ; at++ {
		f := newFixture(t)
		f.bindAll("@u:example.com", bindings)
		want := f.bound("@u:example.com")
		f.rotate()
		whole := f.store
		f.Service.store = &faulty{whole, at}
		_, err := f.Reseal(bg)
		f.Service.store = whole
		if got := f.bound("@u:example.com"); !slices.Equal(got, want) {
			t.Errorf("died at %d: got %q, want %q", at, got, want)
		}
		if _, err := f.Reseal(bg); err != nil {
			t.Errorf("died at %d: the next Reseal: %v", at, err)
		}
		if got := f.bound("@u:example.com"); !slices.Equal(got, want) || f.entries(kindBinding) != bindings {
			t.Errorf("died at %d and went on: got %q in %d entries, want %q", at, got, f.entries(kindBinding), want)
		}
		if err == nil {
			break
		}
		wantErr(t, "Reseal", err, errDied)
		died++
	}
	if died < bindings {
		t.Errorf("died %d times, want once in every write", died)
	}
}

// TestResealAndUnbind: a binding that is undone, or bound anew, while it is being
// moved stays so.
func TestResealAndUnbind(t *testing.T) {
	b := Binding{User: "@u:example.com", Medium: threepid.Email, Address: "alice@example.com", IDServer: "id0.example"}
	for _, when := range []string{"before it is written", "before it is deleted"} {
		for what, do := range map[string]func(*fixture) error{
			"undone":     func(f *fixture) error { return f.Unbind(bg, b.User, b) },
			"bound anew": func(f *fixture) error { f.clock.Advance(time.Minute); return f.Bind(bg, b) },
		} {
			t.Run(what+" "+when, func(t *testing.T) {
				f := newFixture(t)
				f.bindAll(b.User, 1)
				f.rotate()
				bound := f.clock.Now()
				f.meanwhile(func() {
					if when == "before it is deleted" {
						f.meanwhile(func() { wantErr(t, what, do(f), nil) })
						return
					}
					wantErr(t, what, do(f), nil)
				})
				if _, err := f.Reseal(bg); err != nil {
					t.Fatal(err)
				}
				list, err := f.Bindings(bg, b.User)
				switch {
				case err != nil:
					t.Fatal(err)
				case what == "undone" && len(list) != 0:
					t.Errorf("got %v, want nothing", list)
				case what == "bound anew" && (len(list) != 1 || !list[0].Bound.After(bound)):
					t.Errorf("got %v, want the newer one", list)
				}
				if f.entries(kindBinding) != len(list) {
					t.Errorf("%d entries for %d bindings", f.entries(kindBinding), len(list))
				}
			})
		}
	}
}

// TestResealTouchesNothingUnreadable: neither does it end at a binding that it cannot
// read, nor delete one that came in the place of what it has moved.
func TestResealTouchesNothingUnreadable(t *testing.T) {
	f := newFixture(t)
	f.bindAll(mxid, 2)
	b := f.bindings(mxid)[0]
	spoil := func() {
		t.Helper()
		on := f.bindingPrefixes(mxid)[0]
		err := f.store.Update(bg, on.partition, func(txn store.Txn) error { return txn.Set(f.bindingKey(on, b), []byte("x"), time.Time{}) })
		wantErr(t, "spoil", err, nil)
	}
	spoil()
	f.rotate()
	if n, err := f.Reseal(bg); n != 1 || err != nil || f.entries(kindBinding) != 2 {
		t.Errorf("got %d moved, %v, and %d entries, want the one that can be read, and both there", n, err, f.entries(kindBinding))
	}
	f = newFixture(t)
	f.bind(b)
	f.rotate()
	f.meanwhile(func() {
		f.meanwhile(func() {
			wantErr(t, "Unbind", f.Unbind(bg, mxid, b), nil)
			spoil()
		})
	})
	_, err := f.Reseal(bg)
	wantErr(t, "Reseal", err, keyring.ErrSealed)
	if f.entries(kindBinding) != 1 {
		t.Errorf("%d entries are left, want the one that cannot be read", f.entries(kindBinding))
	}
}

// TestResealHidesNothing: whoever looks while a binding is being moved finds it, and
// whoever undoes it does so wherever it is.
func TestResealHidesNothing(t *testing.T) {
	b := Binding{User: "@u:example.com", Medium: threepid.Email, Address: "alice@example.com", IDServer: "id0.example"}
	for what, do := range map[string]func(f *fixture) (left int){
		"looked for": func(f *fixture) int {
			list, err := f.Bindings(bg, b.User)
			if err != nil || len(list) != 1 {
				f.Errorf("got %v, %v, want the binding", list, err)
			}
			return 1
		},
		"undone": func(f *fixture) int {
			wantErr(t, "Unbind", f.Unbind(bg, b.User, b), nil)
			return 0
		},
	} {
		for at, done := 1, true; done; at++ {
			f := newFixture(t)
			f.bindAll(b.User, 1)
			f.rotate()
			whole := f.Service.store
			between := &storetest.Interrupted{Store: whole, Before: at, Do: func() {
				f.Service.store = whole
				if _, err := f.Reseal(bg); err != nil {
					t.Error(err)
				}
			}}
			f.Service.store = between
			left := do(f)
			f.Service.store = whole
			if got := len(f.bound(b.User)); got != left {
				t.Errorf("%s, moved before call %d: got %d bindings, want %d", what, at, got, left)
			}
			done = between.Done()
		}
	}
}

// TestRetention: no key is dropped while something can be named by it.
func TestRetention(t *testing.T) {
	f := newFixture(t)
	if got := f.Retention(); got != 72*time.Hour {
		t.Errorf("got %v, want a day more than UIA sessions and sessions live", got)
	}
	f = newFixture(t, func(c *Config) { c.User = ratelimit.Limit{Burst: 1, Per: 90 * 24 * time.Hour} })
	if got := f.Retention(); got != 91*24*time.Hour {
		t.Errorf("got %v, want a day more than the limit of 90 days", got)
	}
	f = newFixture(t, func(c *Config) { c.Cooldown = 30 * 24 * time.Hour })
	if got := f.Retention(); got != 31*24*time.Hour {
		t.Errorf("got %v, want a day more than an address cools down", got)
	}
	// And nothing that this service makes has a later end, but bindings.
	f = newFixture(t)
	begin := f.clock.Now()
	sid := f.validated(ask())
	f.await(ask(purpose(threepid.Add)))
	f.proves(f.claim(completes(sid)))
	wantErr(t, "Adopt", f.Adopt(bg, "12", "nonce", ask()), nil)
	f.open(ask(purpose(threepid.Password)))
	m := f.outbox.last(t)
	wantErr(t, "Refuse", f.Refuse(bg, m.SID, m.Refusal, false), nil)
	if len(dump(t, f.cfg.Store)) < 8 {
		t.Fatalf("there are only %d entries", len(dump(t, f.cfg.Store)))
	}
	f.clock.Advance(f.Retention() - f.clock.Now().Sub(begin))
	if left := dump(t, f.cfg.Store); len(left) != 0 {
		t.Errorf("%d entries outlive the key", len(left))
	}
}

// TestForgetAcrossARotation: what was stored under former keys is found, too, and
// the answer tells how much there was of each kind.
func TestForgetAcrossARotation(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.PerAddress = ratelimit.Limit{Burst: 50, Per: time.Hour} })
	for range 2 {
		client := secret(fmt.Sprint("client", len(f.keys.Keys())))
		sid := f.validated(ask(client))
		f.proves(f.claim(completes(sid, func(c *Completion) { c.ClientSecret = ask(client).ClientSecret })))
		f.open(ask(client, purpose(threepid.Password)))
		m := f.outbox.last(t)
		f.await(ask(client, purpose(threepid.Add)))
		wantErr(t, "Refuse", f.Refuse(bg, m.SID, m.Refusal, false), nil)
		f.clock.Advance(DefaultCooldown) // or nothing is sent any more
		f.rotate()
	}
	f.bindAll("@u:example.com", 1)
	f.rotate()
	f.bindAll("@u:example.com", 2)
	f.open(ask(secret("now")))
	f.await(ask(secret("now"), purpose(threepid.Add)))
	m := f.outbox.last(t)
	wantErr(t, "Adopt", f.Adopt(bg, "12", "nonce", ask()), nil)
	wantErr(t, "Refuse", f.Refuse(bg, m.SID, m.Refusal, false), nil)
	f.rotate()
	all := dump(t, f.cfg.Store)
	gone, err := f.Forget(bg, threepid.ThreePID{Medium: threepid.Email, Address: "alice@example.com"})
	if err != nil || gone.Total() != len(all) {
		t.Errorf("Forget = %v, %v, want all %d entries", gone, err, len(all))
	}
	if left := dump(t, f.cfg.Store); len(left) != 0 {
		t.Errorf("%d entries are left", len(left))
	}
	for _, kind := range []string{"sessions", "session_index", "token_requests", "homeserver_sessions", "bindings", "limits", "cooldowns", "deliveries"} {
		if gone[kind] == 0 {
			t.Errorf("got %v, want some of %s", gone, kind)
		}
	}
	if len(gone) != kindsOfAddresses {
		t.Errorf("got %v, want every kind", gone)
	}
}

// TestSessionEntry: a backup is restored without what could be used twice, and
// with what protects others.
func TestSessionEntry(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.PerAddress = ratelimit.Limit{Burst: 50, Per: time.Hour} })
	sid := f.validated(ask())
	f.claim(completes(sid))
	f.await(ask(purpose(threepid.Add)))
	f.hold(ask(secret("another"), held("u1")))
	wantErr(t, "NoteRegistration", f.NoteRegistration(bg, netip.MustParseAddr("192.0.2.1"), "agent", "u1"), nil)
	f.bindAll("@u:example.com", 1)
	f.open(ask(purpose(threepid.Password)))
	m := f.outbox.last(t)
	wantErr(t, "Refuse", f.Refuse(bg, m.SID, m.Refusal, false), nil)
	kept := map[string]int{}
	for name := range dump(t, f.cfg.Store) {
		p, key, _ := strings.Cut(name, ":")
		if !sealed.DroppedAtRestore(store.Partition(p), key) {
			kept[kindOf(key)+"/"]++
		}
	}
	if len(kept) != 3 || kept["l/"] == 0 || kept["c/"] != 1 || kept["b/"] != 1 {
		t.Errorf("got %v, want limits, the cool-down and the binding", kept)
	}
	for _, p := range []store.Partition{"shield", "ff", "", "000"} {
		if sealed.DroppedAtRestore(p, kindNonce.Key("x")) || sealed.Awaited(p, kindNonce.Key("x")) {
			t.Errorf("an entry of partition %q is taken for one of a session", p)
		}
	}
	// Which kinds those are, and which are sealed: a rotation must wait for them.
	var sessions, awaited string
	for kind := 'a'; kind <= 'z'; kind++ {
		if sealed.DroppedAtRestore("00", string(kind)+"/x") {
			sessions += string(kind)
		}
		if sealed.Awaited("00", string(kind)+"/x") {
			awaited += string(kind)
		}
	}
	if sessions != "adginoqrst" || awaited != "abeghmnoqrst" {
		t.Errorf("got %q for sessions and %q for sealed records", sessions, awaited)
	}
}
