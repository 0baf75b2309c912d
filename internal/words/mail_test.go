// SPDX-License-Identifier: Apache-2.0

package words

import (
	"html"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// TestMailSaysWhatItIsFor: the text stands alone, and text and HTML say the
// same: for which server, what for, what happens, until when, and what to do
// if it was somebody else.
func TestMailSaysWhatItIsFor(t *testing.T) {
	asked := map[threepid.Purpose]string{
		threepid.Register: "asked to create an account on matrix.example.org",
		threepid.Password: "asked to reset the password of the account that uses this address on matrix.example.org",
		threepid.Add:      "asked to add this email address to an account on matrix.example.org",
	}
	effect := map[threepid.Purpose]string{
		threepid.Register: "can create the account with this address",
		threepid.Password: "can set a new password for that account",
		threepid.Add:      "the address belongs to that account",
	}
	s := newSet(t)
	for _, k := range kinds() {
		r := mailOf(t, s, k, "en")
		proof, check := sampleCode, ""
		if k.proof == verification.ProofLink {
			proof, check = sampleLink, "Only if the page asks for a code, type "+sampleCheck+" there."
		}
		for part, got := range map[string]string{"text": r.Text, "HTML": html.UnescapeString(r.HTML)} {
			got = strings.ReplaceAll(got, "\n", " ")
			for _, want := range []string{
				"You, or somebody else,", asked[k.purpose], effect[k.purpose], proof, check, sampleRefuse,
				"works for 1 hour, until ", sampleUntil, "If it was not you, ignore this mail: nothing changes.",
			} {
				if !strings.Contains(got, want) {
					t.Errorf("the %s lacks %q:\n%s", part, want, got)
				}
			}
		}
	}
}

// TestEveryMailIsWhole: in each language the parts of a mail have the proof,
// the way to refuse, the time, and the server, in Unicode that no mail program
// misreads.
func TestEveryMailIsWhole(t *testing.T) {
	everyMail(t, func(t *testing.T, m aMail) {
		proof := m.links.Confirm
		if proof == "" {
			proof = m.token
		}
		for _, want := range []string{"\n" + m.links.Refuse + "\n", proof + "\n", m.links.Check, testServer, sampleUntil} {
			if !strings.Contains(m.Text, want) {
				t.Errorf("the text lacks %q:\n%s", want, m.Text)
			}
		}
		markup := html.UnescapeString(m.HTML)
		for _, want := range []string{`href="` + m.links.Refuse + `"`, proof, m.links.Check, testServer, sampleUntil} {
			if !strings.Contains(markup, want) {
				t.Errorf("the HTML lacks %q:\n%s", want, m.HTML)
			}
		}
		if !strings.Contains(m.Subject, testServer) {
			t.Errorf("the subject %q does not name the server", m.Subject)
		}
		if strings.Contains(m.Text+m.HTML+m.Subject, "{{") || strings.Contains(m.Text, "  \n") {
			t.Errorf("a placeholder or space at the end of a line is left in:\n%s", m.Text)
		}
	})
}

// TestProofStaysOutOfTheSubject: subjects are shown on locked screens.
func TestProofStaysOutOfTheSubject(t *testing.T) {
	everyMail(t, func(t *testing.T, m aMail) {
		if strings.Contains(m.Subject, m.token) || m.links.Check != "" && strings.Contains(m.Subject, m.links.Check) || strings.Contains(m.Subject, "http") {
			t.Errorf("subject = %q has the token", m.Subject)
		}
	})
}

// TestMailsFromRightToLeft: the HTML says so, and what is not from right to
// left is apart; what is to be copied has no invisible characters in it.
func TestMailsFromRightToLeft(t *testing.T) {
	const apart = `<bdi dir="ltr">`
	everyMail(t, func(t *testing.T, m aMail) {
		if want := `<html lang="` + m.lang.Tag + `" dir="` + m.lang.dir() + `">`; !strings.Contains(m.HTML, want) {
			t.Errorf("the HTML lacks %s", want)
		}
		for line := range strings.SplitSeq(m.Text, "\n") {
			if (strings.Contains(line, "://") || strings.TrimSpace(line) == m.token) && strings.ContainsAny(line, "\u2066\u2067\u2068\u2069\u200e\u200f") {
				t.Errorf("%q has marks in what is to be copied", line)
			}
		}
		if strings.ContainsAny(m.Subject+m.HTML, "\u2066\u2069") {
			t.Error("marks in the subject or the HTML")
		}
		if got := strings.Count(m.Text, isolateLTR); got != strings.Count(m.Text, isolateEnd) {
			t.Error("isolates are begun and not ended")
		}
		if got := strings.Contains(m.Text, isolateLTR+testServer+isolateEnd); got != m.lang.RTL {
			t.Errorf("the server is isolated in the text: %v, want %v", got, m.lang.RTL)
		}
		if got := strings.Contains(m.HTML, apart+testServer); got != m.lang.RTL {
			t.Errorf("the server is isolated in the HTML: %v, want %v", got, m.lang.RTL)
		}
		if !strings.Contains(m.HTML, apart[:len(apart)-1]+` style="white-space:nowrap">`+sampleUntil+"</bdi>") {
			t.Error("the time is not isolated in the HTML")
		}
		if m.proof == verification.ProofCode && !strings.Contains(m.HTML, apart+m.token) {
			t.Error("the code is not isolated in the HTML")
		}
	})
	rtl := map[string]bool{"ar": true, "he": true, "fa": true}
	for _, lang := range newSet(t).Languages() {
		if lang.RTL != rtl[lang.Tag] {
			t.Errorf("%s is from right to left: %v", lang.Tag, lang.RTL)
		}
	}
}

// TestLayoutIsFitForMail: short lines, nothing that is loaded from elsewhere,
// no script, and nothing but our links to click.
func TestLayoutIsFitForMail(t *testing.T) {
	remote := regexp.MustCompile(`(?i)<(img|script|link|iframe|object|form|video)\b|@import|url\(|\ssrc=|\son\w+=`)
	anchors := regexp.MustCompile(`(?i)<a\b`)
	everyMail(t, func(t *testing.T, m aMail) {
		for line := range strings.SplitSeq(m.Text, "\n") {
			width := 0
			for _, r := range line {
				width += columns(r)
			}
			if width > 78 && !strings.Contains(line, "://") {
				t.Errorf("line of %d columns: %q", width, line)
			}
		}
		if found := remote.FindString(m.HTML); found != "" {
			t.Errorf("the HTML has %q", found)
		}
		want := 1
		if m.links.Confirm != "" || m.links.Page != "" {
			want = 2
		}
		if got := len(anchors.FindAllString(m.HTML, -1)); got != want {
			t.Errorf("%d links to click, want %d", got, want)
		}
		tables := strings.Count(m.HTML, "<table")
		if got := strings.Count(m.HTML, `<table role="presentation"`); got != tables {
			t.Errorf("%d of %d tables would be read out as tables", tables-got, tables)
		}
		for _, needed := range []string{`name="viewport"`, `name="color-scheme" content="light dark"`, "prefers-color-scheme:dark", "<h1"} {
			if !strings.Contains(m.HTML, needed) {
				t.Errorf("the HTML lacks %s", needed)
			}
		}
	})
}

// TestMessagesThatAreNotMail: what there are no words for is refused, and the
// refusal tells neither link nor code.
func TestMessagesThatAreNotMail(t *testing.T) {
	s := newSet(t)
	type message = verification.Message
	tests := []struct {
		name  string
		proof verification.Proof
		spoil func(m *message, l *Links)
	}{
		{"unknown purpose", verification.ProofLink, func(m *message, _ *Links) { m.Purpose = "bind" }},
		{"no purpose", verification.ProofCode, func(m *message, _ *Links) { m.Purpose = "" }},
		{"another medium", verification.ProofCode, func(m *message, _ *Links) { m.Medium = threepid.MSISDN }},
		{"unknown proof", verification.ProofCode, func(m *message, _ *Links) { m.Proof = 9 }},
		{"no link", verification.ProofLink, func(_ *message, l *Links) { l.Confirm = "" }},
		{"relative link", verification.ProofLink, func(_ *message, l *Links) { l.Confirm = "/confirm" }},
		{"script for a link", verification.ProofLink, func(_ *message, l *Links) { l.Confirm = "javascript:alert(1)//x" }},
		{"link with a newline", verification.ProofLink, func(_ *message, l *Links) { l.Confirm += "\nx" }},
		{"link with a space", verification.ProofLink, func(_ *message, l *Links) { l.Confirm += " x" }},
		{"link with a letter outside ASCII", verification.ProofLink, func(_ *message, l *Links) { l.Confirm += "é" }},
		{"link with markup", verification.ProofLink, func(_ *message, l *Links) { l.Confirm += `"><script>` }},
		{"link that a full stop ends", verification.ProofLink, func(_ *message, l *Links) { l.Confirm += "." }},
		{"link that does not fit a line", verification.ProofLink, func(_ *message, l *Links) { l.Confirm += strings.Repeat("x", 999) }},
		{"no code for the page", verification.ProofLink, func(_ *message, l *Links) { l.Check = "" }},
		{"code for the page with a newline", verification.ProofLink, func(_ *message, l *Links) { l.Check = "12\n34" }},
		{"code for a page that there is not", verification.ProofCode, func(_ *message, l *Links) { l.Check = sampleCheck }},
		{"no code", verification.ProofCode, func(m *message, _ *Links) { m.Token = "" }},
		{"code with a newline", verification.ProofCode, func(m *message, _ *Links) { m.Token = "12\n34" }},
		{"code with a mark of direction", verification.ProofCode, func(m *message, _ *Links) { m.Token = "\u202e123456" }},
		{"code and link", verification.ProofCode, func(_ *message, l *Links) { l.Confirm = sampleLink }},
		{"no way to refuse", verification.ProofLink, func(_ *message, l *Links) { l.Refuse = "" }},
		{"script for a way to refuse", verification.ProofCode, func(_ *message, l *Links) { l.Refuse = "javascript:alert(1)" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, links := sample(kind{threepid.Password, tt.proof}, "de")
			tt.spoil(&m, &links)
			_, err := s.Mail(m, links)
			if err == nil {
				t.Fatal("it was rendered")
			}
			for _, secret := range []string{sampleLink, sampleCode, "s3cr3t", m.Address, string(m.SID)} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the error %q tells %q", err, secret)
				}
			}
		})
	}
}

