// SPDX-License-Identifier: Apache-2.0

package emailpolicy

import (
	"strings"
	"testing"
)

// TestRules: which rule decides, and for which domains.
func TestRules(t *testing.T) {
	tests := []struct {
		name        string
		allow, deny string
		want        map[string]Rule
	}{
		{"none", "", "", map[string]Rule{"example.org": Default}},
		{"both", "", "evil.example", map[string]Rule{
			"evil.example": Deny, "a.evil.example": Deny, "b.a.evil.example": Deny,
			"notevil.example": Default, "evil.example.org": Default, "example": NoDot, "evil-example.org": Default,
		}},
		{"exact", "", "=evil.example", map[string]Rule{"evil.example": Deny, "a.evil.example": Default}},
		{"below", "", ".evil.example", map[string]Rule{"evil.example": Default, "a.evil.example": Deny, "b.a.evil.example": Deny}},
		{"only these", "example.org", "", map[string]Rule{"example.org": Allow, "a.example.org": Allow, "example.com": NotAllowed, "org": NotAllowed}},
		{"a whole top level", "org", "", map[string]Rule{"example.org": Allow, "org.example": NotAllowed}},
		{"all but one", "*", "evil.example", map[string]Rule{"example.org": Allow, "evil.example": Deny}},
		{"none but one", "example.org", "*", map[string]Rule{"example.org": Allow, "example.com": Deny}},
		{"the longer name decides", "good.evil.example", "evil.example", map[string]Rule{
			"evil.example": Deny, "x.evil.example": Deny, "good.evil.example": Allow, "x.good.evil.example": Allow,
		}},
		{"the longer name decides, denied", "example.org", "bad.example.org", map[string]Rule{
			"example.org": Allow, "x.example.org": Allow, "bad.example.org": Deny, "x.bad.example.org": Deny,
		}},
		{"a name says more than what is below a shorter one", "example.org *", ".org", map[string]Rule{"example.org": Allow, "a.example.org": Allow, "example.com": Allow, "other.org": Deny}},
		{"exact says more than both", "=example.org", "example.org", map[string]Rule{"example.org": Allow, "a.example.org": Deny}},
		{"below says more than both", ".example.org", "example.org", map[string]Rule{"example.org": Deny, "a.example.org": Allow}},
		{"below and exact do not meet", ".example.org", "=example.org", map[string]Rule{"example.org": Deny, "a.example.org": Allow}},
		{"several", "a.example b.example", "x.a.example", map[string]Rule{"b.example": Allow, "a.example": Allow, "x.a.example": Deny}},
		{"dotless by name", "localhost *", "", map[string]Rule{"localhost": Allow, "intranet": NoDot}},
		{"dotless exactly", "=localhost *", "", map[string]Rule{"localhost": Allow, "intranet": NoDot}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := New(Config{Allow: strings.Fields(tt.allow), Deny: strings.Fields(tt.deny)})
			if err != nil {
				t.Fatal(err)
			}
			for domain, want := range tt.want {
				if got := p.Check(t.Context(), "a@"+domain); got.Rule != want || (got.Action == Refused) != want.refuses() {
					t.Errorf("%s: got %+v, want %s", domain, got, want)
				}
			}
		})
	}
}

// TestWhichRulesRefuse: an answer that did not come is no reason to.
func TestWhichRulesRefuse(t *testing.T) {
	for rule, want := range map[Rule]bool{
		Default: false, Allow: false, MXUnknown: false,
		Deny: true, NotAllowed: true, Disposable: true, NoDot: true, NullMX: true, NoMail: true,
	} {
		if got := rule.refuses(); got != want {
			t.Errorf("%s: refuses %v, want %v", rule, got, want)
		}
	}
}

// TestRulesInAnySpelling: a rule is its canonical form, however it is typed.
func TestRulesInAnySpelling(t *testing.T) {
	for typed, want := range map[string]string{
		"EXAMPLE.org": "example.org", "example.org.": "example.org", "=Example.Org.": "=example.org", ".ExAmPlE.org": ".example.org",
		"Bücher.example": "xn--bcher-kva.example", "=BU\u0308CHER.example": "=xn--bcher-kva.example", "XN--BCHER-KVA.example": "xn--bcher-kva.example",
		"example\u3002org": "example.org", ".ｅｘａｍｐｌｅ．org": ".example.org", "straße.example": "xn--strae-oqa.example", "strasse.example": "strasse.example",
		"org": "org", ".org": ".org", "*": "*", " *\t": "*",
	} {
		got, err := parseRule(typed)
		if err != nil || got.String() != want {
			t.Errorf("%q: got %q, %v, want %q", typed, got, err, want)
		}
	}
}

func TestRulesThatCannotBeMeant(t *testing.T) {
	for _, tt := range []struct{ allow, deny, want string }{
		{"", "*.evil.example", "write .evil.example"},
		{"", "a@evil.example", "not about an address"},
		{"", "=", "is not a rule"},
		{"", ".", "is not a rule"},
		{"", "=*", "is not a rule"},
		{"", "..evil.example", "is not a rule"},
		{"", "=.evil.example", "is not a rule"},
		{"", "evil..example", "is not a rule"},
		{"", "evil.example..", "is not a rule"},
		{"", "evil.example,bad.example", "is not a rule"},
		{"", `.*@evil\.example`, "not about an address"},
		{"", `.*\.evil\.example`, "is not a rule"},
		{"", "ev*l.example", "is not a rule"},
		{"", "exam\u00adple.com", "is not a rule"},
		{"", "exam\u200dple.com", "is not a rule"},
		{"", "127.0.0.1", "is not a rule"},
		{"", "evil_example.org", "is not a rule"},
		{"", "https://evil.example", "is not a rule"},
		{"!", "", "allow:"},
		{"", "!", "deny:"},
		{"example.org", "EXAMPLE.org.", "deny example.org: is allowed as well"},
		{"", "*", "leave nothing"},
	} {
		_, err := New(Config{Allow: strings.Fields(tt.allow), Deny: strings.Fields(tt.deny)})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("allow %q, deny %q: got error %v, want one with %q", tt.allow, tt.deny, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "@") {
			t.Errorf("the error repeats an address: %v", err)
		}
	}
	if err := CheckRule(""); err == nil {
		t.Error("nothing is a rule")
	}
	if err := CheckRule("=example.org"); err != nil {
		t.Error(err)
	}
}

func TestLogOnlyRefusesNothing(t *testing.T) {
	p, err := New(Config{Deny: []string{"evil.example"}, LogOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	for email, want := range map[string]Verdict{
		"a@evil.example": {Deny, Logged}, "a@localhost": {NoDot, Logged}, "a@example.org": {Default, Allowed},
	} {
		if got := p.Check(t.Context(), email); got != want {
			t.Errorf("%s: got %+v, want %+v", email, got, want)
		}
	}
}

func TestDotlessIfWanted(t *testing.T) {
	p, err := New(Config{Dotless: true})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := p.Check(t.Context(), "root@localhost"), (Verdict{Default, Allowed}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
