// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-threepid/caddy-threepid/guest"
	"github.com/caddy-threepid/caddy-threepid/internal/failover"
	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/outbox"
	"github.com/caddy-threepid/caddy-threepid/internal/sms"
	"github.com/caddy-threepid/caddy-threepid/internal/smsfraud"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// phoneService is what verifies phone numbers, over an open store.
type phoneService struct {
	router *sms.Router
	shield *smsfraud.Shield
	sender *outbox.SMSSender
	guard  *phoneGuard
}

// loadGateways loads the guest modules.
func (a *App) loadGateways(ctx caddy.Context) error {
	if a.SMS == nil || len(a.SMS.SendersRaw) == 0 {
		return nil
	}
	mods, err := ctx.LoadModule(a.SMS, "SendersRaw")
	if err != nil {
		return fmt.Errorf("sms sender: %w", err)
	}
	a.gateways = map[string]guest.SMSGateway{}
	for name, mod := range mods.(map[string]any) {
		gateway, ok := mod.(guest.SMSGateway)
		if !ok {
			return fmt.Errorf("sms sender %s: module %T is not a sender", name, mod)
		}
		a.gateways[name] = gateway
	}
	return nil
}

// routing is the configuration of a router.
func (a *App) routing(charge func(context.Context, sms.Message) error) sms.RouterConfig {
	s := a.settings.sms
	gateways := map[string]sms.Gateway{}
	for name, gateway := range a.gateways {
		gateways[name] = reporting{gateway, a.receiptURL(name, gateway)}
	}
	return sms.RouterConfig{
		Gateways: gateways, Routes: s.routes, Originators: sms.Originators{sms.AnyGateway: s.originators}, Charge: charge,
		OnChange: a.gatewayChanged,
	}
}

// gatewayChanged tells when a gateway comes to be left alone, or is used again.
func (a *App) gatewayChanged(s sms.GatewayStatus) {
	fields := []zap.Field{zap.String("sender", s.Name), zap.String("state", s.State), zap.String("last_error", s.LastError)}
	if s.State == failover.Open {
		a.logger.Error("an sms sender is out of order and left alone for a while", append(fields, zap.Time("until", s.RetryAt))...)
		return
	}
	a.logger.Info("an sms sender is tried again", fields...)
}

// gatewayStates are how gateways have fared.
func gatewayStates(list []sms.GatewayStatus) []RelayState {
	states := make([]RelayState, 0, len(list))
	for _, s := range list {
		states = append(states, RelayState{
			Name: s.Name, State: s.State, Failing: s.LastErrorAt.After(s.LastSuccess), Uncertain: s.Unsure, LastError: s.LastError, Sent: s.Sent, Refused: s.Refused, Failed: s.Failed, InFlight: s.InFlight,
			RetryAt: known(s.RetryAt), LastErrorAt: known(s.LastErrorAt), LastSuccess: known(s.LastSuccess),
		})
	}
	return states
}

// reporting is a guest as a router has it, which is told where to report.
type reporting struct {
	gateway guest.SMSGateway
	url     string // without the tag; or empty
}

// Send implements sms.Gateway.
func (g reporting) Send(ctx context.Context, m sms.Message) (sms.Accepted, error) {
	if g.url != "" && m.Tag != "" {
		m.ReceiptURL = g.url + "?" + url.Values{"tag": {m.Tag}}.Encode()
	}
	id, err := g.gateway.Send(ctx, guest.SMS{
		ID: m.ID, To: m.To, From: m.From, Text: m.Text, Unicode: m.Unicode, Segments: m.Segments, Repeat: m.Repeat, ReceiptURL: m.ReceiptURL,
	})
	return sms.Accepted{ID: id}, smsError(err)
}

// smsError is an error of a guest in the words of package sms.
func smsError(err error) error {
	failed, ok := errors.AsType[*guest.SendError](err)
	if !ok {
		return err
	}
	reason := failed.Reason
	if !slices.Contains(smsReasons, reason) {
		reason = sms.ReasonGateway
	}
	return &sms.SendError{Reason: reason, Again: failed.Again, Unsure: failed.Unsure, Fault: failed.Fault, Wait: failed.Wait, Err: failed.Err}
}

// smsReasons are the words that a guest may have for a failure.
var smsReasons = []string{
	guest.ReasonUnreachable, guest.ReasonTimeout, guest.ReasonAuth, guest.ReasonCredit, guest.ReasonRate, guest.ReasonGateway, guest.ReasonRejected,
}

// receiptURL is where a gateway reports, if it does.
func (a *App) receiptURL(name string, gateway guest.SMSGateway) string {
	r, ok := gateway.(guest.SMSReporter)
	if !ok || r.ReceiptReader() == nil {
		return ""
	}
	address := a.settings.http.PublicURL + ReceiptPath + name
	if limit := r.MaxReceiptURL(); limit > 0 && len(address)+len("?tag=")+longestTag > limit {
		return ""
	}
	return address
}

// longestTag is that of the thousandth message of a session.
const longestTag = tagMAC + 32 + len(".999")

// startGateways does the I/O that gateways need before they can send.
func (a *App) startGateways() error {
	for _, name := range slices.Sorted(maps.Keys(a.gateways)) {
		if s, ok := a.gateways[name].(guest.Starter); ok {
			if err := s.Start(); err != nil {
				return fmt.Errorf("start sms sender %s: %w", name, err)
			}
		}
	}
	return nil
}

// assemblePhones makes what verifies phone numbers.
func (a *App) assemblePhones(rt *runtime) error {
	if a.settings.sms == nil {
		return nil
	}
	cfg := a.settings.sms.shield
	cfg.Store, cfg.Keys, cfg.Observer = rt.store, rt.keys, &shieldObserver{a.logger}
	guarding, err := smsfraud.New(cfg)
	if err != nil {
		return fmt.Errorf("sms: %w", err)
	}
	guard := &phoneGuard{shield: guarding, logger: a.logger}
	router, err := sms.NewRouter(a.routing(guard.charge))
	if err != nil {
		return fmt.Errorf("sms: %w", err)
	}
	guard.sender = &outbox.SMSSender{
		Transport: router, Templates: a.settings.templates, Keys: rt.keys, Region: regionOf,
		Tag: func(m verification.Message) string { return receiptTag(rt.keys, m.ID) },
	}
	rt.phones = &phoneService{router: router, shield: guarding, sender: guard.sender, guard: guard}
	return nil
}

// tagMAC is how much of a keyed hash a tag has, in characters: 66 bits.
const tagMAC = 11

// receiptTag is what a receipt for a message is known by: the message's id, and
// a MAC. The id alone would not do: the client knows half of it and guesses the
// rest.
func receiptTag(keys *keyring.Ring, messageID string) string {
	return keys.HashText("sms receipt", messageID)[:tagMAC] + messageID
}

// messageOf undoes receiptTag, for a tag that was made with any of the keys.
func messageOf(keys *keyring.Ring, tag string) (id string, ok bool) {
	if len(tag) <= tagMAC {
		return "", false
	}
	id = tag[tagMAC:]
	for _, sum := range keys.HashTexts("sms receipt", id) {
		if subtle.ConstantTimeCompare([]byte(tag[:tagMAC]), []byte(sum[:tagMAC])) == 1 {
			ok = true
		}
	}
	return id, ok
}
