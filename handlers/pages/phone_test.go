// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/caddy-threepid/caddy-threepid/internal/words"
)

// translated has the words of the templates, as the pages of a server do.
type translated struct{ set *words.Set }

func (d translated) Words(brand, accept string) Words {
	w := d.set.WordsFor(brand, d.set.Match(accept))
	return Words{Lang: w.Lang, Dir: w.Dir, Text: func(key, address string) (string, error) {
		return w.Text("page "+key, words.PageData{Address: address})
	}}
}

// number is one as a reader knows it.
const number = "+49 170 1234567"

// mailWords are those that are wrong where the message went to a phone.
var mailWords = map[string]string{
	"en": `mail|spam|\baddress`, "ar": `بريد|البريد|غير المرغوب|العنوان`, "de": `mail|spam|postfach|adresse`, "es": `correo|buzón|dirección`,
	"fa": `ایمیل|هرزنامه|[^ز]نشانی`, "fr": `mail|messagerie|indésirables|adresse\b`, "he": `דוא״ל|ספאם|כתובת`, "it": `mail|posta\b|spam|indirizzo`,
	"ja": `メール|アドレス`, "ko": `메일|스팸|주소`, "nl": `mail|spam|adr`, "pl": `mail|poczt|spam|adr`, "pt": `mail|spam|endereço`,
	"ru": `почт|письм|спам|адрес`, "tr": `posta|adr`, "uk": `пошт|лист|спам|адрес`, "zh-Hans": `邮|地址`,
}

// everyView is each page with each thing that it can say.
func everyView(phone bool) []View {
	var all []View
	for _, state := range States {
		for _, delivery := range deliveries {
			v := full(state)
			v.Phone, v.Delivery, v.Purpose, v.Address, v.Retype = phone, delivery, "add", number, true
			all = append(all, v)
		}
	}
	return all
}

// visible is what a reader sees of a page.
func visible(t *testing.T, body string) string {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	var walk func(*html.Node)
	walk = func(n *html.Node) {
		if n.Type == html.TextNode && n.Parent.Data != "style" {
			b.WriteString(strings.TrimSpace(n.Data) + "\n")
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
	}
	walk(doc)
	return b.String()
}

// TestPhonesAreNotToldOfMail: on no page in any language.
func TestPhonesAreNotToldOfMail(t *testing.T) {
	set, err := words.New("matrix.example.org")
	if err != nil {
		t.Fatal(err)
	}
	p := newPages(t, Options{Words: translated{set}})
	for _, lang := range set.Languages() {
		t.Run(lang.Tag, func(t *testing.T) {
			wrong := regexp.MustCompile("(?i)" + mailWords[lang.Tag])
			for _, v := range everyView(true) {
				body := render(t, p, v, "Accept-Language", lang.Tag).Body.String()
				text := visible(t, body)
				if found := wrong.FindString(text); found != "" {
					t.Errorf("%s, %s: says %q:\n%s", v.State, v.Delivery, found, text)
				}
				if dir := map[bool]string{false: "ltr", true: "rtl"}[lang.RTL]; !strings.Contains(body, `<html lang="`+lang.Tag+`" dir="`+dir+`">`) {
					t.Errorf("%s: got %.60s", v.State, body)
				}
				// A number keeps its order among letters from right to left.
				if want := "\u2068" + number + "\u2069"; strings.Contains(text, number) && lang.RTL != strings.Contains(text, want) {
					t.Errorf("%s: isolated = %v, want %v", v.State, !lang.RTL, lang.RTL)
				}
			}
			for _, v := range everyView(false) {
				if v.State == Help && !wrong.MatchString(visible(t, render(t, p, v, "Accept-Language", lang.Tag).Body.String())) {
					t.Errorf("the help about a mail does not say so: the test looks for the wrong words")
				}
			}
		})
	}
}

// TestPhonesHaveTheirWords: all of them are used, in place of the others, and
// none of them is about a mail.
func TestPhonesHaveTheirWords(t *testing.T) {
	for _, phone := range []bool{true, false} {
		used := map[string]bool{}
		words := Builtin("x").Words("", "")
		text := words.Text
		words.Text = func(key, address string) (string, error) {
			used[key] = true
			return text(key, address)
		}
		for _, v := range everyView(phone) {
			if _, err := fill(v, words); err != nil {
				t.Error(err)
			}
		}
		for _, key := range pageKeys() {
			instead, forPhones := strings.CutPrefix(key, phonePrefix)
			if !forPhones {
				continue
			}
			if used[key] != phone {
				t.Errorf("phone %v: %q is used: %v", phone, key, used[key])
			}
			if phone && used[instead] {
				t.Errorf("%q is used besides %q", instead, key)
			}
		}
	}
}

// TestAMailHasNotArrived: nobody knows more than that its provider has it.
func TestAMailHasNotArrived(t *testing.T) {
	p := newPages(t, Options{})
	body := render(t, p, View{State: Help, Delivery: "arrived"}).Body.String()
	if want, err := Builtin("x").Words("", "").Text("delivery sent", ""); err != nil || !strings.Contains(body, want) {
		t.Errorf("the page does not say %q:\n%s", want, body)
	}
}

// TestCodeFieldTakesWhatIsPasted: digits on a phone's keyboard, an offer of the
// code that has just arrived, and nothing that would cut off or refuse a paste
// before we have read it.
func TestCodeFieldTakesWhatIsPasted(t *testing.T) {
	p := newPages(t, Options{})
	for _, v := range []View{{State: Code, Phone: true}, {State: Wrong, Phone: true}, {State: Code}} {
		doc, err := html.Parse(strings.NewReader(render(t, p, v).Body.String()))
		if err != nil {
			t.Fatal(err)
		}
		fields := count(doc, func(n *html.Node) bool {
			if n.Data != "input" || attribute(n, "name") != "token" {
				return false
			}
			for key, want := range map[string]string{"type": "text", "inputmode": "numeric", "autocomplete": "one-time-code", "dir": "ltr"} {
				if got := attribute(n, key); got != want {
					t.Errorf("%s: %s is %q, want %q", v.State, key, got, want)
				}
			}
			if slices.ContainsFunc(n.Attr, func(a html.Attribute) bool {
				return slices.Contains([]string{"maxlength", "minlength", "pattern", "min", "max", "step", "readonly"}, a.Key)
			}) {
				t.Errorf("%s: the field refuses something: %v", v.State, n.Attr)
			}
			return true
		})
		if fields != 1 {
			t.Errorf("%s: %d fields for a code, want 1", v.State, fields)
		}
	}
}