// TestMailInALanguageThatIsGone: a message that was stored before a language
// or a brand was removed, or by a later version, still gets words.
func TestMailInALanguageThatIsGone(t *testing.T) {
	s := newSet(t)
	for lang, want := range map[string]string{"": "en", "tlh": "en", "de-AT": "de", "de": "de", "\xff": "en", "zh-CN": "zh-Hans"} {
		if got := mailOf(t, s, linkMail, lang); got != mailOf(t, s, linkMail, want) {
			t.Errorf("the mail in %q is not the one in %s: %s", lang, want, got.Subject)
		}
	}
	m, links := sample(linkMail, "de")
	if got, err := s.MailFor("a brand that is gone", m, links); got != mailOf(t, s, linkMail, "de") || err != nil {
		t.Errorf("a mail of a brand that is gone: %v, subject %q", err, got.Subject)
	}
}

// TestRenderIsMailInEnglish that nobody can refuse.
func TestRenderIsMailInEnglish(t *testing.T) {
	s := newSet(t)
	for _, k := range kinds() {
		m, links := sample(k, "de")
		r, err := s.Render(m, links)
		if err != nil {
			t.Fatal(err)
		}
		if r.Subject != mailOf(t, s, k, "en").Subject || strings.Contains(r.Text+r.HTML, "refuse?") || strings.Contains(r.Text, "end the request") {
			t.Errorf("subject = %q, text:\n%s", r.Subject, r.Text)
		}
		if strings.HasSuffix(r.Text, "\n\n") {
			t.Errorf("the text ends with empty lines:\n%q", r.Text)
		}
	}
	if _, err := s.Render(verification.Message{}, Links{}); err == nil {
		t.Error("an empty message was rendered")
	}
}

