// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// TestMendedLinksHaveWhatWasMeant, and no more: to the last sign of the query.
func TestMendedLinksHaveWhatWasMeant(t *testing.T) {
	sid, token := "00"+strings.Repeat("a", SIDLength-2), strings.Repeat("B", 42)+"4"
	owns := func(s threepid.SID) bool { return string(s) == sid }
	for raw, want := range map[string]string{
		confirmPath + "?sid=" + sid + "&token=" + token:                              "", // nothing to mend
		confirmPath + "?sid=" + sid + "&client_secret=.":                             "",
		confirmPath + "/?sid=" + sid + "&x=%41":                                      confirmPath + "?sid=" + sid + "&x=%41",
		confirmPath + "?sid=" + sid + "&amp;client_secret=abc&amp;help=1":            confirmPath + "?client_secret=abc&help=1&sid=" + sid,
		confirmPath + "?SID=" + sid:                                                  confirmPath + "?sid=" + sid,
		confirmPath + "?xsid=" + sid:                                                 confirmPath + "?",
		confirmPath + "?sid=" + sid + "&sid=" + sid:                                  confirmPath + "?sid=" + sid,
		confirmPath + "?sid=" + sid + "&Token=12345":                                 confirmPath + "?sid=" + sid,
		confirmPath + "?sid=" + sid + "&token=1234567":                               confirmPath + "?sid=" + sid + "&token=1234567",
		confirmPath + "?sid=" + sid + "&Token=123456":                                confirmPath + "?sid=" + sid + "&token=123456",
		confirmPath + "?sid=" + sid + "&help=1.":                                     confirmPath + "?help=1&sid=" + sid,
		confirmPath + "?sid=" + sid + ";token=" + token:                              confirmPath + "?sid=" + sid + "&token=" + token,
		confirmPath + "?sid=" + sid[:SIDLength-1] + "&token=" + token:                confirmPath + "?sid=" + sid[:SIDLength-1] + "&token=" + token,
		"/_threepid/validate/email/submittok":                                        "none",
		"/_threepid/validate/email/submittokenx?sid=" + sid:                          "none",
		"/_threepid/validate/email/submittoken_?sid=" + sid:                          confirmPath + "?sid=" + sid,
		confirmPath + "?" + strings.Repeat("sid=x&", maxParameters-2) + "sid=" + sid: confirmPath + "?sid=" + sid,
		confirmPath + "?" + strings.Repeat("sid=x&", maxParameters) + "sid=" + sid:   confirmPath + "?sid=x",
		confirmPath + "?" + strings.Repeat("sid=x&", maxParameters-1) + "sid=" + sid: confirmPath + "?sid=" + sid,
		"/_threepid/validate/msisdn/submitToken/?sid=" + sid + "&token=" + "12345":   "/_threepid/validate/msisdn/submitToken?sid=" + sid + "&token=12345",
	} {
		u, err := url.ParseRequestURI(raw)
		if err != nil {
			t.Fatal(err)
		}
		got := Mend(u, owns)
		if want == "" || want == "none" {
			if got != nil {
				t.Errorf("%s became %s, want it left alone", raw, got)
			}
			continue
		}
		if got == nil || got.Path+"?"+got.RawQuery != want {
			t.Errorf("%s became %v, want %s", raw, got, want)
		}
	}
}

// TestLinksAreReadToABound: in length, and in how often they were escaped.
func TestLinksAreReadToABound(t *testing.T) {
	for query, want := range map[string]string{
		"x=%26": "x=&", "x=%2526": "x=&", "x=%252526": "x=&", "x=%25252526": "x=%26",
		"x&amp;y": "x&y", "x&amp;amp;amp;y": "x&y", "x&amp;amp;amp;amp;y": "x&amp;y",
		"x+y": "x y", "x%FFy": "x y", "a=3fsid=1=26token=2": "a&sid=1&token=2", "a=3Dsid": "a=3Dsid",
	} {
		if got := PlainText(&url.URL{Path: "/p", RawQuery: query}); got != "/p?"+want {
			t.Errorf("%s is read as %s, want /p?%s", query, got, want)
		}
	}
	if got := PlainText(&url.URL{Path: "/p"}); got != "/p" {
		t.Errorf("got %s of a path alone", got)
	}
	longest := MaxLink + route.MaxOddPath - len("/p?")
	for n, want := range map[int]int{longest: MaxLink + route.MaxOddPath, longest + 1: 0} {
		if got := len(PlainText(&url.URL{Path: "/p", RawQuery: strings.Repeat("x", n)})); got != want {
			t.Errorf("of %d signs %d are read, want %d", n, got, want)
		}
	}
}

// TestValuesAreReadInEachWay that something on the way may have made necessary, and in
// no other.
func TestValuesAreReadInEachWay(t *testing.T) {
	for value, want := range map[string][]string{
		"__a-": {"__a-", "__a", "_a-", "_a", "a-", "a"},
		"a":    {"a"},
		"":     {""},
		"__":   {"__", "_", "", "_", "", ""},
		"a---": {"a---", "a--", "a-", "a"},
	} {
		if got := trimmed(value); !slices.Equal(got, want) {
			t.Errorf("%q is trimmed to %q, want %q", value, got, want)
		}
	}
	for _, value := range []string{"a____", "____a"} {
		if got := trimmed(value); slices.Contains(got, "a") || len(got) != 4 {
			t.Errorf("%q is trimmed to %q", value, got)
		}
	}
	if got := trimmed("____a____"); slices.Contains(got, "a") || !slices.Contains(got, "_a_") {
		t.Errorf("four marks are trimmed to %q", got)
	}
	for length, want := range map[int]int{SIDLength: 0, SIDLength - 1: 6, SIDLength - 2: 6, SIDLength - 3: 0} {
		got := completed(strings.Repeat("x", length))
		if len(got) != want {
			t.Errorf("%d signs are completed to %q", length, got)
		}
		for _, end := range []string{"-", "_", "--", "-_", "_-", "__"} {
			if want > 0 && !slices.Contains(got, strings.Repeat("x", length)+end) {
				t.Errorf("%d signs are not completed by %s: %q", length, end, got)
			}
		}
	}
	for value, want := range map[string][]string{
		"3Dabc": {"abc"}, "3dabc": {"abc"}, " abc ": {"abc"}, `"abc"`: {"abc"}, "abc def": {"abc", "abcdef"}, "<abc>def": {"abc", "abcdef"}, "_abc_": {"abc"}, "3D": {"3D"},
	} {
		for _, one := range want {
			if got := valueReadings(value); !slices.Contains(got, one) {
				t.Errorf("%q is read as %q, want %q among them", value, got, one)
			}
		}
	}
	if got := valueReadings("3D"); slices.Contains(got, "") {
		t.Errorf("got %q: nothing is left of it", got)
	}
}

// TestSignsOfOurs are those of base64 for addresses, to the last one.
func TestSignsOfOurs(t *testing.T) {
	const ours = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	for r := range rune(0x100) {
		if got, want := letterOrDigit(r), strings.ContainsRune(ours, r); got != want {
			t.Errorf("%q is a letter or digit: %v, want %v", r, got, want)
		}
		if got, want := foreign(r), !strings.ContainsRune(ours+"-_", r); got != want {
			t.Errorf("%q is foreign: %v, want %v", r, got, want)
		}
	}
}
