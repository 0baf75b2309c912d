// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/chromium"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// heading is what the page is about.
func heading(ctx context.Context, page *chromium.Tab) (text string, err error) {
	err = page.Evaluate(ctx, `document.querySelector("h1")?.textContent ?? "no page of ours"`, &text)
	return text, err
}

// walk goes through the history by steps, and returns what is seen at each.
func walk(ctx context.Context, page *chromium.Tab, steps ...int) (seen []string, err error) {
	for _, by := range steps {
		if err := page.Go(ctx, by); err != nil {
			return seen, fmt.Errorf("after %q: %w", seen, err)
		}
		text, err := heading(ctx, page)
		if err != nil {
			return seen, err
		}
		seen = append(seen, text)
	}
	return seen, nil
}

// there is the walk: back, forward, reload, back, forward, reload.
var there = []int{-1, 1, 0, -1, 1, 0}

// TestBackAndForwardSendNothingAgain: whoever has pressed a button may go back,
// forward and reload as they like. The browser neither asks nor sends the form again.
func TestBackAndForwardSendNothingAgain(t *testing.T) {
	page, ctx := tab(t)
	must(t, page.Use(ctx, plain(desktop)))
	const asks, done, already = "Reset your password?", "Confirmed", "Already confirmed"
	const ends, ended = "You did not ask for this?", "The request was ended"
	press := func() error { return page.Loading(ctx, func() error { return page.Click(ctx, "button") }) }
	typed := func(code string) error {
		if err := page.Click(ctx, "#token"); err != nil {
			return err
		}
		if err := page.Type(ctx, code); err != nil {
			return err
		}
		return press()
	}
	for name, c := range map[string]struct {
		proof verification.Proof
		act   func(s *site, sid string) error
		back  []string // what may be seen there: the browser may have kept the page as it was
		after string
		posts int32
	}{
		"a link": {verification.ProofLink, func(s *site, sid string) error {
			must(t, page.Navigate(ctx, s.link(sid)))
			s.clock.Advance(reading)
			return press()
		}, []string{asks, already}, done, 1},
		"a code": {verification.ProofCode, func(s *site, sid string) error {
			must(t, page.Navigate(ctx, s.codeLink(sid)))
			return typed(s.box.Last().Token)
		}, []string{asks}, done, 1},
		"a wrong code first": {verification.ProofCode, func(s *site, sid string) error {
			must(t, page.Navigate(ctx, s.codeLink(sid)), typed("nope"))
			return typed(s.box.Last().Token)
		}, []string{asks}, done, 2},
		"a refusal": {verification.ProofLink, func(s *site, sid string) error {
			must(t, page.Navigate(ctx, s.refuseLink(sid)))
			s.clock.Advance(reading)
			return press()
		}, []string{ends, ended}, ended, 1},
	} {
		s := newSite(t, c.proof, pageOptions(t))
		sid := s.open(verification.Password, c.proof)
		must(t, c.act(s, sid))
		seen, err := walk(ctx, page, there...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for i, text := range seen {
			if back := there[i] < 0; back && !slices.Contains(c.back, text) || !back && text != c.after {
				t.Errorf("%s, step %d (%+d): saw %q", name, i, there[i], text)
			}
		}
		if got := s.posts.Load(); got != c.posts {
			t.Errorf("%s: %d forms were sent, want %d", name, got, c.posts)
		}
	}
}

// TestAFormInTheHistoryIsSeen: what the test above looks for is there where the answer
// to a form is a page.
func TestAFormInTheHistoryIsSeen(t *testing.T) {
	page, ctx := tab(t)
	must(t, page.Use(ctx, plain(desktop)))
	var posts atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Content-Type", "text/html")
		if r.Method == http.MethodPost {
			posts.Add(1)
			_, _ = fmt.Fprint(w, "<h1>Done</h1>")
			return
		}
		_, _ = fmt.Fprint(w, `<h1>Ask</h1><form method="post"><button>Press</button></form>`)
	}))
	t.Cleanup(server.Close)
	must(t, page.Navigate(ctx, server.URL), page.Loading(ctx, func() error { return page.Click(ctx, "button") }))
	seen, err := walk(ctx, page, -1, 1)
	t.Logf("saw %q (%v), and %d forms were sent", seen, err, posts.Load())
	if err == nil && posts.Load() == 1 && strings.Join(seen, " ") == "Ask Done" {
		t.Error("the browser keeps the answer to a form: nothing is shown")
	}
}

// TestMangledLinksInTheBrowser: the real browser, given a link as mail programs and
// people leave it, comes to the page, and its button confirms.
func TestMangledLinksInTheBrowser(t *testing.T) {
	page, ctx := tab(t)
	must(t, page.Use(ctx, plain(desktop)))
	for name, mangle := range map[string]func(string) string{
		"&amp;":            func(l string) string { return strings.ReplaceAll(l, "&", "&amp;") },
		"a full stop":      func(l string) string { return l + "." },
		"a bracket":        func(l string) string { return l + ")>" },
		"quotes":           func(l string) string { return l + `"` },
		"a line break":     func(l string) string { return l[:len(l)-20] + "\r\n " + l[len(l)-20:] },
		"quoted-printable": func(l string) string { return strings.ReplaceAll(l, "=", "=3D") },
		"escaped":          func(l string) string { return strings.NewReplacer("=", "%3D", "&", "%26").Replace(l) },
		"all escaped":      func(l string) string { return strings.NewReplacer("?", "%3F", "=", "%3D", "&", "%26").Replace(l) },
		"a slash":          func(l string) string { return strings.Replace(l, "?", "/?", 1) },
		"slashes":          func(l string) string { return strings.Replace(l, "/_threepid/", "//_threepid//", 1) },
		"another case": func(l string) string {
			return strings.NewReplacer("submitToken", "submittoken", "sid=", "SID=").Replace(l)
		},
		"backslashes":         func(l string) string { return strings.Replace(l, "/email/", `\email\`, 1) },
		"words after it":      func(l string) string { return l + " and press the button" },
		"a counter of clicks": func(l string) string { return l + "&utm_source=mail#top" },
	} {
		s := newSite(t, verification.ProofLink, pageOptions(t))
		sid := s.open(verification.Password, verification.ProofLink)
		must(t, page.Navigate(ctx, mangle(s.link(sid))))
		text, err := heading(ctx, page)
		if status, kind := page.Status("Content-Type"); err != nil || status != 200 || text != "Reset your password?" || kind != "text/html; charset=utf-8" {
			t.Errorf("%s: got status %d, %s, %q (%v)", name, status, kind, text, err)
			continue
		}
		s.clock.Advance(reading)
		must(t, page.Loading(ctx, func() error { return page.Click(ctx, "button") }))
		if !s.confirmed(sid) {
			t.Errorf("%s: the click has not confirmed", name)
		}
		if problems := page.Problems(); len(problems) != 0 {
			t.Errorf("%s: %q", name, problems)
		}
	}
	for _, path := range []string{"/_threepid/", "/_threepid/nothing", "/_threepid/probe?nonce=x", "/_threepid/validate/email/submitTok?sid=x"} {
		s := newSite(t, verification.ProofLink, pageOptions(t))
		must(t, page.Navigate(ctx, s.base+path))
		text, err := heading(ctx, page)
		if status, kind := page.Status("Content-Type"); err != nil || status != 404 || text != "This link does not work" || kind != "text/html; charset=utf-8" {
			t.Errorf("%s: got status %d, %s, %q (%v)", path, status, kind, text, err)
		}
	}
}
