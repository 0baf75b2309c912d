// SPDX-License-Identifier: Apache-2.0

package words

import (
	"bytes"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"net/url"
	"regexp"
	"strings"
	"sync"

	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// Rendered is the words of one mail.
type Rendered struct {
	Subject, Text, HTML string
}

// Links are what a reader of a mail can open.
type Links struct {
	Confirm string // empty for a code
	// Check is what the page behind Confirm asks for where it cannot be sure that
	// a person has pressed its button.
	Check  string
	Refuse string // "I did not ask for this": it ends the request
	// Page takes the code of a mail, for those whose app has no field for it. It may
	// be empty.
	Page string
}

// fields are what layouts can name. The words are strings in text, where a
// layout may wrap them, and in HTML they are escaped and names marked up.
type fields[T any] struct {
	Lang, Dir string
	RTL       bool
	// Server is the host, and Logo the name that a brand puts on top.
	Server, Logo, Subject string
	// Link or Code is empty; Refuse may be. Both are, and what is said about them,
	// in a notice.
	Link, Code, Refuse string
	// Page is where a code can be typed in, and PageDo says so. Each may be empty.
	Page   string
	PageDo T

	Title, Asked, Effect           T
	Do, Button, Copy, Keep, Until  T
	Check                          T
	Ignore, RefuseDo, RefuseButton T
	// Made, App and Network say when and where the request was made, and Another
	// that there is one more like it. Each may be empty.
	Made, App, Network, Another T

	Look Look
}

// kind is a mail apart from its language and brand.
type kind struct {
	purpose verification.Purpose
	proof   verification.Proof
}

// proofWord is part of the keys of words.
func (k kind) proofWord() string {
	if k.proof == verification.ProofLink {
		return "link"
	}
	return "code"
}

// webLink is what may stand in a mail as a link. It has no character that
// would be written otherwise in HTML, nor one that ends a link in plain text.
var webLink = regexp.MustCompile(`^https?://[0-9A-Za-z._:\[\]-]+(/([0-9A-Za-z._~:/?#\[\]@!$&*+,;=-]|%[0-9A-Fa-f]{2})*)?$`)

// code is what a reader can copy without mistaking it for something else.
var code = regexp.MustCompile(`^[0-9A-Za-z_-]{1,64}$`)

func isLink(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Host != "" && webLink.MatchString(s) && len(s) <= 900 && !strings.ContainsAny(s[len(s)-1:], ".,;:!?")
}

// known refuses a message that there are no words for, and a proof that would
// not arrive as it is. No error tells the proof.
func known(m verification.Message, links Links) error {
	switch m.Purpose {
	case verification.Register, verification.Password, verification.Add:
	default:
		return fmt.Errorf("there is no mail for the purpose %q", m.Purpose)
	}
	if m.Medium != verification.Email {
		return fmt.Errorf("there is no mail for the medium %q", m.Medium)
	}
	if m.Notice != "" {
		return errors.New("what is told of a change has words of its own")
	}
	if links.Refuse != "" && !isLink(links.Refuse) {
		return errors.New("the link to refuse must be an absolute http(s) URL")
	}
	if m.Decoy {
		return knownNotice(m, links)
	}
	switch m.Proof {
	case verification.ProofLink:
		if !isLink(links.Confirm) {
			return errors.New("the link of a mail must be an absolute http(s) URL")
		}
		if !code.MatchString(links.Check) {
			return errors.New("a mail with a link has a code for the page behind it")
		}
	case verification.ProofCode:
		if links.Confirm != "" || links.Check != "" || !code.MatchString(m.Token) || links.Page != "" && !isLink(links.Page) {
			return errors.New("a mail with a code has a code, and no link but to the page for it")
		}
	default:
		return fmt.Errorf("there is no mail for the proof %d", m.Proof)
	}
	return nil
}

// renderer writes the mails of one brand in one language.
type renderer struct {
	server string
	words  *words
	layout layout
	look   Look
}

// write words one mail. Of the message only purpose, proof, times, the code, its
// origin and what it tells are read.
func (s *renderer) write(m verification.Message, links Links) (Rendered, error) {
	v := &values{server: s.server, life: s.words.life(m.Expires.Sub(m.Created)), until: until(m.Expires), code: links.Check}
	v.come(m)
	plain := phrase.plain
	if s.words.RTL {
		plain = phrase.isolated
	}
	inText := compose(s, m, links, v, func(p phrase) string { return plain(p, v) })
	inHTML := compose(s, m, links, v, func(p phrase) htmltemplate.HTML { return p.markup(v, s.words.RTL) })
	text, markup := buffers.Get().(*bounded), buffers.Get().(*bounded)
	defer text.free()
	defer markup.free()
	if err := s.layout.text.Execute(text, inText); err != nil {
		return Rendered{}, fmt.Errorf("render %s: %w", s.layout.textPath, err)
	}
	if err := s.layout.html.Execute(markup, inHTML); err != nil {
		return Rendered{}, fmt.Errorf("render %s: %w", s.layout.markupPath, err)
	}
	return Rendered{Subject: inText.Subject, Text: text.String(), HTML: markup.String()}, nil
}

// compose finds the words for a mail.
func compose[T any](s *renderer, m verification.Message, links Links, v *values, say func(phrase) T) *fields[T] {
	if m.Notice != "" {
		return composeChange(s, m, v, say)
	}
	w, k := s.words, kind{m.Purpose, m.Proof}
	p := func(key string) T { return say(w.phrases[key]) }
	purpose, proof := string(k.purpose)+" ", k.proofWord()+" "
	about := purpose
	if m.Decoy {
		about = string(k.purpose) + notice + " "
	}
	f := &fields[T]{
		Lang: w.Tag, Dir: w.dir(), RTL: w.RTL, Server: s.server, Logo: s.look.Logo, Look: s.look, Refuse: links.Refuse,
		// Not every mail program knows isolates in a header.
		Subject: w.phrases[about+"subject"].plain(v),
		Title:   p(about + "title"), Asked: p(purpose + "asked"), Effect: p(about + "effect"),
		Ignore: p("refuse ignore"), RefuseDo: p("refuse do"), RefuseButton: p("refuse button"),
	}
	addOrigin(f, w, m, v, say)
	if m.Decoy {
		return f
	}
	f.Do, f.Until = p(proof+"do"), p(proof+"until")
	if k.proof == verification.ProofLink {
		f.Link, f.Button, f.Copy, f.Check = links.Confirm, p("link button"), p("link copy"), p("link check")
	} else {
		f.Code, f.Keep, f.Page = m.Token, p("code keep"), links.Page
		if words, ok := w.phrases[wordsCodePage]; ok && f.Page != "" {
			f.PageDo = say(words)
		}
	}
	return f
}

// bounded is a buffer that does not grow without end.
type bounded struct{ bytes.Buffer }

var buffers = sync.Pool{New: func() any { return new(bounded) }}

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxOutput {
		return 0, fmt.Errorf("the mail has more than %d bytes", maxOutput)
	}
	return b.Buffer.Write(p)
}

func (b *bounded) free() {
	b.Reset()
	buffers.Put(b)
}
