// SPDX-License-Identifier: Apache-2.0

package words

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

const (
	// maxSubject is in characters: more is cut off by every mail program.
	maxSubject = 150
	// maxSubjectBytes is what the composer of mails accepts.
	maxSubjectBytes = 200
	// maxLine is the longest line that a mail may have (RFC 5322 §2.1.1).
	maxLine = 998
)

// A link may have every sign that is allowed in one, so that a layout that
// would spoil any of them is found.
const (
	probeLink   = "https://sample.example:8443/_threepid/confirm/~a.b_c-d/%25?sid=a+b&token=c*d,e;f=g!h$i@j:k/l"
	probeRefuse = "http://[2001:db8::1]/_threepid/refuse?sid=a+b&token=c*d,e;f=g!h$i@j:k/m"
	probePage   = "https://sample.example:8443/_threepid/confirm?sid=a+b&with=code"
	probeCode   = "Zz_0-19"
	probeCheck  = "Yy_0-28"
)

// The element that comes to life in HTML if something is not escaped, and the
// scheme that does in a link.
const (
	hostileElement = "x-hostile"
	hostileLink    = `javascript:alert(1)//"'><x-hostile onload=x>{{.}}`
	hostileCode    = `"'><x-hostile onload=x></title></style><!--{{.}}`
)

// check renders one mail of each kind in each brand and language. It tells the
// first fault only: one of a layout shows in all of them.
func (s *Set) check() error {
	for _, brand := range s.Brands() {
		for _, tag := range s.matcher.tags {
			for _, k := range kinds() {
				if err := s.brands[brand][tag].check(k); err != nil {
					return fmt.Errorf("%smail for %s with a %s in %s: %w", ofBrand(brand), k.purpose, k.proofWord(), tag, err)
				}
			}
		}
	}
	return nil
}

func ofBrand(brand string) string {
	if brand == "" {
		return ""
	}
	return "brand " + brand + ": "
}

// check renders one kind of mail, with what is right and with what never
// should get that far.
func (s *renderer) check(k kind) error {
	expires := time.Date(2026, time.March, 4, 5, 6, 7, 0, time.UTC)
	m := verification.Message{Purpose: k.purpose, Medium: verification.Email, Proof: k.proof, Created: expires.Add(-time.Hour), Expires: expires}
	m.Origin, m.Another = sampleOrigin, true // decoys are rendered without
	links := Links{Confirm: probeLink, Check: probeCheck, Refuse: probeRefuse}
	if k.proof == verification.ProofCode {
		m.Token, links.Confirm, links.Check, links.Page = probeCode, "", "", probePage
	}
	r, err := s.write(m, links)
	if err != nil {
		return err
	}
	if err := subjectFits(r.Subject); err != nil {
		return fmt.Errorf("%s: %w", s.words.places[string(k.purpose)+" subject"], err)
	}
	v := &values{server: s.server, life: s.words.life(time.Hour), until: until(expires), code: links.Check}
	v.come(m)
	said := compose(s, m, links, v, func(p phrase) string { return p.plain(v) })
	if err := textFits(r.Text, said, k, links); err != nil {
		return fmt.Errorf("%s: %w", s.layout.textPath, err)
	}
	if err := s.markupFits(r.HTML, said, k, links); err != nil {
		return fmt.Errorf("%s: %w", s.layout.markupPath, err)
	}
	return s.withstands(m, k)
}

// withstands renders a mail with values that the rest of the program would
// refuse, so that it is safe also on the day when the rest does not.
func (s *renderer) withstands(m verification.Message, k kind) error {
	m.Token = hostileCode
	links := Links{Refuse: hostileLink, Page: hostileLink}
	if k.proof == verification.ProofLink {
		links.Confirm, links.Check = hostileLink, hostileCode
	}
	r, err := s.write(m, links)
	if err != nil {
		return err
	}
	if _, err := inspect(r.HTML); err != nil {
		return fmt.Errorf("%s: with hostile data: %w", s.layout.markupPath, err)
	}
	if strings.ContainsAny(r.Subject, "\r\n") || strings.Contains(r.Subject, hostileElement) {
		return errors.New("the subject can be made to carry other text")
	}
	return nil
}

