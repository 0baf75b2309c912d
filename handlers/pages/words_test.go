// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"slices"
	"strings"
	"testing"
)

// TestEveryWordIsUsed: a translator is not asked for words that nobody sees,
// and no page asks for words that there are not.
func TestEveryWordIsUsed(t *testing.T) {
	used := map[string]bool{}
	words := English("x").Words("", "")
	text := words.Text
	words.Text = func(key, address string) (string, error) {
		used[key] = true
		return text(key, address)
	}
	for _, phone := range []bool{false, true} {
		for _, state := range States {
			for _, purpose := range []string{"register", "password", "add", ""} {
				for _, delivery := range Deliveries {
					v := full(state)
					v.Phone, v.Purpose, v.Delivery, v.Retype = phone, purpose, delivery, true
					if _, err := fill(v, words); err != nil {
						t.Errorf("%s: %v", state, err)
					}
				}
			}
		}
	}
	for _, key := range Keys() {
		if !used[key] {
			t.Errorf("no page uses %q", key)
		}
	}
	if len(used) != len(Keys()) {
		t.Errorf("the pages use %d words, there are %d", len(used), len(Keys()))
	}
}

func TestEnglishNamesTheServer(t *testing.T) {
	text, err := English("matrix.example.org").Words("", "").Text("refuse what", "")
	if err != nil || !strings.Contains(text, "matrix.example.org") || strings.Contains(text, "{") {
		t.Errorf("got %q, %v", text, err)
	}
	if _, err := English("x").Words("", "").Text("nothing", ""); err == nil || !strings.Contains(err.Error(), "nothing") {
		t.Errorf("got %v, want the missing words named", err)
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
		if got := Preference(c.accept, c.session); got != c.want {
			t.Errorf("Preference(%.20q, %q): got %q, want %q", c.accept, c.session, got, c.want)
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
	return English("x").Words(brand, accept)
}
