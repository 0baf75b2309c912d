// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"github.com/caddy-threepid/caddy-threepid/caddymodule/guest"
	"github.com/caddy-threepid/caddy-threepid/handlers/pages"
	"github.com/caddy-threepid/caddy-threepid/internal/feedback"
	"github.com/caddy-threepid/caddy-threepid/internal/mail"
	"github.com/caddy-threepid/caddy-threepid/internal/outbox"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

func (i *Instance) mailSender() *outbox.MailSender {
	publicURL := i.cfg.HTTP.PublicURL
	return &outbox.MailSender{
		From: i.cfg.Mailer.From(), Transport: posting{i.cfg.Mailer}, Templates: i.cfg.Words, Keys: i.Keys,
		Link: func(sid threepid.SID, token threepid.Token) string { return pages.Link(publicURL, sid, token) },
		Page: func(sid threepid.SID) string { return pages.Link(publicURL, sid, "") },
		Refuse: func(sid threepid.SID, refusal threepid.RefusalToken) string {
			return pages.RefuseLink(publicURL, sid, refusal)
		},
		Bounce: i.bounce(),
		Tag:    i.providerTag(),
	}
}

// signerOf is what a mailer has its mail signed with, or nil.
func signerOf(m guest.Mailer) *mail.DKIM {
	signing, ok := m.(guest.Signer)
	if !ok {
		return nil
	}
	k := signing.Signer()
	if k == nil {
		return nil
	}
	return &mail.DKIM{Domain: k.Domain, Selector: k.Selector, Signer: k.Key}
}

// providerTag makes the tag for mail services that do not hand back the sender
// in the envelope.
func (i *Instance) providerTag() func(verification.Message) string {
	if !i.cfg.Feedback.postmark() && i.cfg.Feedback.SendGrid == "" {
		return nil
	}
	tags := feedback.NewTags(i.Keys)
	return func(m verification.Message) string {
		tag, _ := tags.Make(m.SID) // a sample has none
		return tag
	}
}

// bounce makes the envelope sender of each message, if bounces have a place to
// come back to.
func (i *Instance) bounce() func(verification.Message) string {
	verp := i.cfg.Feedback.VERP
	if verp == (feedback.VERP{}) {
		return nil
	}
	tags := feedback.NewTags(i.Keys)
	return func(m verification.Message) string {
		tag, err := tags.Make(m.SID)
		if err != nil {
			return verp.Prefix + "@" + verp.Domain // a sample
		}
		return verp.Address(tag)
	}
}
