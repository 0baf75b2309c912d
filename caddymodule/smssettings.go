// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/guest"
	"github.com/caddy-threepid/caddy-threepid/caddymodule/internal/config"
	"github.com/caddy-threepid/caddy-threepid/handlers"
	"github.com/caddy-threepid/caddy-threepid/internal/input"
	"github.com/caddy-threepid/caddy-threepid/internal/instance"
	"github.com/caddy-threepid/caddy-threepid/internal/phone"
	"github.com/caddy-threepid/caddy-threepid/internal/sms"
	"github.com/caddy-threepid/caddy-threepid/internal/smsfraud"
)

// senderName can stand in a path and in a metric.
var senderName = regexp.MustCompile(`^[0-9A-Za-z_-]{1,32}$`)

// resolve expands the options, and checks all that can be checked without the
// store.
func (s *SMS) resolve(e *config.Expander, gateways map[string]guest.SMSGateway) *instance.SMS {
	if s == nil {
		return nil
	}
	names := s.names(gateways)
	out := &instance.SMS{Originators: map[string][]string{}, Currency: e.Text("currency", s.Currency)}
	if len(names) == 0 {
		e.Failf("has no sender; write: sender <name> http {…}")
	}
	for _, name := range names {
		if !senderName.MatchString(name) {
			e.Failf("sender %s: a name has 1 to 32 letters, digits, _ or -", name)
		}
	}
	s.resolveRoutes(e, out, names)
	for _, country := range slices.Sorted(maps.Keys(s.Originators)) {
		e.Fail(checkPlace("originator", country, fallback))
		list := e.List("originator "+country, s.Originators[country])
		for i, one := range list {
			list[i] = input.NumberOrWord(one)
		}
		out.Originators[country] = list
	}
	s.resolvePolicy(e, &out.Numbers)
	s.resolveFraud(e, out)
	return out
}

// names are those of the senders, which are no longer in the configuration when
// they are loaded.
func (s *SMS) names(gateways map[string]guest.SMSGateway) []string {
	if len(gateways) > 0 {
		return slices.Sorted(maps.Keys(gateways))
	}
	return slices.Sorted(maps.Keys(s.SendersRaw))
}

func (s *SMS) resolveRoutes(e *config.Expander, out *instance.SMS, names []string) {
	for _, r := range s.Routes {
		route := sms.Route{Match: e.List("route", r.Match), Gateways: e.List("route", r.Senders)}
		for _, place := range route.Match {
			e.Fail(checkPlace("route", place))
		}
		out.Routes = append(out.Routes, route)
	}
	if len(out.Routes) == 0 {
		out.Routes = []sms.Route{{Gateways: names}}
	}
}

// checkPlace refuses a country that does not exist. Beginnings of numbers are
// looked at by those who know what to do with them, and other words too.
func checkPlace(option, place string, words ...string) error {
	place = input.NumberOrWord(place)
	if config.Placeholder(place) || slices.Contains(words, place) || strings.HasPrefix(place, "+") {
		return nil
	}
	if err := phone.CheckCountry(place); err != nil {
		return fmt.Errorf("%s %s: %w", option, place, err)
	}
	return nil
}

func (s *SMS) resolvePolicy(e *config.Expander, p *phone.Policy) {
	numbers := cmp.Or(e.Text("numbers", s.Numbers), "valid")
	p.Possible = numbers == "possible"
	e.Fail(config.CheckWord("numbers", numbers, numberWords))
	words := make([]string, 0, len(phone.Kinds()))
	for _, kind := range phone.Kinds() {
		words = append(words, string(kind))
	}
	for _, kind := range e.List("refuse", s.RefuseKinds) {
		e.Fail(config.CheckWord("refuse "+kind, kind, words))
		p.Refuse = append(p.Refuse, phone.Kind(kind))
	}
}

func (s *SMS) resolveFraud(e *config.Expander, out *instance.SMS) {
	c := smsfraud.Config{
		Allow: e.List("allow", s.Allow), Deny: e.List("deny", s.Deny),
		Prices: map[string]smsfraud.Money{}, PrefixDigits: s.PrefixDigits,
		PerNumber: s.PerNumber, NumbersPerClient: s.NumbersPerClient, CountriesPerClient: s.CountriesPerClient, NetworkPart: s.PartPerClient,
	}
	before := len(e.Faults())
	for _, country := range slices.Sorted(maps.Keys(s.Prices)) {
		e.Fail(checkPlace("price", country, fallback))
		money, err := smsfraud.ParseMoney(e.Text("price "+country, s.Prices[country]))
		if err != nil {
			e.Failf("price %s: %w", country, err)
		}
		c.Prices[country] = money
	}
	for _, b := range s.Budgets {
		e.Fail(checkPlace("budget", b.Scope, "total", "country", "prefix"))
		c.Budgets = append(c.Budgets, b.resolve(e))
	}
	if s.Budgets == nil {
		c.Budgets = smsfraud.DefaultBudgets()
	}
	if v := s.Conversion; v != nil {
		c.Conversion = smsfraud.Conversion{Ratio: v.Ratio, Sample: v.Sample, Pause: time.Duration(v.Pause), Off: v.Off}
	}
	for _, d := range s.ResendAfter {
		c.Backoff = append(c.Backoff, time.Duration(d))
	}
	for _, place := range c.Allow {
		e.Fail(checkPlace("allow", place, "*"))
	}
	for _, place := range c.Deny {
		e.Fail(checkPlace("deny", place, "*"))
	}
	if len(e.Faults()) == before { // else it would be said twice
		e.Fail(c.Validate())
	}
	out.Fraud = c
}

func (b SMSBudget) resolve(e *config.Expander) smsfraud.Budget {
	option := "budget " + b.Scope
	out := smsfraud.Budget{Scope: e.Text(option, b.Scope)}
	limit := e.Text(option, b.Limit)
	var err error
	switch b.Unit {
	case "messages":
		out.Unit = smsfraud.Messages
		if out.Limit, err = strconv.ParseInt(limit, 10, 64); err != nil {
			e.Failf("%s: %q is not a number of messages", option, limit)
		}
	case "money":
		var money smsfraud.Money
		out.Unit = smsfraud.Amount
		if money, err = smsfraud.ParseMoney(limit); err != nil {
			e.Failf("%s: %w", option, err)
		}
		out.Limit = int64(money)
	default:
		e.Failf("%s: the unit must be messages or money, not %q", option, b.Unit)
	}
	switch b.Per {
	case "hour":
		out.Per = smsfraud.Hour
	case "day":
		out.Per = smsfraud.Day
	default:
		e.Failf("%s: the time must be hour or day, not %q", option, b.Per)
	}
	return out
}

// phonesOf is what the handlers need to know; who pays is known when the store is
// open.
func phonesOf(s *instance.SMS, reset bool) *handlers.Phones {
	if s == nil {
		return nil
	}
	return &handlers.Phones{Policy: s.Numbers, Reset: reset}
}
