// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddy-threepid/caddy-threepid/internal/sms"
)

// resolvePreset is for a gateway that is known by name.
func (m *HTTPSMS) resolvePreset(e *expander) error {
	name := e.text("preset", m.Preset)
	vendor, ok := sms.Vendors[name]
	if !ok {
		return fmt.Errorf("%s: there is no such preset; there are %s", name, strings.Join(slices.Sorted(maps.Keys(sms.Vendors)), ", "))
	}
	if err := m.onlyPreset(); err != nil {
		return err
	}
	opts := sms.PresetOptions{
		Account: e.text("account", m.Account), Secret: e.text("secret", m.Secret), URL: e.text("url", m.URL), Extra: map[string]string{},
	}
	for option, value := range m.Options {
		opts.Extra[option] = e.text("option "+option, value)
	}
	if e.failed() && !e.draft {
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
func (m *HTTPSMS) onlyPreset() error {
	described := m.Method != "" || m.Headers != nil || m.Form != nil || m.Query != nil || m.JSON != "" || m.Text != "" || m.Basic != nil ||
		m.Bearer != "" || m.UnicodeWords != nil || m.Success != nil || m.Refusals != nil || m.MessageID != "" || m.MessageIDHeader != ""
	if described {
		return errors.New("preset: needs no description of the request and the answer; leave one of them out")
	}
	return nil
}

// options are the parts of it that presets have, too.
func (r *SMSReceipts) options(e *expander) sms.ReceiptOptions {
	if r == nil {
		return sms.ReceiptOptions{}
	}
	o := sms.ReceiptOptions{Secret: e.text("receipts secret", r.Secret)}
	if r.Basic != nil {
		o.User, o.Password = e.text("receipts basic_auth", r.Basic.Username), e.text("receipts basic_auth", r.Basic.Password)
	}
	return o
}

// reader reads receipts that are described.
func (r *SMSReceipts) reader(e *expander) (sms.ReceiptReader, error) {
	opts := r.options(e)
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
