// SPDX-License-Identifier: Apache-2.0

package keyring_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
)

// TestReplace: all who share a ring see its new keys at once, and who has fixed
// it does not.
func TestReplace(t *testing.T) {
	oldKey, newKey := keyring.Key{ID: 1, Secret: secret('a')}, keyring.Key{ID: 2, Secret: secret('b')}
	ring, fresh := newRing(t, oldKey), newRing(t, newKey)
	fixed, before := ring.Fixed(), ring.Seal("c", []byte("x"))
	if !ring.InUse(before) {
		t.Error("what was just sealed is not of the key in use")
	}
	ring.Replace(newRing(t, newKey, oldKey))
	if ring.Hash("l") != fresh.Hash("l") || fixed.Hash("l") == fresh.Hash("l") {
		t.Error("want the new key in the ring, and the old one where it was fixed")
	}
	if got, err := ring.Open("c", before); err != nil || string(got) != "x" {
		t.Errorf("a record of before = %q, %v", got, err)
	}
	zero := newRing(t, keyring.Key{ID: 0, Secret: secret('z')})
	if id, ok := keyring.SealedBy(nil); id != 0 || ok || zero.InUse(nil) {
		t.Error("nothing was sealed by a key, or is said to be")
	}
	if ring.InUse(before) || !ring.InUse(ring.Seal("c", nil)) || ring.InUse(nil) {
		t.Error("the ring does not tell which records are of the key in use")
	}
	if !ring.Knows(fixed) || fixed.Knows(ring) {
		t.Error("want the new ring to know the old one, and not the other way round")
	}
	for name, sum := range map[string][keyring.HashSize]byte{"old": fixed.Hash("l", "p"), "new": fresh.Hash("l", "p")} {
		if !ring.Made(sum, "l", "p") || ring.Made(sum, "l", "q") || ring.Made(sum, "m", "p") {
			t.Errorf("%s: a hash is not recognised, or another one is", name)
		}
		for bit := range 8 * len(sum) {
			other := sum
			other[bit/8] ^= 1 << (bit % 8)
			if ring.Made(other, "l", "p") {
				t.Errorf("%s: a hash is recognised whatever its bit %d", name, bit)
			}
		}
	}
	now := time.Now()
	if got, want := ring.Pseudonyms(now, "a"), []string{fresh.Pseudonym(now, "a"), fixed.Pseudonym(now, "a")}; !slices.Equal(got, want) {
		t.Errorf("got pseudonyms %q, want %q", got, want)
	}
}

// TestReplaceWhileInUse: whoever seals in the middle of it can be read after it.
func TestReplaceWhileInUse(t *testing.T) {
	first, second := keyring.Key{ID: 1, Secret: secret('a')}, keyring.Key{ID: 2, Secret: secret('b')}
	ring, both := newRing(t, first), newRing(t, second, first)
	var wg sync.WaitGroup
	start := make(chan struct{})
	for range 8 {
		wg.Go(func() {
			<-start
			for range 200 {
				if got, err := ring.Open("c", ring.Seal("c", []byte("x"))); err != nil || string(got) != "x" {
					t.Errorf("Open = %q, %v", got, err)
					return
				}
			}
		})
	}
	wg.Go(func() {
		<-start
		ring.Replace(both)
	})
	close(start)
	wg.Wait()
}
