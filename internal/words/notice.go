// SPDX-License-Identifier: Apache-2.0

package words

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/caddy-threepid/caddy-threepid/internal/sms/gsm7"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// A notice is the message of a decoy (package verification): it has no proof,
// and tells the owner of the address why. What was asked is said with the same
// words as in other mails, so only what follows is its own.

// notice is between the purpose and the rest in the keys of its words.
const notice = " notice"

// withoutProof refuses a notice with a token: nobody is to have it.
func withoutProof(m verification.Message) error {
	if m.Token != "" {
		return errors.New("a notice has no code and no link")
	}
	return nil
}

func knownNotice(m verification.Message, links Links) error {
	if links.Confirm != "" || links.Check != "" {
		return errors.New("a notice has no code and no link")
	}
	return withoutProof(m)
}

// noticeOf is a notice as a reader might get it.
func noticeOf(purpose string, m verification.Medium) verification.Message {
	sent := time.Date(2026, time.January, 2, 12, 0, 0, 0, time.UTC)
	return verification.Message{
		ID: "sample.1", SID: "sample", Purpose: verification.Purpose(purpose), Medium: m, Decoy: true,
		Created: sent, Expires: sent.Add(time.Hour),
	}
}

// eachNotice is the part of Each for notices.
func (s *Set) eachNotice(brand, tag, prefix string, fn func(name string, r Rendered) error) error {
	for _, purpose := range purposes {
		w := s.brands[brand][tag]
		links := Links{Refuse: "https://" + strings.ToLower(w.server) + "/_threepid/refuse?sid=sample&token=sample-token"}
		r, err := w.write(noticeOf(purpose, verification.Email), links)
		if err != nil {
			return err
		}
		if err := fn(prefix+tag+"/"+purpose+"_notice", r); err != nil {
			return err
		}
	}
	return nil
}

// checkNotices renders every notice, by mail and by short message.
func (s *Set) checkNotices() error {
	for _, brand := range s.Brands() {
		for _, tag := range s.matcher.tags {
			for _, purpose := range purposes {
				if err := s.brands[brand][tag].checkNotice(purpose); err != nil {
					return fmt.Errorf("%snotice for %s in %s: %w", ofBrand(brand), purpose, tag, err)
				}
			}
		}
	}
	return nil
}

// checkNotice holds one against what a reader needs of it.
func (s *renderer) checkNotice(purpose string) error {
	m, links := noticeOf(purpose, verification.Email), Links{Refuse: probeRefuse}
	r, err := s.write(m, links)
	if err != nil {
		return err
	}
	if err := subjectFits(r.Subject); err != nil {
		return fmt.Errorf("%s: %w", s.words.places[purpose+notice+" subject"], err)
	}
	v := &values{server: s.server}
	said := compose(s, m, links, v, func(p phrase) string { return p.plain(v) })
	text := squeezed(r.Text)
	page, err := inspect(r.HTML)
	if err != nil {
		return fmt.Errorf("%s: %w", s.layout.markupPath, err)
	}
	markup := squeezed(page.text)
	for _, n := range needed(said) {
		switch {
		case !strings.Contains(text, squeezed(n.text)):
			return fmt.Errorf("%s: %s is missing in the text", s.layout.textPath, n.what)
		case !strings.Contains(markup, squeezed(n.text)):
			return fmt.Errorf("%s: %s is missing in the HTML", s.layout.markupPath, n.what)
		}
	}
	return s.checkNoticeSMS(purpose)
}

// checkNoticeSMS is checkSMS for a notice. It must not cost more than the
// message in whose place it is sent: that is what was counted.
func (s *renderer) checkNoticeSMS(purpose string) error {
	text, place := s.message(purpose+notice, ""), s.words.places[purpose+notice+" sms"]
	p, v := s.words.phrases[purpose+notice+" sms"], &values{server: s.server}
	switch most := gsm7.Of(s.message(purpose, sampleSMSCode)).Segments; {
	case gsm7.Of(text).Segments > most:
		return fmt.Errorf("%s: the text costs %d messages, the one with a code only %d", place, gsm7.Of(text).Segments, most)
	case strings.ContainsFunc(text, unicode.IsControl):
		return fmt.Errorf("%s: the text is not one line", place)
	case !p.alone(valueServer, v):
		return fmt.Errorf("%s: the name of the server, {{.Server}}, does not stand alone: with what is next to it, it is another name or a link", place)
	}
	return nil
}
