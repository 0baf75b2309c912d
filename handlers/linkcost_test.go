// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"net/url"
	"strings"
	"testing"
	"time"
)

// TestMendingALinkCostsLittle: nobody has to prove anything to have a link mended, so
// what one costs grows with its text, and not with the square of it: eight times as
// much for eight times the text, and not sixty-four times.
func TestMendingALinkCostsLittle(t *testing.T) {
	owns := func(string) bool { return false }
	for _, piece := range []string{"a+", "sid=", "token=" + strings.Repeat("a", 400) + "&"} {
		cost := func(size int) time.Duration {
			u := &url.URL{Path: linkPath, RawQuery: "sid=" + strings.Repeat(piece, (size-len("sid="))/len(piece))}
			if plainText(u) == "" {
				t.Fatalf("%.20s… is not looked at", u.RawQuery)
			}
			return least(func() { mendLink(u, owns) })
		}
		if short, long := cost(maxLink/8), cost(maxLink); long > 24*short {
			t.Errorf("%.20s…: %v for the longest link, and %v for an eighth of it", piece, long, short)
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
