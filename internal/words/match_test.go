// SPDX-License-Identifier: Apache-2.0

package words

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestMatch: RFC 9110 §12.5.4 and BCP 47.
func TestMatch(t *testing.T) {
	tests := []struct{ name, header, want string }{
		{"nothing", "", "en"},
		{"a language", "de", "de"},
		{"another case", "DE-de", "de"},
		{"a region", "fr-CA", "fr"},
		{"the order of weights", "de;q=0.5, fr;q=0.9", "fr"},
		{"the order of the header", "uk, ru", "uk"},
		{"a language that there is not", "tlh, pl;q=0.1", "pl"},
		{"none that there is", "tlh, eo", "en"},
		{"what is not wanted", "de;q=0, nl;q=0.1", "nl"},
		{"only what is not wanted", "de;q=0", "en"},
		{"anything", "*", "en"},
		{"anything but", "tlh, *;q=0.5", "en"},
		{"a script", "zh-Hans-SG", "zh-Hans"},
		{"a region with a script", "zh-CN", "zh-Hans"},
		{"old names", "iw", "he"},
		{"a dialect", "gsw", "de"},
		{"an extension", "ar-u-nu-latn", "ar"},
		{"a bad element before", "xx-YY, de", "de"},
		{"a bad weight before", "pl;q=abc, de", "de"},
		{"rubbish", "<script>, \x00, de", "de"},
		{"spaces", " \t de \t;\tq=0.5 , fr ; q = 0.7", "fr"},
		{"a browser", "pt-BR,pt;q=0.9,en-US;q=0.8,en;q=0.7", "pt"},
		{"another browser", "en-GB,en;q=0.5", "en"},
		{"Brazil before Portugal", "pt-PT", "pt"},
		{"Norwegian does not become something else", "nb", "en"},
	}
	s := newSet(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := s.Match(tt.header); got != tt.want {
				t.Errorf("Match(%q) = %q, want %q", tt.header, got, tt.want)
			}
		})
	}
}

// TestMatchIsCheap, however long the header: it is cut, at a comma.
func TestMatchIsCheap(t *testing.T) {
	s := newSet(t)
	headers := map[string]string{
		"de," + strings.Repeat("xx-yy,", 1<<18):       "de",
		"de," + strings.Repeat("-", 1<<20):            "de",
		strings.Repeat("a", 1<<20):                    "en",
		strings.Repeat(",", 1<<20) + "de":             "en",
		strings.Repeat("tlh,", 200) + "de":            "en",
		"nl," + strings.Repeat("tlh,", 200):           "nl",
		"fr;q=0.1, de" + strings.Repeat("-abcde", 99): "fr", // cut in two it would be "de"
		strings.Repeat("en-a-aa-", 100):               "en",
	}
	for header, want := range headers {
		if got := s.Match(header); got != want {
			t.Errorf("Match of %d bytes, %.20q = %q, want %q", len(header), header, got, want)
		}
		// Each element that the library reads is one at least.
		if got := testing.AllocsPerRun(5, func() { s.Match(header) }); got > 1000 {
			t.Errorf("Match of %d bytes, %.20q: %.0f allocations", len(header), header, got)
		}
	}
}

// TestMatchProperties: the answer is always one of ours, and a language that a
// reader names first is theirs.
func TestMatchProperties(t *testing.T) {
	s := newSet(t)
	tags := s.matcher.tags
	rapid.Check(t, func(t *rapid.T) {
		header := rapid.OneOf(rapid.String(), rapid.StringMatching(`([a-zA-Z*]{1,3}(-[a-zA-Z0-9]{1,8}){0,3}(;q=[0-9.]{1,5})?,? ?){0,20}`)).Draw(t, "header")
		if got := s.Match(header); !slices.Contains(tags, got) {
			t.Fatalf("Match(%q) = %q", header, got)
		}
		first := rapid.SampledFrom(tags).Draw(t, "first")
		second := rapid.SampledFrom(tags).Draw(t, "second")
		q := rapid.IntRange(1, 999).Draw(t, "q")
		for _, header := range []string{
			first, first + "," + header, fmt.Sprintf("%s, %s;q=0.%03d", first, second, q), fmt.Sprintf("%s;q=0.%03d,%s;q=1.0", second, q, first),
		} {
			if got := s.Match(header); got != first && !(strings.HasSuffix(header, first+","+header) || second != first) {
				t.Fatalf("Match(%q) = %q, want %q", header, got, first)
			}
		}
	})
}

// FuzzMatch: nothing that a header can hold does any harm.
func FuzzMatch(f *testing.F) {
	for _, seed := range []string{"", "de", "en-US,en;q=0.5", "*;q=0", "zh-Hant-TW, i-klingon", strings.Repeat("a-", 300), "x-private", "de-1996;q=0.5,\x00"} {
		f.Add(seed)
	}
	s := newSet(f)
	f.Fuzz(func(t *testing.T, header string) {
		if got := s.Match(header); !slices.Contains(s.matcher.tags, got) {
			t.Errorf("Match(%q) = %q", header, got)
		}
	})
}
