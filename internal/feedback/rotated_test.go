// SPDX-License-Identifier: Apache-2.0

package feedback

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// renew gives the ring of a bench these keys, the first in use.
func (b *bench) renew(t fatal, ids ...byte) {
	t.Helper()
	keys := make([]keyring.Key, len(ids))
	for i, id := range ids {
		keys[i] = keyring.Key{ID: id, Secret: bytes.Repeat([]byte{id}, keyring.SecretSize)}
	}
	ring, err := keyring.New(keys...)
	if err != nil {
		t.Fatal(err)
	}
	b.keys.Replace(ring)
}

// TestSuppressionAcrossARotation: what is known stays known, and adds up with
// what comes; and afterwards it is in one place.
func TestSuppressionAcrossARotation(t *testing.T) {
	b := newBench(t, Policy{Strikes: 3})
	b.record(t, bob, hardBounce(start))
	b.record(t, alice, softBounce(start, "1"))
	b.record(t, alice, softBounce(start, "2"))
	b.renew(t, 8, 7)
	if got := b.reason(t, bob); got != ReasonBounce {
		t.Errorf("got %q for an address of before, want %q", got, ReasonBounce)
	}
	if list, _, err := b.List(context.Background(), 10); err != nil || len(list) != 1 {
		t.Errorf("got %v (%v), want the one of before listed", list, err)
	}
	b.record(t, alice, softBounce(start, "2")) // told again
	if got := b.reason(t, alice); got != "" {
		t.Errorf("got %q after two strikes of which one was told twice, want none", got)
	}
	b.record(t, alice, softBounce(start, "3"))
	if got := b.reason(t, alice); got != ReasonSoft {
		t.Errorf("got %q after three strikes, want %q", got, ReasonSoft)
	}
	if n := len(b.everything(t)); n != 2 {
		t.Errorf("%d entries for two addresses", n)
	}
	if found, err := b.Remove(context.Background(), verification.Email, bob); err != nil || !found || b.reason(t, bob) != "" {
		t.Errorf("Remove = %v, %v, want it found and gone", found, err)
	}
}

// TestBouncesAreNamedByTheKeyInUse, unless they are known by another name.
func TestBouncesAreNamedByTheKeyInUse(t *testing.T) {
	b := newBench(t, Policy{})
	b.renew(t, 8, 7)
	names := b.keys.Hashes("suppression event", "1")
	known := record{Strikes: []strike{{ID: []byte("another one")}}}
	for _, want := range names {
		if got := b.eventID(&known, Report{ID: "1"}); !bytes.Equal(got, want[:8]) {
			t.Errorf("with %d known: got %x, want %x", len(known.Strikes), got, want[:8])
		}
		known.Strikes = append(known.Strikes, strike{ID: names[1][:8]})
	}
}

// fails makes the n-th write fail, as a process that dies there would.
type fails struct {
	store.Store
	left int
}

func (f *fails) Update(ctx context.Context, p store.Partition, fn func(store.Txn) error) error {
	if f.left--; f.left == 0 {
		return errBroken
	}
	return f.Store.Update(ctx, p, fn)
}

// TestResealSuppressions: the former key is not needed afterwards, wherever the
// process has died before.
func TestResealSuppressions(t *testing.T) {
	for at := 1; ; at++ {
		b, ctx := newBench(t, Policy{}), context.Background()
		addrs := []string{alice, bob, "carol@example.org"}
		for _, addr := range addrs {
			b.record(t, addr, hardBounce(start))
		}
		b.renew(t, 8, 7)
		b.cfg.Store = &fails{b.store, at}
		_, err := b.Reseal(ctx)
		b.cfg.Store = b.store
		for _, addr := range addrs {
			if got := b.reason(t, addr); got != ReasonBounce {
				t.Errorf("died at %d: got %q, want %q", at, got, ReasonBounce)
			}
		}
		if _, err := b.Reseal(ctx); err != nil {
			t.Fatal(err)
		}
		if n, err := b.Reseal(ctx); err != nil || n != 0 {
			t.Errorf("died at %d: Reseal once more = %d, %v, want nothing to do", at, n, err)
		}
		counts := map[byte]int{}
		if err := b.SealedBy(ctx, counts); err != nil || counts[7] != 0 || counts[8] != len(addrs) {
			t.Errorf("died at %d: sealed by %v (%v), want all by key 8", at, counts, err)
		}
		b.renew(t, 8)
		for _, addr := range addrs {
			if got := b.reason(t, addr); got != ReasonBounce {
				t.Errorf("without the former key: got %q, want %q", got, ReasonBounce)
			}
		}
		if err == nil {
			if at <= len(addrs) {
				t.Errorf("there were only %d writes", at-1)
			}
			break
		}
		if !errors.Is(err, errBroken) {
			t.Errorf("Reseal = %v, want %v", err, errBroken)
		}
	}
}

