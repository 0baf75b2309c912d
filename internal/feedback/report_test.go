// SPDX-License-Identifier: Apache-2.0

package feedback

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestKindsHaveNamesOfAClosedSet(t *testing.T) {
	for k, want := range map[Kind]string{
		0: "none", Bounce: "bounce", Complaint: "complaint", Delivered: "delivered", Deferred: "deferred", 99: "none",
	} {
		if got := k.String(); got != want {
			t.Errorf("Kind(%d) = %q, want %q", k, got, want)
		}
	}
}

func TestHardIsOnlyWhatTheAddressIsToBlameFor(t *testing.T) {
	tests := map[string]struct {
		report Report
		want   bool
	}{
		"unknown user":             {Report{Kind: Bounce, Permanent: true, Code: "5.1.1"}, true},
		"no such domain":           {Report{Kind: Bounce, Permanent: true, Code: "5.1.2"}, true},
		"unknown user of Exchange": {Report{Kind: Bounce, Permanent: true, Code: "5.1.10"}, true},
		"null MX":                  {Report{Kind: Bounce, Permanent: true, Code: "5.1.10"}, true},
		"mailbox disabled":         {Report{Kind: Bounce, Permanent: true, Code: "5.2.1"}, true},
		"access denied":            {Report{Kind: Bounce, Permanent: true, Code: "5.4.1"}, true},
		"no reason given":          {Report{Kind: Bounce, Permanent: true, Code: "5.0.0"}, true},
		"no code at all":           {Report{Kind: Bounce, Permanent: true}, true},
		"mailbox full":             {Report{Kind: Bounce, Permanent: true, Code: "5.2.2"}, false},
		"message too long":         {Report{Kind: Bounce, Permanent: true, Code: "5.2.3"}, false},
		"message too big":          {Report{Kind: Bounce, Permanent: true, Code: "5.3.4"}, false},
		"no route":                 {Report{Kind: Bounce, Permanent: true, Code: "5.4.4"}, false},
		"expired":                  {Report{Kind: Bounce, Permanent: true, Code: "5.4.7"}, false},
		"spam, they say":           {Report{Kind: Bounce, Permanent: true, Code: "5.7.1"}, false},
		"DMARC":                    {Report{Kind: Bounce, Permanent: true, Code: "5.7.26"}, false},
		"class contradicts":        {Report{Kind: Bounce, Permanent: true, Code: "4.1.1"}, false},
		"not permanent":            {Report{Kind: Bounce, Code: "5.1.1"}, false},
		"a complaint":              {Report{Kind: Complaint, Permanent: true, Code: "5.1.1"}, false},
		"deferred":                 {Report{Kind: Deferred, Permanent: true, Code: "5.1.1"}, false},
	}
	for name, tt := range tests {
		if got := tt.report.Hard(); got != tt.want {
			t.Errorf("%s: Hard() = %t, want %t", name, got, tt.want)
		}
	}
}

func TestCleanMessageID(t *testing.T) {
	for in, want := range map[string]string{
		"<a.b@example.org>": "a.b@example.org", " <a@b> ": "a@b", "a@b": "a@b",
		"": "", "<>": "", "a": "", "@b": "", "a@": "", "a@b@c": "", "<a @b>": "", "<a@b> (x)": "", "a\r\nb@c": "",
		"a<@b": "", "a\x7f@b": "", "a~@b": "a~@b", strings.Repeat("a", maxMessageID-2) + "@b": strings.Repeat("a", maxMessageID-2) + "@b",
		strings.Repeat("a", maxMessageID-1) + "@b": "",
		"<<a@b>>": "", "ä@b": "", `"a"@b`: "", strings.Repeat("a", 260) + "@b": "",
	} {
		if got := CleanMessageID(in); got != want {
			t.Errorf("CleanMessageID(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestCleanAddress(t *testing.T) {
	for in, want := range map[string]string{
		"Alice@Example.ORG": alice, "<alice@example.org>": alice, " alice@example.org\n": alice,
		"alice@bücher.example": "alice@xn--bcher-kva.example",
		"":                     "", "redacted": "", "a@b@c": "", `"a b"@example.org`: "", "Alice <alice@example.org>": "",
	} {
		if got := CleanAddress(in); got != want {
			t.Errorf("CleanAddress(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestParseCodeTakesNothingButACode(t *testing.T) {
	for in, want := range map[string]string{
		"5.1.1": "5.1.1", " 4.2.2 ": "4.2.2", "5.1.1 (bad mailbox)": "5.1.1", "2.0.0": "2.0.0", "5.7.606": "5.7.606",
		"": "", "5": "", "5.1": "", "5.1.1.1": "", "3.1.1": "", "5.01.1": "", "5.1.1000": "", "550": "", "5.1.1 x": "",
		"5.1.1\n5.1.2": "", "(5.1.1)": "", "5.1.٣": "",
	} {
		if got := ParseCode(in); got != want {
			t.Errorf("ParseCode(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestFindCodeReadsServersAnswers(t *testing.T) {
	for in, want := range map[string]string{
		"smtp; 550 5.1.1 <jane@example.com>... User unknown":      "5.1.1",
		"smtp;550-5.7.26 This mail has been blocked":              "5.7.26",
		"550 #5.1.0 Address rejected.":                            "5.1.0",
		"554 delivery error: dd This user doesn't have a mailbox": "5.0.0",
		"451 4.7.1 Greylisted, see http://192.0.2.1/x":            "4.7.1",
		"452-4.2.2 The recipient's inbox is out of storage":       "4.2.2",
		"Status: 5.1.1.":                                "5.1.1",
		"[5.4.310] DNS domain does not exist":           "5.4.310",
		"host mx.example.org[5.9.10.11] said: 421 busy": "4.0.0",
		"connect to 5.9.10.11:25: timed out":            "",
		"version 4.9.6.2":                               "",
		"exim-4.9.6":                                    "",
		"port 587 refused":                              "",
		"":                                              "",
		"mx5.1.1.example.org":                           "",
		strings.Repeat("x", 3000) + " 5.1.1":            "",
		strings.Repeat("x", maxProse-6) + " 5.1.1":      "5.1.1",
		strings.Repeat("x", maxProse-5) + " 5.1.1":      "",
	} {
		if got := FindCode(in); got != want {
			t.Errorf("FindCode(%.60q) = %q, want %q", in, got, want)
		}
	}
}

func TestBestCodePrefersWhatSaysMore(t *testing.T) {
	tests := []struct{ field, prose, want string }{
		{"5.1.1", "550 5.7.1 no", "5.1.1"},
		{"5.0.0", "smtp; 550 5.1.1 no such user", "5.1.1"},
		{"5.0.0", "smtp; 451 4.3.0 later", "4.3.0"},
		{"5.0.0", "no idea", "5.0.0"},
		{"", "550 no such user", "5.0.0"},
		{"garbage", "", ""},
	}
	for _, tt := range tests {
		if got := BestCode(tt.field, tt.prose); got != tt.want {
			t.Errorf("BestCode(%q, %q) = %q, want %q", tt.field, tt.prose, got, tt.want)
		}
	}
}

func TestPropertyNoCodeLeavesTheGrammar(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		prose := rapid.StringOf(rapid.RuneFrom([]rune("0123456789.-#[] \n()xE5"))).Draw(t, "prose")
		for _, code := range []string{FindCode(prose), ParseCode(prose), BestCode(prose, prose)} {
			if code != "" && (ParseCode(code) != code || len(code) > len("5.999.999")) {
				t.Fatalf("%q gives %q", prose, code)
			}
		}
	})
}
