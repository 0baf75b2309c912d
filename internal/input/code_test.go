// SPDX-License-Identifier: Apache-2.0

package input_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/caddy-threepid/caddy-threepid/internal/input"
)

func TestCode(t *testing.T) {
	tests := []struct {
		name, typed, want string
	}{
		{"as it is", "123456", "123456"},
		{"spaces around", " 123456\n", "123456"},
		{"grouped", "123 456", "123456"},
		{"no-break space from a mail", "123\u00a0456", "123456"},
		{"grouped by a dash", "123-456", "123456"},
		{"grouped by an en dash and thin spaces", "123\u2009\u2013\u202f456", "123456"},
		{"with marks of direction", "\u2066123456\u2069", "123456"},
		{"Arabic digits", "١٢٣٤٥٦", "123456"},
		{"Persian digits", "۱۲۳۴۵۶", "123456"},
		{"full-width digits", "１２３４５６", "123456"},
		{"a dash in a link's token", "1234567890-abcdef", "1234567890-abcdef"},
		{"a dash in a long token of digits", "12345678901234-67", "12345678901234-67"},
		{"in quotes, with the full stop of the sentence", "\u201c123456\u201d.", "123456"},
		{"in brackets of East Asia", "\uff08\uff11\uff12\uff13\u3000\uff14\uff15\uff16\uff09", "123456"},
		{"Devanagari digits", "\u0967\u0968\u0969\u096a\u096b\u096c", "123456"},
		{"digits of mathematics", "\U0001d7d9\U0001d7da\U0001d7db\U0001d7dc\U0001d7dd\U0001d7de", "123456"},
		{"with a minus and a long sound", "12\u221234\u30fc56", "123456"},
		{"digits that are circled are none", "\u2460\u2461\u2462\u2463\u2464\u2465", "\u2460\u2461\u2462\u2463\u2464\u2465"},
		{"a comma", "123,456", "123,456"},
		{"only dashes", "---", "---"},
		{"tab and CRLF", "\t123456\r\n", "123456"},
		{"case is kept", "aBc-_", "aBc-_"},
		{"longest", strings.Repeat("a", 255), strings.Repeat("a", 255)},
		{"longest counts code points", strings.Repeat("é", 255), strings.Repeat("é", 255)},
		{"too long", strings.Repeat("a", 256), ""},
		{"too long before spaces go", strings.Repeat(" ", 255) + "a", ""},
		{"empty", "", ""},
		{"only spaces", " \t\u00a0", ""},
		{"invalid UTF-8", "12\xff", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := input.Code(tt.typed)
			if got != tt.want || ok != (tt.want != "") {
				t.Errorf("Code(%q) = %q, %v, want %q", tt.typed, got, ok, tt.want)
			}
		})
	}
}

func FuzzCode(f *testing.F) {
	for _, s := range []string{"", "123 456", " \u00a0", "\xff", strings.Repeat("a", 256), "\u200b1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		got, ok := input.Code(typed)
		if ok != (got != "") {
			t.Fatalf("Code(%q) = %q, %v", typed, got, ok)
		}
		if !ok {
			return
		}
		if again, ok := input.Code(got); again != got || !ok {
			t.Errorf("Code(%q) = %q, but of that it is %q, %v", typed, got, again, ok)
		}
		if strings.ContainsAny(got, " \t\r\n") || !utf8.ValidString(got) || utf8.RuneCountInString(got) > 255 {
			t.Errorf("Code(%q) = %q: white space, not UTF-8, or too long", typed, got)
		}
	})
}
