// SPDX-License-Identifier: Apache-2.0

// Package webhook is an SMS gateway that posts JSON, and takes receipts.
package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/guest"
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func init() {
	caddy.RegisterModule(new(Gateway))
}

// Gateway posts each message as a JSON object.
type Gateway struct {
	// Where messages are posted to.
	URL string `json:"url,omitempty"`
	// What authorizes it. Use a placeholder.
	Token string `json:"token,omitempty"`

	url, token string
	client     http.Client
}

// CaddyModule returns the Caddy module information.
func (*Gateway) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "threepid.sms.webhook", New: func() caddy.Module { return new(Gateway) }}
}

// Provision expands placeholders, and calls nobody.
func (g *Gateway) Provision(caddy.Context) (err error) {
	repl := caddy.NewReplacer()
	if g.url, err = repl.ReplaceOrErr(g.URL, true, true); err != nil {
		return err
	}
	if g.url == "" {
		return errors.New("a webhook needs a url")
	}
	g.token, err = repl.ReplaceOrErr(g.Token, true, true)
	return err
}

// Send posts a message. Once there was a connection and there is no answer, it may have been
// sent; before, it was not, and another call is not paid for twice.
func (g *Gateway) Send(ctx context.Context, m guest.SMS) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	body, err := json.Marshal(map[string]string{"id": m.ID, "to": m.To, "from": m.From, "text": m.Text, "receipt": m.ReceiptURL})
	if err != nil {
		return "", err
	}
	var connected atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+g.token)
	resp, err := g.client.Do(req)
	if err != nil { // its text has the URL in it, and no more
		return "", &guest.SendError{Reason: guest.ReasonUnreachable, Again: true, Unsure: connected.Load(), Fault: true, Err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	var taken struct {
		ID string `json:"message_id"`
	}
	switch {
	case resp.StatusCode >= 500:
		return "", &guest.SendError{Reason: guest.ReasonGateway, Again: true, Fault: true}
	case resp.StatusCode == http.StatusUnauthorized, resp.StatusCode == http.StatusForbidden:
		return "", &guest.SendError{Reason: guest.ReasonAuth, Again: true, Fault: true}
	case resp.StatusCode >= 300:
		return "", &guest.SendError{Reason: guest.ReasonRejected}
	}
	_ = json.NewDecoder(resp.Body).Decode(&taken) // without a name it is taken all the same
	return taken.ID, nil
}

// ReceiptReader reads what the gateway says became of messages.
func (g *Gateway) ReceiptReader() guest.ReceiptReader { return receipts{} }

// Verified is false for all, as nothing is signed. The receipt URL, which cannot be guessed, has to do.
func (*Gateway) Verified() bool { return false }

// MaxReceiptURL says that any length will do.
func (*Gateway) MaxReceiptURL() int { return 0 }

type receipts struct{}

// Read reads {"state": "DELIVRD"} or {"state": "UNDELIV"}.
func (receipts) Read(_ *http.Request, body []byte, _ string) (guest.Receipt, error) {
	var said struct {
		State string `json:"state"`
	}
	if err := json.Unmarshal(body, &said); err != nil {
		return guest.Receipt{}, errors.New("the receipt is no JSON object")
	}
	switch said.State {
	case "DELIVRD":
		return guest.Receipt{State: guest.Arrived}, nil
	case "UNDELIV":
		return guest.Receipt{State: guest.Undelivered}, nil
	}
	return guest.Receipt{}, nil
}

// UnmarshalCaddyfile sets up the gateway from Caddyfile tokens.
func (g *Gateway) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the module's name
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		to, ok := map[string]*string{"url": &g.URL, "token": &g.Token}[d.Val()]
		if !ok {
			return d.Errf("there is no option '%s' here", d.Val())
		}
		if !d.AllArgs(to) {
			return d.ArgErr()
		}
	}
	return nil
}

// Interface guards
var (
	_ guest.SMSGateway      = (*Gateway)(nil)
	_ guest.SMSReporter     = (*Gateway)(nil)
	_ caddy.Provisioner     = (*Gateway)(nil)
	_ caddyfile.Unmarshaler = (*Gateway)(nil)
)
