// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestSPFSyntax: RFC 7208 §12.
func TestSPFSyntax(t *testing.T) {
	good := []string{
		"v=spf1", "v=spf1 ", "v=spf1 -all", "V=SPF1 A MX ?ALL", "v=spf1 a:mail.example.org mx:example.org/24 a/24//64 mx//48 ~all",
		"v=spf1 ip4:192.0.2.1 ip4:192.0.2.0/24 ip6:2001:db8::/32 ip6:2001:db8::1 -all", "v=spf1 include:_spf.example.org redirect=example.com",
		"v=spf1 exists:%{i}._spf.%{d} exp=explain._spf.%{d}", "v=spf1 ptr ptr:example.org", "v=spf1 new=modifier unknown=a:b",
	}
	for _, text := range good {
		if _, err := parseSPF(text); err != nil {
			t.Errorf("%q: got %v", text, err)
		}
	}
	bad := []string{
		"v=spf1 all:example.org", "v=spf1 al", "v=spf1 ip4", "v=spf1 ip4:", "v=spf1 ip4:192.0.2.256", "v=spf1 ip4:192.0.2.0/33",
		"v=spf1 ip4:2001:db8::1", "v=spf1 ip6:192.0.2.1", "v=spf1 include", "v=spf1 include:", "v=spf1 exists", "v=spf1 a:", "v=spf1 a/33",
		"v=spf1 a/", "v=spf1 a//129", "v=spf1 mx/-1", "v=spf1 a/024", "v=spf1 redirect=", "v=spf1 redirect=a.example redirect=b.example",
		"v=spf1 ptr/24", "v=spf1 --all", "v=spf1 ip6:fe80::1%eth0", "v=spf1 example.org",
	}
	for _, text := range bad {
		if _, err := parseSPF(text); !errors.Is(err, errSPFSyntax) {
			t.Errorf("%q: got %v, want %v", text, err, errSPFSyntax)
		}
	}
}

func TestSPFVerdicts(t *testing.T) {
	z := zone{
		"A mail.example.org": {"192.0.2.25", "2001:db8::25", "::ffff:192.0.2.26"}, "A example.org": {"192.0.2.80"},
		"MX example.org":       {"mail.example.org", "gone.example.org"},
		"TXT strict.example":   {"v=spf1 ip4:198.51.100.0/24 -all"},
		"TXT neutral.example":  {"v=spf1 ip4:198.51.100.0/24 ?all"},
		"TXT macro.example":    {"v=spf1 exists:%{i}.example -all"},
		"TXT redirect.example": {"v=spf1 redirect=strict.example"},
		"A flaky.example":      {"!"},
	}
	tests := []struct{ record, ip, want string }{
		{"v=spf1", "192.0.2.1", spfNeutral},
		{"v=spf1 -all", "192.0.2.1", spfFail},
		{"v=spf1 ~all", "192.0.2.1", spfSoftFail},
		{"v=spf1 ?all", "192.0.2.1", spfNeutral},
		{"v=spf1 a -all", "192.0.2.80", spfPass},
		{"v=spf1 a -all", "192.0.2.25", spfFail},
		{"v=spf1 a/24 -all", "192.0.2.25", spfPass},
		{"v=spf1 mx -all", "192.0.2.25", spfPass},
		{"v=spf1 mx -all", "192.0.2.26", spfPass},
		{"v=spf1 mx -all", "::ffff:192.0.2.25", spfPass},
		{"v=spf1 mx -all", "2001:db8::25", spfPass},
		{"v=spf1 mx -all", "2001:db8::26", spfFail},
		{"v=spf1 mx//64 -all", "2001:db8::26", spfPass},
		{"v=spf1 mx/24 -all", "2001:db8::26", spfFail},
		{"v=spf1 -mx +all", "192.0.2.25", spfFail},
		{"v=spf1 ip4:192.0.2.77/24 -all", "192.0.2.1", spfPass},
		{"v=spf1 ip6:2001:db8::/32 -all", "2001:db8:1::1", spfPass},
		{"v=spf1 ip6:2001:db8::/32 -all", "192.0.2.1", spfFail},
		{"v=spf1 include:strict.example ~all", "198.51.100.7", spfPass},
		// RFC 7208 §5.2: the fail of what is included is no match.
		{"v=spf1 include:strict.example ~all", "192.0.2.1", spfSoftFail},
		{"v=spf1 include:neutral.example -all", "192.0.2.1", spfFail},
		{"v=spf1 ?include:strict.example -all", "198.51.100.7", spfNeutral},
		{"v=spf1 redirect=strict.example", "192.0.2.1", spfFail},
		{"v=spf1 redirect=redirect.example", "198.51.100.1", spfPass},
		{"v=spf1 ?all redirect=strict.example", "192.0.2.1", spfNeutral},
		{"v=spf1 redirect=%{d}.example", "192.0.2.1", spfUnknown},
		// What depends on the message might have matched.
		{"v=spf1 exists:%{i}.example -all", "192.0.2.1", spfUnknown},
		{"v=spf1 exists:%{i}.example ip4:192.0.2.1 -all", "192.0.2.1", spfPass},
		{"v=spf1 -exists:%{i}.example ip4:192.0.2.1 -all", "192.0.2.1", spfUnknown},
		{"v=spf1 include:macro.example -all", "192.0.2.1", spfUnknown},
		{"v=spf1 ptr -all", "192.0.2.1", spfUnknown},
		{"v=spf1 exists:%{i}.example", "192.0.2.1", spfUnknown},
		// So might what cannot be looked up.
		{"v=spf1 a:flaky.example -all", "192.0.2.1", spfUnknown},
		{"v=spf1 a:none.example -all", "192.0.2.1", spfFail},
	}
	for _, tt := range tests {
		record, err := parseSPF(tt.record)
		if err != nil {
			t.Fatalf("%q: %v", tt.record, err)
		}
		w := &spfWalk{lookup: lookup{resolver{t, z}}, records: map[string]spfAnswer{}}
		if got := w.evaluate(t.Context(), "example.org", record, netip.MustParseAddr(tt.ip)); got != tt.want {
			t.Errorf("%q from %s: got %s, want %s", tt.record, tt.ip, got, tt.want)
		}
	}
}

