// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"bytes"
	"errors"
	"fmt"
	"net/mail"
	"slices"
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
	ErrInvalidSubject   = errors.New("subject is empty, too long, or has control characters")
	ErrInvalidID        = errors.New("message id is not valid")
	ErrInvalidBody      = errors.New("a body is empty or not UTF-8")
)

// Limits of header fields, in bytes. RFC 5322 §2.1.1 allows 998 octets a line,
// and the encoded form of a character is up to nine times as long.
const (
	maxName    = 96
	maxAddress = 254
	maxSubject = 100
)

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
	// A backslash in a display name is written in a way that cannot be read back.
	if err != nil || len(a.Name) > maxName || strings.Contains(a.Name, `\`) || !bare(a.Address) {
		return "", "", ErrInvalidSender
	}
	return a.String(), a.Address, nil
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
	if strings.TrimSpace(m.Subject) == "" || len(m.Subject) > maxSubject || hasControl(m.Subject) {
		return nil, ErrInvalidSubject
	}
	if !validID(m.MessageID) {
		return nil, ErrInvalidID
	}
	if m.Text == "" || m.HTML == "" || !utf8.ValidString(m.Text) || !utf8.ValidString(m.HTML) {
		return nil, ErrInvalidBody
	}
	e := email.NewEmail()
	e.From = from
	e.To = []string{"<" + m.To + ">"}
	e.Subject = m.Subject
	e.Text, e.HTML = []byte(m.Text), []byte(m.HTML)
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

// headerOrder is the order of fields that readers of raw mail expect.
var headerOrder = []string{
	"Date", "From", "To", "Subject", "Message-Id", "Auto-Submitted", "X-Auto-Response-Suppress", "Mime-Version", "Content-Type",
}

// orderHeader sorts the header, and refuses one with a field that was not
// asked for: a last line of defence against injection.
func orderHeader(raw []byte) ([]byte, error) {
	head, body, found := bytes.Cut(raw, []byte("\r\n\r\n"))
	if !found {
		return nil, errors.New("compose mail: the header has no end")
	}
	fields := map[string][]byte{}
	var last string
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		if len(line) > 0 && (line[0] == ' ' || line[0] == '\t') && last != "" {
			fields[last] = append(append(fields[last], "\r\n"...), line...)
			continue
		}
		name, _, ok := bytes.Cut(line, []byte(":"))
		last = strings.ToLower(string(name))
		if _, twice := fields[last]; !ok || twice || len(line) > 998 {
			return nil, errors.New("compose mail: the header is not what was asked for")
		}
		fields[last] = bytes.Clone(line)
	}
	if len(fields) != len(headerOrder) {
		return nil, errors.New("compose mail: the header is not what was asked for")
	}
	out := make([][]byte, 0, len(fields))
	for _, name := range headerOrder {
		line, ok := fields[strings.ToLower(name)]
		if !ok {
			return nil, errors.New("compose mail: a header field is missing")
		}
		out = append(out, line)
	}
	return slices.Concat(bytes.Join(out, []byte("\r\n")), []byte("\r\n\r\n"), body), nil
}
