// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"regexp"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
)

// TestPressCode: six digits that belong to one link, and that outlive a change
// of keys as the link does.
func TestPressCode(t *testing.T) {
	key := func(id byte) keyring.Key {
		secret := make([]byte, keyring.SecretSize)
		secret[0] = id
		return keyring.Key{ID: id, Secret: secret}
	}
	ring := func(keys ...keyring.Key) *keyring.Ring {
		r, err := keyring.New(keys...)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	service := func(keys *keyring.Ring) *Service {
		return newFixture(t, func(c *Config) { c.Keys = keys }).Service
	}
	older, other := ring(key(1)), ring(key(3))
	code := PressCode(older, "sid", "token")
	if !regexp.MustCompile(`^[0-9]{6}$`).MatchString(code) {
		t.Fatalf("got %q, want six digits", code)
	}
	for _, keys := range []*keyring.Ring{older, ring(key(1), key(2)), ring(key(2), key(1))} {
		if !service(keys).PressCodeValid("sid", "token", code) {
			t.Error("the code of the link is refused")
		}
	}
	s := service(older)
	for name, valid := range map[string]bool{
		"another session": s.PressCodeValid("sid2", "token", code), "another token": s.PressCodeValid("sid", "token2", code),
		"no code": s.PressCodeValid("sid", "token", ""), "a part": s.PressCodeValid("sid", "token", code[:5]),
		"parts that moved": s.PressCodeValid("sidt", "oken", code), "other keys": service(other).PressCodeValid("sid", "token", code),
	} {
		if valid {
			t.Errorf("%s: the code is taken", name)
		}
	}
}
