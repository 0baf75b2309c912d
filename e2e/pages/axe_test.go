// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"fmt"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/chromium"
)

// look is one way to look at a page; those with a name are pictured.
type look struct {
	name string
	mode chromium.Mode
}

// looks are the ways of the screenshots, and then some.
var looks = []look{
	{"light", chromium.Mode{Width: 640, Height: 860, Language: "en"}},
	{"dark", chromium.Mode{Width: 640, Height: 860, Language: "en", Dark: true}},
	{"phone", chromium.Mode{Width: 390, Height: 844, Language: "en", Mobile: true}},
	{"rtl", chromium.Mode{Width: 640, Height: 860, Language: "ar"}},
	{"", chromium.Mode{Width: 390, Height: 844, Language: "ar", Mobile: true, Dark: true}},
	{"", chromium.Mode{Width: 320, Height: 256, Language: "de", Dark: true}},
}

// TestAxeFindsNothing: every page, in every look.
func TestAxeFindsNothing(t *testing.T) {
	page, ctx := tab(t)
	must(t, page.AllowScripts(ctx))
	for _, l := range looks {
		must(t, page.Use(ctx, l.mode))
		for _, sc := range scenes {
			play(t, ctx, page, sc)
			report, err := page.RunAxe(ctx, axe)
			must(t, err)
			for _, finding := range report.Violations {
				t.Errorf("%s, %+v: %s", sc.state, l.mode, finding)
			}
			for _, finding := range report.Incomplete {
				t.Errorf("%s, %+v: not decided: %s", sc.state, l.mode, finding)
			}
			if report.Passed < 10 {
				t.Errorf("%s, %+v: only %d rules were met: was there a page?", sc.state, l.mode, report.Passed)
			}
		}
	}
}

// TestNothingIsCutOff: in a window of 320 CSS pixels, which is one of 1280 at
// 400%, and with letters of twice the size, nobody has to scroll sideways (WCAG
// 2.2, 1.4.10 and 1.4.4), nor with more room between letters and lines (1.4.12).
func TestNothingIsCutOff(t *testing.T) {
	page, ctx := tab(t)
	for _, language := range []string{"en", "ar", "de", "ja"} {
		for _, size := range []struct {
			width   int
			letters string
		}{{320, "100%"}, {640, "200%"}} {
			must(t, page.Use(ctx, chromium.Mode{Width: size.width, Height: 600, Language: language}))
			for _, sc := range scenes {
				play(t, ctx, page, sc)
				var wide []string
				must(t, page.Evaluate(ctx, fmt.Sprintf(`(() => {
					const root = document.documentElement;
					root.style.fontSize = %q;
					const wide = () => [...document.querySelectorAll("body *")].filter(e => {
						const box = e.getBoundingClientRect();
						return e.tagName !== "INPUT" && e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0
							|| box.right > innerWidth + 1 || box.left < -1;
					}).map(e => e.outerHTML.slice(0, 80));
					const found = wide();
					for (const e of document.querySelectorAll("body, body *")) {
						e.style.lineHeight = "1.5"; e.style.letterSpacing = ".12em"; e.style.wordSpacing = ".16em";
					}
					if (root.scrollWidth > innerWidth) found.push("the page");
					return found.concat(wide());
				})()`, size.letters), &wide))
				if len(wide) != 0 {
					t.Errorf("%s in %s, %d wide with letters of %s: does not fit: %q", sc.state, language, size.width, size.letters, wide)
				}
			}
		}
	}
}
