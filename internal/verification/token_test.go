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
	"unicode/utf8"
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
		if err != nil || !code.MatchString(c) {
			t.Fatalf("code %q, %v", c, err)
		}
		first[c[0]-'0']++
	}
	for digit, n := range first {
		if n < codes/10-300 || n > codes/10+300 {
			t.Errorf("%d of %d codes begin with %d, want about a tenth", n, codes, digit)
		}
	}
	for range 1000 {
		link, err := m.token(ProofLink)
		raw, decodeErr := base64.RawURLEncoding.DecodeString(link)
		if err != nil || decodeErr != nil || len(raw) != 32 || seen[link] {
			t.Fatalf("link token %q: %d bytes, %v, %v, seen before %v", link, len(raw), err, decodeErr, seen[link])
		}
		seen[link] = true
		if got, ok := NormalizeToken(link); got != link || !ok {
			t.Fatalf("NormalizeToken(%q) = %q, %v", link, got, ok)
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

func TestNormalizeToken(t *testing.T) {
	tests := []struct {
		name, typed, want string
	}{
		{"as it is", "123456", "123456"},
		{"spaces around", " 123456\n", "123456"},
		{"grouped", "123 456", "123456"},
		{"no-break space from a mail", "123\u00a0456", "123456"},
		{"grouped by a dash", "123-456", "123456"},
		{"grouped by an en dash and thin spaces", "123\u2009\u2013\u202f456", "123456"},
		{"with marks of direction", "\u2066123456\u2069", "123456"},
		{"Arabic digits", "١٢٣٤٥٦", "123456"},
		{"Persian digits", "۱۲۳۴۵۶", "123456"},
		{"full-width digits", "１２３４５６", "123456"},
		{"a dash in a link's token", "1234567890-abcdef", "1234567890-abcdef"},
		{"a dash in a long token of digits", "12345678901234-67", "12345678901234-67"},
		{"only dashes", "---", "---"},
		{"tab and CRLF", "\t123456\r\n", "123456"},
		{"case is kept", "aBc-_", "aBc-_"},
		{"longest", strings.Repeat("a", 255), strings.Repeat("a", 255)},
		{"longest counts code points", strings.Repeat("é", 255), strings.Repeat("é", 255)},
		{"too long", strings.Repeat("a", 256), ""},
		{"too long before spaces go", strings.Repeat(" ", 255) + "a", ""},
		{"empty", "", ""},
		{"only spaces", " \t\u00a0", ""},
		{"invalid UTF-8", "12\xff", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := NormalizeToken(tt.typed)
			if got != tt.want || ok != (tt.want != "") {
				t.Errorf("NormalizeToken(%q) = %q, %v, want %q", tt.typed, got, ok, tt.want)
			}
		})
	}
}

func FuzzNormalizeToken(f *testing.F) {
	for _, s := range []string{"", "123 456", " \u00a0", "\xff", strings.Repeat("a", 256), "\u200b1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		got, ok := NormalizeToken(typed)
		if ok != (got != "") {
			t.Fatalf("NormalizeToken(%q) = %q, %v", typed, got, ok)
		}
		if !ok {
			return
		}
		if again, ok := NormalizeToken(got); again != got || !ok {
			t.Errorf("NormalizeToken(%q) = %q, but of that it is %q, %v", typed, got, again, ok)
		}
		if strings.ContainsAny(got, " \t\r\n") || !utf8.ValidString(got) || utf8.RuneCountInString(got) > maxTokenLength {
			t.Errorf("NormalizeToken(%q) = %q: white space, not UTF-8, or too long", typed, got)
		}
	})
}
