// SPDX-License-Identifier: Apache-2.0

package templates

import (
	"bytes"
	"errors"
	"fmt"
	"html"
	"net/url"
	"strings"
	"unicode"

	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// fields are what a layout puts in order. All but Link and Code come from the
// words of the language.
type fields struct {
	Lang, Dir              string
	Subject, Title         string
	Asked, Effect          string
	Do, Button, Copy, Keep string
	Until, Ignore          string
	// Link or Code is empty.
	Link, Code string
}

// named is what the words themselves may name.
type named struct {
	Server string
	Until  string
}

// known refuses a message that there are no words for, and a proof that would
// not arrive as it is. No error tells the proof.
func known(m verification.Message, link string) error {
	switch m.Purpose {
	case verification.Register, verification.Password, verification.Add:
	default:
		return fmt.Errorf("there is no mail for the purpose %q", m.Purpose)
	}
	if m.Medium != verification.Email {
		return fmt.Errorf("there is no mail for the medium %q", m.Medium)
	}
	switch m.Proof {
	case verification.ProofLink:
		u, err := url.Parse(link)
		if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || strings.ContainsFunc(link, unprintable) {
			return errors.New("the link of a mail must be an absolute http(s) URL")
		}
	case verification.ProofCode:
		if link != "" || m.Token == "" || strings.ContainsFunc(m.Token, unprintable) {
			return errors.New("a mail with a code has a code and no link")
		}
	default:
		return fmt.Errorf("there is no mail for the proof %d", m.Proof)
	}
	return nil
}

func unprintable(r rune) bool { return r <= ' ' || r >= unicode.MaxASCII }

// fill finds the words for a message.
func (s *Set) fill(m verification.Message, link string) (fields, error) {
	// The time is absolute and says its zone: nobody knows the reader's.
	n := named{Server: s.server, Until: m.Expires.UTC().Format("15:04 UTC on 2 January 2006")}
	var failed error
	say := func(block string) string {
		var b bytes.Buffer
		if err := s.words.ExecuteTemplate(&b, block, n); err != nil {
			failed = errors.Join(failed, fmt.Errorf("render words: %w", err))
		}
		return strings.Join(strings.Fields(b.String()), " ")
	}
	purpose := string(m.Purpose) + " "
	f := fields{
		Lang: say("lang"), Dir: say("dir"), Subject: say(purpose + "subject"), Title: say(purpose + "title"),
		Asked: say(purpose + "asked"), Effect: say(purpose + "effect"), Ignore: say("ignore"),
	}
	if m.Proof == verification.ProofLink {
		f.Link, f.Do, f.Button, f.Copy, f.Until = link, say("link do"), say("link button"), say("link copy"), say("link until")
	} else {
		f.Code, f.Do, f.Keep, f.Until = m.Token, say("code do"), say("code keep"), say("code until")
	}
	return f, failed
}

// complete reports what a mail must not lack: whatever else a template gets
// wrong, the reader can use the mail.
func (r Rendered) complete(f fields) error {
	markup := html.UnescapeString(r.HTML)
	proof, inHTML := f.Code, f.Code
	if f.Link != "" {
		proof, inHTML = f.Link, `href="`+f.Link+`"`
	}
	switch {
	case r.Subject == "":
		return errors.New("the subject is missing")
	case len(r.Subject) > maxSubject:
		return fmt.Errorf("the subject has %d bytes, at most %d are allowed: the server name is too long for it", len(r.Subject), maxSubject)
	case !strings.Contains(r.Text, proof):
		return errors.New("the link or code is missing in the text")
	case !strings.Contains(markup, inHTML):
		return errors.New("the link or code is missing in the HTML")
	case f.Until == "" || !strings.Contains(strings.Join(strings.Fields(r.Text), " "), f.Until) || !strings.Contains(markup, f.Until):
		return errors.New("the expiry is missing")
	}
	return nil
}
