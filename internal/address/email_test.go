// SPDX-License-Identifier: Apache-2.0

package address_test

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/caddy-threepid/caddy-threepid/internal/address"
)

// TestF19_EmailIsCanonical: two spellings that mail programs deliver to the
// same place must become the same address, or one mailbox could be registered
// twice and reset under another's name.
func TestF19_EmailIsCanonical(t *testing.T) {
	tests := []struct {
		name, typed, want string
	}{
		{"already canonical", "alice@example.com", "alice@example.com"},
		{"upper case in both parts", "Victim@X.Example", "victim@x.example"},
		{"sharp s is not ss", "Strauß@Example.com", "strauß@example.com"},
		{"capital sharp s", "STRAUẞ@EXAMPLE.COM", "strauß@example.com"},
		{"Kelvin sign is k", "\u212aevin@example.com", "kevin@example.com"},
		{"long s is not s", "ſam@example.com", "ſam@example.com"},
		{"decomposed and composed are one", "Jose\u0301@example.com", "jos\u00e9@example.com"},
		{"final sigma", "ΣΊΣΥΦΟΣ@example.com", "σίσυφος@example.com"},
		{"capital I with a dot", "İlk@example.com", "i\u0307lk@example.com"},
		{"Turkish dotless i stays another letter", "ılk@example.com", "ılk@example.com"},
		{"small Cherokee stays", "\uab70\u13fd@example.com", "\uab70\u13fd@example.com"},
		{"Cherokee capitals have small letters", "\u13a0\u13f5S@example.com", "\uab70\u13fds@example.com"},
		{"plus and other dot-atom characters", "a.b+c!#$%&'*-/=?^_`{|}~@example.com", "a.b+c!#$%&'*-/=?^_`{|}~@example.com"},
		{"IDN becomes A-labels", "info@Bücher.example", "info@xn--bcher-kva.example"},
		{"IDN top level", "info@例え.テスト", "info@xn--r8jz45g.xn--zckzah"},
		{"A-label in capitals", "info@XN--BCHER-KVA.example", "info@xn--bcher-kva.example"},
		{"hyphens where an A-label has them", "alice@ab--cd.example", "alice@ab--cd.example"},
		{"more of them", "alice@R3---sn.example", "alice@r3---sn.example"},
		{"one hyphen at the third place", "info@üb-cd.example", "info@xn--b-cd-zra.example"},
		{"one hyphen at the fourth", "info@übc-d.example", "info@xn--bc-d-zra.example"},
		{"full-width dot is a dot", "a@example\uff0ecom", "a@example.com"},
		{"ideographic full stop is a dot", "a@example\u3002com", "a@example.com"},
		{"full-width domain letters", "a@ｅｘａｍｐｌｅ.com", "a@example.com"},
		{"dotless domain", "root@localhost", "root@localhost"},
		{"digits inside a domain", "a@3com.example1", "a@3com.example1"},
		{"a digit at its end", "a@example.v6", "a@example.v6"},
		{"longest local part", strings.Repeat("l", 64) + "@example.com", strings.Repeat("l", 64) + "@example.com"},
		{"longest address", strings.Repeat("l", 64) + "@" + domainOf(189), strings.Repeat("l", 64) + "@" + domainOf(189)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := address.Email(tt.typed)
			if got != tt.want || err != nil {
				t.Errorf("Email(%q) = %q, %v, want %q", tt.typed, got, err, tt.want)
			}
		})
	}
}

// domainOf is a valid domain of exactly n characters.
func domainOf(n int) string {
	var b strings.Builder
	for n-b.Len() > 64 {
		b.WriteString(strings.Repeat("d", 62) + ".")
	}
	b.WriteString(strings.Repeat("d", n-b.Len()-2) + ".d")
	return b.String()
}

// TestF19_BadEmailIsRefused: whatever a mail server, a header or a second
// parser could read in another way is refused, and the refusal does not repeat
// the address.
func TestF19_BadEmailIsRefused(t *testing.T) {
	bad := badEmails()
	maps.Copy(bad, badDomains())
	for name, typed := range bad {
		t.Run(name, func(t *testing.T) {
			got, err := address.Email(typed)
			if !errors.Is(err, address.ErrInvalid) || got != "" {
				t.Fatalf("Email(%q) = %q, %v, want ErrInvalid", typed, got, err)
			}
			if len(typed) > 3 && strings.Contains(err.Error(), typed) {
				t.Errorf("the error repeats the address: %v", err)
			}
		})
	}
}

