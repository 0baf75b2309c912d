// SPDX-License-Identifier: Apache-2.0

package input_test

import (
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/input"
)

// TestAddressAsItIsCopied from mail programs, links and sentences; what may be two
// addresses, or says more than one, stays for somebody to refuse.
func TestAddressAsItIsCopied(t *testing.T) {
	const joe, most = "joe@x.org", 4096
	for typed, want := range map[string]string{
		joe:                                     joe,
		"<" + joe + ">":                         joe,
		"Joe <" + joe + ">":                     joe,
		` Joe Doe <` + joe + "> \n":             joe,
		`"Doe, Joe" <` + joe + ">":              joe,
		`"Joe; Doe" <` + joe + ">":              joe,
		joe + " <" + joe + ">":                  joe,
		"JOE@x.ORG <" + joe + ">":               joe,
		`"` + joe + `" <` + joe + ">":           joe,
		"mailto:" + joe:                         joe,
		"MAILTO:joe%40x.org":                    joe,
		"<mailto:" + joe + ">":                  joe,
		"joe＠x.org":                             joe,
		"joe﹫x.org":                             joe,
		"“" + joe + "”":                         joe,
		"(" + joe + ")":                         joe,
		"'" + joe + "'":                         joe,
		"＜" + joe + "＞":                         joe,
		`""`:                                    "",
		`"`:                                     `"`,
		"":                                      "",
		"<" + strings.Repeat("x", most-2) + ">": strings.Repeat("x", most-2),

		"<" + strings.Repeat("x", most-1) + ">": "",
		"Doe, Joe <" + joe + ">":                "",
		"Joe: <" + joe + ">":                    "",
		"Joe; <" + joe + ">":                    "",
		"eve@x.org <" + joe + ">":               "",
		"eve＠x.org <" + joe + ">":               "",
		`"eve@x.org" <` + joe + ">":             `eve@x.org" <` + joe,
		"Joe > <" + joe + ">":                   "",
		`Joe " <` + joe + ">":                   "",
		"Joe <" + joe:                           "",
		"Joe " + joe + ">":                      "",
		"Joe <a <" + joe + ">":                  "",
		"mailto:" + joe + "?subject=x":          "",
		"mailto:" + joe + ";x":                  "",
		"mailto:" + joe + "#x":                  "",
		"mailto:joe%zzx.org":                    "",
		"mailt:" + joe:                          "",
		joe + "＠y.org":                          "",
		"(" + joe:                               "",
		joe + ")":                               "",
	} {
		if want == "" && len(typed) > 2 {
			want = typed // it stays
		}
		if got := input.Address(typed); got != want {
			t.Errorf("Address(%.60q) = %.60q, want %.60q", typed, got, want)
		}
	}
}

// TestNumbersHaveEdges: of what is seen, of what is looked at, and of the place of a
// plus; a line end is between two numbers.
func TestNumbersHaveEdges(t *testing.T) {
	for typed, want := range map[string]string{
		"+":                     "",
		"":                      "",
		"+ ()":                  "",
		"4+4":                   "",
		"++4":                   "",
		"(+4":                   "+4",
		"＋4":                    "+4",
		"tel:+44%20791":         "+44791",
		"TEL:44":                "44",
		"tel:44;ext=1":          "",
		"fax:44":                "",
		strings.Repeat("1", 40): strings.Repeat("1", 40),
		strings.Repeat("1", 41): "",
		"11" + strings.Repeat("\u00ad", 2046) + "11":  "1111",
		"11" + strings.Repeat("\u00ad", 2046) + "111": "",
		"123\u0085456": "",
		"123\u2028456": "",
		"123\u2029456": "",
		"123\u201a456": "",
		"123\u201e456": "",
		"123\n456":     "",
		"123,456":      "",
		"123\u2212456": "123456",
		"123\u00b7456": "123456",
		"123\u2044456": "123456",
		"123\u3000456": "123456",
		"123\u300c456": "123456",
	} {
		if got, ok := input.Number(typed); ok != (want != "") || ok && got != want {
			t.Errorf("Number(%.60q) = %q, %v, want %q", typed, got, ok, want)
		}
	}
	for typed, want := range map[string]string{" +44 79 ": "+4479", "FR ": "FR", " 44 79": "44 79", "+44x": "+44x", "+": "+", "(+)": "(+)", "*\n": "*"} {
		if got := input.NumberOrWord(typed); got != want {
			t.Errorf("NumberOrWord(%q) = %q, want %q", typed, got, want)
		}
	}
	for typed, want := range map[string]string{"1234567890123-45": "123456789012345", "1234567890123-456": "1234567890123-456"} {
		if got, ok := input.Code(typed); got != want || !ok {
			t.Errorf("Code(%q) = %q, %v, want %q", typed, got, ok, want)
		}
	}
}
