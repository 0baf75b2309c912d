// SPDX-License-Identifier: Apache-2.0

package words

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/provenance"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// A mail about a change of an account (package verification, Notice) has no
// proof, and no link either: it says what has happened, when and where, and what
// to do. It is laid out like any other, what has happened in the place of what
// was asked, and what to do if it was somebody else in the place of the effect,
// so that a layout that an operator has written before there were such mails has
// a place for all of it.
//
// Of an operator's own language it needs all words or none: where they are
// missing, the mail is in English.

// changeKey is the key of a part of what is told.
func changeKey(n verification.Notice, part string) string { return "changed " + string(n) + " " + part }

const (
	changeAct    = "changed act"
	changeIgnore = "changed ignore"
)

func addChanges(rules map[string]rule) {
	for _, n := range verification.Notices {
		rules[changeKey(n, "subject")] = rule{may: valueServer, line: true, optional: true}
		rules[changeKey(n, "what")] = rule{may: valueServer, must: valueServer, optional: true}
	}
	rules[changeAct] = rule{may: valueServer, must: valueServer, optional: true}
	rules[changeIgnore] = rule{may: valueServer, optional: true}
}

// changeKeys are all of them.
func changeKeys() []string {
	keys := make([]string, 0, 2+2*len(verification.Notices))
	keys = append(keys, changeAct, changeIgnore)
	for _, n := range verification.Notices {
		keys = append(keys, changeKey(n, "subject"), changeKey(n, "what"))
	}
	return keys
}

// tellsChanges reports whether a language has the words for it.
func (w *words) tellsChanges() bool {
	for _, key := range changeKeys() {
		if _, ok := w.phrases[key]; !ok {
			return false
		}
	}
	return true
}

// ChangeFor words the mail that tells of a change, for a brand and in the
// language of the message. Of the message only what it tells, its language, its
// time and its origin are read.
func (s *Set) ChangeFor(brand string, m verification.Message) (Rendered, error) {
	if err := knownChange(m); err != nil {
		return Rendered{}, err
	}
	w := s.renderer(brand, m.Language)
	if !w.words.tellsChanges() {
		w = s.renderer(brand, fallback)
	}
	return w.write(m, Links{})
}

func knownChange(m verification.Message) error {
	known := false
	for _, n := range verification.Notices {
		known = known || n == m.Notice
	}
	switch {
	case !known:
		return fmt.Errorf("there is no mail that tells of %q", m.Notice)
	case m.Medium != verification.Email:
		return fmt.Errorf("there is no mail for the medium %q", m.Medium)
	case m.Token != "" || m.Refusal != "" || m.Decoy:
		return errors.New("a mail about a change has no code and no link")
	}
	return nil
}

// composeChange finds the words for such a mail.
func composeChange[T any](s *renderer, m verification.Message, v *values, say func(phrase) T) *fields[T] {
	w := s.words
	p := func(key string) T { return say(w.phrases[key]) }
	subject := changeKey(m.Notice, "subject")
	f := &fields[T]{
		Lang: w.Tag, Dir: w.dir(), RTL: w.RTL, Server: s.server, Logo: s.look.Logo, Look: s.look,
		Subject: w.phrases[subject].plain(v), Title: p(subject), Asked: p(changeKey(m.Notice, "what")),
		Effect: p(changeAct), Ignore: p(changeIgnore),
	}
	m.Another = false
	addOrigin(f, w, m, v, say)
	return f
}

// changeOf is such a mail as a reader might get it.
func changeOf(n verification.Notice) verification.Message {
	made := time.Date(2026, time.January, 2, 12, 0, 0, 0, time.UTC)
	return verification.Message{
		ID: "sample.1", SID: "sample", Purpose: verification.Notified, Medium: verification.Email, Notice: n,
		Created: made, Expires: made.Add(24 * time.Hour), Origin: sampleOrigin,
	}
}

// sampleOrigin is where a sample comes from (RFC 5737).
var sampleOrigin = provenance.Origin{Program: "Element", System: "Android", Network: "203.0.x.x"}

// eachChange is the part of Each for such mails.
func (s *Set) eachChange(brand, tag, prefix string, fn func(name string, r Rendered) error) error {
	for _, n := range verification.Notices {
		m := changeOf(n)
		m.Language = tag
		r, err := s.ChangeFor(brand, m)
		if err != nil {
			return err
		}
		if err := fn(prefix+tag+"/changed_"+string(n), r); err != nil {
			return err
		}
	}
	return nil
}

// checkChanges holds every subject against what a header can have, and renders
// one such mail for each language: to a layout all are alike.
func (s *Set) checkChanges() error {
	for _, brand := range s.Brands() {
		for _, tag := range s.matcher.tags {
			w := s.brands[brand][tag]
			if !w.words.tellsChanges() {
				continue
			}
			for _, n := range verification.Notices {
				key := changeKey(n, "subject")
				if err := subjectFits(w.words.phrases[key].plain(&values{server: w.server})); err != nil {
					return fmt.Errorf("%smail about a change in %s: %s: %w", ofBrand(brand), tag, w.words.places[key], err)
				}
			}
			if err := w.checkChange(verification.NoticeGone); err != nil {
				return fmt.Errorf("%smail about a change in %s: %w", ofBrand(brand), tag, err)
			}
		}
	}
	return nil
}

// checkChange holds one against what a reader needs of it.
func (s *renderer) checkChange(n verification.Notice) error {
	m := changeOf(n)
	r, err := s.write(m, Links{})
	if err != nil {
		return err
	}
	v := &values{server: s.server}
	said := compose(s, m, Links{}, v, func(p phrase) string { return p.plain(v) })
	page, err := inspect(r.HTML)
	if err != nil {
		return fmt.Errorf("%s: %w", s.layout.markupPath, err)
	}
	text, markup := squeezed(r.Text), squeezed(page.text)
	for _, needed := range needed(said) {
		switch {
		case !strings.Contains(text, squeezed(needed.text)):
			return fmt.Errorf("%s: %s is missing in the text", s.layout.textPath, needed.what)
		case !strings.Contains(markup, squeezed(needed.text)):
			return fmt.Errorf("%s: %s is missing in the HTML", s.layout.markupPath, needed.what)
		}
	}
	return nil
}
