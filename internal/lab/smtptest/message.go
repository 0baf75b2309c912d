// SPDX-License-Identifier: Apache-2.0

package smtptest

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"regexp"
	"strings"
)

// Message is one mail as it arrived, for one recipient of its envelope.
type Message struct {
	From, To      string // envelope
	Raw           []byte
	Encrypted     bool // arrived over TLS
	Authenticated bool
	UTF8          bool // the client asked for SMTPUTF8
	taken         bool
}

// Header returns a header field, decoded.
func (m Message) Header(name string) string {
	parsed, err := mail.ReadMessage(bytes.NewReader(m.Raw))
	if err != nil {
		return ""
	}
	raw := parsed.Header.Get(name)
	if text, err := new(mime.WordDecoder).DecodeHeader(raw); err == nil {
		return text
	}
	return raw
}

// Subject returns the subject.
func (m Message) Subject() string { return m.Header("Subject") }

// Text returns the text part.
func (m Message) Text() string { return m.part("text/plain") }

// HTML returns the HTML part.
func (m Message) HTML() string { return m.part("text/html") }

func (m Message) part(want string) string {
	parsed, err := mail.ReadMessage(bytes.NewReader(m.Raw))
	if err != nil {
		return ""
	}
	mediaType, params, err := mime.ParseMediaType(parsed.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	if !strings.HasPrefix(mediaType, "multipart/") {
		if mediaType != want {
			return ""
		}
		return decode(parsed.Body, parsed.Header.Get("Content-Transfer-Encoding"))
	}
	// NextPart would hide the encoding by decoding it; either is fine here.
	parts := multipart.NewReader(parsed.Body, params["boundary"])
	for {
		p, err := parts.NextPart()
		if err != nil {
			return ""
		}
		if t, _, err := mime.ParseMediaType(p.Header.Get("Content-Type")); err == nil && t == want {
			return decode(p, p.Header.Get("Content-Transfer-Encoding"))
		}
	}
}

func decode(r io.Reader, encoding string) string {
	if strings.EqualFold(encoding, "quoted-printable") {
		r = quotedprintable.NewReader(r)
	}
	raw, err := io.ReadAll(r)
	if err != nil {
		return ""
	}
	return strings.ReplaceAll(string(raw), "\r\n", "\n")
}

var anyLink = regexp.MustCompile(`https?://[^\s<>"]+`)

// Link returns the first link of the text part.
func (m Message) Link() (string, bool) {
	link := anyLink.FindString(m.Text())
	return link, link != ""
}
