// SPDX-License-Identifier: Apache-2.0

package emailpolicy

import (
	"context"
	"strings"
	"testing"

	"golang.org/x/net/idna"
	"pgregory.net/rapid"

	"github.com/caddy-threepid/caddy-threepid/internal/address"
)

// check is what a requestToken does: one canonical form, and then the rules.
// invalid says that the address itself was refused.
func check(t interface{ Fatalf(string, ...any) }, p *Policy, typed string) (v Verdict, invalid bool) {
	canonical, err := address.Email(typed)
	if err != nil {
		return Verdict{}, true
	}
	return p.Check(context.Background(), canonical), false
}

func mustPolicy(t interface{ Fatalf(string, ...any) }, allow, deny string) *Policy {
	p, err := New(Config{Allow: strings.Fields(allow), Deny: strings.Fields(deny)})
	if err != nil {
		t.Fatalf("%v", err)
	}
	return p
}

// TestAdvisory16_RulesMatchWholeDomains: patterns in Synapse's own sample
// configuration had no end, so that another domain passed for the allowed one.
func TestAdvisory16_RulesMatchWholeDomains(t *testing.T) {
	only := mustPolicy(t, "=matrix.org", "")
	for typed, want := range map[string]string{
		"a@matrix.org":                 "allow",
		"A@MATRIX.ORG":                 "allow",
		"a@ｍａｔｒｉｘ\uff0eorg":            "allow",
		"a@matrix.org.evil.com":        "not_allowed",
		"a@evilmatrix.org":             "not_allowed",
		"a@matrix.org-evil.com":        "not_allowed",
		"a@sub.matrix.org":             "not_allowed",
		"a@matrix-org.evil.com":        "not_allowed",
		"matrix.org@evil.com":          "not_allowed",
		"a%matrix.org@evil.com":        "not_allowed",
		"a@evil.com#@matrix.org":       "invalid",
		"a@evil.com@matrix.org":        "invalid",
		"a@matrix.org\n@evil.com":      "invalid",
		"a@evil.com\n@matrix.org":      "invalid",
		"a@matrix.org\x00.evil.com":    "invalid",
		"\"a@evil.com\"@matrix.org":    "invalid",
		"a@matrix.org.":                "invalid",
		"a@matrix.org\u3002":           "invalid",
		"a@matrix.org,b@evil.com":      "invalid",
		"a@matrix.org/.evil.com":       "invalid",
		"a@matrix.org\u2024evil.com":   "invalid", // one dot leader maps to a full stop that splits nothing
		"a@matrix\u0000org":            "invalid",
		"a@m\u0430trix.org":            "not_allowed", // Cyrillic
		"a@matrix\u00b7org":            "not_allowed", // a letter of Catalan
		"a@matrix.\u03bfrg":            "not_allowed", // Greek
		"a@matrix.org\u180e":           "invalid",
		"a@\u202ematrix.org":           "invalid",
		"a@matrix\uff61org":            "allow",
		"a@matrix.o\u20d2rg":           "not_allowed",
		"a@\U0001d426atrix.org":        "allow", // mathematical m
		"a@matrix.org\ufe0f":           "invalid",
		"<a@matrix.org>@evil.com":      "invalid",
		"a@[matrix.org]":               "invalid",
		"a@matrix.org:25":              "invalid",
		"a@xn--matrix-.org":            "invalid",
		"a(@evil.com)@matrix.org":      "invalid",
		"a@matrix.org?@evil.com":       "invalid",
		"a@matrix.org;a@evil.com":      "invalid",
		"@evil.com:a@matrix.org":       "invalid",
		"a@evil.com\u2028@matrix.org":  "invalid",
		"a@matrix.org\t":               "invalid",
		"a\uff20evil.com@matrix.org":   "allow",   // a character of the local part, at matrix.org
		"a@evil.com\uff20matrix.org":   "invalid", // and none of a domain
		"a@matrix.org\u2060.evil.com":  "invalid",
		"a@matrix\\.org":               "invalid",
		"a@MATRIX.ORG.EVIL.COM":        "not_allowed",
		"a@matrix.org.xn--p1ai":        "not_allowed",
		"a@matrix.org.evil\uff0ecom":   "not_allowed",
		"a@matrix.org\uff0fevil.com":   "invalid",
		"a@matrix.org\u2100evil.com":   "invalid", // a/c
		"a@matrix.org\uff1fevil.com":   "invalid",
		"a@matrix.org\uff03evil.com":   "invalid",
		"a@evil.com\uff03@matrix.org":  "invalid",
		"a@matrix.org\u00a0":           "invalid",
		"\u00a0a@matrix.org":           "invalid",
		"a@ matrix.org":                "invalid",
		"a@matrix.org\u0338":           "not_allowed",
		"a@xn--mtrix-4ve.org":          "not_allowed",
		"a@matrix.org.example@":        "invalid",
		"a@sub.sub.matrix.org.evil.io": "not_allowed",
	} {
		v, invalid := check(t, only, typed)
		got := string(v.Rule)
		if invalid {
			got = "invalid"
		}
		if got != want {
			t.Errorf("%q: got %s, want %s", typed, got, want)
		}
	}
}

