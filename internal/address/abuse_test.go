// SPDX-License-Identifier: Apache-2.0

package address

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestF21_AbuseKey(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"alice@example.org", "alice@example.org"},
		{"alice+news@example.org", "alice@example.org"},
		{"alice+a+b@example.org", "alice@example.org"},
		{"al.ice@example.org", "al.ice@example.org"}, // another mailbox, as far as we know
		{"al.i.ce@gmail.com", "alice@gmail.com"},
		{"a.lice+x.y@googlemail.com", "alice@gmail.com"},
		{"al.ice@notgmail.com", "al.ice@notgmail.com"},
		{"al.ice@mail.gmail.com", "al.ice@mail.gmail.com"},
		{"a.l-i_ce+x@pm.me", "alice@proton.me"},
		{"al-ice@protonmail.com", "alice@proton.me"},
		{"al.ice@me.com", "al.ice@icloud.com"},
		{"al.ice+x@mac.com", "al.ice@icloud.com"},
		{"anything@alice.fastmail.com", "alice@fastmail.com"},
		{"any+thing@alice.fastmail.fm", "alice@fastmail.fm"},
		{"al.ice@fastmail.com", "al.ice@fastmail.com"},
		{"x@y.z.alice.fastmail.com", "alice@fastmail.com"},
		{"x@alice.icloud.com", "x@alice.icloud.com"},
		{"..@gmail.com", "..@gmail.com"},
		{"+@example.org", "+@example.org"}, // nothing would be left
		{"+tag@example.org", "+tag@example.org"},
		{"no address", "no address"},
	} {
		if got := AbuseKey(tt.in); got != tt.want {
			t.Errorf("AbuseKey(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

// TestF21_AbuseKeyIsStable: what counts as one address is one of the class
// itself, and no other domain's.
func TestF21_AbuseKeyIsStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.StringMatching(`[a-z][a-z.+]{0,20}@(gmail\.com|googlemail\.com|pm\.me|mac\.com|[a-z]{1,5}\.fastmail\.com|example\.org)`).Draw(t, "address")
		key := AbuseKey(in)
		if again := AbuseKey(key); again != key {
			t.Fatalf("AbuseKey(%q) = %q, and of that %q", in, key, again)
		}
		if strings.HasSuffix(in, "@example.org") != strings.HasSuffix(key, "@example.org") {
			t.Fatalf("AbuseKey(%q) = %q is at another domain", in, key)
		}
		tagged := strings.Replace(in, "@", "+more@", 1)
		if got := AbuseKey(tagged); got != key {
			t.Fatalf("AbuseKey(%q) = %q, want %q as without the tag", tagged, got, key)
		}
	})
}
