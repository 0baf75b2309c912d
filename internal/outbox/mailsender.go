// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"cmp"
	"context"
	"encoding/base32"
	"strings"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/mail"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/internal/words"
)

// MailTransport brings a composed mail to a relay, or elsewhere.
type MailTransport interface {
	Send(ctx context.Context, from, to string, message []byte) error
}

// MailSender turns messages into mail. All its fields are required but those
// that say otherwise.
type MailSender struct {
	From      string // a mailbox: "Name <address>" or an address
	Transport MailTransport
	Templates *words.Set
	Keys      *keyring.Ring
	// Link makes the link that carries a token.
	Link func(sid threepid.SID, token threepid.Token) string
	// Page, if set, makes the link to the page that takes a code.
	Page func(sid threepid.SID) string
	// Refuse makes the link "I did not ask for this". It takes a POST without
	// any question as well (RFC 8058). Without it mails have no such link, and
	// are in English.
	Refuse func(sid threepid.SID, refusal threepid.RefusalToken) string
	// Bounce, if set, makes the envelope sender of a message, by which a bounce
	// is led back to it, or is empty.
	Bounce func(m verification.Message) string
	// Tag, if set, makes what a mail service hands back with its reports.
	Tag func(m verification.Message) string
	// DKIM, if set, signs every mail.
	DKIM *mail.DKIM
}

var _ Sender = (*MailSender)(nil)

// Send implements [Sender]. An error that is not the transport's is final: the
// same message would not compose the next time either.
func (s *MailSender) Send(ctx context.Context, m verification.Message) error {
	from, raw, err := s.compose(m)
	if err != nil {
		return err
	}
	if err := Begin(ctx); err != nil { // it may have been asked what to mention, and whether at all
		return err
	}
	return s.Transport.Send(ctx, from, m.Address, raw)
}

// Check composes one mail of each kind, so that what would fail for every
// reader is refused when the configuration is loaded.
func (s *MailSender) Check() error {
	for _, m := range samples() {
		if _, _, err := s.compose(m); err != nil {
			return err
		}
	}
	return nil
}

// samples are one message of each kind.
func samples() (all []verification.Message) {
	now := time.Now()
	m := verification.Message{
		ID: "sample", SID: "sample", Medium: threepid.Email, Address: "sample@sample.example", Token: "123456", Refusal: "sample",
		Created: now, Expires: now.Add(time.Hour),
	}
	for _, purpose := range []threepid.Purpose{threepid.Register, threepid.Password, threepid.Add} {
		link, code, decoy := m, m, m
		link.Purpose, code.Purpose, decoy.Purpose = purpose, purpose, purpose
		link.Proof, code.Proof = verification.ProofLink, verification.ProofCode
		decoy.Decoy, decoy.Token = true, ""
		all = append(all, link, code, decoy)
	}
	for _, notice := range verification.Notices {
		about := m
		about.Purpose, about.Notice, about.Token, about.Refusal = threepid.Notified, notice, "", ""
		all = append(all, about)
	}
	return all
}

// compose returns the mail and the address of its sender in the envelope.
func (s *MailSender) compose(m verification.Message) (from string, raw []byte, err error) {
	_, from, err = mail.Sender(s.From)
	if err != nil {
		return "", nil, err
	}
	words, links, err := s.words(m)
	if err != nil {
		return "", nil, err
	}
	composed := mail.Message{
		From: s.From, To: m.Address, Subject: words.Subject, Text: words.Text, HTML: words.HTML,
		MessageID: s.messageID(m, from), Date: m.Created, DKIM: s.DKIM,
	}
	if links.Refuse != "" || m.Notice != "" {
		composed.Language = s.Templates.Match(m.Language)
	}
	if strings.HasPrefix(links.Refuse, "https://") { // RFC 8058 §3.1 wants no other
		composed.ListUnsubscribe = links.Refuse
	}
	if s.Tag != nil {
		composed.Tag = s.Tag(m)
	}
	if raw, err = mail.Compose(composed); err != nil {
		return "", nil, err
	}
	if s.Bounce != nil {
		from = cmp.Or(s.Bounce(m), from)
	}
	return from, raw, nil
}

// words finds what to say, and the links to say it with. A message of an
// earlier version has no secret to refuse it with.
func (s *MailSender) words(m verification.Message) (words words.Rendered, links words.Links, err error) {
	if m.Notice != "" {
		words, err = s.Templates.ChangeFor(m.Brand, m)
		return words, links, err
	}
	if m.Proof == verification.ProofLink && !m.Decoy {
		links.Confirm, links.Check = s.Link(m.SID, m.Token), string(verification.PressCode(s.Keys, m.SID, m.Token))
	}
	if m.Proof == verification.ProofCode && !m.Decoy && s.Page != nil {
		links.Page = s.Page(m.SID)
	}
	if s.Refuse == nil || m.Refusal == "" {
		words, err = s.Templates.Render(m, links)
		return words, links, err
	}
	links.Refuse = s.Refuse(m.SID, m.Refusal)
	words, err = s.Templates.MailFor(m.Brand, m, links)
	return words, links, err
}

// idAlphabet is without upper case: some programs compare Message-IDs without
// regard to it (against RFC 5322 §3.6.4).
var idAlphabet = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

// messageID is the same for every try of one message, so that a mail program
// shows a retry once. The hash has a key: the id travels through many hands,
// and must not tell the sid. The key is that of the session, so that a retry
// after a change of keys is the same message too.
func (s *MailSender) messageID(m verification.Message, from string) string {
	keys := s.Keys.Fixed()
	hash := keys.Hashes("message id", m.ID)[verification.Origin(keys, m.SID)]
	domain := from[strings.LastIndexByte(from, '@')+1:]
	return "<" + idAlphabet.EncodeToString(hash[:]) + "@" + domain + ">"
}
