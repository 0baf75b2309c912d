// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"encoding/base64"
	"errors"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/caddy-threepid/caddy-threepid/internal/input"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// TestTokens: a link token has 256 random bits; a code has six digits, all of
// them equally likely, zeros in front included.
func TestTokens(t *testing.T) {
	m := &idMaker{keys: ring(t, 'k'), random: &seeded{src: rand.NewChaCha8([32]byte{7})}}
	code := regexp.MustCompile(`^[0-9]{6}$`)
	seen := map[string]bool{}
	var first [10]int
	const codes = 20_000
	for range codes {
		c, err := m.token(ProofCode)
		if err != nil || !code.MatchString(string(c)) {
			t.Fatalf("code %q, %v", c, err)
		}
		first[c[0]-'0']++
	}
	for digit, n := range first {
		if n < codes/10-300 || n > codes/10+300 {
			t.Errorf("%d of %d codes begin with %d, want about a tenth", n, codes, digit)
		}
	}
	m.random = strings.NewReader("\x0f\x42\x40\x0f\x42\x3f") // a million, which is none, and the last that is one
	if got, err := m.token(ProofCode); got != "999999" || err != nil {
		t.Errorf("got code %q, %v, want the highest", got, err)
	}
	m.random = &seeded{src: rand.NewChaCha8([32]byte{8})}
	for range 1000 {
		link, err := m.token(ProofLink)
		raw, decodeErr := base64.RawURLEncoding.DecodeString(string(link))
		if err != nil || decodeErr != nil || len(raw) != 32 || seen[string(link)] {
			t.Fatalf("link token %q: %d bytes, %v, %v, seen before %v", link, len(raw), err, decodeErr, seen[string(link)])
		}
		seen[string(link)] = true
		if got, ok := input.Code(string(link)); threepid.Token(got) != link || !ok {
			t.Fatalf("Code(%q) = %q, %v", link, got, ok)
		}
	}
}

// TestNoRandomness: without randomness nothing is made up.
func TestNoRandomness(t *testing.T) {
	broken := errors.New("no entropy")
	f := newFixture(t, func(c *Config) { c.Random = iotest.ErrReader(broken) })
	for _, p := range []Proof{ProofLink, ProofCode} {
		_, err := f.ids.token(p)
		wantErr(t, "token", err, broken)
	}
	wantErr(t, "disguise", (&opening{svc: f.Service}).disguise(), broken)
	_, err := f.RequestToken(bg, ask())
	wantErr(t, "RequestToken", err, broken)
	_, err = f.Await(bg, ask())
	wantErr(t, "Await", err, broken)
	sid, _ := newFixture(t).ids.sid("00")
	_, err = f.Claim(bg, completes(sid))
	wantErr(t, "Claim", err, broken)
	if all := dump(t, f.cfg.Store); len(all) != 0 {
		t.Errorf("%d entries were stored", len(all))
	}
}