// TestAdvisory25_RulesAreAboutWhatIsDialled: in Nodemailer, a rule saw one
// domain and the relay was told another.
func TestAdvisory25_RulesAreAboutWhatIsDialled(t *testing.T) {
	for _, tt := range []struct{ deny, typed, want string }{
		{"example.com", "a@exam\u00adple.com", "invalid"}, // soft hyphen
		{"example.com", "a@exam\u200bple.com", "invalid"}, // zero width
		{"example.com", "a@exam\u200dple.com", "invalid"}, // joiner
		{"example.com", "a@example\uff0ecom", "deny"},
		{"example.com", "a@example\u3002com", "deny"},
		{"example.com", "a@example\uff61com", "deny"},
		{"example.com", "a@ＥＸＡＭＰＬＥ.com", "deny"},
		{"example.com", "a@examp\u2113e.com", "deny"}, // script small l
		{"straße.example", "a@STRASSE.example", "default"},
		{"straße.example", "a@straße.example", "deny"},
		{"straße.example", "a@xn--strae-oqa.example", "deny"},
		{"straße.example", "a@STRAẞE.example", "default"}, // UTS #46 maps the capital to ss
		{"strasse.example", "a@STRAẞE.example", "deny"},
		{"strasse.example", "a@straße.example", "default"}, // another name since IDNA 2008, and dialled as such
		{"strasse.example", "a@Strasse.example", "deny"},
		{"bücher.example", "a@BU\u0308CHER.example", "deny"},
		{"bücher.example", "a@xn--BCHER-kva.example", "deny"},
		{"xn--bcher-kva.example", "a@bücher.example", "deny"},
		{".bücher.example", "a@x.Bücher.example", "deny"},
		{"ς.example", "a@σ.example", "default"},
		{"ς.example", "a@ς.example", "deny"},
		{"kelvin.example", "a@\u212aelvin.example", "deny"},
		{"fi.example", "a@\ufb01.example", "deny"},
	} {
		v, invalid := check(t, mustPolicy(t, "", tt.deny), tt.typed)
		got := string(v.Rule)
		if invalid {
			got = "invalid"
		}
		if got != tt.want {
			t.Errorf("deny %q, %q: got %s, want %s", tt.deny, tt.typed, got, tt.want)
		}
	}
}

// TestAdvisory30_NoRuleSeesControlCharacters: they are refused before anything
// else, wherever they stand, so that no rule can be led astray by one.
func TestAdvisory30_NoRuleSeesControlCharacters(t *testing.T) {
	p := mustPolicy(t, "*", "")
	for _, r := range "\x00\x01\b\t\n\v\f\r\x1b\x1f\x7f\u0080\u0085\u009f\u00ad\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff\U000e0041" {
		for _, typed := range []string{"a" + string(r) + "b@example.org", string(r) + "a@example.org", "a@exa" + string(r) + "mple.org", "a@example.org" + string(r), "a" + string(r) + "@example.org", "a@" + string(r) + "example.org"} {
			if v, invalid := check(t, p, typed); !invalid {
				t.Errorf("%+q: got %+v, want it refused before any rule", typed, v)
			}
		}
	}
}

// spellings are ways to type the same domain.
func spellings(t *rapid.T, domain string) string {
	unicode, err := idna.ToUnicode(domain)
	if err != nil {
		t.Fatalf("%v", err)
	}
	var b strings.Builder
	for _, r := range rapid.SampledFrom([]string{domain, unicode}).Draw(t, "form") {
		switch {
		case r == '.':
			r = rapid.SampledFrom([]rune(".\uff0e\u3002\uff61")).Draw(t, "dot")
		case r > ' ' && r < 0x7f && r != '-' && rapid.Bool().Draw(t, "wide"):
			r += 0xfee0
		}
		s := string(r)
		if rapid.Bool().Draw(t, "upper") && r != 'ß' {
			s = strings.ToUpper(s)
		}
		b.WriteString(s)
	}
	return b.String()
}

var labels = []string{"a", "evil", "example", "org", "xn--bcher-kva", "xn--strae-oqa", "xn--r8jz45g", "strasse", "x-y", "1a"}

func drawDomain(t *rapid.T, name string) string {
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom(labels), 1, 4).Draw(t, name), ".")
}

