// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"net/url"
	"strings"
	"testing"
	"time"
)

// TestMendingALinkCostsLittle: nobody has to prove anything to have a link mended, so
// one that is as long as links may be must not cost more than a few looks at its text.
func TestMendingALinkCostsLittle(t *testing.T) {
	owns := func(string) bool { return false }
	plain := strings.Repeat("a ", MaxLink/2)
	look := least(func() { parameter.FindAllStringIndex(plain, maxParameters) })
	for _, query := range []string{
		"sid=" + strings.Repeat("a+", MaxLink/2-10), strings.Repeat("sid=", MaxLink/4-1),
		strings.Repeat("token="+strings.Repeat("a", 400)+"&", MaxLink/407),
	} {
		u := &url.URL{Path: confirmPath, RawQuery: query}
		if PlainText(u) == "" {
			t.Fatalf("%.20s… is not looked at", query)
		}
		mend := least(func() { Mend(u, owns) })
		if mend > 6*look {
			t.Errorf("%.20s…: %v, and one look takes %v", query, mend, look)
		}
	}
}

// least is the shortest time that something has taken, which is the one without what
// the machine has done beside it.
func least(do func()) time.Duration {
	best := time.Hour
	for range 20 {
		start := time.Now()
		do()
		best = min(best, time.Since(start))
	}
	return best
}

const confirmPath = "/_threepid/validate/email/submitToken"
