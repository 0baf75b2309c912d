// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"slices"
	"strconv"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

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
func (m *HTTPSMS) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the module's name
	args := d.RemainingArgs()
	if len(args) > 1 {
		return errArgs
	}
	if len(args) == 1 {
		m.Preset = args[0]
	}
	described := options{
		"method":     oneArg(d, &m.Method),
		"header":     func() error { return m.readHeader(d) },
		"form":       func() error { return readField(d, &m.Form) },
		"query":      func() error { return readField(d, &m.Query) },
		"json":       oneArg(d, &m.JSON),
		"text":       oneArg(d, &m.Text),
		"basic_auth": func() error { return m.readBasic(d) },
		"bearer":     oneArg(d, &m.Bearer),
		"unicode":    manyArgs(d, &m.UnicodeWords),
		"success": func() error {
			m.Success = new(SMSMatch)
			return m.Success.read(d, d.RemainingArgs())
		},
		"refusal":    func() error { return m.readRefusal(d) },
		"message_id": func() error { return m.readMessageID(d) },
	}
	all := options{
		"receipts":        func() error { return m.readReceipts(d) },
		"account":         oneArg(d, &m.Account),
		"secret":          oneArg(d, &m.Secret),
		"option":          func() error { return m.readOption(d) },
		"url":             oneArg(d, &m.URL),
		"timeout":         oneDuration(d, &m.Timeout),
		"ca_file":         oneArg(d, &m.CAFile),
		"allow_plaintext": onOff(d, &m.AllowPlaintext),
	}
	for name, read := range described {
		all[name] = func() error {
			if m.Preset != "" {
				return d.Errf("option '%s' is for gateways without a preset", name)
			}
			return read()
		}
	}
	return readBlock(d, d.Nesting(), all)
}

func (m *HTTPSMS) readOption(d *caddyfile.Dispenser) error {
	var name, value string
	if !d.AllArgs(&name, &value) {
		return errArgs
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

func (m *HTTPSMS) readHeader(d *caddyfile.Dispenser) error {
	var name, value string
	if !d.AllArgs(&name, &value) {
		return errArgs
	}
	if m.Headers == nil {
		m.Headers = map[string][]string{}
	}
	m.Headers[name] = append(m.Headers[name], value)
	return nil
}

func readField(d *caddyfile.Dispenser, to *[]SMSField) error {
	var f SMSField
	if !d.AllArgs(&f.Name, &f.Value) {
		return errArgs
	}
	*to = append(*to, f)
	return nil
}

func (m *HTTPSMS) readBasic(d *caddyfile.Dispenser) error {
	m.Basic = new(Credentials)
	if !d.AllArgs(&m.Basic.Username, &m.Basic.Password) {
		return errArgs
	}
	return nil
}

// read reads statuses, and the block that follows them.
func (m *SMSMatch) read(d *caddyfile.Dispenser, statuses []string) error {
	for _, s := range statuses {
		status, err := strconv.Atoi(s)
		if err != nil || status < 200 || status > 599 {
			return d.Errf("status %s: must be a number from 200 to 599", s)
		}
		m.Statuses = append(m.Statuses, status)
	}
	return readBlock(d, d.Nesting(), options{
		"json": func() error {
			args := d.RemainingArgs()
			if len(args) == 0 {
				return errArgs
			}
			m.Pointer, m.Values = args[0], args[1:]
			return nil
		},
		"prefix": manyArgs(d, &m.Prefixes),
	})
}

func (m *HTTPSMS) readRefusal(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) == 0 {
		return errArgs
	}
	if !slices.Contains(reasonWords, args[0]) {
		return d.WrapErr(wordError("refusal", args[0], reasonWords))
	}
	r := SMSRefusal{Reason: args[0]}
	if err := r.read(d, args[1:]); err != nil {
		return err
	}
	m.Refusals = append(m.Refusals, r)
	return nil
}

func (m *HTTPSMS) readMessageID(d *caddyfile.Dispenser) error {
	var where, what string
	if !d.AllArgs(&where, &what) {
		return errArgs
	}
	switch where {
	case "json":
		m.MessageID = what
	case "header":
		m.MessageIDHeader = what
	default:
		return d.WrapErr(wordError("message_id", where, []string{"json", "header"}))
	}
	return nil
}

// readReceipts reads where the state stands, unless a preset knows, and a block.
func (m *HTTPSMS) readReceipts(d *caddyfile.Dispenser) error {
	r := new(SMSReceipts)
	m.Receipts = r
	opts := options{
		"secret": oneArg(d, &r.Secret),
		"basic_auth": func() error {
			r.Basic = new(Credentials)
			if !d.AllArgs(&r.Basic.Username, &r.Basic.Password) {
				return errArgs
			}
			return nil
		},
	}
	if m.Preset != "" {
		if d.NextArg() {
			return d.Errf("receipts: takes a block and nothing else where there is a preset, not '%s'", d.Val())
		}
		return readBlock(d, d.Nesting(), opts)
	}
	var where, what string
	if !d.AllArgs(&where, &what) {
		return errArgs
	}
	if !slices.Contains(receiptPlaces, where) {
		return d.WrapErr(wordError("receipts", where, receiptPlaces))
	}
	r.State = where + ":" + what
	opts["arrived"] = manyArgs(d, &r.Arrived)
	opts["undelivered"] = manyArgs(d, &r.Undelivered)
	opts["signature_header"] = oneArg(d, &r.SignatureHeader)
	return readBlock(d, d.Nesting(), opts)
}

// receiptPlaces are where a receipt may say its state.
var receiptPlaces = []string{"json", "parameter"}

// Interface guard
var _ caddyfile.Unmarshaler = (*HTTPSMS)(nil)
