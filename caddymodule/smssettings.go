// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers"
	"github.com/caddy-threepid/caddy-threepid/internal/delivery/sms"
	"github.com/caddy-threepid/caddy-threepid/internal/input"
	"github.com/caddy-threepid/caddy-threepid/internal/phone"
	"github.com/caddy-threepid/caddy-threepid/internal/shield"
)

// senderName can stand in a path and in a metric.
var senderName = regexp.MustCompile(`^[0-9A-Za-z_-]{1,32}$`)

// smsSettings is the sms block with placeholders expanded and defaults applied.
type smsSettings struct {
	names       []string // of the senders
	routes      []sms.Route
	originators map[string][]string
	policy      phone.Policy
	shield      shield.Config
	currency    string
}

// resolve expands the options, and checks all that can be checked without the
// store.
func (s *SMS) resolve(e *expander) *smsSettings {
	if s == nil {
		return nil
	}
	out := &smsSettings{
		names: slices.Sorted(maps.Keys(s.SendersRaw)), originators: map[string][]string{},
		currency: e.text("sms currency", s.Currency),
	}
	fail := func(err error) {
		if err != nil {
			e.errs = append(e.errs, fmt.Errorf("sms: %w", err))
		}
	}
	if len(out.names) == 0 {
		fail(errors.New("there is no sender"))
	}
	for _, name := range out.names {
		if !senderName.MatchString(name) {
			fail(fmt.Errorf("the name of the sender %q must be 1 to 32 letters, digits, _ or -", name))
		}
	}
	for _, r := range s.Routes {
		out.routes = append(out.routes, sms.Route{Match: e.list("sms route", r.Match), Gateways: e.list("sms route", r.Senders)})
	}
	if len(out.routes) == 0 {
		out.routes = []sms.Route{{Gateways: out.names}}
	}
	for country, from := range s.Originators {
		if country != fallback && !phone.KnownRegion(country) {
			fail(fmt.Errorf("originator: %q is no country", country))
		}
		list := e.list("sms originator", from)
		for i, one := range list {
			list[i] = input.NumberOrWord(one)
		}
		out.originators[country] = list
	}
	fail(s.resolvePolicy(e, &out.policy))
	fail(s.resolveShield(e, out))
	return out
}

func (s *SMS) resolvePolicy(e *expander, p *phone.Policy) error {
	numbers := cmp.Or(e.text("sms numbers", s.Numbers), "valid")
	p.Possible = numbers == "possible"
	err := checkWord("numbers", numbers, numberWords)
	for _, kind := range e.list("sms refuse", s.RefuseKinds) {
		if !slices.Contains(phone.Kinds(), phone.Kind(kind)) {
			words := make([]string, 0, len(phone.Kinds()))
			for _, k := range phone.Kinds() {
				words = append(words, string(k))
			}
			err = errors.Join(err, wordError("refuse", kind, words))
		}
		p.Refuse = append(p.Refuse, phone.Kind(kind))
	}
	return err
}

func (s *SMS) resolveShield(e *expander, out *smsSettings) error {
	c := shield.Config{
		Allow: e.list("sms allow", s.Allow), Deny: e.list("sms deny", s.Deny),
		Prices: map[string]shield.Money{}, PrefixDigits: s.PrefixDigits,
		PerNumber: s.PerNumber, NumbersPerClient: s.NumbersPerClient, CountriesPerClient: s.CountriesPerClient,
	}
	var errs []error
	for country, amount := range s.Prices {
		money, err := shield.ParseMoney(e.text("sms price", amount))
		if err != nil {
			errs = append(errs, fmt.Errorf("price %s: %w", country, err))
		}
		c.Prices[country] = money
	}
	for _, b := range s.Budgets {
		budget, err := b.resolve(e)
		if err != nil {
			errs = append(errs, fmt.Errorf("budget %s: %w", b.Scope, err))
		}
		c.Budgets = append(c.Budgets, budget)
	}
	if s.Budgets == nil {
		c.Budgets = shield.DefaultBudgets()
	}
	if v := s.Conversion; v != nil {
		c.Conversion = shield.Conversion{Ratio: v.Ratio, Sample: v.Sample, Pause: time.Duration(v.Pause), Off: v.Off}
	}
	for _, d := range s.ResendAfter {
		c.Backoff = append(c.Backoff, time.Duration(d))
	}
	errs = append(errs, c.Validate())
	out.shield = c
	return errors.Join(errs...)
}

func (b SMSBudget) resolve(e *expander) (shield.Budget, error) {
	out := shield.Budget{Scope: e.text("sms budget", b.Scope)}
	limit := e.text("sms budget", b.Limit)
	var err error
	switch b.Unit {
	case "messages":
		out.Unit = shield.Messages
		out.Limit, err = strconv.ParseInt(limit, 10, 64)
		if err != nil {
			err = fmt.Errorf("%q is not a number of messages", limit)
		}
	case "money":
		var money shield.Money
		out.Unit = shield.Amount
		money, err = shield.ParseMoney(limit)
		out.Limit = int64(money)
	default:
		err = wordError("unit", b.Unit, unitWords)
	}
	switch b.Per {
	case "hour":
		out.Per = shield.Hour
	case "day":
		out.Per = shield.Day
	default:
		err = errors.Join(err, wordError("per", b.Per, windowWords))
	}
	return out, err
}

// phones is what the handlers need to know; who pays is known when the store is
// open.
func (s *smsSettings) phones(reset bool) *handlers.Phones {
	if s == nil {
		return nil
	}
	return &handlers.Phones{Policy: s.policy, Reset: reset}
}