// TestResealHidesNothing: whoever looks while a record is being moved finds it, and
// whoever removes it does so wherever it is.
func TestResealHidesNothing(t *testing.T) {
	ctx := context.Background()
	for what, do := range map[string]func(b *bench) (left Reason){
		"looked for": func(b *bench) Reason {
			if got := b.reason(t, bob); got != ReasonBounce {
				t.Errorf("got %q, want %q", got, ReasonBounce)
			}
			return ReasonBounce
		},
		"removed": func(b *bench) Reason {
			if found, err := b.Remove(ctx, verification.Email, bob); err != nil || !found {
				t.Errorf("Remove = %v, %v, want it found", found, err)
			}
			return ""
		},
	} {
		for at, done := 1, true; done; at++ {
			b := newBench(t, Policy{})
			b.record(t, bob, hardBounce(start))
			b.renew(t, 8, 7)
			between := &storetest.Interrupted{Store: b.store, Before: at, Do: func() {
				b.cfg.Store = b.store
				if _, err := b.Reseal(ctx); err != nil {
					t.Error(err)
				}
			}}
			b.cfg.Store = between
			left := do(b)
			b.cfg.Store = b.store
			if got := b.reason(t, bob); got != left {
				t.Errorf("%s, moved before call %d: got %q, want %q", what, at, got, left)
			}
			done = between.Done()
		}
	}
}

// TestGuardAcrossARotation: a token that was claimed stays with its content.
func TestGuardAcrossARotation(t *testing.T) {
	b := newBench(t, Policy{})
	g, until := NewReplayGuard(b.store, b.keys), start.Add(time.Hour)
	first, second := sha256.Sum256([]byte("first")), sha256.Sum256([]byte("second"))
	claim := func(content [sha256.Size]byte, want bool) {
		t.Helper()
		if got, err := g.Claim(context.Background(), "token", content, until); err != nil || got != want {
			t.Errorf("Claim = %v, %v, want %v", got, err, want)
		}
	}
	claim(first, true)
	b.renew(t, 8, 7)
	claim(second, false)
	claim(first, true)
	b.renew(t, 9, 8, 7)
	claim(second, false)
}

// TestTagsAcrossARotation: a bounce may come a week after its mail.
func TestTagsAcrossARotation(t *testing.T) {
	b := newBench(t, Policy{})
	tags := NewTags(b.keys)
	made := map[string]string{}
	for i := range byte(3) {
		tag, err := tags.Make(aliceSID)
		if err != nil {
			t.Fatal(err)
		}
		made[fmt.Sprint("key ", 7+i)] = tag
		ids := []byte{8 + i}
		for _, k := range b.keys.Keys() {
			ids = append(ids, k.ID)
		}
		b.renew(t, ids...)
	}
	for name, tag := range made {
		if sid, ok := tags.Check(tag); !ok || sid != aliceSID {
			t.Errorf("tag of %s: Check = %q, %v", name, sid, ok)
		}
	}
	b.renew(t, 10)
	for name, tag := range made {
		if sid, ok := tags.Check(tag); ok || sid != "" {
			t.Errorf("tag of %s, which is gone: Check = %q, %v", name, sid, ok)
		}
	}
}
