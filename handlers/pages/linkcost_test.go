// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

// dearLinks are as long as links may be, and have as much in them to read as can be.
var dearLinks = []string{
	"sid=" + strings.Repeat("a+", MaxLink/2-10),
	strings.Repeat("sid=", MaxLink/4-1),
	strings.Repeat("token="+strings.Repeat("a", 400)+"&", MaxLink/407),
	strings.Repeat("sid=_-a+-_&", MaxLink/11),
	strings.Repeat("sid="+strings.Repeat("_", 400)+"&", MaxLink/405),
}

// TestMendingALinkCostsLittle: nobody has to prove anything to have a link mended, so
// no link has more than a few parameters read, nor any of them in more than a few ways.
func TestMendingALinkCostsLittle(t *testing.T) {
	for _, query := range dearLinks {
		tries, read := 0, 0
		owns := func(sid threepid.SID) bool {
			tries, read = tries+1, read+len(sid)
			return false
		}
		u := &url.URL{Path: confirmPath, RawQuery: query}
		text := PlainText(u)
		if text == "" {
			t.Fatalf("%.20s… is not looked at", query)
		}
		if found := settingsIn(text); len(found) == 0 || len(found) > maxParameters {
			t.Errorf("%.20s…: %d parameters are read, want at most %d", query, len(found), maxParameters)
		}
		Mend(u, owns)
		// A value with marks at both of its ends is tried in some hundred ways, another
		// one in some ten; and it may go on to the end of the text.
		if tries > maxParameters*110 || read > maxParameters*7*len(text) {
			t.Errorf("%.20s…: %d values of %d bytes were tried, for %d bytes", query, tries, read, len(text))
		}
	}
}

func BenchmarkMendingALink(b *testing.B) {
	owns := func(threepid.SID) bool { return false }
	for _, query := range dearLinks {
		b.Run(query[:12], func(b *testing.B) {
			u := &url.URL{Path: confirmPath, RawQuery: query}
			for b.Loop() {
				Mend(u, owns)
			}
		})
	}
	b.Run("one look", func(b *testing.B) {
		plain := strings.Repeat("a ", MaxLink/2)
		for b.Loop() {
			parameter.FindAllStringIndex(plain, maxParameters)
		}
	})
}

const confirmPath = "/_threepid/validate/email/submitToken"
