// SPDX-License-Identifier: Apache-2.0

package httpsms

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/internal/config"
	"github.com/caddy-threepid/caddy-threepid/internal/sms"
)

// resolvePreset is for a gateway that is known by name.
func (m *Gateway) resolvePreset(e *config.Expander) error {
	name := e.Text("preset", m.Preset)
	vendor, ok := sms.Vendors[name]
	if !ok {
		return fmt.Errorf("%s: there is no such preset; there are %s", name, strings.Join(slices.Sorted(maps.Keys(sms.Vendors)), ", "))
	}
	if err := m.onlyPreset(); err != nil {
		return err
	}
	opts := sms.PresetOptions{
		Account: e.Text("account", m.Account), Secret: e.Text("secret", m.Secret), URL: e.Text("url", m.URL), Extra: map[string]string{},
	}
	for option, value := range m.Options {
		opts.Extra[option] = e.Text("option "+option, value)
	}
	if e.Failed() && !e.Draft {
		return nil
	}
	var err error
	if m.config, err = vendor.Request(opts); err != nil {
		return err
	}
	receipts := m.Receipts.options(e)
	if vendor.ReceiptSecret != nil {
		receipts.Secret = cmp.Or(receipts.Secret, vendor.ReceiptSecret(opts))
	}
	if m.reader, err = vendor.Receipts(receipts); err != nil {
		return fmt.Errorf("receipts: %w", err)
	}
	m.verified = receipts.Secret != "" || receipts.User != ""
	return nil
}

// onlyPreset refuses a description beside a preset.
func (m *Gateway) onlyPreset() error {
	described := m.Method != "" || m.Headers != nil || m.Form != nil || m.Query != nil || m.JSON != "" || m.Text != "" || m.Basic != nil ||
		m.Bearer != "" || m.UnicodeWords != nil || m.Success != nil || m.Refusals != nil || m.MessageID != "" || m.MessageIDHeader != ""
	if described {
		return errors.New("preset: needs no description of the request and the answer; leave one of them out")
	}
	return nil
}

// options are the parts of it that presets have, too.
func (r *Receipts) options(e *config.Expander) sms.ReceiptOptions {
	if r == nil {
		return sms.ReceiptOptions{}
	}
	o := sms.ReceiptOptions{Secret: e.Text("receipts secret", r.Secret)}
	if r.Basic != nil {
		o.User, o.Password = e.Text("receipts basic_auth", r.Basic.Username), e.Text("receipts basic_auth", r.Basic.Password)
	}
	return o
}

// reader reads receipts that are described.
func (r *Receipts) reader(e *config.Expander) (sms.ReceiptReader, error) {
	opts := r.options(e)
	where, what, _ := strings.Cut(r.State, ":")
	cfg := sms.ReceiptConfig{Arrived: r.Arrived, Undelivered: r.Undelivered, SignatureHeader: r.SignatureHeader}
	switch where {
	case "json":
		cfg.State.Pointer = what
	case "parameter":
		cfg.State.Parameter = what
	default:
		return nil, config.WordError("receipts", where, receiptPlaces)
	}
	reader, err := sms.NewReceipts(cfg, opts)
	if err != nil {
		return nil, fmt.Errorf("receipts: %w", err)
	}
	return reader, nil
}
