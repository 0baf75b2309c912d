// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"strings"

	"github.com/caddy-threepid/caddy-threepid/internal/delivery/mail"
	"github.com/caddy-threepid/caddy-threepid/internal/delivery/templates"
	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// MailTransport brings a composed mail to a relay, or elsewhere.
type MailTransport interface {
	Send(ctx context.Context, from, to string, message []byte) error
}

// MailSender turns messages into mail.
type MailSender struct {
	From      string // a mailbox
	Transport MailTransport
	Templates *templates.Set
	Keys      *keyring.Ring
	// Link makes the link that carries a token.
	Link func(sid, token string) string
}

// Send implements Sender. The Message-ID is the same for every try, so that a
// retry is not a second mail to its reader, and tells nothing about the
// session.
func (s *MailSender) Send(ctx context.Context, m verification.Message) error {
	link := ""
	if m.Proof == verification.ProofLink {
		link = s.Link(m.SID, m.Token)
	}
	text, err := s.Templates.Render(m, link)
	if err != nil {
		return err
	}
	_, from, err := mail.Sender(s.From)
	if err != nil {
		return err
	}
	_, domain, _ := strings.Cut(from, "@")
	id := s.Keys.HashText("message id", m.ID)
	raw, err := mail.Compose(mail.Message{
		From: s.From, To: m.Address, Subject: text.Subject, Text: text.Text, HTML: text.HTML,
		MessageID: "<" + id + "@" + domain + ">", Date: m.Created,
	})
	if err != nil {
		return err
	}
	return s.Transport.Send(ctx, from, m.Address, raw)
}