// badEmails are bad in the local part, or as a whole.
func badEmails() map[string]string {
	return map[string]string{
		"empty":                      "",
		"only @":                     "@",
		"no @":                       "alice.example.com",
		"no local part":              "@example.com",
		"no domain":                  "alice@",
		"two @":                      "alice@evil.example@example.com",
		"two @ side by side":         "alice@@example.com",
		"full-width @ in the domain": "alice@example.com\uff20evil.example",
		"small commercial at":        "alice@example.com\ufe6bevil.example",
		"NUL":                        "ali\x00ce@example.com",
		"header injection":           "alice@example.com\r\nBcc: eve@example.com",
		"newline in local part":      "alice\n@example.com",
		"carriage return":            "alice\r@example.com",
		"tab":                        "ali\tce@example.com",
		"DEL":                        "alice\x7f@example.com",
		"C1 control":                 "alice\u0085@example.com",
		"space around":               " alice@example.com",
		"space at the end":           "alice@example.com ",
		"no-break space":             "alice\u00a0b@example.com",
		"line separator":             "alice\u2028@example.com",
		"ideographic space":          "alice\u3000@example.com",
		"invalid UTF-8, local":       "ali\xffce@example.com",
		"invalid UTF-8, domain":      "alice@ex\xc3ample.com",
		"replacement character":      "ali\ufffdce@example.com",
		"quoted":                     `"alice"@example.com`,
		"quoted @":                   `"alice@evil.example"@example.com`,
		"quoted SMTP parameter":      `"alice> SIZE=1"@example.com`,
		"backslash":                  `alice\@example.com`,
		"comment":                    "alice(comment)@example.com",
		"display name":               "Alice <alice@example.com>",
		"list":                       "alice@example.com,eve@example.com",
		"semicolon":                  "alice;eve@example.com",
		"colon, a source route":      "@relay.example:alice@example.com",
		"a mark that hides a sign":   "ali<\u0338ce@example.com", // together they are a letter
		"one at the beginning":       "<\u0338alice@example.com",
		"; made at the beginning":    "\u037ealice@example.com",
		"Greek question mark is ;":   "alice\u037eeve@example.com",
		"zero-width space, local":    "ali\u200bce@example.com",
		"zero-width space, domain":   "alice@exam\u200bple.com",
		"zero-width joiner, domain":  "alice@exam\u200dple.com",
		"word joiner":                "ali\u2060ce@example.com",
		"byte order mark":            "\ufeffalice@example.com",
		"soft hyphen, local":         "ali\u00adce@example.com",
		"soft hyphen, domain":        "alice@exam\u00adple.com",
		"right-to-left override":     "alice\u202eecila@example.com",
		"bidi isolate":               "alice@\u2066example.com",
		"Hangul filler":              "ali\u3164ce@example.com",
		"grapheme joiner":            "ali\u034fce@example.com",
		"variation selector":         "ali\ufe0fce@example.com",
		"tag character":              "ali\U000e0041ce@example.com",
		"private use":                "ali\ue000ce@example.com",
		"noncharacter":               "ali\ufdd0ce@example.com",
		"dot first":                  ".alice@example.com",
		"dot last":                   "alice.@example.com",
		"two dots":                   "al..ice@example.com",
		"local part too long":        strings.Repeat("l", 65) + "@example.com",
		"too long after folding":     strings.Repeat("l", 63) + "ß@example.com",
		"address too long":           strings.Repeat("l", 64) + "@" + domainOf(190),
		"megabyte":                   strings.Repeat("a", 1<<20) + "@example.com",
	}
}

// badDomains are bad behind the @.
func badDomains() map[string]string {
	return map[string]string{
		"label too long":            "alice@" + strings.Repeat("d", 64) + ".com",
		"IDN label too long":        "alice@" + strings.Repeat("ü", 60) + ".com",
		"empty label":               "alice@example..com",
		"domain begins with a dot":  "alice@.example.com",
		"domain ends with a dot":    "alice@example.com.",
		"hyphen first":              "alice@-example.com",
		"hyphen last":               "alice@example-.com",
		"underscore":                "alice@exa_mple.com",
		"slash":                     "alice@example.com/evil",
		"port":                      "alice@example.com:25",
		"percent":                   "alice@example%2ecom",
		"broken A-label":            "alice@xn--a\u0080.com",
		"A-label of a joiner":       "alice@xn--ab-j1t.com",
		"A-label of nothing":        "alice@xn--.com",
		"A-label not in NFC":        "alice@xn--a-ecp.ru",
		"two A-label prefixes":      "alice@xn--bücher.com",
		"hyphens like an A-label's": "alice@üb--cd.com",
		"the shortest of these":     "alice@üb--c.com",
		"A-label with such hyphens": "alice@xn--b--cd-jva.com",
		"A-label with one in front": "alice@xn----eha.com",
		"label begins with a mark":  "alice@\u0301abc.com",
		"A-label of plain ASCII":    "alice@xn--example-.com",
		"mixed direction label":     "alice@a\u05d0.com",
		"IPv4 literal":              "alice@[127.0.0.1]",
		"IPv6 literal":              "alice@[IPv6:::1]",
		"bare IPv6":                 "alice@::1",
		"bare IPv4":                 "alice@127.0.0.1",
		"bare IPv4, full-width":     "alice@１２７.０.０.１",
		"bare IPv4, one number":     "alice@2130706433",
		"bare IPv4, hexadecimal":    "alice@0x7f000001",
		"bare IPv4, mixed notation": "alice@127.0x1",
	}
}

// TestF19_NoBrokenTextIsAnAddress: a byte that is no character is refused wherever it is.
func TestF19_NoBrokenTextIsAnAddress(t *testing.T) {
	for _, good := range []string{"alice@example.com", "jos\u00e9@b\u00fccher.example", "\u13a0@\u4f8b.com"} {
		for at := range len(good) + 1 {
			for _, bytes := range []string{"\xff", "\x80", "\xc3", "\xed\xa0\x80", "\xf4\x90\x80\x80"} {
				typed := good[:at] + bytes + good[at:]
				if got, err := address.Email(typed); !utf8.ValidString(typed) && (got != "" || err == nil) {
					t.Errorf("Email(%q) = %q, want an error", typed, got)
				}
			}
		}
	}
}

// TestF19_NoWorkForWhatIsTooLong: nothing is made of a megabyte.
func TestF19_NoWorkForWhatIsTooLong(t *testing.T) {
	long := strings.Repeat("\u00df", 1<<20)
	for name, canonical := range map[string]func(string) (string, error){"Email": address.Email, "Domain": address.Domain} {
		if made := testing.AllocsPerRun(1, func() { _, _ = canonical(long) }); made != 0 {
			t.Errorf("%s makes %v things of it, want none", name, made)
		}
	}
}
