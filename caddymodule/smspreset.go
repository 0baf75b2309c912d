// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddy-threepid/caddy-threepid/internal/delivery/sms"
)

// provisionPreset is for a gateway that is known by name.
func (m *HTTPSMS) provisionPreset(e *expander) error {
	name := e.text("preset", m.Preset)
	describe, ok := sms.Presets[name]
	if !ok {
		return wordError("the preset", name, slices.Sorted(maps.Keys(sms.Presets)))
	}
	if err := m.onlyPreset(); err != nil {
		return err
	}
	opts := sms.PresetOptions{
		Account: e.text("account", m.Account), Secret: e.text("secret", m.Secret), URL: e.text("url", m.URL), Extra: map[string]string{},
	}
	for option, value := range m.Options {
		opts.Extra[option] = e.text("option", value)
	}
	if err := e.err(); err != nil {
		return err
	}
	var err error
	if m.config, err = describe(opts); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	receipts, err := m.Receipts.options(e)
	if name == "twilio" && m.Options["api_key"] == "" {
		receipts.Secret = cmp.Or(receipts.Secret, opts.Secret) // it signs with the auth token
	}
	if err == nil {
		m.reader, err = sms.Receipts[name](receipts)
	}
	if err != nil {
		return fmt.Errorf("%s: receipts: %w", name, err)
	}
	m.verified = receipts.Secret != "" || receipts.User != ""
	return nil
}

// onlyPreset refuses a description beside a preset.
func (m *HTTPSMS) onlyPreset() error {
	described := m.Method != "" || m.Headers != nil || m.Form != nil || m.Query != nil || m.JSON != "" || m.Text != "" || m.Basic != nil ||
		m.Bearer != "" || m.UnicodeWords != nil || m.Success != nil || m.Refusals != nil || m.MessageID != "" || m.MessageIDHeader != ""
	if described {
		return errors.New("a preset needs no description of the request and the answer")
	}
	return nil
}

// options are the parts of it that presets have, too.
func (r *SMSReceipts) options(e *expander) (sms.ReceiptOptions, error) {
	if r == nil {
		return sms.ReceiptOptions{}, nil
	}
	o := sms.ReceiptOptions{Secret: e.text("receipts secret", r.Secret)}
	if r.Basic != nil {
		o.User, o.Password = e.text("receipts basic_auth", r.Basic.Username), e.text("receipts basic_auth", r.Basic.Password)
	}
	return o, e.err()
}

// reader reads receipts that are described.
func (r *SMSReceipts) reader(e *expander) (sms.ReceiptReader, error) {
	opts, err := r.options(e)
	if err != nil {
		return nil, err
	}
	where, what, _ := strings.Cut(r.State, ":")
	cfg := sms.ReceiptConfig{Arrived: r.Arrived, Undelivered: r.Undelivered, SignatureHeader: r.SignatureHeader}
	switch where {
	case "json":
		cfg.State.Pointer = what
	case "parameter":
		cfg.State.Parameter = what
	default:
		return nil, wordError("receipts", where, receiptPlaces)
	}
	reader, err := sms.NewReceipts(cfg, opts)
	if err != nil {
		return nil, fmt.Errorf("receipts: %w", err)
	}
	return reader, nil
}
