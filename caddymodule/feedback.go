// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/internal/config"
	"github.com/caddy-threepid/caddy-threepid/internal/feedback"
	"github.com/caddy-threepid/caddy-threepid/internal/input"
	"github.com/caddy-threepid/caddy-threepid/internal/instance"
)

// Feedback takes in what became of mails after the relay took them: bounces
// and complaints. What is learnt is shown to the operator and, with `checks off` or
// `reveal_account_existence`, to the person who waits, and an address that does not exist gets no mail for a while.
//
// Webhooks are taken at `/_threepid/feedback/<provider>` of the public site.
type Feedback struct {
	// The address that bounces come back to, like `bounces@example.org`. Every
	// mail then has an envelope sender of its own, `bounces+<tag>@example.org`,
	// by which a bounce is led to its message. Default: that of `from`.
	Bounces string `json:"bounces,omitempty"`

	// Where to take bounces by LMTP from a mail server on this machine: a Unix
	// socket or a loopback address. Needs `bounces`.
	LMTP string `json:"lmtp,omitempty"`

	// The ARNs of the SNS topics that Amazon SES publishes to.
	SES []string `json:"ses,omitempty"`

	// The credentials that Postmark sends with its webhooks (HTTP basic).
	Postmark *Credentials `json:"postmark,omitempty"`

	// The signing key of Mailgun's webhooks. Use a placeholder.
	Mailgun string `json:"mailgun,omitempty"`

	// The public key of SendGrid's signed event webhook, as it is shown there.
	SendGrid string `json:"sendgrid,omitempty"`
}

// Credentials are a user name and a password. Use a placeholder for the latter.
type Credentials struct {
	Username string `json:"username,omitempty"`
	Password string `json:"password,omitempty"`
}

// resolve expands the options and checks them.
func (f *Feedback) resolve(e *config.Expander) (out instance.Feedback) {
	if f == nil {
		return out
	}
	listen := e.Text("lmtp", f.LMTP)
	out = instance.Feedback{SES: e.List("ses", f.SES), Mailgun: e.Text("mailgun", f.Mailgun), SendGrid: e.Text("sendgrid", f.SendGrid)}
	if f.Postmark != nil {
		out.PostmarkUser, out.PostmarkPassword = e.Text("postmark", f.Postmark.Username), e.Text("postmark", f.Postmark.Password)
	}
	if bounces := input.Address(e.Text("bounces", f.Bounces)); bounces != "" {
		prefix, domain, _ := strings.Cut(bounces, "@")
		verp, err := feedback.NewVERP(prefix, domain)
		if err != nil {
			e.Failf("bounces: %w; write it like bounces@example.org", err)
		}
		out.VERP = verp
	}
	if f.LMTP != "" && f.Bounces == "" {
		e.Failf("lmtp: needs the address that bounces come back to; write: bounces bounces@example.org")
	}
	if listen != "" {
		if err := checkLMTP(listen, e.Draft); err != nil {
			e.Failf("lmtp %s: %w", listen, err)
		}
		out.Listen = func() (net.Listener, error) { return listenAt(listen) }
	}
	e.Fail(out.Check())
	return out
}

// readFeedback reads the block of the Caddyfile.
func (a *App) readFeedback(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return config.ErrArgs
	}
	f := new(Feedback)
	a.Feedback = f
	return config.ReadBlock(d, d.Nesting(), config.Options{
		"bounces": config.OneArg(d, &f.Bounces),
		"lmtp":    config.OneArg(d, &f.LMTP),
		"ses":     config.ManyArgs(d, &f.SES),
		"postmark": func() error {
			f.Postmark = new(Credentials)
			if !d.AllArgs(&f.Postmark.Username, &f.Postmark.Password) {
				return config.ErrArgs
			}
			return nil
		},
		"mailgun":  config.OneArg(d, &f.Mailgun),
		"sendgrid": config.OneArg(d, &f.SendGrid),
	})
}
