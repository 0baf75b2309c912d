// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// sealer makes MACs that do not end.
type sealer string

func (s sealer) UIASession(user, operation string) string {
	mac := hmac.New(sha256.New, []byte(s))
	mac.Write([]byte(user + "\x00" + operation))
	return hex.EncodeToString(mac.Sum(nil))
}

func (s sealer) UIASessionValid(session, user, operation string) bool {
	return hmac.Equal([]byte(session), []byte(s.UIASession(user, operation)))
}

// at is a check at some second.
func at(seconds float64, secure bool) PressCheck {
	now := time.UnixMilli(1_800_000_000_000 + int64(seconds*1000))
	return PressCheck{Seal: sealer("key"), Now: func() time.Time { return now }, Secure: secure}
}

func press(header ...string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", http.NoBody)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

const (
	chromeUA  = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36"
	webviewUA = "Mozilla/5.0 (Linux; Android 14; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/120.0.0.0 Mobile Safari/537.36"
	safariUA  = "Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15"
)

// gesture is what a browser says when somebody presses a button.
var gesture = []string{
	"User-Agent", chromeUA, "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Sec-Fetch-User", "?1",
}

// TestReadingTime: a press counts from the moment on at which a person can have
// read the page; clocks of two nodes may differ either way.
func TestReadingTime(t *testing.T) {
	for _, p := range []Press{First, Second} {
		nonce := at(0, true).Nonce(p, "x")
		for after, want := range map[float64]bool{-5: false, 0: false, 0.5: false, 0.999: false, 1: true, 30: true, 3000: true} {
			if got := at(after, true).Human(press("User-Agent", "Mozilla/5.0 (X11)"), nonce, "x"); got != want {
				t.Errorf("press %c after %gs: got %v, want %v", p, after, got, want)
			}
			if !at(after, true).Human(press(), nonce, "x") {
				t.Errorf("press %c after %gs: what is no browser by its name was refused", p, after)
			}
			if !at(after, true).Human(press(gesture...), nonce, "x") {
				t.Errorf("press %c after %gs: a person's gesture was refused", p, after)
			}
			if !at(after, true).Genuine(press(), nonce, "x") {
				t.Errorf("press %c after %gs: the page is not taken for ours", p, after)
			}
		}
	}
}

func TestMetadata(t *testing.T) {
	full := []string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Sec-Fetch-User", "?1"}
	with := func(ua string, header ...string) []string { return append([]string{"User-Agent", ua}, header...) }
	for name, c := range map[string]struct {
		header                  []string
		first, second, insecure bool
	}{
		"nothing":                    {nil, true, true, true},
		"chrome":                     {with(chromeUA, full...), true, true, true},
		"chrome, no gesture":         {with(chromeUA, full[:6]...), false, true, true},
		"chrome, stripped":           {with(chromeUA), false, true, true},
		"chrome of old":              {with(strings.Replace(chromeUA, "156", "79", 1)), true, true, true},
		"chrome without a version":   {with("Chrome/x"), true, true, true},
		"web view":                   {with(webviewUA, full...), true, true, true},
		"web view, stripped":         {with(webviewUA), false, true, true},
		"safari":                     {with(safariUA, full[:6]...), true, true, true},
		"safari, stripped":           {with(safariUA), false, true, true},
		"safari of old":              {with(strings.Replace(safariUA, "18.1", "15.6", 1)), true, true, true},
		"firefox, stripped":          {with("Mozilla/5.0 (rv:140.0) Gecko/20100101 Firefox/140.0"), false, true, true},
		"from another site":          {with(chromeUA, append(slices.Clip(full), "Sec-Fetch-Site", "cross-site")...), false, false, false},
		"from a neighbour":           {with(chromeUA, append(slices.Clip(full), "Sec-Fetch-Site", "same-site")...), false, false, false},
		"of a site not yet invented": {[]string{"Sec-Fetch-Site", "elsewhere"}, false, false, false},
		"by a script":                {[]string{"Sec-Fetch-Mode", "cors"}, false, false, false},
		"into a frame":               {[]string{"Sec-Fetch-Dest", "iframe"}, false, false, false},
		"ahead of time":              {[]string{"Purpose", "prefetch"}, false, false, false},
	} {
		for _, p := range []struct {
			press  Press
			secure bool
			want   bool
		}{{First, true, c.first}, {Second, true, c.second}, {First, false, c.insecure}} {
			nonce := at(0, p.secure).Nonce(p.press, "x")
			if got := at(5, p.secure).Human(press(c.header...), nonce, "x"); got != p.want {
				t.Errorf("%s, press %c, secure %v: got %v, want %v", name, p.press, p.secure, got, p.want)
			}
			// A form that something was typed into is asked for less.
			if got := at(0, p.secure).Genuine(press(c.header...), nonce, "x"); got != c.second {
				t.Errorf("%s: taken for ours: %v, want %v", name, got, c.second)
			}
		}
	}
}

// TestNoNonceIsMadeUp: a nonce opens with its own words and key only, and no
// change of it opens anything.
func TestNoNonceIsMadeUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		about := rapid.String().Draw(t, "about")
		other := rapid.String().Draw(t, "other")
		nonce := at(0, true).Nonce(rapid.SampledFrom([]Press{First, Second}).Draw(t, "press"), about)
		later := at(60, true)
		if !later.Human(press(), nonce, about) {
			t.Fatalf("the nonce %q does not open for %q", nonce, about)
		}
		if other != about && later.Genuine(press(), nonce, other) {
			t.Fatalf("a nonce about %q opens for %q", about, other)
		}
		i := rapid.IntRange(0, len(nonce)-1).Draw(t, "place")
		c := rapid.Byte().Draw(t, "byte")
		if forged := nonce[:i] + string([]byte{c}) + nonce[i+1:]; forged != nonce && later.Genuine(press(), forged, about) {
			t.Fatalf("%q opens like %q", forged, nonce)
		}
		later.Seal = sealer("another key")
		if later.Genuine(press(), nonce, about) {
			t.Fatal("a nonce opens under another key")
		}
	})
	for _, nonsense := range []string{"", ".", "1", "1.", ".x", "1x.y", strings.Repeat("1", 300) + ".x", "1" + strings.Repeat("z", 20) + "." + sealer("key").UIASession(sealUser, "1"+strings.Repeat("z", 20)+"\x00x")} {
		if at(5, true).Genuine(press(), nonsense, "x") {
			t.Errorf("%.40q opens", nonsense)
		}
	}
}
