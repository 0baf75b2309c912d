// SPDX-License-Identifier: Apache-2.0

package address

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"
)

func TestF19_Spellings(t *testing.T) {
	for _, tt := range []struct {
		typed string
		want  []string
	}{
		{"me@example.org", []string{"me@example.org"}},
		{"ME@Example.org", []string{"me@example.org"}},
		{"m.e+x@ab--cd.example", []string{"m.e+x@ab--cd.example"}},
		{"me@xn--bcher-kva.example", []string{"me@xn--bcher-kva.example", "me@bücher.example", "me@bu\u0308cher.example"}},
		{"Me@BÜCHER.example", []string{"me@bücher.example", "me@xn--bcher-kva.example", "me@bu\u0308cher.example"}},
		{"jose\u0301@example.org", []string{"jose\u0301@example.org", "jos\u00e9@example.org"}},
		{"straße@example.org", []string{"straße@example.org"}},
		{"me@ｅxample.org", []string{"me@ｅxample.org", "me@example.org"}},
		{" me@example.org", nil}, // it is cleaned before, and nobody could mail to it
		{"", nil},
		{"nobody", nil},
		{"a@b@c", nil},
	} {
		canonical, _ := Email(tt.typed)
		if got := Spellings(tt.typed, canonical); !slices.Equal(got, tt.want) {
			t.Errorf("Spellings(%q) = %q, want %q", tt.typed, got, tt.want)
		}
	}
}

func TestF19_Alike(t *testing.T) {
	for canonical, want := range map[string][]string{
		"strasse@example.org": nil, "me@xn--bcher-kva.example": nil, "nobody": nil,
		"straße@example.org":   {"strasse@example.org"},
		"σίσυφος@example.org":  {"σίσυφοσ@example.org", "σι\u0301συφοσ@example.org"},
		"ß@xn--bcher-kva.test": {"ss@xn--bcher-kva.test", "ss@bücher.test", "ss@bu\u0308cher.test"},
	} {
		if got := Alike(canonical); !slices.Equal(got, want) {
			t.Errorf("Alike(%q) = %q, want %q", canonical, got, want)
		}
	}
}

// TestF19_Folds tells those that are another mailbox, or none, once they are folded.
func TestF19_Folds(t *testing.T) {
	long, _ := Email(strings.Repeat("ŉ", 32) + "@example.org") // 64 bytes, and 96 when folded
	for canonical, want := range map[string]bool{"straße@example.org": true, long: true, "alice@example.org": false, "\uab70@example.org": false} {
		if got := Folds(canonical); got != want || canonical == "" {
			t.Errorf("Folds(%q) = %v, want %v", canonical, got, want)
		}
	}
}

// TestF19_SpellingsAreOneMailbox: to prove one of them is to prove all, so none may
// be another mailbox, and none of what is alike may be this one.
func TestF19_SpellingsAreOneMailbox(t *testing.T) {
	special := []rune("aAsSzZ09.-_+ßẞſKÅıİΣσςǰΐᾳ\u0301\u0307\u0308ééüÜ가ﬅᏰꭰ\uff0e\u3002")
	part := rapid.StringOfN(rapid.OneOf(rapid.SampledFrom(special), rapid.Rune()), 1, 8, -1)
	rapid.Check(t, func(t *rapid.T) {
		typed := part.Draw(t, "local") + "@" + part.Draw(t, "domain") + ".example"
		canonical, err := Email(typed)
		if err != nil {
			return
		}
		all := Spellings(typed, canonical)
		if !slices.Contains(all, canonical) || len(all) > 7 {
			t.Fatalf("Spellings(%q) = %q, want at most 7 with %q", typed, all, canonical)
		}
		for _, s := range all {
			if got, err := Email(s); got != canonical || err != nil || !IsSpelling(s, canonical) {
				t.Fatalf("%q is a spelling of %q, but the mailbox %q (%v)", s, typed, got, err)
			}
		}
		for _, s := range Alike(canonical) {
			if got, err := Email(s); got == canonical && err == nil || IsSpelling(s, canonical) {
				t.Fatalf("%q is alike to %q, and the same mailbox", s, typed)
			}
			if slices.Contains(all, s) {
				t.Fatalf("%q is alike to %q, and a spelling of it", s, typed)
			}
		}
	})
}

// TestF19_PlainAddressesHaveOneSpelling: they are nearly all there are, and nobody
// is to be asked twice about them.
func TestF19_PlainAddressesHaveOneSpelling(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		typed := rapid.StringMatching(`[a-zA-Z0-9!#$%&'*+/=?^_{|}~-]{1,20}@([a-wyzA-WYZ][a-zA-Z0-9]{0,9}\.){1,3}[a-zA-Z]{2,6}`).Draw(t, "typed")
		if got := Spellings(typed, strings.ToLower(typed)); len(got) != 1 || got[0] != strings.ToLower(typed) {
			t.Fatalf("Spellings(%q) = %q", typed, got)
		}
		if got := Alike(strings.ToLower(typed)); got != nil {
			t.Fatalf("Alike(%q) = %q", typed, got)
		}
	})
}

// TestF21_AbuseKeyFolds: a server that folds case delivers all of these to one
// person, who is not to be bothered once for each.
func TestF21_AbuseKeyFolds(t *testing.T) {
	for _, typed := range []string{"strasse@example.org", "straße@example.org", "ſtraſſe@example.org", "STRASſE@example.org"} {
		canonical, err := Email(typed)
		if got := AbuseKey(canonical); got != "strasse@example.org" || err != nil {
			t.Errorf("AbuseKey of %q = %q, %v", typed, got, err)
		}
	}
}

// TestF19_LowerIsPythons: Synapse keeps what Python's str.lower makes of an address,
// and we have to find it there.
func TestF19_LowerIsPythons(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("NOT PROVEN HERE: there is no python3 to compare with")
	}
	texts := []string{"ΣΊΣΥΦΟΣ", "Σ", "ΑΣ", "ΑΣ.ΑΣ", "ΑΣ-Α", "Α\u0301Σ\u0301", "ΑΣ'", "ΑΣ\u0301Α", "1Σ", "Σ1", "ΑΣ_Α", "İI\u0307", "ǅǄ", "STRAẞE"}
	for r := rune(0x80); r <= unicode.MaxRune; r++ {
		if unicode.Is(unicode.Lu, r) || unicode.Is(unicode.Lt, r) || unicode.Is(unicode.Ll, r) {
			texts = append(texts, string(r))
		}
	}
	script := exec.CommandContext(t.Context(), python, "-c", "import json,sys,unicodedata as u; sys.stdout.write(json.dumps([t.lower() if all(u.category(c) != 'Cn' for c in t) else None for t in json.load(sys.stdin)]))")
	raw, err := json.Marshal(texts)
	if err != nil {
		t.Fatal(err)
	}
	script.Stdin = strings.NewReader(string(raw))
	out, err := script.Output()
	if err != nil {
		t.Fatal(err)
	}
	var want []*string
	if err := json.Unmarshal(out, &want); err != nil {
		t.Fatal(err)
	}
	for i, text := range texts {
		if got := lower(text); want[i] != nil && got != *want[i] {
			t.Errorf("lower(%q) = %q (%U), Python has %q (%U)", text, got, []rune(got), *want[i], []rune(*want[i]))
		}
	}
}
