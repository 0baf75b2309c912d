// SPDX-License-Identifier: Apache-2.0

package httpsms

import (
	"slices"
	"strconv"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/internal/config"
	"github.com/caddy-threepid/caddy-threepid/internal/sms"
)

// reasonWords are what a refusal may mean.
var reasonWords = []string{sms.ReasonRejected, sms.ReasonAuth, sms.ReasonCredit, sms.ReasonRate, sms.ReasonGateway}

// UnmarshalCaddyfile sets up the sender from Caddyfile tokens. Syntax:
//
//	http [<preset>] {
//		account         <name>
//		secret          <secret>
//		option          <name> <value>
//		url             <url>
//		method          <method>
//		header          <name> <value>
//		form            <field> <value>
//		query           <field> <value>
//		json            <document>
//		text            <text>
//		basic_auth      <user> <password>
//		bearer          <token>
//		unicode         <word> <word-for-other>
//		success         <status...> {
//			json   <pointer> [<value...>]
//			prefix <text...>
//		}
//		refusal         <reason> <status...> {
//			json   <pointer> [<value...>]
//			prefix <text...>
//		}
//		message_id      json <pointer> | header <name>
//		receipts        [json|parameter <pointer-or-name>] {
//			arrived          <word...>
//			undelivered      <word...>
//			secret           <secret>
//			signature_header <name>
//			basic_auth       <user> <password>
//		}
//		timeout         <duration>
//		ca_file         <file>
//		allow_plaintext on|off
//	}
func (m *Gateway) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the module's name
	args := d.RemainingArgs()
	if len(args) > 1 {
		return config.ErrArgs
	}
	if len(args) == 1 {
		m.Preset = args[0]
	}
	described := config.Options{
		"method":     config.OneArg(d, &m.Method),
		"header":     func() error { return m.readHeader(d) },
		"form":       func() error { return readField(d, &m.Form) },
		"query":      func() error { return readField(d, &m.Query) },
		"json":       config.OneArg(d, &m.JSON),
		"text":       config.OneArg(d, &m.Text),
		"basic_auth": func() error { return m.readBasic(d) },
		"bearer":     config.OneArg(d, &m.Bearer),
		"unicode":    config.ManyArgs(d, &m.UnicodeWords),
		"success": func() error {
			m.Success = new(Match)
			return m.Success.read(d, d.RemainingArgs())
		},
		"refusal":    func() error { return m.readRefusal(d) },
		"message_id": func() error { return m.readMessageID(d) },
	}
	all := config.Options{
		"receipts":        func() error { return m.readReceipts(d) },
		"account":         config.OneArg(d, &m.Account),
		"secret":          config.OneArg(d, &m.Secret),
		"option":          func() error { return m.readOption(d) },
		"url":             config.OneArg(d, &m.URL),
		"timeout":         config.OneDuration(d, &m.Timeout),
		"ca_file":         config.OneArg(d, &m.CAFile),
		"allow_plaintext": config.OnOff(d, &m.AllowPlaintext),
	}
	for name, read := range described {
		all[name] = func() error {
			if m.Preset != "" {
				return d.Errf("option '%s' is for gateways without a preset", name)
			}
			return read()
		}
	}
	return config.ReadBlock(d, d.Nesting(), all)
}

func (m *Gateway) readOption(d *caddyfile.Dispenser) error {
	var name, value string
	if !d.AllArgs(&name, &value) {
		return config.ErrArgs
	}
	if m.Options == nil {
		m.Options = map[string]string{}
	}
	if _, twice := m.Options[name]; twice {
		return d.Errf("option '%s' is given twice", name)
	}
	m.Options[name] = value
	return nil
}

func (m *Gateway) readHeader(d *caddyfile.Dispenser) error {
	var name, value string
	if !d.AllArgs(&name, &value) {
		return config.ErrArgs
	}
	if m.Headers == nil {
		m.Headers = map[string][]string{}
	}
	m.Headers[name] = append(m.Headers[name], value)
	return nil
}

func readField(d *caddyfile.Dispenser, to *[]Field) error {
	var f Field
	if !d.AllArgs(&f.Name, &f.Value) {
		return config.ErrArgs
	}
	*to = append(*to, f)
	return nil
}

func (m *Gateway) readBasic(d *caddyfile.Dispenser) error {
	m.Basic = new(Credentials)
	if !d.AllArgs(&m.Basic.Username, &m.Basic.Password) {
		return config.ErrArgs
	}
	return nil
}

// read reads statuses, and the block that follows them.
func (m *Match) read(d *caddyfile.Dispenser, statuses []string) error {
	for _, s := range statuses {
		status, err := strconv.Atoi(s)
		if err != nil || status < 200 || status > 599 {
			return d.Errf("status %s: must be a number from 200 to 599", s)
		}
		m.Statuses = append(m.Statuses, status)
	}
	return config.ReadBlock(d, d.Nesting(), config.Options{
		"json": func() error {
			args := d.RemainingArgs()
			if len(args) == 0 {
				return config.ErrArgs
			}
			m.Pointer, m.Values = args[0], args[1:]
			return nil
		},
		"prefix": config.ManyArgs(d, &m.Prefixes),
	})
}

func (m *Gateway) readRefusal(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) == 0 {
		return config.ErrArgs
	}
	if !slices.Contains(reasonWords, args[0]) {
		return d.WrapErr(config.WordError("refusal", args[0], reasonWords))
	}
	r := Refusal{Reason: args[0]}
	if err := r.read(d, args[1:]); err != nil {
		return err
	}
	m.Refusals = append(m.Refusals, r)
	return nil
}

func (m *Gateway) readMessageID(d *caddyfile.Dispenser) error {
	var where, what string
	if !d.AllArgs(&where, &what) {
		return config.ErrArgs
	}
	switch where {
	case "json":
		m.MessageID = what
	case "header":
		m.MessageIDHeader = what
	default:
		return d.WrapErr(config.WordError("message_id", where, []string{"json", "header"}))
	}
	return nil
}

// readReceipts reads where the state stands, unless a preset knows, and a block.
func (m *Gateway) readReceipts(d *caddyfile.Dispenser) error {
	r := new(Receipts)
	m.Receipts = r
	opts := config.Options{
		"secret": config.OneArg(d, &r.Secret),
		"basic_auth": func() error {
			r.Basic = new(Credentials)
			if !d.AllArgs(&r.Basic.Username, &r.Basic.Password) {
				return config.ErrArgs
			}
			return nil
		},
	}
	if m.Preset != "" {
		if d.NextArg() {
			return d.Errf("receipts: takes a block and nothing else where there is a preset, not '%s'", d.Val())
		}
		return config.ReadBlock(d, d.Nesting(), opts)
	}
	var where, what string
	if !d.AllArgs(&where, &what) {
		return config.ErrArgs
	}
	if !slices.Contains(receiptPlaces, where) {
		return d.WrapErr(config.WordError("receipts", where, receiptPlaces))
	}
	r.State = where + ":" + what
	opts["arrived"] = config.ManyArgs(d, &r.Arrived)
	opts["undelivered"] = config.ManyArgs(d, &r.Undelivered)
	opts["signature_header"] = config.OneArg(d, &r.SignatureHeader)
	return config.ReadBlock(d, d.Nesting(), opts)
}

// receiptPlaces are where a receipt may say its state.
var receiptPlaces = []string{"json", "parameter"}

// Interface guard
var _ caddyfile.Unmarshaler = (*Gateway)(nil)
