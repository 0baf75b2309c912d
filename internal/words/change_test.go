// SPDX-License-Identifier: Apache-2.0

package words

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/provenance"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

func changeIn(t *testing.T, s *Set, n verification.Notice, lang string) Rendered {
	t.Helper()
	m := changeOf(n)
	m.Language = lang
	r, err := s.ChangeFor("", m)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestChangesGolden compares the mails about changes, to the letter.
func TestChangesGolden(t *testing.T) {
	s := newSet(t)
	for _, lang := range goldenLanguages {
		for _, n := range verification.Notices {
			r := changeIn(t, s, n, lang)
			name := filepath.Join("testdata", lang, "changed_"+string(n))
			golden(t, name+".txt", "Subject: "+r.Subject+"\n\n"+r.Text)
			golden(t, name+".html", r.HTML)
		}
	}
}

// TestEveryLanguageTellsOfChanges and of where a request was made: what is
// optional for an operator is not for us.
func TestEveryLanguageTellsOfChanges(t *testing.T) {
	s := newSet(t)
	english := s.brands[""][fallback].words.phrases
	for _, lang := range s.Languages() {
		w := s.brands[""][lang.Tag].words
		for _, key := range append(changeKeys(), wordsMade, wordsApp, wordsNetwork, wordsAnother) {
			p, ok := w.phrases[key]
			same := key != wordsApp && ok && p.plain(&values{}) == english[key].plain(&values{})
			if !ok || lang.Tag != fallback && same {
				t.Errorf("%s: %q is missing, or in English", lang.Tag, key)
			}
		}
		said := map[string]verification.Notice{}
		for _, n := range verification.Notices {
			r := changeIn(t, s, n, lang.Tag)
			if other, twice := said[r.Subject]; twice {
				t.Errorf("%s: the subjects of %s and %s are the same", lang.Tag, n, other)
			}
			said[r.Subject] = n
			for _, want := range []string{testServer, "2026-01-02\u00a012:00\u00a0UTC", "Element (Android)", "203.0.x.x"} {
				if !strings.Contains(r.Text, want) || !strings.Contains(r.HTML, want) {
					t.Errorf("%s, %s: %q is missing:\n%s", lang.Tag, n, want, r.Text)
				}
			}
			if strings.Contains(r.Text, "\n\n\n") {
				t.Errorf("%s, %s: there is a gap:\n%s", lang.Tag, n, r.Text)
			}
		}
	}
}

// TestChangeMailHasNoLink: nothing in it acts, or leads anywhere.
func TestChangeMailHasNoLink(t *testing.T) {
	s := newSet(t)
	for _, lang := range s.Languages() {
		for _, n := range verification.Notices {
			r := changeIn(t, s, n, lang.Tag)
			page, err := inspect(r.HTML)
			if err != nil || len(page.links) != 0 || strings.Contains(r.Text+r.HTML, "://") {
				t.Errorf("%s, %s: links %q (%v) in\n%s", lang.Tag, n, page.links, err, r.Text)
			}
		}
	}
	for name, spoil := range map[string]func(*verification.Message){
		"a token":       func(m *verification.Message) { m.Token = "123456" },
		"a refusal":     func(m *verification.Message) { m.Refusal = "x" },
		"no such thing": func(m *verification.Message) { m.Notice = "other" },
		"a phone":       func(m *verification.Message) { m.Medium = threepid.MSISDN },
	} {
		m := changeOf(verification.NoticeGone)
		if spoil(&m); m.Notice == "" {
			continue
		}
		if r, err := s.ChangeFor("", m); err == nil {
			t.Errorf("with %s it was rendered: %s", name, r.Subject)
		}
	}
}

// TestNothingOfTheClientIsInAMailAboutAChange: whatever the stored origin says,
// only what we have made ourselves is shown, in every kind of mail.
func TestNothingOfTheClientIsInAMailAboutAChange(t *testing.T) {
	s := newSet(t)
	for _, text := range hostile {
		m := changeOf(verification.NoticeGone)
		m.Origin = provenance.Origin{}
		plain, err := s.ChangeFor("", m)
		if err != nil {
			t.Fatal(err)
		}
		m.Origin = provenance.Origin{Program: text, System: text, Network: text}
		m.Address, m.ID, m.SID = text+"@x.example", "id"+text, threepid.SID("sid"+text)
		if got, err := s.ChangeFor("", m); err != nil || got != plain {
			t.Errorf("with %q the mail is another (%v):\n%s", text, err, got.Text)
		}
		for _, k := range kinds() {
			m, links := sample(k, "en")
			m.Origin = provenance.Origin{Program: text, System: text, Network: text}
			if got, err := s.Mail(m, links); err != nil || got != mailOf(t, s, k, "en") {
				t.Errorf("with %q the mail is another (%v):\n%s", text, err, got.Text)
			}
		}
	}
}

// TestMailSaysWhenAndWhere a request was made, and that another is open, each on
// a line of its own, and only what is known.
func TestMailSaysWhenAndWhere(t *testing.T) {
	s := newSet(t)
	for _, k := range kinds() {
		m, links := sample(k, "en")
		m.Origin = provenance.Origin{Program: "Nheko", Network: "2001:db8::/32"}
		for _, another := range []bool{false, true} {
			m.Another = another
			r, err := s.Mail(m, links)
			if err != nil {
				t.Fatal(err)
			}
			if want := "\nTime: 2026-11-23\u00a013:05\u00a0UTC\nApp: Nheko\nNetwork: 2001:db8::/32\n\n"; !strings.Contains(r.Text, want) {
				t.Errorf("%v: %q is missing in\n%s", k, want, r.Text)
			}
			for _, text := range []string{r.Text, r.HTML} {
				if got := strings.Contains(squeezed(text), squeezed("Another request like this one is open")); got != another {
					t.Errorf("%v: it is told of another: %v, want %v", k, got, another)
				}
			}
		}
	}
	r := mailOf(t, s, linkMail, "en")
	if strings.Contains(r.Text, "App:") || strings.Contains(r.Text, "Network:") || strings.Contains(r.HTML, "<br></p>") {
		t.Errorf("something is said of what is not known:\n%s", r.Text)
	}
}

// withoutNew is a file as it was before mails told of changes and origins.
func withoutNew(t *testing.T, name string) string {
	t.Helper()
	text := ours(t, name)
	for _, expr := range []string{
		`(?s)\{\{define "(changed |page request )[^"]*"\}\}.*?\{\{end\}\}\n`,
		`(?s)\{\{if or \.Made \.App \.Network\}\}.*?\{\{end\}\}\n\{\{end\}\}\{\{with \.Another\}\}.*?\n\n\{\{end\}\}`,
		`(?s)\n\{\{- if or \.Made \.App \.Network\}\}.*?\{\{- end\}\}\n\{\{- with \.Another\}\}.*?\{\{- end\}\}`,
	} {
		text = regexp.MustCompile(expr).ReplaceAllLiteralString(text, "")
	}
	for _, field := range []string{".Made", ".Another", `"changed `, `"page request`} {
		if strings.Contains(text, field) {
			t.Fatalf("%s still has %q:\n%s", name, field, text)
		}
	}
	return text
}

// TestTemplatesOfBefore: words and layouts that an operator has written before
// there were mails about changes go on working. With the layout of before such a
// mail has all that it must say; in a language without the words it is English.
func TestTemplatesOfBefore(t *testing.T) {
	swedish := strings.NewReplacer("English", "Svenska", "yes{{end}}", "no{{end}}", "Confirmed", "Bekräftat").Replace(withoutNew(t, "en/words.txt"))
	s := loaded(t, folder("sv/words.txt", swedish, textFile, withoutNew(t, textFile), htmlFile, withoutNew(t, htmlFile)))
	for _, lang := range []string{"sv", "de"} {
		r := changeIn(t, s, verification.NoticeGone, lang)
		want := map[string]string{"sv": "Your address was removed", "de": "Ihre Adresse wurde"}[lang]
		if !strings.HasPrefix(r.Subject, want) || !strings.Contains(r.Text, map[string]string{"sv": "This email address was", "de": "Diese E-Mail-Adresse wurde"}[lang]) || strings.Contains(r.HTML, `<a `) {
			t.Errorf("%s: subject %q, text:\n%s", lang, r.Subject, r.Text)
		}
		if strings.Contains(r.Text, "203.0") {
			t.Errorf("%s: a layout that does not name it shows where it came from", lang)
		}
		m, links := sample(linkMail, lang)
		m.Origin, m.Another = sampleOrigin, true
		if _, err := s.Mail(m, links); err != nil {
			t.Error(err)
		}
	}
	if text, err := s.Words("sv").Text("page request other", PageData{}); text != "" || err != nil {
		t.Errorf("words that are not there: %q, %v, want nothing", text, err)
	}
	// And its words with the layout of today.
	s = loaded(t, folder("sv/words.txt", swedish))
	m, links := sample(linkMail, "sv")
	m.Origin, m.Another = sampleOrigin, true
	if r, err := s.Mail(m, links); err != nil || strings.Contains(r.Text, "\n\n\n") || strings.Contains(r.Text, "203.0") {
		t.Errorf("%v:\n%s", err, r.Text)
	}
}
