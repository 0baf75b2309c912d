// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-threepid/caddy-threepid/internal/feedback"
	"github.com/caddy-threepid/caddy-threepid/internal/feedback/lmtp"
	"github.com/caddy-threepid/caddy-threepid/internal/feedback/webhook"
	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// FeedbackPath is where webhooks are taken.
const FeedbackPath = "/_threepid/feedback/"

// Check makes the handlers of the providers once, to see if they can be.
func (f Feedback) Check() error {
	_, err := f.webhooks(new(feedback.Intake), unopened{}, new(keyring.Ring))
	return err
}

// sink writes feedback down with the session that it is about.
type sink struct{ service *verification.Service }

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
func (i *Instance) assembleFeedback() error {
	var err error
	if i.Suppression, err = feedback.NewSuppression(feedback.SuppressionConfig{Store: i.Store, Keys: i.Keys}); err != nil {
		return err
	}
	i.tags = feedback.NewTags(i.Keys)
	i.intake, err = feedback.NewIntake(feedback.IntakeConfig{
		Sink: sink{i.Service}, Suppress: i.Suppression, ByTag: i.target,
		Observe: func(kind, provider, outcome string) {
			feedbackTotal.WithLabelValues(provider, kind, outcome).Inc()
		},
	})
	if err != nil {
		return err
	}
	if i.webhooks, err = i.cfg.Feedback.webhooks(i.intake, i.Store, i.Keys); err != nil {
		return err
	}
	i.assembleReceipts()
	return nil
}

// target finds the session of a tag.
func (i *Instance) target(ctx context.Context, tag string) (feedback.Target, bool, error) {
	sid, ok := i.tags.Check(tag)
	if !ok {
		return feedback.Target{}, false, nil
	}
	_, addr, err := i.Service.Recipient(ctx, sid)
	if errors.Is(err, verification.ErrNoSession) || errors.Is(err, verification.ErrExpired) {
		return feedback.Target{SID: sid}, true, nil // genuine, and too late
	}
	return feedback.Target{SID: sid, Address: addr}, err == nil, err
}

// webhooks makes the handlers of the providers that are configured, by their names.
func (f Feedback) webhooks(intake *feedback.Intake, s store.Store, keys *keyring.Ring) (map[string]http.Handler, error) {
	made := map[string]http.Handler{}
	var errs []error
	add := func(name string, h http.Handler, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
		made[name] = h
	}
	if len(f.SES) > 0 {
		h, err := webhook.NewSES(webhook.SESConfig{Topics: f.SES, Fetch: fetchSNS, Receiver: intake, VERP: f.VERP})
		add("ses", h, err)
	}
	if f.postmark() {
		h, err := webhook.NewPostmark(webhook.PostmarkConfig{Username: f.PostmarkUser, Password: f.PostmarkPassword, Receiver: intake})
		add("postmark", h, err)
	}
	if f.Mailgun != "" {
		h, err := webhook.NewMailgun(webhook.MailgunConfig{Key: f.Mailgun, Guard: feedback.NewReplayGuard(s, keys), Receiver: intake, VERP: f.VERP})
		add("mailgun", h, err)
	}
	if f.SendGrid != "" {
		h, err := webhook.NewSendGrid(webhook.SendGridConfig{PublicKey: f.SendGrid, Receiver: intake})
		add("sendgrid", h, err)
	}
	return made, errors.Join(errs...)
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

// startLMTP takes bounces from a mail server on this machine.
func (i *Instance) startLMTP() error {
	if i.cfg.Feedback.Listen == nil {
		return nil
	}
	server, err := lmtp.New(lmtp.Config{VERP: i.cfg.Feedback.VERP, Tag: i.tags.Check, Receiver: i.intake})
	if err != nil {
		return fmt.Errorf("feedback lmtp: %w", err)
	}
	ln, err := i.cfg.Feedback.Listen()
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("feedback lmtp: %w: make the folder of the socket before Caddy starts (systemd: RuntimeDirectory=)", err)
	}
	if err != nil {
		return fmt.Errorf("feedback lmtp: %w", err)
	}
	i.lmtp = server
	go func() {
		if err := server.Serve(ln); err != nil && !errors.Is(err, lmtp.ErrClosed) {
			i.logger.Error("lmtp ended", zap.Error(err))
		}
	}()
	return nil
}
