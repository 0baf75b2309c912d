// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	web "github.com/caddy-threepid/caddy-threepid/handlers/pages"
	"github.com/caddy-threepid/caddy-threepid/internal/words"
)

func loadTemplates(t *testing.T, opts words.Options) *words.Set {
	t.Helper()
	opts.Server = "matrix.example.org"
	set, err := words.Load(opts)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// TestEveryPageInEveryLanguage: no page lacks a word, and none is in English
// only.
func TestEveryPageInEveryLanguage(t *testing.T) {
	set := loadTemplates(t, words.Options{})
	all := web.FromTemplates(set)
	languages := set.Languages()
	if len(languages) < 17 {
		t.Errorf("there are %d languages, want at least 17", len(languages))
	}
	for _, language := range languages {
		w := all.Words("", language.Tag)
		if w.Lang != language.Tag || (w.Dir == "rtl") != language.RTL {
			t.Errorf("%s: got language %s, direction %s", language.Tag, w.Lang, w.Dir)
		}
		for _, key := range words.PageKeys() {
			text, err := w.Text(strings.TrimPrefix(key, "page "), "a@x.org")
			if err != nil || strings.TrimSpace(text) == "" {
				t.Errorf("%s, %s: got %q, %v", language.Tag, key, text, err)
			}
		}
	}
	if _, err := all.Words("", "en").Text("nothing", ""); err == nil {
		t.Error("words that there are not were found")
	}
}

// TestPagesSpeakTheReadersLanguage: with the words as they come.
func TestPagesSpeakTheReadersLanguage(t *testing.T) {
	set := loadTemplates(t, words.Options{})
	r := newPageRig(t, options{})
	if err := r.client.SetPages(PageOptions{Words: web.FromTemplates(set), Looks: web.LooksOf(set), Now: r.clock.Now}); err != nil {
		t.Fatal(err)
	}
	sid := r.request("register", "s", "a@x.org")
	for accept, want := range map[string]string{
		"": `lang="en" dir="ltr"`, "fr-CH, en;q=0.5": `lang="fr" dir="ltr"`, "ar": `lang="ar" dir="rtl"`, "he-IL": `lang="he" dir="rtl"`,
		"zh-CN": `lang="zh-Hans" dir="ltr"`, "tlh, de;q=0.1": `lang="de" dir="ltr"`, "*": `lang="en" dir="ltr"`, "<b>": `lang="en" dir="ltr"`,
	} {
		page := r.openLink(sid, "Accept-Language", accept)
		wantStatus(t, page, http.StatusOK)
		body := page.Body.String()
		if !strings.Contains(body, "<html "+want+">") {
			t.Errorf("%q: got %.60s, want %s", accept, body, want)
		}
		for _, named := range []string{"a@x.org", "matrix.example.org"} {
			if !strings.Contains(body, named) {
				t.Errorf("%q: the page does not name %s", accept, named)
			}
		}
	}
}

// TestPagesLookLikeTheirMails: the colours of a brand are those of its mails.
func TestPagesLookLikeTheirMails(t *testing.T) {
	looks := web.LooksOf(loadTemplates(t, words.Options{}))
	p, err := web.New(web.Options{Server: "matrix.example.org", Looks: looks})
	if err != nil {
		t.Fatal(err)
	}
	if len(looks[""].CSS) != 12 {
		t.Errorf("got %d colours, want 12", len(looks[""].CSS))
	}
	rec := httptest.NewRecorder()
	if err := p.Render(rec, httptest.NewRequest("GET", "/", http.NoBody), http.StatusOK, web.View{State: web.Done}); err != nil {
		t.Fatal(err)
	}
	for name, colour := range looks[""].CSS {
		if !strings.Contains(rec.Body.String(), "--"+strings.TrimPrefix(name, "dark-")+":"+colour) {
			t.Errorf("%s is not %s on the page", name, colour)
		}
	}
}
