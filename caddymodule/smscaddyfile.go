// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/guest"
	"github.com/caddy-threepid/caddy-threepid/caddymodule/internal/config"
)

// The words of the sms block.
var (
	numberWords = []string{"valid", "possible"}
)

// fallback stands for all that is not named.
const fallback = "default"

// readSMS reads the block of the Caddyfile.
func (a *App) readSMS(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return config.ErrArgs
	}
	r := &smsReader{d: d, sms: new(SMS), gateways: map[string]guest.SMSGateway{}}
	a.SMS, a.gateways = r.sms, r.gateways
	s := r.sms
	err := config.ReadBlock(d, d.Nesting(), config.Options{
		"sender":        r.sender,
		"route":         r.route,
		"originator":    r.originator,
		"allow":         config.ManyArgs(d, &s.Allow),
		"deny":          config.ManyArgs(d, &s.Deny),
		"numbers":       config.OneWord(d, &s.Numbers, numberWords...),
		"refuse":        config.ManyArgs(d, &s.RefuseKinds),
		"price":         r.price,
		"currency":      config.OneArg(d, &s.Currency),
		"budget":        r.budget,
		"prefix_digits": config.OneCount(d, &s.PrefixDigits),
		"conversion":    r.conversion,
		"per_number":    config.OneCount(d, &s.PerNumber),
		"per_client":    r.perClient,
		"resend_after":  r.resendAfter,
	})
	if err == nil && len(s.Routes) == 0 {
		s.Routes = []SMSRoute{{Senders: r.senders}} // in the order in which they stand
	}
	return err
}

// smsReader reads one block.
type smsReader struct {
	d        *caddyfile.Dispenser
	sms      *SMS
	senders  []string
	gateways map[string]guest.SMSGateway
}

func (r *smsReader) sender() error {
	d := r.d
	if !d.NextArg() {
		return config.ErrArgs
	}
	name := d.Val()
	if r.sms.SendersRaw == nil {
		r.sms.SendersRaw = map[string]json.RawMessage{}
	}
	if _, twice := r.sms.SendersRaw[name]; twice {
		return d.Errf("sender '%s' is given twice", name)
	}
	var raw json.RawMessage
	mod, err := readGuest(d, "threepid.sms.", &raw)
	if err != nil {
		return err
	}
	if gateway, ok := mod.(guest.SMSGateway); ok {
		r.gateways[name] = gateway
	}
	r.sms.SendersRaw[name] = raw
	r.senders = append(r.senders, name)
	return nil
}

// route reads "<match...> to <sender...>"; the match "default" is for all that
// no other route names.
func (r *smsReader) route() error {
	args := r.d.RemainingArgs()
	at := slices.Index(args, "to")
	if at < 1 || at == len(args)-1 {
		return config.ErrArgs
	}
	match := args[:at]
	if slices.Contains(match, fallback) {
		if len(match) > 1 {
			return r.d.Errf("route %s: is for all that no other route is for, and takes nothing else before `to`", fallback)
		}
		match = nil
	}
	r.sms.Routes = append(r.sms.Routes, SMSRoute{Match: match, Senders: args[at+1:]})
	return nil
}

func (r *smsReader) originator() error {
	args := r.d.RemainingArgs()
	if len(args) < 2 {
		return config.ErrArgs
	}
	if r.sms.Originators == nil {
		r.sms.Originators = map[string][]string{}
	}
	if r.sms.Originators[args[0]] != nil {
		return r.d.Errf("originator '%s' is given twice", args[0])
	}
	r.sms.Originators[args[0]] = args[1:]
	return nil
}

func (r *smsReader) price() error {
	var country, amount string
	if !r.d.AllArgs(&country, &amount) {
		return config.ErrArgs
	}
	if r.sms.Prices == nil {
		r.sms.Prices = map[string]string{}
	}
	if _, twice := r.sms.Prices[country]; twice {
		return r.d.Errf("price '%s' is given twice", country)
	}
	r.sms.Prices[country] = amount
	return nil
}

// budget reads "<scope> messages|money <limit> per hour|day".
func (r *smsReader) budget() error {
	var b SMSBudget
	var per string
	if !r.d.AllArgs(&b.Scope, &b.Unit, &b.Limit, &per, &b.Per) || per != "per" {
		return config.ErrArgs
	}
	r.sms.Budgets = append(r.sms.Budgets, b)
	return nil
}

// conversion reads "off" or "<ratio> <sample> [<pause>]".
func (r *smsReader) conversion() error {
	args := r.d.RemainingArgs()
	c := new(SMSConversion)
	r.sms.Conversion = c
	if len(args) == 1 && args[0] == "off" {
		c.Off = true
		return nil
	}
	if len(args) < 2 || len(args) > 3 {
		return config.ErrArgs
	}
	ratio, err := strconv.ParseFloat(args[0], 64)
	if err != nil || !(ratio > 0 && ratio <= 1) {
		return r.d.Errf("conversion: the ratio must be above 0 and at most 1, not %q", args[0])
	}
	c.Ratio = ratio
	if c.Sample, err = config.Count(r.d, "conversion sample", args[1]); err != nil {
		return err
	}
	if len(args) == 3 {
		c.Pause, err = config.Positive(r.d, "conversion pause", args[2])
	}
	return err
}

// perClient reads "numbers|countries|part <n>|off"; each may be given once. A part may
// have a percent sign.
func (r *smsReader) perClient() error {
	var what, value string
	if !r.d.AllArgs(&what, &value) {
		return config.ErrArgs
	}
	to := map[string]*int{"numbers": &r.sms.NumbersPerClient, "countries": &r.sms.CountriesPerClient, "part": &r.sms.PartPerClient}[what]
	switch {
	case to == nil:
		return r.d.WrapErr(config.WordError("per_client", what, []string{"numbers", "countries", "part"}))
	case *to != 0:
		return r.d.Errf("option 'per_client %s' is given twice", what)
	case value == "off":
		*to = -1
		return nil
	}
	if what == "part" {
		value = strings.TrimSuffix(value, "%")
	}
	var err error
	*to, err = config.Count(r.d, "per_client "+what, value)
	return err
}

func (r *smsReader) resendAfter() (err error) {
	r.sms.ResendAfter, err = config.Durations(r.d, "resend_after")
	return err
}
