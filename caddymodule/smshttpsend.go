// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-threepid/caddy-threepid/internal/sms"
)

// Start implements Starter.
func (m *HTTPSMS) Start() error {
	gateway, err := sms.NewHTTP(m.config)
	if err != nil {
		return err
	}
	m.gateway.Store(gateway)
	return nil
}

// Send implements SMSGateway.
func (m *HTTPSMS) Send(ctx context.Context, message sms.Message) (sms.Accepted, error) {
	gateway := m.gateway.Load()
	if gateway == nil {
		return sms.Accepted{}, &sms.SendError{Reason: sms.ReasonInterrupted, Again: true, Err: errNotStarted}
	}
	return gateway.Send(ctx, message)
}

// Cleanup closes the connections that were kept. A message that is being sent
// makes itself a new one.
func (m *HTTPSMS) Cleanup() error {
	if gateway := m.gateway.Load(); gateway != nil {
		return gateway.Close()
	}
	return nil
}

// ReceiptReader implements SMSReporter.
func (m *HTTPSMS) ReceiptReader() sms.ReceiptReader { return m.reader }

// Verified implements SMSReporter.
func (m *HTTPSMS) Verified() bool { return m.verified }

// MaxReceiptURL implements SMSReporter.
func (m *HTTPSMS) MaxReceiptURL() int {
	return sms.Vendors[m.Preset].MaxReceiptURL
}

// Interface guard
var _ caddy.CleanerUpper = (*HTTPSMS)(nil)
