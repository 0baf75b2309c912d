// SPDX-License-Identifier: Apache-2.0

package templates

import (
	"bytes"
	"embed"
	"fmt"
	htmltemplate "html/template"
	"io/fs"
	"regexp"
	"strings"
	texttemplate "text/template"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

//go:embed en layout
var files embed.FS

// maxSubject is what the composer of mails accepts, in bytes.
const maxSubject = 100

// Rendered is the words of one mail.
type Rendered struct {
	Subject, Text, HTML string
}

// Set is the templates of one server.
type Set struct {
	server string
	words  *texttemplate.Template
	text   *texttemplate.Template
	html   *htmltemplate.Template
}

// serverName is host[:port] in ASCII. Nothing in it means anything in a header
// or in HTML, and it cannot look like another name, as an IDN can.
var serverName = regexp.MustCompile(`^[0-9A-Za-z_.:\[\]-]+$`)

// New makes the templates of a server: the host of its public URL, in ASCII,
// by which its users know it. It renders each mail with sample data, and
// refuses a template that does not carry the link or the code.
func New(server string) (*Set, error) {
	return load(files, "en", server)
}

// load reads the words of a language and the layouts from a file system.
func load(fsys fs.FS, language, server string) (*Set, error) {
	if !serverName.MatchString(server) {
		return nil, fmt.Errorf("server name %q cannot stand in a mail: it must be a host name in ASCII", server)
	}
	s := &Set{server: server}
	var err error
	if s.words, err = texttemplate.New("words").ParseFS(fsys, language+"/words.txt"); err != nil {
		return nil, fmt.Errorf("parse words: %w", err)
	}
	wrapping := texttemplate.FuncMap{"wrap": wrap}
	if s.text, err = texttemplate.New("mail.txt").Funcs(wrapping).ParseFS(fsys, "layout/mail.txt"); err != nil {
		return nil, fmt.Errorf("parse text layout: %w", err)
	}
	if s.html, err = htmltemplate.New("mail.html").ParseFS(fsys, "layout/mail.html"); err != nil {
		return nil, fmt.Errorf("parse HTML layout: %w", err)
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	return s, nil
}

// check renders one mail of each kind.
func (s *Set) check() error {
	for _, purpose := range []verification.Purpose{verification.Register, verification.Password, verification.Add} {
		for proof, link := range map[verification.Proof]string{
			verification.ProofLink: "https://sample.example/confirm?sid=sample-sid&token=sample-token",
			verification.ProofCode: "",
		} {
			_, err := s.Render(verification.Message{
				Purpose: purpose, Medium: verification.Email, Proof: proof, Token: "918273", Expires: time.Unix(0, 0),
			}, link)
			if err != nil {
				return fmt.Errorf("template for %s: %w", purpose, err)
			}
		}
	}
	return nil
}

// Render words one mail. The link is for a message with a link; one with a
// code has none. Of the message only purpose, proof, expiry, and the code are
// read.
func (s *Set) Render(m verification.Message, link string) (Rendered, error) {
	if err := known(m, link); err != nil {
		return Rendered{}, err
	}
	f, err := s.fill(m, link)
	if err != nil {
		return Rendered{}, err
	}
	var text, html bytes.Buffer
	if err := s.text.Execute(&text, f); err != nil {
		return Rendered{}, fmt.Errorf("render text: %w", err)
	}
	if err := s.html.Execute(&html, f); err != nil {
		return Rendered{}, fmt.Errorf("render HTML: %w", err)
	}
	r := Rendered{Subject: f.Subject, Text: text.String(), HTML: html.String()}
	return r, r.complete(f)
}

// wrap breaks a paragraph into lines that a terminal shows whole. What has no
// spaces, such as a host name, is not broken.
func wrap(paragraph string) string {
	const width = 72
	var b strings.Builder
	column := 0
	for word := range strings.FieldsSeq(paragraph) {
		size := len([]rune(word))
		switch {
		case column == 0:
		case column+1+size > width:
			b.WriteByte('\n')
			column = 0
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += size
	}
	return b.String()
}
