// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"context"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/chromium"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

var desktop = chromium.Mode{Width: 800, Height: 600, Language: "en"}

// plain is a window of a size without JavaScript.
func plain(m chromium.Mode) chromium.Mode {
	m.NoScript = true
	return m
}

// TestRealClickWithoutJavaScript: the real browser with JavaScript off, on a
// desk and on a phone, confirms by one click. All rules apply to it.
func TestRealClickWithoutJavaScript(t *testing.T) {
	page, ctx := tab(t)
	for _, mode := range []chromium.Mode{plain(desktop), plain(chromium.Mode{Width: 390, Height: 844, Mobile: true, Language: "en"})} {
		must(t, page.Use(ctx, mode))
		s := newSite(t, verification.ProofLink, pageOptions(t))
		sid := s.open(verification.Register, verification.ProofLink)
		must(t, page.Navigate(ctx, s.link(sid)))
		if s.confirmed(sid) {
			t.Fatal("looking at the page has confirmed")
		}
		s.clock.Advance(reading)
		must(t, page.Loading(ctx, func() error { return page.Click(ctx, "button") }))
		if status, _ := page.Status(""); status != 200 || !s.confirmed(sid) {
			t.Errorf("status %d: the click has not confirmed", status)
		}
		must(t, page.Loading(ctx, func() error { return page.Call(ctx, "Page.reload", nil, nil) }))
		if status, _ := page.Status(""); status != 200 {
			t.Errorf("a reload of the answer has status %d", status)
		}
	}
}

// TestAQuickClickIsAPersons: the browser tells of the gesture, so nobody has to
// wait.
func TestAQuickClickIsAPersons(t *testing.T) {
	page, ctx := tab(t)
	must(t, page.Use(ctx, plain(desktop)))
	s := newSite(t, verification.ProofLink, pageOptions(t))
	sid := s.open(verification.Register, verification.ProofLink)
	must(t, page.Navigate(ctx, s.link(sid)), page.Loading(ctx, func() error { return page.Click(ctx, "button") }))
	if status, _ := page.Status(""); status != 200 || !s.confirmed(sid) {
		t.Errorf("status %d, confirmed %v", status, s.confirmed(sid))
	}
}

// TestRefuseWithoutJavaScript: the reader who did not ask ends the request,
// and the link of the mail is worth nothing afterwards.
func TestRefuseWithoutJavaScript(t *testing.T) {
	page, ctx := tab(t)
	must(t, page.Use(ctx, plain(desktop)))
	s := newSite(t, verification.ProofLink, pageOptions(t))
	sid := s.open(verification.Password, verification.ProofLink)
	must(t, page.Navigate(ctx, s.refuseLink(sid)), page.Navigate(ctx, s.link(sid)))
	if status, _ := page.Status(""); status != 200 {
		t.Fatalf("looking has refused: status %d", status)
	}
	must(t, page.Navigate(ctx, s.refuseLink(sid)))
	s.clock.Advance(reading)
	must(t, page.Loading(ctx, func() error { return page.Click(ctx, "button") }))
	if status, _ := page.Status(""); status != 200 {
		t.Errorf("got status %d", status)
	}
	must(t, page.Navigate(ctx, s.link(sid)))
	if status, _ := page.Status(""); status != 400 {
		t.Errorf("the link still works: status %d", status)
	}
}

// TestScriptThatSubmits: a program that runs the page in a real browser and
// sends its form by script says so in its Fetch Metadata.
func TestScriptThatSubmits(t *testing.T) {
	page, ctx := tab(t)
	must(t, page.Use(ctx, desktop))
	s := newSite(t, verification.ProofLink, pageOptions(t))
	sid := s.open(verification.Register, verification.ProofLink)
	must(t, page.Navigate(ctx, s.link(sid)))
	s.clock.Advance(reading)
	must(t, page.Loading(ctx, func() error { return page.Evaluate(ctx, "document.forms[0].submit()", nil) }))
	if status, _ := page.Status(""); status != 403 || s.confirmed(sid) {
		t.Errorf("status %d, confirmed %v", status, s.confirmed(sid))
	}
	// A person who looks at what came of it gets through, by what stands beside
	// the link, and a program that presses once more does not.
	must(t, page.Evaluate(ctx, "document.forms[0].noValidate = true", nil))
	must(t, page.Loading(ctx, func() error { return page.Click(ctx, "button") }))
	if status, _ := page.Status(""); status != 403 || s.confirmed(sid) {
		t.Errorf("pressed again: status %d, confirmed %v", status, s.confirmed(sid))
	}
	must(t, page.Click(ctx, "#token"), page.Type(ctx, s.pressCode(sid)),
		page.Loading(ctx, func() error { return page.Click(ctx, "button") }))
	if status, _ := page.Status(""); status != 200 || !s.confirmed(sid) {
		t.Errorf("status %d, confirmed %v", status, s.confirmed(sid))
	}
}

