// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jordan-wright/email"
)

// Errors of [Compose]. Their texts hold no address.
var (
	ErrInvalidSender    = errors.New("sender is not a valid mailbox")
	ErrInvalidRecipient = errors.New("recipient is not a bare, canonical address")
	ErrInvalidSubject   = errors.New("subject is empty, too long, or has forbidden characters")
	ErrInvalidID        = errors.New("message id is not valid")
	ErrInvalidBody      = errors.New("a body is empty or not UTF-8")
	ErrInvalidList      = errors.New("unsubscribe link is not an https URL that fits into a header")
	ErrInvalidTag       = errors.New("tag is not of small letters and digits")
	ErrInvalidLanguage  = errors.New("language is not a tag like pt-BR")
)

// Limits of header fields, in bytes. They keep a field readable; encoded it is
// up to four times as long, which folding keeps from exceeding maxLine.
const (
	maxName    = 128
	maxAddress = 254
	maxSubject = 200
)

// maxLine is the longest line that may be sent, in octets (RFC 5322 §2.1.1).
const maxLine = 998

// Message is one mail. Nothing in it comes from a client but the recipient's
// canonical address.
type Message struct {
	From      string // a mailbox: "Name <address>" or an address
	To        string // a bare address
	Subject   string
	Text      string
	HTML      string
	MessageID string // with angle brackets; the same for every retry
	Date      time.Time
	// ListUnsubscribe, if set, is an https URL that takes a POST, without any
	// cookie or question, as "I did not ask for this" (RFC 8058).
	ListUnsubscribe string
	// Language, if set, is the tag of the text's language (RFC 3282, RFC 5646).
	Language string
	// Tag, if set, is for the mail service to hand back with what it reports.
	Tag string
	// DKIM, if set, signs the message.
	DKIM *DKIM
}

// Sender parses a From mailbox and returns it in the form that is written into
// the header, and its bare address for the envelope.
func Sender(from string) (header, address string, err error) {
	if hasControl(from) {
		return "", "", ErrInvalidSender
	}
	a, err := mail.ParseAddress(from)
	// A backslash in a display name is written in a way that cannot be read
	// back, and one that looks encoded would be read as something else.
	if err != nil || len(a.Name) > maxName || hasControl(a.Name) || strings.Contains(a.Name, `\`) || looksEncoded(a.Name) || !bare(a.Address) {
		return "", "", ErrInvalidSender
	}
	return a.String(), a.Address, nil
}

// looksEncoded reports what a reader may take for an encoded-word (RFC 2047).
// ASCII text is written as it stands.
func looksEncoded(s string) bool { return strings.Contains(s, "=?") }

// forLibrary writes a mailbox in the one form that the library passes on as it
// is: it splits the field at every comma, be it quoted or not. It decodes the
// name and encodes it again as it must be.
func forLibrary(mailbox string) string {
	a, err := mail.ParseAddress(mailbox)
	if err != nil || a.Name == "" {
		return mailbox
	}
	return "=?utf-8?b?" + base64.StdEncoding.EncodeToString([]byte(a.Name)) + "?= <" + a.Address + ">"
}

// validate refuses what could not be written as it is meant.
func (m *Message) validate() error {
	switch subject := strings.TrimSpace(m.Subject); {
	case !bare(m.To):
		return ErrInvalidRecipient
	case subject == "" || len(subject) > maxSubject || hasControl(m.Subject) || looksEncoded(subject):
		return ErrInvalidSubject
	case !validID(m.MessageID):
		return ErrInvalidID
	case m.Text == "" || m.HTML == "" || !utf8.ValidString(m.Text) || !utf8.ValidString(m.HTML):
		return ErrInvalidBody
	case m.ListUnsubscribe != "" && !validUnsubscribe(m.ListUnsubscribe):
		return ErrInvalidList
	case m.Tag != "" && !feedbackTag.MatchString(m.Tag):
		return ErrInvalidTag
	case m.Language != "" && !languageTag.MatchString(m.Language):
		return ErrInvalidLanguage
	}
	return nil
}

// lines ends all lines alike. A carriage return alone would make the encoder of
// mime/quotedprintable swallow the next line end.
var lines = strings.NewReplacer("\r\n", "\n", "\r", "\n")

// Compose builds the message. Apart from the MIME boundary, and a signature,
// the result is always the same.
func Compose(m Message) ([]byte, error) {
	from, _, err := Sender(m.From)
	if err != nil {
		return nil, err
	}
	if err := m.validate(); err != nil {
		return nil, err
	}
	e := email.NewEmail()
	e.From = forLibrary(from)
	e.To = []string{"<" + m.To + ">"}
	e.Subject = strings.TrimSpace(m.Subject)
	e.Text, e.HTML = []byte(lines.Replace(m.Text)), []byte(lines.Replace(m.HTML))
	e.Headers.Set("Message-Id", m.MessageID)
	e.Headers.Set("Date", m.Date.UTC().Format(time.RFC1123Z))
	// RFC 3834 §5: nobody's auto-responder answers this.
	e.Headers.Set("Auto-Submitted", "auto-generated")
	e.Headers.Set("X-Auto-Response-Suppress", "All")
	asked := setOptional(e.Headers, m)
	raw, err := e.Bytes()
	if err != nil {
		return nil, fmt.Errorf("compose mail: %w", err)
	}
	if raw, err = orderHeader(raw, asked...); err != nil || m.DKIM == nil {
		return raw, err
	}
	return m.DKIM.Sign(raw)
}
