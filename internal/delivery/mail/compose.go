// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"time"
	"unicode"
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

// bare reports whether s is an address and nothing else. mail.ParseAddress
// alone accepts comments, names and quoted local parts, and unquotes the last:
// a space would then begin an SMTP parameter.
func bare(s string) bool {
	if len(s) > maxAddress || hasControl(s) || strings.ContainsAny(s, "\"<>() ,;:\\[]") {
		return false
	}
	a, err := mail.ParseAddress(s)
	return err == nil && a.Name == "" && a.Address == s
}

// hasControl reports control characters, line and paragraph separators, and
// what is not UTF-8.
func hasControl(s string) bool {
	return !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || r == '\u2028' || r == '\u2029'
	})
}

// lines ends all lines alike. A carriage return alone would make the encoder of
// mime/quotedprintable swallow the next line end.
var lines = strings.NewReplacer("\r\n", "\n", "\r", "\n")

// Compose builds the message. Apart from the MIME boundary the result is
// always the same.
func Compose(m Message) ([]byte, error) {
	from, _, err := Sender(m.From)
	if err != nil {
		return nil, err
	}
	if !bare(m.To) {
		return nil, ErrInvalidRecipient
	}
	subject := strings.TrimSpace(m.Subject)
	if subject == "" || len(subject) > maxSubject || hasControl(m.Subject) || looksEncoded(subject) {
		return nil, ErrInvalidSubject
	}
	if !validID(m.MessageID) {
		return nil, ErrInvalidID
	}
	if m.Text == "" || m.HTML == "" || !utf8.ValidString(m.Text) || !utf8.ValidString(m.HTML) {
		return nil, ErrInvalidBody
	}
	e := email.NewEmail()
	e.From = forLibrary(from)
	e.To = []string{"<" + m.To + ">"}
	e.Subject = subject
	e.Text, e.HTML = []byte(lines.Replace(m.Text)), []byte(lines.Replace(m.HTML))
	e.Headers.Set("Message-Id", m.MessageID)
	e.Headers.Set("Date", m.Date.UTC().Format(time.RFC1123Z))
	// RFC 3834 §5: nobody's auto-responder answers this.
	e.Headers.Set("Auto-Submitted", "auto-generated")
	e.Headers.Set("X-Auto-Response-Suppress", "All")
	raw, err := e.Bytes()
	if err != nil {
		return nil, fmt.Errorf("compose mail: %w", err)
	}
	return orderHeader(raw)
}

func validID(id string) bool {
	inner, ok := strings.CutPrefix(id, "<")
	inner, ok2 := strings.CutSuffix(inner, ">")
	return ok && ok2 && len(id) <= 250 && strings.Count(inner, "@") == 1 && !strings.ContainsFunc(inner, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("@.-_", r))
	})
}