// TestSPFAlwaysEnds: whatever people write into their records, also in circles.
func TestSPFAlwaysEnds(t *testing.T) {
	words := []string{
		"a", "mx", "-all", "~all", "include:a.example", "include:b.example", "include:c.example", "redirect=a.example", "redirect=b.example",
		"exists:%{i}", "ptr", "ip4:192.0.2.0/24", "-include:c.example", "typo", "a:b.example", "mx:c.example",
	}
	rapid.Check(t, func(rt *rapid.T) {
		z := zone{}
		for _, name := range []string{"a.example", "b.example", "c.example"} {
			list := rapid.SliceOfN(rapid.SampledFrom(words), 0, 6).Draw(rt, name)
			z["TXT "+name] = []string{"v=spf1 " + strings.Join(list, " ")}
		}
		r := Run(t.Context(), Options{
			Resolver: resolver{t, z},
			Domains: []Domain{{
				From: "a.example", RelayHosts: []string{"192.0.2.1", "2001:db8::1"},
			}},
		})
		for _, f := range r.Findings {
			if f.Code == codeFailed || f.Code == codeTimedOut {
				rt.Errorf("%v: got %+v", z, f)
			}
		}
	})
}

// TestAnyRecordIsSurvived: TXT records of strangers hold anything.
func TestAnyRecordIsSurvived(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.SampledFrom([]string{"", "v=spf1 ", "v=DKIM1;", "v=DMARC1;"}).Draw(rt, "prefix") + rapid.String().Draw(rt, "text")
		z := zone{spfAt: {text}, dkimAt: {text}, dmarcAt: {text}}
		r := Run(t.Context(), Options{
			Resolver: resolver{t, z}, Domains: []Domain{{From: "example.org", DKIM: &DKIM{"example.org", "s1", dkimKey}}},
		})
		for _, f := range r.Findings {
			if f.Code == codeFailed || f.Code == codeTimedOut || strings.ContainsAny(f.Problem, "\x1b\r\n") ||
				addressLike.MatchString(strings.ReplaceAll(f.Problem, "<address>", "")) {
				rt.Errorf("%q: got %+v", text, f)
			}
		}
	})
}

