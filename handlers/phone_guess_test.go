// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/phone"
	"github.com/caddy-threepid/caddy-threepid/internal/smsfraud"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// codes is how many codes there are.
const codes = 1_000_000

// guess is a code that nobody has read.
func guess(t *testing.T) string {
	t.Helper()
	n, err := rand.Int(rand.Reader, big.NewInt(codes))
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%06d", n)
}

// guessAll guesses at a session until it has ended, and returns how many guesses
// were compared and whether one was right.
func (r *rig) guessAll(sid, secret string) (tries int, found bool) {
	r.t.Helper()
	for {
		rec := r.submitPhone(sid, secret, guess(r.t))
		switch code := decoded(r.t, rec)["errcode"]; {
		case decoded(r.t, rec)["success"] == true:
			return tries + 1, true
		case code == "M_TOKEN_INCORRECT":
			tries++
		case code == "M_SESSION_EXPIRED":
			return tries, false
		default:
			r.t.Fatalf("got %d %s", rec.Code, rec.Body)
		}
	}
}

// TestGuessingASession: each of 1,000 sessions takes five guesses and then ends,
// so that one in 200,000 is found.
func TestGuessingASession(t *testing.T) {
	const sessions = 1000
	r, _ := phoneRig(t, options{})
	found, compared := 0, 0
	for i := range sessions {
		secret := fmt.Sprintf("s%d", i)
		rec := r.requestPhone("register", phoneBody(secret, "GB", fmt.Sprintf("07400 %06d", i), 1))
		wantStatus(t, rec, http.StatusOK)
		tries, ok := r.guessAll(decoded(t, rec)["sid"].(string), secret)
		if tries > verification.DefaultMaxTries || (!ok && tries != verification.DefaultMaxTries) {
			t.Fatalf("session %d: %d guesses were compared, want %d", i, tries, verification.DefaultMaxTries)
		}
		compared += tries
		if ok {
			found++
		}
	}
	bound := float64(verification.DefaultMaxTries) / codes
	t.Logf("%d of %d sessions were found with %d guesses: a rate of %.2g, where %.2g is expected", found, sessions, compared, float64(found)/sessions, bound)
	// Two of 1,000 are found by chance once in 80,000 runs.
	if found > 1 {
		t.Errorf("%d sessions were found, which is more than guessing explains", found)
	}
}

// shielded pays out of a real shield.
type shielded struct{ *smsfraud.Shield }

func (s shielded) Admit(r *http.Request, req verification.Request, to phone.Number) (func(context.Context), error) {
	paid, err := s.Reserve(r.Context(), smsfraud.Request{Digits: to.Digits, Region: to.Region, Class: req.Class(), Segments: 1})
	if refused, ok := errors.AsType[*smsfraud.RefusedError](err); ok {
		return nil, &verification.LimitError{RetryAfter: refused.RetryAfter}
	}
	return func(ctx context.Context) { _ = s.Release(ctx, paid) }, err
}

func (s shielded) Verified(r *http.Request, number string) {
	_ = s.Shield.Verified(r.Context(), number, "GB", netip.Addr{})
}

// TestGuessingANumberForADay: whoever opens as many sessions for one number as
// they can, from wherever they like, and guesses at all of them, has 50 guesses
// a day: a chance of 1 in 20,000.
func TestGuessingANumberForADay(t *testing.T) {
	r, _ := phoneRig(t, options{})
	keys, err := keyring.New(keyring.Key{ID: 1, Secret: make([]byte, keyring.SecretSize)})
	if err != nil {
		t.Fatal(err)
	}
	guard, err := smsfraud.New(smsfraud.Config{Store: storetest.NewMemory(r.clock.Now), Keys: keys, Now: r.clock.Now, Allow: []string{"*"}})
	if err != nil {
		t.Fatal(err)
	}
	r.client.cfg.Phones.Guard = shielded{guard}
	compared, opened, refused := 0, 0, 0
	for i := range 24 * 60 { // once a minute
		secret := fmt.Sprintf("s%d", i)
		rec := r.requestPhone("register", phoneBody(secret, "GB", "07400 123456", 1))
		if rec.Code == http.StatusTooManyRequests {
			refused++
		} else {
			wantStatus(t, rec, http.StatusOK)
			opened++
			tries, _ := r.guessAll(decoded(t, rec)["sid"].(string), secret)
			compared += tries
		}
		r.clock.Advance(time.Minute)
	}
	const bound = 50
	t.Logf("%d sessions were opened and %d refused; %d guesses were compared in a day, a chance of %.2g; the bound is %.2g",
		opened, refused, compared, float64(compared)/codes, float64(bound)/codes)
	if compared > bound || opened == 0 {
		t.Errorf("%d guesses were compared, want at most %d", compared, bound)
	}
}
