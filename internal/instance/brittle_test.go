// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-threepid/caddy-threepid/handlers"
	"github.com/caddy-threepid/caddy-threepid/handlers/pages"
	"github.com/caddy-threepid/caddy-threepid/internal/keycheck"
	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/outbox"
	"github.com/caddy-threepid/caddy-threepid/internal/phone"
	"github.com/caddy-threepid/caddy-threepid/internal/smsfraud"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/internal/words"
	"github.com/caddy-threepid/caddy-threepid/store"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// brittle is an instance over a store of which an operation can fail.
type brittle struct {
	*Instance
	disk *storetest.Breaking
}

// remembered is an address that the store knows.
const remembered = "bob@example.test"

var errBrittle = errors.New("the store has failed on purpose")

func newBrittle(t *testing.T) *brittle {
	t.Helper()
	disk := &storetest.Breaking{Store: storetest.NewMemory(nil), Err: errBrittle}
	path := filepath.Join(t.TempDir(), "keys.json")
	draft, err := keyring.Prepare(path)
	must(t, err)
	keys, _, err := draft.Place()
	must(t, err)
	templates, err := words.New("matrix.example.org")
	must(t, err)
	i, err := New(Config{
		HTTP: handlers.Config{PublicURL: "https://matrix.example.org"}, KeyFile: path, Words: templates, Looks: pages.LooksOf(templates),
		Logger: zap.NewNop(),
	}, newShared(disk, keys, true, zap.NewNop()))
	must(t, err)
	_, err = keycheck.Claim(t.Context(), disk, keys, time.Now())
	must(t, err)
	return &brittle{i, disk}
}

// must is for what has to work for a test to begin.
func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// eachFails makes each operation of the store fail once in what is done to an instance of
// its own, and hands over what came of it.
func eachFails(t *testing.T, do func(b *brittle, n int), failed func(b *brittle)) {
	t.Helper()
	for n := 1; ; n++ {
		b := newBrittle(t)
		do(b, n)
		if b.disk.Broke() == "" {
			if n == 1 {
				t.Error("nothing can fail: nothing is tested")
			}
			return
		}
		failed(b)
	}
}

// TestNothingIsSentThatMayBeUnwanted: while nobody can say whether an address is
// suppressed, or its owner wants no messages, none goes there.
func TestNothingIsSentThatMayBeUnwanted(t *testing.T) {
	var reason string
	var err error
	eachFails(t, func(b *brittle, n int) {
		b.disk.Arm(n)
		reason, err = b.suppressed(t.Context(), verification.Message{Medium: verification.Email, Address: remembered})
	}, func(b *brittle) {
		if !errors.Is(err, errBrittle) {
			t.Errorf("%s: got %q, %v, want the store's error", b.disk.Broke(), reason, err)
		}
	})
}

// nobody is a client of whom nothing is known.
func nobody(*http.Request) netip.Addr { return netip.Addr{} }

// TestNoMessageIsAdmittedUncounted: what the shield could not count is not sent.
func TestNoMessageIsAdmittedUncounted(t *testing.T) {
	words, err := words.New("matrix.example.org")
	must(t, err)
	number, err := phone.FromDigits("447400123456")
	must(t, err)
	var release func(context.Context)
	eachFails(t, func(b *brittle, n int) {
		guarding, failed := smsfraud.New(smsfraud.Config{Store: b.disk, Keys: b.Keys, Allow: []string{"GB"}})
		must(t, failed)
		guard := &phoneGuard{shield: guarding, sender: &outbox.SMSSender{Templates: words, Keys: b.Keys}, client: nobody, logger: zap.NewNop()}
		b.disk.Arm(n)
		release, err = guard.Admit(httptest.NewRequest("POST", "/", nil), verification.Request{
			Purpose: verification.Register, Medium: verification.MSISDN, Proof: verification.ProofCode, Address: number.Digits,
		}, number)
	}, func(b *brittle) {
		if !errors.Is(err, errBrittle) || release != nil {
			t.Errorf("%s: got %v, want the store's error", b.disk.Broke(), err)
		}
	})
}

// TestNoKeyIsUsedThatTheStoreDoesNotKnow: until it is noted there, nothing is sealed with
// a new one, and whoever tries again goes on with the file.
func TestNoKeyIsUsedThatTheStoreDoesNotKnow(t *testing.T) {
	var before []keyring.Mark
	var err error
	change := func(b *brittle) error {
		return b.changeKeys(t.Context(), func(path string) (*keyring.Ring, error) { return keyring.Rotate(path, time.Now()) })
	}
	eachFails(t, func(b *brittle, n int) {
		before = b.Keys.Marks()
		b.disk.Arm(n)
		err = change(b)
	}, func(b *brittle) {
		if broke := b.disk.Broke(); !errors.Is(err, errBrittle) || !slices.Equal(b.Keys.Marks(), before) {
			t.Errorf("%s: got %v and keys %v, want the store's error and those of before, %v", broke, err, b.Keys.Marks(), before)
		}
		if err := change(b); err != nil || len(b.Keys.Marks()) != 3 {
			t.Errorf("tried again: got %v and %d keys, want 3", err, len(b.Keys.Marks()))
		}
	})
}

// watched is a store that is looked at whenever it is searched.
type watched struct {
	store.Store
	search func()
}

func (w watched) Scan(ctx context.Context, p store.Partition, prefix string, fn func(string, []byte) (bool, error)) error {
	w.search()
	return w.Store.Scan(ctx, p, prefix, fn)
}

// TestNothingMovesWhileAnAddressIsForgotten, or it could be missed on its way; and what is
// moved is not forgotten meanwhile.
func TestNothingMovesWhileAnAddressIsForgotten(t *testing.T) {
	for name, do := range map[string]func(b *brittle) error{
		"forget": func(b *brittle) error {
			_, err := b.Forget(t.Context(), verification.Email, remembered)
			return err
		},
		"reseal": func(b *brittle) error { _, err := b.reseal(t.Context()); return err },
	} {
		b, searches := newBrittle(t), 0
		b.disk.Store = watched{b.disk.Store, func() {
			if searches++; b.Store.moving.TryLock() {
				b.Store.moving.Unlock()
				t.Errorf("%s: somebody else may move entries meanwhile", name)
			}
		}}
		if err := do(b); err != nil || searches == 0 {
			t.Errorf("%s: got %v after %d searches", name, err, searches)
		}
	}
}
