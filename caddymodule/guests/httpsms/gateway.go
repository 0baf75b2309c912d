// SPDX-License-Identifier: Apache-2.0

package httpsms

import (
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/guest"
	"github.com/caddy-threepid/caddy-threepid/caddymodule/internal/config"
	"github.com/caddy-threepid/caddy-threepid/internal/sms"
)

func init() {
	caddy.RegisterModule(new(Gateway))
}

// Gateway hands messages to a gateway that takes HTTP requests: to one of those
// that there is a preset for, or to one that is described here.
//
// These placeholders stand for a message in the URL, in headers and in the
// body, each escaped for where it stands: `{to}` (the number, digits only),
// `{plus_to}`, `{from}`, `{text}`, `{id}` (the same for every try), `{receipt_url}`,
// `{unicode}` and `{segments}`. Of others only `{env.…}` and `{file.…}` are known;
// they are expanded when the configuration is loaded.
type Gateway struct {
	// A gateway whose requests, answers and receipts are known: `twilio`,
	// `vonage`, `infobip`, `bird`, `sinch` or `kannel`. Default: none, and the
	// request is described below.
	Preset string `json:"preset,omitempty"`

	// The account at the gateway, and its password, token or key. Use a
	// placeholder for the latter. For presets only.
	Account string `json:"account,omitempty"`
	Secret  string `json:"secret,omitempty"`

	// Further options of the preset.
	Options map[string]string `json:"options,omitempty"`

	// Where messages are posted; for a preset, where the gateway is, if that is
	// not the usual place. It must begin with https:// unless the gateway is on
	// this machine.
	URL string `json:"url,omitempty"`

	// The method. Default: POST, or GET where there is no body.
	Method string `json:"method,omitempty"`

	// Further header fields.
	Headers map[string][]string `json:"headers,omitempty"`

	// The body: at most one of a form, fields of the query, a JSON document, or
	// a text.
	Form  []Field `json:"form,omitempty"`
	Query []Field `json:"query,omitempty"`
	JSON  string  `json:"json,omitempty"`
	Text  string  `json:"text,omitempty"`

	// The credentials: basic, or a bearer token. Use a placeholder.
	Basic  *Credentials `json:"basic,omitempty"`
	Bearer string       `json:"bearer,omitempty"`

	// What `{unicode}` stands for: the word for a message that needs UCS-2, and
	// for any other. Default: `true` and `false`.
	UnicodeWords []string `json:"unicode_words,omitempty"`

	// What an answer is like that takes the message. Default: any status from
	// 200 to 299.
	Success *Match `json:"success,omitempty"`

	// What answers are like that do not, and what they mean.
	Refusals []Refusal `json:"refusals,omitempty"`

	// Where the answer names the message: a JSON pointer (RFC 6901) or a header.
	MessageID       string `json:"message_id,omitempty"`
	MessageIDHeader string `json:"message_id_header,omitempty"`

	// How delivery receipts are read and verified. Presets know how to read
	// theirs, and Twilio's are verified by `secret`.
	Receipts *Receipts `json:"receipts,omitempty"`

	// How long one request may take. Default: 15s.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// A PEM file with the certificate authorities that are trusted for the
	// gateway, instead of the system's.
	CAFile string `json:"ca_file,omitempty"`

	// Whether plain HTTP may leave this machine. Security: everybody on the way
	// can read numbers, codes and credentials. Default: false.
	AllowPlaintext bool `json:"allow_plaintext,omitempty"`

	config sms.HTTPConfig
	reader sms.ReceiptReader
	// verified says that receipts prove by themselves who sent them.
	verified bool
	caFile   string
	// gateway is made by Start.
	gateway atomic.Pointer[sms.HTTP]
}

// Field is a field of a form or a query.
type Field struct {
	Name  string `json:"name,omitempty"`
	Value string `json:"value,omitempty"`
}

// Match is what an answer is like. All that is given must hold.
type Match struct {
	// HTTP statuses.
	Statuses []int `json:"statuses,omitempty"`
	// A JSON pointer (RFC 6901) to one of the values or, without any, to a
	// value at all.
	Pointer string   `json:"pointer,omitempty"`
	Values  []string `json:"values,omitempty"`
	// Beginnings of the answer, of which one must be there.
	Prefixes []string `json:"prefixes,omitempty"`
}

// Refusal is an answer that does not take the message.
type Refusal struct {
	Match
	// `rejected` (this message or number; no other sender is asked),
	// `auth-refused`, `no-credit`, `rate-limited` or `gateway-error`.
	Reason string `json:"reason,omitempty"`
}

