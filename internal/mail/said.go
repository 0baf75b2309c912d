// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"regexp"
	"strings"
	"unicode"

	"github.com/emersion/go-smtp"
)

// maxSaid is the longest piece of a reply that is kept, in bytes.
const maxSaid = 500

// Said is what the relay replied, in one line without control characters, or
// empty. It often names the recipient: it is for the operator who has named that
// address, and never for a log.
func (e *SendError) Said() string { return e.said }

// hiding takes out of the reply what was said for a log-in: some relays repeat
// a line that they do not understand.
func (e *SendError) hiding(secrets ...string) *SendError {
	for _, secret := range secrets {
		if len(secret) >= shortSecret {
			e.said = strings.ReplaceAll(e.said, secret, "[secret]")
		}
	}
	return e
}

// anyAddress finds what may be one in a reply.
var anyAddress = regexp.MustCompile(`[^\s<>"'(),;:=\[\]]+@[^\s<>"'(),;]+`)

// nameless is what the relay replied before it was told of any recipient, with
// no address in it: that of the sender may tell whom a mail was for.
func (e *SendError) nameless() string {
	switch e.Stage {
	case "hello", "tls", "auth", "mail":
		return anyAddress.ReplaceAllLiteralString(e.said, "[address]")
	}
	return ""
}

// enhanced finds an enhanced code (RFC 3463) at the beginning of a reply.
// go-smtp finds none where no text follows.
var enhanced = regexp.MustCompile(`^([245]\.\d{1,3}\.\d{1,3})(?:\s|$)`)

// hear keeps the text of a reply and its enhanced code.
func (e *SendError) hear(reply *smtp.SMTPError) {
	text := reply.Message
	if found := enhanced.FindString(text); found != "" && (found[0] == '4' || found[0] == '5') {
		e.Enhanced = strings.TrimSpace(found)
		text = strings.ReplaceAll(text, "\n"+e.Enhanced+" ", "\n")[len(found):]
	}
	e.said = line(text, maxSaid)
}

// line makes one line of what is foreign, of so many bytes at most: no control
// characters, and nothing that turns the direction of writing.
func line(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}
