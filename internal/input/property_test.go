// SPDX-License-Identifier: Apache-2.0

package input_test

import (
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"

	"github.com/caddy-threepid/caddy-threepid/internal/input"
)

// pieces are what a text is made of in the properties below: what means something
// to the package, and what does not.
var pieces = rapid.OneOf(
	rapid.SampledFrom([]string{
		"1", "22", "0", "+", "＋", "-", " ", "\t", "\n", "(", ")", "<", ">", `"`, "'", "“", "”", "@", "＠", "a", "joe@x.org", "mailto:", "tel:", "MAILTO:", "Tel:",
		"%20", "%3C", "%40", "%25", "?", ";", ",", ":", "~", "x", "٣", "۴", "५", "６", "𝟕", "\u200b", "\u200e", "\ufeff", "\u00ad", "\u00a0", "\u2028", "\x00", "\xff", "Joe <", "ー", "－",
	}),
	rapid.String(),
)

var texts = rapid.Custom(func(t *rapid.T) string { return strings.Join(rapid.SliceOfN(pieces, 0, 12).Draw(t, "pieces"), "") })

// TestCleaningTwiceIsCleaningOnce: what one edge has cleaned, another one leaves.
func TestCleaningTwiceIsCleaningOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := texts.Draw(t, "text")
		for name, clean := range map[string]func(string) string{"Trim": input.Trim, "Address": input.Address, "NumberOrWord": input.NumberOrWord} {
			once := clean(text)
			if twice := clean(once); twice != once {
				t.Errorf("%s(%+q) = %+q, and of that %+q", name, text, once, twice)
			}
		}
		for name, clean := range map[string]func(string) (string, bool){"Number": input.Number, "Code": input.Code} {
			once, ok := clean(text)
			if twice, again := clean(once); ok && (twice != once || !again) {
				t.Errorf("%s(%+q) = %+q, and of that %+q, %v", name, text, once, twice, again)
			}
		}
	})
}

// TestNumberLosesNoDigit: all digits are there and in order, so that no two numbers
// become one, and there is nothing else but a plus before them.
func TestNumberLosesNoDigit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := texts.Draw(t, "text")
		dialled, ok := input.Number(text)
		if !ok {
			return
		}
		digits := strings.TrimPrefix(dialled, "+")
		if digits == "" || strings.Trim(digits, "0123456789") != "" || len(digits) > 40 {
			t.Fatalf("Number(%+q) = %q: these are no digits", text, dialled)
		}
		if !strings.Contains(text, "%") && digits != digitsOf(text) {
			t.Errorf("Number(%+q) = %q, want the digits %s", text, dialled, digitsOf(text))
		}
		if plus := strings.ContainsAny(text, "+＋"); plus != (digits != dialled) && !strings.Contains(text, "%") {
			t.Errorf("Number(%+q) = %q: the plus", text, dialled)
		}
	})
}

// digitsOf are the digits in a text, one after another.
func digitsOf(text string) string {
	var b strings.Builder
	for _, r := range text {
		if unicode.IsDigit(r) {
			digit, _ := input.Number(string(r))
			b.WriteString(digit)
		}
	}
	return b.String()
}

// TestAddressIsAPieceOfTheText: nothing is changed in an address, and nothing that
// is seen is left out of the middle.
func TestAddressIsAPieceOfTheText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := texts.Draw(t, "text")
		if strings.Contains(text, "%") {
			return
		}
		got := input.Address(text)
		if narrow := strings.NewReplacer("＠", "@", "﹫", "@"); !strings.Contains(text, got) && !strings.Contains(narrow.Replace(text), got) {
			t.Errorf("Address(%+q) = %+q", text, got)
		}
	})
}

// TestPlainInputStays: what needs no cleaning is not copied, either.
func TestPlainInputStays(t *testing.T) {
	const address, number, code = "alice+tag@example.org", "+447400123456", "123456"
	allocs := testing.AllocsPerRun(100, func() {
		if input.Address(address) != address || input.Trim(number) != number {
			t.Error("plain input was changed")
		}
	})
	if allocs != 0 {
		t.Errorf("got %v allocations, want none", allocs)
	}
	if got, ok := input.Number(number); got != number || !ok {
		t.Errorf("Number(%q) = %q, %v", number, got, ok)
	}
	if got, ok := input.Code(code); got != code || !ok {
		t.Errorf("Code(%q) = %q, %v", code, got, ok)
	}
}

// TestEverySignOfAClass: of every dash, bracket, blank and unseen mark that Unicode
// knows, around and in a number and around an address; and no other control.
func TestEverySignOfAClass(t *testing.T) {
	for r := rune(0); r <= '\U000e0fff'; r++ {
		if r == '\U00020000' {
			r = '\U000e0000' // Chinese characters, and nothing
		}
		sign := string(r)
		unseen := unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) && !unicode.Is(unicode.Prepended_Concatenation_Mark, r)
		around := unicode.IsSpace(r) || unseen
		if got := input.Address(sign + "a@x.org" + sign); around && got != "a@x.org" {
			t.Errorf("U+%04X around an address: got %+q", r, got)
		} else if unicode.Is(unicode.Prepended_Concatenation_Mark, r) && got != sign+"a@x.org"+sign {
			t.Errorf("U+%04X, which is seen, around an address: got %+q", r, got)
		}
		if got := input.Address("a" + sign + "b@x.org"); around && got != "a"+sign+"b@x.org" {
			t.Errorf("U+%04X in an address: got %+q", r, got)
		}
		between := unseen || unicode.In(r, unicode.Pd, unicode.Ps, unicode.Pe, unicode.Zs)
		got, ok := input.Number("123" + sign + "456")
		switch {
		case r == '\u201a' || r == '\u201e': // they look like a comma
			between = false
		case unicode.In(r, unicode.L, unicode.Cc, unicode.No, unicode.Nl, unicode.M) && r != '\t' && r != '\u30fc' && r != '\uff70' && !unseen && ok:
			t.Errorf("U+%04X in a number: got %q, want it refused", r, got)
		}
		if between && (got != "123456" || !ok) {
			t.Errorf("U+%04X in a number: got %q, %v", r, got, ok)
		}
	}
}

// TestCleaningIsBounded: a megabyte of layers is not peeled.
func TestCleaningIsBounded(t *testing.T) {
	for _, layers := range []string{strings.Repeat("<", 1<<19) + strings.Repeat(">", 1<<19), strings.Repeat("mailto:", 1<<17), strings.Repeat("\u200e", 1<<19)} {
		input.Address(layers)
		if got, ok := input.Number(layers + "1"); ok {
			t.Errorf("got %q", got)
		}
	}
}