// focus is what has the focus, and whether one can see that.
type focus struct {
	Tag     string
	Visible bool
}

func focused(ctx context.Context, page *chromium.Tab) (f focus, err error) {
	err = page.Evaluate(ctx, `(() => {
		const e = document.activeElement, style = getComputedStyle(e);
		return {tag: e.tagName, visible: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2};
	})()`, &f)
	return f, err
}

// TestKeyboardOnly: the code is typed and sent without a mouse, and one always
// sees where one is.
func TestKeyboardOnly(t *testing.T) {
	page, ctx := tab(t)
	must(t, page.Use(ctx, desktop))
	s := newSite(t, verification.ProofCode, pageOptions(t))
	sid := s.open(verification.Add, verification.ProofCode)
	must(t, page.Navigate(ctx, s.codeLink(sid)))
	var tour []string
	for range 3 {
		must(t, page.Press(ctx, "Tab"))
		f, err := focused(ctx, page)
		must(t, err)
		tour = append(tour, f.Tag)
		if !f.Visible {
			t.Errorf("one cannot see that %s has the focus", f.Tag)
		}
	}
	if got := strings.Join(tour, " "); got != "INPUT BUTTON A" {
		t.Errorf("got %s, want the order of the page", got)
	}

	must(t, page.Navigate(ctx, s.codeLink(sid)), page.Press(ctx, "Tab"), page.Type(ctx, "000 00x"),
		page.Loading(ctx, func() error { return page.Press(ctx, "Enter") }))
	if status, _ := page.Status(""); status != 400 {
		t.Fatalf("a wrong code: got status %d", status)
	}
	must(t, page.Press(ctx, "Tab"), page.Type(ctx, s.box.Last().Token), page.Press(ctx, "Tab"),
		page.Loading(ctx, func() error { return page.Press(ctx, " ") }))
	if status, _ := page.Status(""); status != 200 || !s.confirmed(sid) {
		t.Errorf("status %d: the right code has not confirmed", status)
	}

	links := newSite(t, verification.ProofLink, pageOptions(t))
	sid = links.open(verification.Password, verification.ProofLink)
	must(t, page.Navigate(ctx, links.link(sid)))
	links.clock.Advance(reading)
	must(t, page.Press(ctx, "Tab"), page.Loading(ctx, func() error { return page.Press(ctx, "Enter") }))
	if !links.confirmed(sid) {
		t.Error("the button cannot be pressed by the keyboard")
	}
}

// TestPolicyAndStyle: the browser has nothing to complain about, the style is
// taken, and nothing is asked of any other server.
func TestPolicyAndStyle(t *testing.T) {
	page, ctx := tab(t)
	must(t, page.Use(ctx, desktop))
	for _, sc := range scenes {
		play(t, ctx, page, sc)
		if problems := page.Problems(); len(problems) != 0 {
			t.Errorf("%s: %q", sc.state, problems)
		}
		var got struct {
			Radius  string
			Loaded  []string
			Cookies string
		}
		must(t, page.Evaluate(ctx, `({radius: getComputedStyle(document.querySelector("main")).borderTopLeftRadius,
			loaded: performance.getEntriesByType("resource").map(e => e.name).filter(n => !n.endsWith("/favicon.ico")),
			cookies: document.cookie})`, &got))
		if got.Radius != "12px" || len(got.Loaded) != 0 || got.Cookies != "" {
			t.Errorf("%s: got radius %s, loaded %q, cookies %q", sc.state, got.Radius, got.Loaded, got.Cookies)
		}
	}
}

// TestPolicyStopsWhatIsInjected: the policy is a second wall.
func TestPolicyStopsWhatIsInjected(t *testing.T) {
	page, ctx := tab(t)
	must(t, page.Use(ctx, desktop))
	play(t, ctx, page, scenes[0])
	page.Problems()
	must(t, page.Evaluate(ctx, `(() => {
		const script = document.createElement("script");
		script.textContent = "document.title = 'owned'";
		const picture = document.createElement("img");
		picture.src = "/pixel.png";
		document.body.append(script, picture);
		document.body.insertAdjacentHTML("beforeend", "<p style='color:red' onclick='1'>x</p>");
	})()`, nil))
	var title string
	must(t, page.Evaluate(ctx, "document.title", &title))
	if problems := page.Problems(); title == "owned" || len(problems) < 3 {
		t.Errorf("got title %q, problems %q", title, problems)
	}
}
