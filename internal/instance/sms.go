// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"go.uber.org/zap"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/guest"
	"github.com/caddy-threepid/caddy-threepid/internal/failover"
	"github.com/caddy-threepid/caddy-threepid/internal/outbox"
	"github.com/caddy-threepid/caddy-threepid/internal/phone"
	"github.com/caddy-threepid/caddy-threepid/internal/sms"
	"github.com/caddy-threepid/caddy-threepid/internal/smsfraud"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// phones is what verifies phone numbers, over an open store.
type phones struct {
	router *sms.Router
	shield *smsfraud.Shield
	sender *outbox.SMSSender
	guard  *phoneGuard
}

// ErrNoSMS says that there are no phone numbers.
var ErrNoSMS = errors.New("phone numbers are not verified: the configuration has no sms block")

// CheckRoutes refuses routes and senders that are not for each other.
func (c *Config) CheckRoutes() error {
	_, err := sms.NewRouter(c.routing(nil, nil))
	return err
}

// routing is the configuration of a router.
func (c *Config) routing(charge func(context.Context, sms.Message) error, changed func(failover.Status)) sms.RouterConfig {
	gateways := map[string]sms.Gateway{}
	for name, gateway := range c.Gateways {
		gateways[name] = reporting{gateway, c.receiptURL(name, gateway)}
	}
	return sms.RouterConfig{
		Gateways: gateways, Routes: c.SMS.Routes, Originators: sms.Originators{sms.AnyGateway: c.SMS.Originators}, Charge: charge,
		Breaker: failover.Config{OnChange: changed},
	}
}

// gatewayChanged tells when a gateway comes to be left alone, or is used again.
func (i *Instance) gatewayChanged(s failover.Status) {
	fields := []zap.Field{zap.String("sender", s.Name), zap.String("state", s.State), zap.String("last_error", s.LastError)}
	if s.State == failover.Open {
		i.logger.Error("an sms sender is out of order and left alone for a while", append(fields, zap.Time("until", s.RetryAt))...)
		return
	}
	i.logger.Info("an sms sender is tried again", fields...)
}

// reporting is a guest as a router has it, which is told where to report.
type reporting struct {
	gateway guest.SMSGateway
	url     string // without the tag; or empty
}

func (g reporting) Send(ctx context.Context, m sms.Message) (sms.Accepted, error) {
	if err := outbox.Begin(ctx); err != nil { // it may have waited for a place, or for another gateway
		return sms.Accepted{}, &sms.SendError{Reason: sms.ReasonInterrupted, Again: true, Err: err}
	}
	if g.url != "" && m.Tag != "" {
		m.ReceiptURL = g.url + "?" + url.Values{"tag": {m.Tag}}.Encode()
	}
	var id string
	err := sent(func() (err error) {
		id, err = g.gateway.Send(ctx, guest.SMS{
			ID: m.ID, To: m.To, From: m.From, Text: m.Text, Unicode: m.Unicode, Segments: m.Segments, Repeat: m.Repeat, ReceiptURL: m.ReceiptURL,
		})
		return err
	})
	return sms.Accepted{ID: id}, smsError(err)
}

// smsError is what a guest's error says in the words of package sms.
func smsError(err error) error {
	failed, ok := errors.AsType[*guest.SendError](err)
	if !ok {
		return err
	}
	return &sms.SendError{Reason: failed.Reason, Again: failed.Again, Unsure: failed.Unsure, Fault: failed.Fault, Wait: failed.Wait, Err: failed.Err}
}

// receiptURL is where a gateway reports, if it does.
func (c *Config) receiptURL(name string, gateway guest.SMSGateway) string {
	r, ok := gateway.(guest.SMSReporter)
	if !ok || r.ReceiptReader() == nil {
		return ""
	}
	address := c.HTTP.PublicURL + ReceiptPath + name
	if limit := r.MaxReceiptURL(); limit > 0 && len(address)+len("?tag=")+longestTag > limit {
		return ""
	}
	return address
}

// assemblePhones makes what verifies phone numbers.
func (i *Instance) assemblePhones() error {
	if i.cfg.SMS == nil {
		return nil
	}
	fraud := i.cfg.SMS.Fraud
	fraud.Store, fraud.Keys, fraud.Observer = i.Store, i.Keys, &fraudObserver{i.logger}
	shield, err := smsfraud.New(fraud)
	if err != nil {
		return fmt.Errorf("sms: %w", err)
	}
	guard := &phoneGuard{shield: shield, client: i.cfg.HTTP.Audience.ClientAddr, logger: i.logger}
	router, err := sms.NewRouter(i.cfg.routing(guard.charge, i.gatewayChanged))
	if err != nil {
		return fmt.Errorf("sms: %w", err)
	}
	guard.sender = &outbox.SMSSender{
		Transport: router, Templates: i.cfg.Words, Keys: i.Keys, Region: phone.RegionOf,
		Tag: func(m verification.Message) string { return receiptTag(i.Keys, m.ID) },
	}
	i.phones = &phones{router: router, shield: shield, sender: guard.sender, guard: guard}
	return nil
}
