// SPDX-License-Identifier: Apache-2.0

package words

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/caddy-threepid/caddy-threepid/internal/sms/gsm7"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

const (
	// maxSegments is what one short message may cost. The longest of ours takes
	// one; a text of more than three is a mistake.
	maxSegments = 3
	// sampleSMSCode stands for the code where a text is only measured.
	sampleSMSCode = "041592"
)

// smsCode is the only proof that a short message carries: no link, which
// readers have learnt not to trust there, and which would cost a segment.
var smsCode = regexp.MustCompile(`^[0-9]{6}$`)

// SMSCost is what one short message costs, with the name of this server in it.
type SMSCost struct {
	gsm7.Count

	Brand, Language, Purpose string
}

// SMS words one short message of a brand, in the language of the message. A
// brand that there is not has the default words. It is one paragraph without
// line breaks. Of the message only purpose, language and the code are read.
func (s *Set) SMS(brand string, m verification.Message) (string, error) {
	if err := knownSMS(m); err != nil {
		return "", err
	}
	purpose := string(m.Purpose)
	if m.Decoy {
		purpose += notice
	}
	return s.renderer(brand, m.Language).message(purpose, m.Token), nil
}

// knownSMS refuses a message that there are no words for. No error tells the
// code.
func knownSMS(m verification.Message) error {
	switch m.Purpose {
	case verification.Register, verification.Password, verification.Add:
	default:
		return fmt.Errorf("there is no short message for the purpose %q", m.Purpose)
	}
	if m.Medium != verification.MSISDN {
		return fmt.Errorf("there is no short message for the medium %q", m.Medium)
	}
	if m.Decoy {
		return withoutProof(m)
	}
	if m.Proof != verification.ProofCode || !smsCode.MatchString(m.Token) {
		return errors.New("a short message has a code of six digits and nothing else")
	}
	return nil
}

// SMSCosts tells what each short message costs: of every brand, in every
// language, for every purpose.
func (s *Set) SMSCosts() []SMSCost {
	brands := s.Brands()
	all := make([]SMSCost, 0, len(brands)*len(s.matcher.tags)*len(purposes))
	for _, brand := range brands {
		for _, tag := range s.matcher.tags {
			for _, purpose := range purposes {
				text := s.brands[brand][tag].message(purpose, sampleSMSCode)
				all = append(all, SMSCost{Count: gsm7.Of(text), Brand: brand, Language: tag, Purpose: purpose})
			}
		}
	}
	return all
}

// message is the text of one short message.
func (s *renderer) message(purpose, code string) string {
	p, v := s.words.phrases[purpose+" sms"], &values{server: s.server, code: code}
	if s.words.RTL {
		return p.sparing(v)
	}
	return p.plain(v)
}

// checkSMS measures each short message, and insists that its reader can tell
// what is the code and what the server.
func (s *Set) checkSMS() error {
	for _, brand := range s.Brands() {
		for _, tag := range s.matcher.tags {
			w := s.brands[brand][tag]
			for _, purpose := range purposes {
				if err := w.checkSMS(purpose); err != nil {
					return fmt.Errorf("%sshort message for %s in %s: %s: %w", ofBrand(brand), purpose, tag, w.words.places[purpose+" sms"], err)
				}
			}
		}
	}
	return nil
}

func (s *renderer) checkSMS(purpose string) error {
	text := s.message(purpose, sampleSMSCode)
	p, v := s.words.phrases[purpose+" sms"], &values{server: s.server, code: sampleSMSCode}
	switch n := gsm7.Of(text).Segments; {
	case n > maxSegments:
		return fmt.Errorf("the text costs %d messages, at most %d are allowed: it, or the server name, is too long", n, maxSegments)
	case strings.ContainsFunc(text, unicode.IsControl):
		return errors.New("the text is not one line")
	case !p.alone(valueCode, v):
		return errors.New("the code, {{.Code}}, does not stand alone: what is next to it could be taken for a part of it")
	case !p.alone(valueServer, v):
		return errors.New("the name of the server, {{.Server}}, does not stand alone: with what is next to it, it is another name or a link")
	}
	return nil
}

// alone reports whether nothing next to a value can be taken for a part of it.
// What ends a sentence is taken for a part of a name if a letter follows, as in
// example.org.evil.example. Letters of other alphabets are no part of either:
// Japanese has no spaces.
func (p phrase) alone(which value, v *values) bool {
	const joints = "-._/:@?#"
	for i, part := range p {
		if part.value != which {
			continue
		}
		before := strings.TrimRight(p[:i].plain(v)+part.text, joints)
		after := strings.TrimLeft(p[i+1:].plain(v), joints)
		last, _ := utf8.DecodeLastRuneInString(before)
		first, _ := utf8.DecodeRuneInString(after)
		if before != "" && clings(last) || after != "" && clings(first) {
			return false
		}
	}
	return true
}

// clings reports what would belong to a name or to a code.
func clings(r rune) bool {
	return r <= unicode.MaxASCII && unicode.IsLetter(r) || unicode.IsDigit(r)
}
