// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/internal/config"
	"github.com/caddy-threepid/caddy-threepid/internal/feedback"
	"github.com/caddy-threepid/caddy-threepid/internal/feedback/lmtp"
	"github.com/caddy-threepid/caddy-threepid/internal/feedback/webhook"
	"github.com/caddy-threepid/caddy-threepid/internal/input"
	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
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

// FeedbackPath is where webhooks are taken.
const FeedbackPath = "/_threepid/feedback/"

// loop is the feedback of one configuration, resolved.
type loop struct {
	verp     feedback.VERP
	listen   string
	ses      []string
	postmark Credentials
	mailgun  string
	sendgrid string
}

// resolve expands the options and checks them.
func (f *Feedback) resolve(e *config.Expander) (l loop) {
	if f == nil {
		return l
	}
	l = loop{listen: e.Text("lmtp", f.LMTP), ses: e.List("ses", f.SES), mailgun: e.Text("mailgun", f.Mailgun), sendgrid: e.Text("sendgrid", f.SendGrid)}
	if f.Postmark != nil {
		l.postmark = Credentials{e.Text("postmark", f.Postmark.Username), e.Text("postmark", f.Postmark.Password)}
	}
	if bounces := input.Address(e.Text("bounces", f.Bounces)); bounces != "" {
		prefix, domain, _ := strings.Cut(bounces, "@")
		verp, err := feedback.NewVERP(prefix, domain)
		if err != nil {
			e.Failf("bounces: %w; write it like bounces@example.org", err)
		}
		l.verp = verp
	}
	if f.LMTP != "" && f.Bounces == "" {
		e.Failf("lmtp: needs the address that bounces come back to; write: bounces bounces@example.org")
	}
	if l.listen != "" {
		if err := checkLMTP(l.listen, e.Draft); err != nil {
			e.Failf("lmtp %s: %w", l.listen, err)
		}
	}
	l.check(e)
	return l
}

// check makes the handlers of the providers once, to see if they can be.
func (l loop) check(e *config.Expander) {
	rt := &runtime{intake: new(feedback.Intake), store: &sharedStore{Store: unopened{}}, keys: new(keyring.Ring)}
	e.Fail(l.assembleWebhooks(rt))
}

// sink writes feedback down with the session that it is about.
type sink struct{ service *verification.Service }

// Delivered implements feedback.Sink.
func (s sink) Delivered(ctx context.Context, sid string, r feedback.Report) error {
	var state verification.DeliveryState
	switch {
	case r.Kind == feedback.Complaint:
		state = verification.Complained
	case r.Kind == feedback.Bounce && r.Permanent:
		state = verification.Bounced
	default:
		return nil // what the relay said is still true
	}
	err := s.service.NoteFeedback(ctx, sid, state)
	if errors.Is(err, verification.ErrNoSession) || errors.Is(err, verification.ErrExpired) {
		return nil
	}
	return err
}

// assembleFeedback makes what takes feedback in. The suppression list is there
// in any case: an operator may put an address on it.
func (a *App) assembleFeedback(rt *runtime) error {
	var err error
	if rt.suppression, err = feedback.NewSuppression(feedback.SuppressionConfig{Store: rt.store, Keys: rt.keys}); err != nil {
		return err
	}
	rt.tags = feedback.NewTags(rt.keys)
	rt.intake, err = feedback.NewIntake(feedback.IntakeConfig{
		Sink: sink{rt.service}, Suppress: rt.suppression,
		ByTag: func(ctx context.Context, tag string) (feedback.Target, bool, error) { return rt.target(ctx, tag) },
		Observe: func(kind, provider, outcome string) {
			feedbackTotal.WithLabelValues(provider, kind, outcome).Inc()
		},
	})
	if err != nil {
		return err
	}
	if err := a.settings.feedback.assembleWebhooks(rt); err != nil {
		return err
	}
	a.assembleReceipts(rt)
	return nil
}

// target finds the session of a tag.
func (rt *runtime) target(ctx context.Context, tag string) (feedback.Target, bool, error) {
	sid, ok := rt.tags.Check(tag)
	if !ok {
		return feedback.Target{}, false, nil
	}
	_, addr, err := rt.service.Recipient(ctx, sid)
	if errors.Is(err, verification.ErrNoSession) || errors.Is(err, verification.ErrExpired) {
		return feedback.Target{SID: sid}, true, nil // genuine, and too late
	}
	return feedback.Target{SID: sid, Address: addr}, err == nil, err
}

// assembleWebhooks makes the handlers of the providers that are configured.
func (l loop) assembleWebhooks(rt *runtime) error {
	rt.webhooks = map[string]http.Handler{}
	var errs []error
	add := func(name string, h http.Handler, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
		rt.webhooks[name] = h
	}
	if len(l.ses) > 0 {
		h, err := webhook.NewSES(webhook.SESConfig{Topics: l.ses, Fetch: fetchSNS, Receiver: rt.intake, VERP: l.verp})
		add("ses", h, err)
	}
	if l.postmark != (Credentials{}) {
		h, err := webhook.NewPostmark(webhook.PostmarkConfig{Username: l.postmark.Username, Password: l.postmark.Password, Receiver: rt.intake})
		add("postmark", h, err)
	}
	if l.mailgun != "" {
		h, err := webhook.NewMailgun(webhook.MailgunConfig{Key: l.mailgun, Guard: feedback.NewGuard(rt.store, rt.keys), Receiver: rt.intake, VERP: l.verp})
		add("mailgun", h, err)
	}
	if l.sendgrid != "" {
		h, err := webhook.NewSendGrid(webhook.SendGridConfig{PublicKey: l.sendgrid, Receiver: rt.intake})
		add("sendgrid", h, err)
	}
	return errors.Join(errs...)
}

// snsClient fetches certificates and confirms subscriptions, at hosts that the
// configured topics name.
var snsClient = &http.Client{
	Timeout:       10 * time.Second,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// maxSNS bounds what is fetched, in bytes.
const maxSNS = 64 << 10

func fetchSNS(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("fetch from SNS: %w", err)
	}
	resp, err := snsClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("fetch from SNS: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxSNS+1))
	if err != nil || resp.StatusCode != http.StatusOK || len(raw) > maxSNS {
		return nil, fmt.Errorf("fetch from SNS: got status %d and %d bytes", resp.StatusCode, len(raw))
	}
	return raw, nil
}

// startLMTP takes bounces from a mail server on this machine. The listener is
// Caddy's, so that it stays open across reloads.
func (a *App) startLMTP(rt *runtime) error {
	l := a.settings.feedback
	if l.listen == "" {
		return nil
	}
	addr, err := caddy.ParseNetworkAddress(l.listen)
	if err != nil {
		return fmt.Errorf("feedback lmtp: %w", err)
	}
	server, err := lmtp.New(lmtp.Config{VERP: l.verp, Tag: rt.tags.Check, Receiver: rt.intake})
	if err != nil {
		return fmt.Errorf("feedback lmtp: %w", err)
	}
	ln, err := listen(addr)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("feedback lmtp: %w: make the folder of the socket before Caddy starts (systemd: RuntimeDirectory=)", err)
	}
	if err != nil {
		return fmt.Errorf("feedback lmtp: %w", err)
	}
	rt.lmtp = server
	go func() {
		if err := server.Serve(ln); err != nil && !errors.Is(err, lmtp.ErrClosed) {
			a.logger.Error("lmtp ended", zap.Error(err))
		}
	}()
	return nil
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