func subjectFits(subject string) error {
	switch n := utf8.RuneCountInString(subject); {
	case n == 0:
		return errors.New("the subject is missing")
	case n > maxSubject:
		return fmt.Errorf("the subject has %d characters, at most %d are allowed", n, maxSubject)
	case len(subject) > maxSubjectBytes:
		return fmt.Errorf("the subject has %d bytes, at most %d are allowed: it, or the server name, is too long", len(subject), maxSubjectBytes)
	case strings.ContainsFunc(subject, func(r rune) bool { return r < ' ' || forbidden(r) }):
		return errors.New("the subject is not one line")
	}
	return nil
}

// squeezed is a text without what a layout may change: spaces, line breaks and
// isolates.
func squeezed(s string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(spaces, r) || r >= isolates[0] && r <= isolates[1] {
			return -1
		}
		return r
	}, s)
}

// needed are the words without which a mail does not say what it is for.
func needed(said *fields[string]) []struct{ what, text string } {
	return []struct{ what, text string }{
		{"who asked and for which server, {{.Asked}},", said.Asked},
		{"what happens, {{.Effect}},", said.Effect},
		{"the expiry, {{.Until}},", said.Until},
		{"what to do if it was somebody else, {{.Ignore}},", said.Ignore},
		{"the code for the page, {{.Check}},", said.Check}, // empty if the mail has no link
	}
}

// textFits holds the text part against what a reader needs of it alone.
func textFits(text string, said *fields[string], k kind, links Links) error {
	whole := squeezed(text)
	for _, n := range append(needed(said), struct{ what, text string }{"what to do, {{.Do}},", said.Do}) {
		if !strings.Contains(whole, squeezed(n.text)) {
			return fmt.Errorf("%s is missing in the text", n.what)
		}
	}
	lines := strings.Split(text, "\n")
	for _, line := range lines {
		if len(line) > maxLine {
			return fmt.Errorf("a line has %d bytes, at most %d are allowed; {{wrap .Asked}} makes lines of a text", len(line), maxLine)
		}
	}
	alone := func(s string) bool {
		return slices.ContainsFunc(lines, func(line string) bool { return strings.Trim(line, spaces) == s })
	}
	switch {
	case k.proof == verification.ProofLink && !alone(links.Confirm):
		return errors.New("the link, {{.Link}}, is missing in the text, or not on a line of its own")
	case k.proof == verification.ProofCode && !alone(probeCode):
		return errors.New("the code, {{.Code}}, is missing in the text, or not on a line of its own")
	case !alone(links.Refuse):
		return errors.New("the link to refuse, {{.Refuse}}, is missing in the text, or not on a line of its own")
	}
	return nil
}

// markupFits holds the HTML against what a reader needs, and against what mail
// must not do.
func (s *renderer) markupFits(markup string, said *fields[string], k kind, links Links) error {
	page, err := inspect(markup)
	if err != nil {
		return err
	}
	whole := squeezed(page.text)
	for _, n := range needed(said) {
		if !strings.Contains(whole, squeezed(n.text)) {
			return fmt.Errorf("%s is missing in the HTML", n.what)
		}
	}
	switch {
	case page.lang != s.words.Tag || page.dir != s.words.dir():
		return errors.New(`<html lang="{{.Lang}}" dir="{{.Dir}}"> is missing in the HTML`)
	case k.proof == verification.ProofLink && !slices.Contains(page.links, links.Confirm):
		return errors.New(`the link, <a href="{{.Link}}">, is missing in the HTML`)
	case k.proof == verification.ProofCode && !strings.Contains(whole, probeCode):
		return errors.New("the code, {{.Code}}, is missing in the HTML")
	case !slices.Contains(page.links, links.Refuse):
		return errors.New(`the link to refuse, <a href="{{.Refuse}}">, is missing in the HTML`)
	}
	if link, found := page.relative(); found {
		return fmt.Errorf("the HTML has a link that leads nowhere from a mail: %.40q", link)
	}
	return nil
}