func drawRules(t *rapid.T, name string) []string {
	form := rapid.SampledFrom([]string{"", "=", "."})
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string { return form.Draw(t, "form") + drawDomain(t, "rule") }), 0, 5).Draw(t, name)
}

// TestRulesDoNotDependOnSpelling: neither that of the rules nor that of the
// address changes a verdict.
func TestRulesDoNotDependOnSpelling(t *testing.T) {
	verdicts := map[Rule]int{}
	rapid.Check(t, func(t *rapid.T) {
		allow, deny := drawRules(t, "allow"), drawRules(t, "deny")
		respell := func(list []string) (other []string) {
			for _, r := range list {
				name := strings.TrimLeft(r, "=.")
				other = append(other, r[:len(r)-len(name)]+spellings(t, name)+rapid.SampledFrom([]string{"", "."}).Draw(t, "end"))
			}
			return rapid.Permutation(other).Draw(t, "order")
		}
		plain, err := New(Config{Allow: allow, Deny: deny})
		other, errOther := New(Config{Allow: respell(allow), Deny: respell(deny)})
		if (err == nil) != (errOther == nil) {
			t.Fatalf("got errors %v and %v for the same rules", err, errOther)
		}
		if err != nil {
			return
		}
		domain := drawDomain(t, "domain")
		want := plain.Check(t.Context(), "a@"+domain)
		verdicts[want.Rule]++
		if got, invalid := check(t, other, "a@"+spellings(t, domain)); invalid || got != want {
			t.Fatalf("%s: got %+v (invalid %v), want %+v", domain, got, invalid, want)
		}
	})
	if len(verdicts) < 4 {
		t.Errorf("got verdicts %v, want all that need no list", verdicts)
	}
}

// TestRulesAgainstTheirDefinition compares with rules as the documentation has
// them, without any index.
func TestRulesAgainstTheirDefinition(t *testing.T) {
	closest := func(list []string, domain string) int {
		found := -1
		for _, r := range list {
			name := strings.TrimLeft(r, "=.")
			is, under := domain == name, strings.HasSuffix(domain, "."+name)
			n := 2 * len(strings.Split(name, "."))
			switch {
			case r[0] == '=' && is, r[0] == '.' && under:
				found = max(found, n+1)
			case r[0] != '=' && r[0] != '.' && (is || under):
				found = max(found, n)
			}
		}
		return found
	}
	rapid.Check(t, func(t *rapid.T) {
		allow, deny := drawRules(t, "allow"), drawRules(t, "deny")
		p, err := New(Config{Allow: allow, Deny: deny, Dotless: true})
		if err != nil {
			return
		}
		domain := drawDomain(t, "domain")
		a, d := closest(allow, domain), closest(deny, domain)
		want := Default
		switch {
		case d >= 0 && d >= a:
			want = Deny
		case a >= 0:
			want = Allow
		case len(allow) > 0:
			want = NotAllowed
		}
		if got := p.Check(t.Context(), "a@"+domain); got.Rule != want {
			t.Fatalf("allow %q, deny %q, %s: got %s, want %s", allow, deny, domain, got.Rule, want)
		}
	})
}

// FuzzRules: no text is a rule about a domain that it does not name.
func FuzzRules(f *testing.F) {
	for _, seed := range [][2]string{
		{"=example.org", "a@example.org"},
		{".example.org", "a@x.example.org"},
		{"bücher.example", "a@xn--bcher-kva.example"},
		{"*", "a@b"},
		{"*.x", "a@y.x"},
		{"example.org.", "a@EXAMPLE.ORG"},
		{"a@b", "a@b"},
		{"=", "@"},
		{"exam\u00adple.org", "a@exam\u200bple.org"},
		{`.*@matrix\.org`, "a@matrix.org.evil.com"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, text, typed string) {
		r, err := parseRule(text)
		if err != nil {
			return
		}
		if again, err := parseRule(r.String()); err != nil || again != r {
			t.Errorf("%q is %q, and that is %q, %v", text, r, again, err)
		}
		canonical, err := address.Email(typed)
		if err != nil || r.form == all {
			return
		}
		p, err := New(Config{Deny: []string{text}, Dotless: true})
		if err != nil {
			t.Fatal(err)
		}
		domain := canonical[strings.LastIndexByte(canonical, '@')+1:]
		is, under := domain == r.domain, strings.HasSuffix(domain, "."+r.domain)
		want := r.form == both && (is || under) || r.form == exact && is || r.form == below && under
		if got := p.Check(t.Context(), canonical); (got.Rule == Deny) != want {
			t.Errorf("deny %q, %q: got %+v, want denied %v", text, typed, got, want)
		}
	})
}
