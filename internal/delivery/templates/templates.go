// SPDX-License-Identifier: Apache-2.0

package templates

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"regexp"
	"strings"
	texttemplate "text/template"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

//go:embed en/*.txt en/*.html
var files embed.FS

// Rendered is the words of one mail.
type Rendered struct {
	Subject, Text, HTML string
}

// Set is the templates of one server.
type Set struct {
	server string
	text   *texttemplate.Template
	html   *htmltemplate.Template
}

// data is what a template sees.
type data struct {
	Server  string
	Purpose string
	Link    string
	Code    string
	Until   string
}

// serverName is what may stand in a subject: host[:port].
var serverName = regexp.MustCompile(`^[0-9A-Za-z.:\[\]_-]{1,80}$`)

// New parses the templates, renders each with sample data, and refuses one
// that does not carry the link or the code.
func New(server string) (*Set, error) {
	if !serverName.MatchString(server) {
		return nil, fmt.Errorf("server name %q cannot stand in a mail", server)
	}
	s := &Set{server: server}
	var err error
	if s.text, err = texttemplate.New("").Option("missingkey=error").ParseFS(files, "en/*.txt"); err != nil {
		return nil, fmt.Errorf("parse templates: %w", err)
	}
	if s.html, err = htmltemplate.New("").Option("missingkey=error").ParseFS(files, "en/*.html"); err != nil {
		return nil, fmt.Errorf("parse templates: %w", err)
	}
	return s, s.check()
}

func (s *Set) check() error {
	const sampleLink, sampleCode = "https://sample.example/confirm?token=sample", "918273"
	for _, purpose := range []verification.Purpose{verification.Register, verification.Password, verification.Add} {
		for _, proof := range []verification.Proof{verification.ProofLink, verification.ProofCode} {
			m := verification.Message{Purpose: purpose, Medium: verification.Email, Proof: proof, Token: sampleCode, Expires: time.Unix(0, 0)}
			link, want := "", sampleCode
			if proof == verification.ProofLink {
				link, want = sampleLink, sampleLink
			}
			r, err := s.Render(m, link)
			if err != nil {
				return err
			}
			if !strings.Contains(r.Text, want) || !strings.Contains(r.HTML, want) {
				return fmt.Errorf("the template for %s does not carry its link or code", purpose)
			}
		}
	}
	return nil
}

// Render words one message. The link is empty when it carries a code.
func (s *Set) Render(m verification.Message, link string) (Rendered, error) {
	d := data{
		Server: s.server, Purpose: string(m.Purpose), Link: link,
		Until: m.Expires.UTC().Format("15:04 UTC on 2 January 2006"),
	}
	if m.Proof == verification.ProofCode {
		d.Code = m.Token
	}
	if (d.Link == "") == (d.Code == "") {
		return Rendered{}, errors.New("a message carries either a link or a code")
	}
	var subject, text, html bytes.Buffer
	if err := s.text.ExecuteTemplate(&subject, "subject.txt", d); err != nil {
		return Rendered{}, fmt.Errorf("render subject: %w", err)
	}
	if err := s.text.ExecuteTemplate(&text, "mail.txt", d); err != nil {
		return Rendered{}, fmt.Errorf("render text: %w", err)
	}
	if err := s.html.ExecuteTemplate(&html, "mail.html", d); err != nil {
		return Rendered{}, fmt.Errorf("render HTML: %w", err)
	}
	return Rendered{Subject: strings.TrimSpace(subject.String()), Text: text.String(), HTML: html.String()}, nil
}