// TestAnyLinkArrivesWhole: whatever a link is made of, a reader can click and
// copy exactly it.
func TestAnyLinkArrivesWhole(t *testing.T) {
	s := newSet(t)
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`([0-9A-Za-z._~+*$!;=-]|%[0-9a-fA-F]{2}){0,80}[0-9A-Za-z_-]`)
		link := func(label string) string {
			return "https://" + rapid.StringMatching(`[a-z0-9]{1,20}(\.[a-z]{2,8}){0,2}(:[1-9][0-9]{0,3})?`).Draw(t, "host") +
				"/" + text.Draw(t, "path") + "?sid=" + text.Draw(t, "sid") + "&token=" + text.Draw(t, label)
		}
		m, _ := sample(linkMail, rapid.SampledFrom(s.matcher.tags).Draw(t, "language"))
		m.Created = time.Unix(rapid.Int64Range(0, 1<<34).Draw(t, "creation"), 0)
		m.Expires = time.Unix(rapid.Int64Range(0, 1<<34).Draw(t, "expiry"), 0)
		links := Links{Confirm: link("token"), Check: sampleCheck, Refuse: link("other")}
		r, err := s.Mail(m, links)
		if err != nil {
			t.Fatal(err)
		}
		page, err := inspect(r.HTML)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []string{links.Confirm, links.Refuse} {
			if !strings.Contains(r.Text, "\n"+want+"\n") {
				t.Errorf("the link is not on a line of its own:\n%s", r.Text)
			}
			if len(page.links) != 2 || page.links[i] != want {
				t.Errorf("links = %q, want %q", page.links, want)
			}
		}
		if !strings.Contains(page.text, links.Confirm) {
			t.Error("the link is not shown")
		}
	})
}
