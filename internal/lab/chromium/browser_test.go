// SPDX-License-Identifier: Apache-2.0

package chromium

import (
	"bytes"
	"context"
	"errors"
	"image/png"
	"os"
	"strings"
	"testing"
)

func TestModesAreWhatThePageSees(t *testing.T) {
	ctx := deadline(t)
	s, page := newSite(t, ""), tab(t, ctx)
	for _, mode := range []Mode{
		{Width: 800, Height: 600, Language: "en"},
		{Width: 390, Height: 844, Mobile: true, Dark: true, Language: "ar", UserAgent: "Somebody/1.0"},
		{Width: 320, Height: 300, NoScript: true},
	} {
		must(t, page.Use(ctx, mode), page.Navigate(ctx, s.URL))
		var got struct {
			Width    int
			Dark     bool
			Language string
			Heading  string
		}
		must(t, page.Evaluate(ctx, `({width: innerWidth, dark: matchMedia("(prefers-color-scheme: dark)").matches,
			language: navigator.language, heading: document.querySelector("h1").textContent})`, &got))
		// Without a viewport of its own, a page on a phone is laid out wide.
		if !mode.Mobile && got.Width != mode.Width || got.Dark != mode.Dark {
			t.Errorf("%+v: got width %d, dark %v", mode, got.Width, got.Dark)
		}
		want := "script"
		if mode.NoScript {
			want = "Form"
		}
		if got.Heading != want {
			t.Errorf("%+v: got heading %q, want %q", mode, got.Heading, want)
		}
		if mode.Language != "" && !strings.HasPrefix(s.last(t).Header.Get("Accept-Language"), mode.Language) {
			t.Errorf("got Accept-Language %q, want %q", s.last(t).Header.Get("Accept-Language"), mode.Language)
		}
		if mode.UserAgent != "" && s.last(t).Header.Get("User-Agent") != mode.UserAgent {
			t.Errorf("got User-Agent %q", s.last(t).Header.Get("User-Agent"))
		}
		shot, err := page.Screenshot(ctx)
		must(t, err)
		picture, err := png.Decode(bytes.NewReader(shot))
		must(t, err)
		if got := picture.Bounds().Dx(); got != mode.Width {
			t.Errorf("the screenshot is %d wide, want %d", got, mode.Width)
		}
		if r, _, _, _ := picture.At(mode.Width-1, mode.Height-1).RGBA(); (r == 0) != mode.Dark {
			t.Errorf("dark %v: the background has red %d", mode.Dark, r)
		}
	}
}

// TestRealInput: a form is filled in and sent by mouse or by keyboard, with
// JavaScript off, and the browser says what kind of request it was.
func TestRealInput(t *testing.T) {
	ctx := deadline(t)
	s, page := newSite(t, ""), tab(t, ctx)
	must(t, page.Use(ctx, Mode{Width: 800, Height: 600, NoScript: true}))
	for name, send := range map[string]func() error{
		"mouse": func() error {
			return errors.Join(page.Click(ctx, "#x"), page.Type(ctx, "a b"), page.Click(ctx, "button"))
		},
		"keyboard": func() error {
			return errors.Join(page.Press(ctx, "Tab"), page.Type(ctx, "a b"), page.Press(ctx, "Tab"), page.Press(ctx, " "))
		},
		"enter": func() error {
			return errors.Join(page.Press(ctx, "Tab"), page.Type(ctx, "a b"), page.Press(ctx, "Enter"))
		},
	} {
		must(t, page.Navigate(ctx, s.URL), page.Loading(ctx, send))
		r := s.last(t)
		if got := r.PostForm.Get("x"); r.Method != "POST" || got != "a b" {
			t.Errorf("%s: got %s with %q", name, r.Method, got)
		}
		for header, want := range map[string]string{
			"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-User": "?1",
		} {
			if got := r.Header.Get(header); got != want {
				t.Errorf("%s: got %s %q, want %q", name, header, got, want)
			}
		}
		if status, kind := page.Status("Content-Type"); status != 418 || !strings.HasPrefix(kind, "text/html") {
			t.Errorf("%s: got status %d, type %q", name, status, kind)
		}
	}
}

func TestProblemsAndErrors(t *testing.T) {
	ctx := deadline(t)
	s, page := newSite(t, "default-src 'none'"), tab(t, ctx)
	must(t, page.Use(ctx, Mode{Width: 400, Height: 300}), page.Navigate(ctx, s.URL))
	if got := strings.Join(page.Problems(), "\n"); !strings.Contains(got, "Content Security Policy") {
		t.Errorf("a breach of the policy is not told: %q", got)
	}
	if got := page.Problems(); len(got) != 0 {
		t.Errorf("told twice: %q", got)
	}
	for name, err := range map[string]error{
		"no such element":  page.Click(ctx, "#nothing"),
		"no such key":      page.Press(ctx, "F1"),
		"a bad expression": page.Evaluate(ctx, "throw new Error('x')", nil),
		"no such method":   page.Call(ctx, "Nothing.at", nil, nil),
		"nobody there":     page.Navigate(ctx, "http://127.0.0.1:1/"),
		"the wrong kind":   page.Evaluate(ctx, "'text'", new(int)),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if err := page.Navigate(ended, s.URL); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want it cancelled", err)
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	ctx := deadline(t)
	tab(t, ctx) // so that it is installed
	env, err := Install(ctx, t.Logf)
	must(t, err)
	b, err := Start(ctx, env)
	must(t, err)
	page, err := b.NewTab(ctx)
	must(t, err)
	must(t, b.Close(), b.Close())
	if _, err := os.Stat(b.profile); !os.IsNotExist(err) {
		t.Errorf("the profile is still there: %v", err)
	}
	if err := page.Navigate(ctx, "about:blank"); !errors.Is(err, ErrEnded) {
		t.Errorf("got %v, want %v", err, ErrEnded)
	}
	if _, err := Start(ctx, Env{Program: "/nowhere/chromium"}); err == nil {
		t.Error("a program that does not exist was started")
	}
	if _, err := Start(ctx, Env{Program: "/bin/false"}); !errors.Is(err, ErrEnded) {
		t.Errorf("got %v, want %v", err, ErrEnded)
	}
}
