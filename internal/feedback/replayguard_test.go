// SPDX-License-Identifier: Apache-2.0

package feedback

import (
	"context"
	"crypto/sha256"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestGuardBindsATokenToItsFirstContent(t *testing.T) {
	b, ctx := newBench(t, Policy{}), context.Background()
	g, until := NewReplayGuard(b.store, b.keys), start.Add(time.Hour)
	first, second := sha256.Sum256([]byte("first")), sha256.Sum256([]byte("second"))
	for i, tt := range []struct {
		token   string
		content [sha256.Size]byte
		want    bool
	}{
		{"token", first, true},
		{"token", first, true},
		{"token", second, false},
		{"token", first, true},
		{"other", second, true},
		{"other", first, false},
	} {
		if got, err := g.Claim(ctx, tt.token, tt.content, until); err != nil || got != tt.want {
			t.Errorf("step %d: Claim = %t, %v, want %t", i, got, err, tt.want)
		}
	}
	// Another instance over the same store knows it too.
	if got, err := NewReplayGuard(b.store, b.keys).Claim(ctx, "token", second, until); err != nil || got {
		t.Errorf("another instance: %t, %v", got, err)
	}
}

func TestGuardForgets(t *testing.T) {
	b := newBench(t, Policy{})
	g := NewReplayGuard(b.store, b.keys)
	if _, err := g.Claim(context.Background(), "token", [32]byte{1}, start.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	for key, value := range b.everything(t) {
		if !strings.Contains(key, " xg/") || strings.Contains(key+value, "token") {
			t.Errorf("entry %q", key)
		}
	}
	if list, _, err := b.List(context.Background(), 10); err != nil || len(list) != 0 {
		t.Errorf("a claim is listed as a suppression: %+v, %v", list, err)
	}
	b.clock.Advance(time.Hour)
	if got := b.everything(t); len(got) != 0 {
		t.Errorf("%d entries after their time", len(got))
	}
}

func TestGuardLetsOneOfManyWin(t *testing.T) {
	b := newBench(t, Policy{})
	g := NewReplayGuard(b.store, b.keys)
	var wins [16]bool
	var group sync.WaitGroup
	for n := range wins {
		group.Go(func() {
			mine, err := g.Claim(context.Background(), "token", [32]byte{byte(n)}, start.Add(time.Hour))
			wins[n] = mine && err == nil
		})
	}
	group.Wait()
	count := 0
	for _, won := range wins {
		if won {
			count++
		}
	}
	if count != 1 {
		t.Errorf("%d contents won, want 1", count)
	}
}

func TestGuardReportsABrokenStore(t *testing.T) {
	g := NewReplayGuard(brokenStore{}, newKeys(t, 1))
	if ok, err := g.Claim(context.Background(), "token", [32]byte{}, start); ok || !errors.Is(err, errBroken) {
		t.Errorf("Claim = %t, %v", ok, err)
	}
}
