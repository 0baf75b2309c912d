// SPDX-License-Identifier: Apache-2.0

package httpsms

import (
	"context"
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/guest"
	"github.com/caddy-threepid/caddy-threepid/internal/sms"
)

// errNotStarted does not happen: gateways are started before the outbox.
var errNotStarted = errors.New("sms gateway is not started")

func (m *Gateway) Start() error {
	gateway, err := sms.NewHTTP(m.config)
	if err != nil {
		return err
	}
	m.gateway.Store(gateway)
	return nil
}

func (m *Gateway) Send(ctx context.Context, message guest.SMS) (string, error) {
	gateway := m.gateway.Load()
	if gateway == nil {
		return "", &sms.SendError{Reason: sms.ReasonInterrupted, Again: true, Err: errNotStarted}
	}
	taken, err := gateway.Send(ctx, sms.Message{
		ID: message.ID, To: message.To, From: message.From, Text: message.Text, Unicode: message.Unicode, Segments: message.Segments,
		Repeat: message.Repeat, ReceiptURL: message.ReceiptURL,
	})
	return taken.ID, err
}

// Cleanup closes the connections that were kept. A message that is being sent
// makes itself a new one.
func (m *Gateway) Cleanup() error {
	if gateway := m.gateway.Load(); gateway != nil {
		return gateway.Close()
	}
	return nil
}

func (m *Gateway) ReceiptReader() guest.ReceiptReader {
	if m.reader == nil {
		return nil
	}
	return reading{m.reader}
}

// reading reads receipts in the words of the contract.
type reading struct{ sms.ReceiptReader }

func (r reading) Read(req *http.Request, body []byte, url string) (guest.Receipt, error) {
	receipt, err := r.ReceiptReader.Read(req, body, url)
	if errors.Is(err, sms.ErrForged) {
		return guest.Receipt{}, guest.ErrForged
	}
	read := guest.Receipt{Code: receipt.Code, ReceiptURL: receipt.ReceiptURL}
	switch receipt.State {
	case sms.Arrived:
		read.State = guest.Arrived
	case sms.Undelivered:
		read.State = guest.Undelivered
	default: // of no interest
	}
	return read, err
}

func (m *Gateway) Verified() bool { return m.verified }

func (m *Gateway) MaxReceiptURL() int {
	return sms.Vendors[m.Preset].MaxReceiptURL
}

// Interface guard
var _ caddy.CleanerUpper = (*Gateway)(nil)