func TestDMARCSyntax(t *testing.T) {
	tests := map[string]bool{
		"v=DMARC1; p=none": true, "v=DMARC1;p=reject;sp=none;adkim=s;aspf=r;pct=50;rua=mailto:a@example.org": true, "v=DMARC1; p=Quarantine;": true,
		"v = DMARC1 ; p = none": true, "v=DMARC1; p=none; pct=100; x=unknown": true,
		"v=dmarc1; p=none": false, "v=DMARC1": false, "v=DMARC1; p=": false, "v=DMARC1; p=none; p=reject": false, "v=DMARC1; sp=none": false,
		"v=DMARC1; p=block": false, "v=DMARC1; p=none; adkim=strict": false, "v=DMARC1; p=none; pct=101": false, "v=DMARC1; p=none; pct=x": false,
		"v=DMARC1; p=none; sp=x": false, "v=DMARC2; p=none": false, "v=DMARC1; p=none; rua": false, "p=none; v=DMARC1": false, "v=DMARC1 p=none": false,
	}
	for record, want := range tests {
		if _, problem := parseDMARC(record); (problem == "") != want {
			t.Errorf("%q: got %q, want ok: %t", record, problem, want)
		}
	}
}

// TestDMARCOfASubdomain: the organisation's record speaks for it, with a policy
// of its own if it has one (RFC 7489 §6.6.3).
func TestDMARCOfASubdomain(t *testing.T) {
	tests := []struct {
		from, own, org string
		want           string
	}{
		{"chat.example.org", "", "v=DMARC1; p=reject", codeOK},
		{"chat.example.org", "", "v=DMARC1; p=reject; sp=none", codeDMARCNone},
		{"chat.example.org", "v=DMARC1; p=none", "v=DMARC1; p=reject", codeDMARCNone},
		{"chat.example.org", "v=DMARC1; p=reject; sp=none", "", codeOK},
		{"chat.example.org", "", "", codeDMARCMissing},
		{"example.co.uk", "", "", codeDMARCMissing},
		{"a.b.example.org", "", "v=DMARC1; p=reject", codeOK},
		{"Chat.Example.ORG.", "", "v=DMARC1; p=reject", codeOK},
		{"localhost", "", "", codeDMARCMissing},
	}
	for _, tt := range tests {
		z := zone{"TXT _dmarc.uk": {"v=DMARC1; p=reject"}, "TXT _dmarc.co.uk": {"v=DMARC1; p=reject"}}
		if tt.own != "" {
			z["TXT _dmarc."+domainName(tt.from)] = []string{tt.own}
		}
		if tt.org != "" {
			z["TXT _dmarc.example.org"] = []string{tt.org}
		}
		for _, f := range Run(t.Context(), Options{Resolver: resolver{t, z}, Domains: []Domain{{From: tt.from}}}).Findings {
			if f.Check == checkDMARC && f.Code != tt.want {
				t.Errorf("%s, %q, %q: got %s, want %s", tt.from, tt.own, tt.org, f.Code, tt.want)
			}
		}
	}
}

func TestAlignment(t *testing.T) {
	tests := []struct {
		a, b            string
		relaxed, strict bool
	}{
		{"example.org", "example.org", true, true},
		{"mail.example.org", "example.org", true, false},
		{"a.example.org", "b.example.org", true, false},
		{"example.org", "example.net", false, false},
		{"a.co.uk", "b.co.uk", false, false},
		{"x.a.co.uk", "a.co.uk", true, false},
		{"alice.github.io", "bob.github.io", false, false},
		{"localhost", "localhost", true, true},
	}
	for _, tt := range tests {
		if got := aligned(tt.a, tt.b, false); got != tt.relaxed {
			t.Errorf("%s and %s: got %t, want %t", tt.a, tt.b, got, tt.relaxed)
		}
		if got := aligned(tt.a, tt.b, true); got != tt.strict {
			t.Errorf("%s and %s, strictly: got %t, want %t", tt.a, tt.b, got, tt.strict)
		}
	}
}

// TestInternationalDomains are looked up as they are in the DNS.
func TestInternationalDomains(t *testing.T) {
	z := zone{"TXT xn--mller-kva.example": {"v=spf1 -all"}}
	for _, f := range Run(t.Context(), Options{Resolver: resolver{t, z}, Domains: []Domain{{From: "Müller.example"}}}).Findings {
		if f.Check == checkSPF && f.Code != codeOK {
			t.Errorf("got %+v", f)
		}
	}
}
