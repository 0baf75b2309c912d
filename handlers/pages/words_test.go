// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/words"
)

// deliveries are what can have become of a message.
var deliveries = []string{"waiting", "delayed", "sent", "arrived", "bounced", "address", "failed", "suspended", "none"}

// TestEveryWordIsUsed: a translator is not asked for words that nobody sees,
// and no page asks for words that there are not.
func TestEveryWordIsUsed(t *testing.T) {
	used := map[string]bool{}
	said := Builtin("x").Words("", "")
	text := said.Text
	said.Text = func(key, address string) (string, error) {
		used[key] = true
		return text(key, address)
	}
	for _, phone := range []bool{false, true} {
		for _, state := range States {
			for _, purpose := range []string{"register", "password", "add", ""} {
				for _, delivery := range deliveries {
					v := full(state)
					v.Phone, v.Purpose, v.Delivery, v.Retype = phone, purpose, delivery, true
					if _, err := fill(v, said); err != nil {
						t.Errorf("%s: %v", state, err)
					}
				}
			}
		}
	}
	keys := pageKeys()
	for _, key := range keys {
		if !used[key] {
			t.Errorf("no page uses %q", key)
		}
	}
	if len(used) != len(keys) {
		t.Errorf("the pages use %d words, there are %d", len(used), len(keys))
	}
}

// pageKeys are the words of pages: those that clients show are no page's.
func pageKeys() (keys []string) {
	for _, key := range words.PageKeys() {
		if key := strings.TrimPrefix(key, "page "); !strings.HasPrefix(key, "client ") {
			keys = append(keys, key)
		}
	}
	return keys
}

func TestWordsNameTheServer(t *testing.T) {
	text, err := Builtin("matrix.example.org").Words("", "").Text("code hint", "")
	if err != nil || !strings.Contains(text, "matrix.example.org") || strings.Contains(text, "{") {
		t.Errorf("got %q, %v", text, err)
	}
	if _, err := Builtin("x").Words("", "").Text("nothing", ""); err == nil || !strings.Contains(err.Error(), "nothing") {
		t.Errorf("got %v, want the missing words named", err)
	}
}

// TestWordsThatCannotBeLoaded are an error of the page, and not of the program.
func TestWordsThatCannotBeLoaded(t *testing.T) {
	w := Builtin("not a host").Words("", "")
	if text, err := w.Text("done title", ""); err == nil || w.Lang != "en" || w.Dir != "ltr" {
		t.Errorf("got %q in %s, %s", text, w.Lang, w.Dir)
	}
	if got := w.Lasting(time.Minute); got != "1m0s" {
		t.Errorf("got %s", got)
	}
}

func TestPreference(t *testing.T) {
	long := "ar" + strings.Repeat(",x", maxAccept)
	for _, c := range []struct{ accept, session, want string }{
		{"", "", ""},
		{"fr", "", "fr"},
		{"", "de", "de"},
		{"fr, en;q=0.5", "de-CH", "fr, en;q=0.5, de-CH;q=0.001"},
		{"fr", "de, en", "fr"},
		{"fr", "<b>", "fr"},
		{"fr", strings.Repeat("d", 36), "fr"},
		{long, "", ""},
		{long, "de", "de"},
	} {
		if got := preference(c.accept, c.session); got != c.want {
			t.Errorf("preference(%.20q, %q): got %q, want %q", c.accept, c.session, got, c.want)
		}
	}
}

// TestReaderBeforeSession: the language of the session is a last resort.
func TestReaderBeforeSession(t *testing.T) {
	asked := &listener{}
	p := newPages(t, Options{Words: asked})
	render(t, p, View{State: Done, Language: "de"}, "Accept-Language", "fr")
	render(t, p, View{State: Done, Language: "de"})
	if want := []string{"fr, de;q=0.001", "de"}; !slices.Equal(asked.heard, want) {
		t.Errorf("got %q, want %q", asked.heard, want)
	}
}

// TestWordsOfTheBrand: and of the language, in one question.
func TestWordsOfTheBrand(t *testing.T) {
	asked := &listener{}
	render(t, newPages(t, Options{Words: asked}), View{State: Done, Brand: "acme"}, "Accept-Language", "fr")
	if want := []string{"acme"}; !slices.Equal(asked.brands, want) {
		t.Errorf("got %q, want %q", asked.brands, want)
	}
}

type listener struct{ heard, brands []string }

func (l *listener) Words(brand, accept string) Words {
	l.heard, l.brands = append(l.heard, accept), append(l.brands, brand)
	return Builtin("x").Words(brand, accept)
}