// Receipts says how to read and verify the delivery receipts of a gateway.
// Each message has a receipt URL of its own, which cannot be guessed; that alone
// is what they are believed for, unless there is a secret.
type Receipts struct {
	// Where the state stands: `json:<pointer>`, or `parameter:<name>` of a form
	// or the query. Not for presets.
	State string `json:"state,omitempty"`
	// The words that mean that the phone has it, and that it never will. Not for
	// presets.
	Arrived     []string `json:"arrived,omitempty"`
	Undelivered []string `json:"undelivered,omitempty"`
	// What receipts are signed with. Use a placeholder. Without a preset it is
	// the key of the HMAC-SHA256 of the body, which `signature_header` holds.
	Secret          string `json:"secret,omitempty"`
	SignatureHeader string `json:"signature_header,omitempty"`
	// Credentials that the gateway has to send (HTTP basic).
	Basic *Credentials `json:"basic,omitempty"`
}

// Credentials are a user name and a password. Use a placeholder for the latter.
type Credentials struct {
	Username string `json:"username,omitempty"`
	Password string `json:"password,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (*Gateway) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "threepid.sms.http",
		New: func() caddy.Module { return new(Gateway) },
	}
}

func (m *Gateway) Judge(e *config.Expander) {
	m.caFile = e.Text("ca_file", m.CAFile)
	var err error
	if e.Text("preset", m.Preset) != "" {
		err = m.resolvePreset(e)
	} else {
		err = m.describe(e)
	}
	if err != nil || (e.Failed() && !e.Draft) {
		e.Fail(err)
		return
	}
	if m.Timeout != 0 {
		m.config.Timeout = time.Duration(m.Timeout)
	}
	m.config.AllowPlain = m.AllowPlaintext
	if m.caFile != "" && !e.Draft {
		if m.config.CAs, err = config.CertPool(m.caFile); err != nil {
			e.Failf("ca_file %s: %w", m.caFile, err)
		}
	}
	if _, err := sms.NewHTTP(m.config); err != nil {
		e.Fail(err)
	}
}

func fields(e *config.Expander, option string, list []Field) []sms.Field {
	out := make([]sms.Field, 0, len(list))
	for _, f := range list {
		out = append(out, sms.Field{Name: e.Outer(option, f.Name), Value: e.Outer(option, f.Value)})
	}
	return out
}

// describe is for a gateway without a preset.
func (m *Gateway) describe(e *config.Expander) error {
	c := sms.HTTPConfig{
		URL: e.Outer("url", m.URL), Method: e.Text("method", m.Method), Headers: map[string][]string{},
		Bearer: e.Text("bearer", m.Bearer), MessageID: sms.Source{Pointer: m.MessageID, Header: m.MessageIDHeader},
	}
	for _, name := range slices.Sorted(maps.Keys(m.Headers)) {
		for _, value := range m.Headers[name] {
			c.Headers[name] = append(c.Headers[name], e.Outer("header", value))
		}
	}
	if m.Basic != nil {
		c.BasicUser, c.BasicPassword = e.Text("basic_auth", m.Basic.Username), e.Text("basic_auth", m.Basic.Password)
	}
	var err error
	if c.Body, err = m.body(e); err != nil {
		return err
	}
	if len(m.UnicodeWords) == 2 {
		c.UnicodeWord, c.PlainWord = m.UnicodeWords[0], m.UnicodeWords[1]
	} else if len(m.UnicodeWords) != 0 {
		return fmt.Errorf("unicode: takes two words, not %d; write: unicode <word> <word-for-other>", len(m.UnicodeWords))
	}
	if m.Success != nil {
		c.Success = m.Success.match()
	}
	for _, r := range m.Refusals {
		c.Refusals = append(c.Refusals, sms.Refusal{Match: r.match(), Reason: r.Reason})
	}
	m.config = c
	if m.Receipts == nil {
		return nil
	}
	m.reader, err = m.Receipts.reader(e)
	return err
}

// body is the one kind of body that is described.
func (m *Gateway) body(e *config.Expander) (sms.Body, error) {
	var bodies []sms.Body
	if m.Form != nil {
		bodies = append(bodies, sms.Body{Type: sms.BodyForm, Fields: fields(e, "form", m.Form)})
	}
	if m.Query != nil {
		bodies = append(bodies, sms.Body{Type: sms.BodyQuery, Fields: fields(e, "query", m.Query)})
	}
	if m.JSON != "" {
		bodies = append(bodies, sms.Body{Type: sms.BodyJSON, Template: e.Outer("json", m.JSON)})
	}
	if m.Text != "" {
		bodies = append(bodies, sms.Body{Type: sms.BodyText, Template: e.Outer("text", m.Text)})
	}
	switch len(bodies) {
	case 0:
		return sms.Body{}, nil
	case 1:
		return bodies[0], nil
	}
	return sms.Body{}, fmt.Errorf("%s: excludes %s; leave one of them out", bodies[1].Type, bodies[0].Type)
}

func (m Match) match() sms.Match {
	return sms.Match{Statuses: m.Statuses, Pointer: m.Pointer, Values: m.Values, Prefixes: m.Prefixes}
}

// Interface guards
var (
	_ guest.SMSGateway  = (*Gateway)(nil)
	_ guest.SMSReporter = (*Gateway)(nil)
	_ guest.Starter     = (*Gateway)(nil)
	_ config.Judged     = (*Gateway)(nil)
)
