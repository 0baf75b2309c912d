// SPDX-License-Identifier: Apache-2.0

package address_test

import (
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"github.com/caddy-threepid/caddy-threepid/internal/address"
)

// checkCanonical is what the rest of the program relies on, for any input.
func checkCanonical(t interface {
	Helper()
	Errorf(string, ...any)
}, typed string,
) {
	t.Helper()
	got, err := address.Email(typed)
	if err != nil {
		if got != "" {
			t.Errorf("Email(%q) = %q along with an error", typed, got)
		}
		return
	}
	if again, err := address.Email(got); again != got || err != nil {
		t.Errorf("Email(%q) = %q, but Email of that = %q, %v", typed, got, again, err)
	}
	local, domain, _ := strings.Cut(got, "@")
	if strings.Count(got, "@") != 1 || local == "" || domain == "" {
		t.Errorf("Email(%q) = %q, want exactly one @ between two parts", typed, got)
	}
	if len(local) > 64 || len(got) > 254 || !utf8.ValidString(got) || !norm.NFC.IsNormalString(got) {
		t.Errorf("Email(%q) = %q: too long, or not UTF-8 in NFC", typed, got)
	}
	if i := strings.IndexFunc(got, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) }); i >= 0 {
		t.Errorf("Email(%q) = %q has an invisible character at %d", typed, got, i)
	}
	if i := strings.IndexFunc(domain, func(r rune) bool { return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-.", r) }); i >= 0 {
		t.Errorf("Email(%q): domain %q is not lower-case ASCII", typed, domain)
	}
	for _, variant := range []string{strings.ToUpper(domain), strings.ToTitle(domain)} {
		if other, err := address.Email(local + "@" + variant); other != got || err != nil {
			t.Errorf("Email with domain %q = %q, %v, want %q", variant, other, err, got)
		}
	}
}

// TestF19_EmailIsIdempotent takes every character of Unicode, before and after
// characters that combine with it. The domain is as short as can be: here it
// is the local part that matters.
func TestF19_EmailIsIdempotent(t *testing.T) {
	var all []rune
	for r := rune(1); r <= unicode.MaxRune; r++ {
		if unicode.IsGraphic(r) && (r <= 0xff || !unicode.In(r, unicode.Han, unicode.Hangul, unicode.Tangut)) {
			all = append(all, r) // others are neither folded nor, but for the Hangul tested elsewhere, composed
		}
	}
	check := func(runes ...rune) bool {
		parts := make([]string, len(runes))
		for i, r := range runes {
			parts[i] = "a" + string(r) + "\u0345\u0301"
		}
		typed := strings.Join(parts, "-") + "@x" // a hyphen parts words, so that they are apart
		got, err := address.Email(typed)
		if err != nil {
			return false
		}
		if again, err := address.Email(got); again != got || err != nil {
			t.Errorf("Email(%q) = %q, but Email of that = %q, %v", typed, got, again, err)
		}
		return true
	}
	accepted := 0
	for some := range slices.Chunk(all, 6) { // as many as there is room for
		if check(some...) {
			accepted += len(some)
			continue
		}
		for _, r := range some {
			if check(r) {
				accepted++
			}
		}
	}
	if accepted < 10_000 {
		t.Errorf("only %d characters were accepted", accepted)
	}
}

// TestF19_EmailOfAnything mixes the characters that normalisation, folding
// and IDNA treat specially.
func TestF19_EmailOfAnything(t *testing.T) {
	special := []rune("aAzZ09.@-_+\"\\ \t\r\nßẞſKÅıİΣσςǰΐᾳᾼ\u0301\u0300\u0345\u0327\u0338\u3099가각\uff0e\uff20\u3002\u200b\u200d\u202e\u00ad\u037e\ufb03ﬅԵՒև\u1e9eᏰꭰŉ")
	gen := rapid.StringOf(rapid.OneOf(rapid.SampledFrom(special), rapid.Rune()))
	rapid.Check(t, func(t *rapid.T) {
		local, domain := gen.Draw(t, "local"), gen.Draw(t, "domain")
		checkCanonical(t, local+"@"+domain)
		checkCanonical(t, local+"@example.com")
		checkCanonical(t, "a@"+domain+".com")
	})
}

func FuzzEmail(f *testing.F) {
	for _, bad := range []map[string]string{badEmails(), badDomains()} {
		for _, typed := range bad {
			f.Add(typed)
		}
	}
	for _, typed := range []string{"Strauß@Example.com", "info@bücher.example", "a@xn--bcher-kva.example", "ǰ\u0345@x", "root@localhost"} {
		f.Add(typed)
	}
	f.Fuzz(func(t *testing.T, typed string) { checkCanonical(t, typed) })
}
