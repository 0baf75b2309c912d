// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"

	"github.com/caddyserver/caddy/v2"
)

// SMS verifies phone numbers by messages with a code of six digits. Messages
// cost money, and frauds have servers send them to numbers from which they earn
// a share; so nothing is sent to a country that is not allowed, and all that is
// sent is counted against budgets, which survive restarts.
type SMS struct {
	// The gateways that take messages, by a name of one's own, which stands in
	// routes, metrics and the paths of delivery receipts.
	SendersRaw map[string]json.RawMessage `json:"senders,omitempty" caddy:"namespace=threepid.sms inline_key=type"`

	// Which senders take the messages to which numbers. Default: all senders,
	// in the order of their names; in a Caddyfile, in that in which they stand.
	Routes []SMSRoute `json:"routes,omitempty"`

	// From whom messages are, by country (ISO 3166-1, like `FR`) or `default`:
	// numbers, short codes or names, of which the recipient's number picks one.
	// Default: none, and the gateway decides.
	Originators map[string][]string `json:"originators,omitempty"`

	// The countries (like `FR`) and beginnings of numbers (like `+4479`) that
	// messages may go to. Required. `*` stands for all countries: not for satellites,
	// nor for other numbers of no country (+800, +808, +870, +878, +881, +882, +883, +888,
	// +979), which frauds like best; to send there, name `001` for all of them, or a
	// beginning like `+881`.
	Allow []string `json:"allow,omitempty"`

	// Those that they may not go to. The longest beginning decides, then the
	// country; of two that are alike the one that denies.
	Deny []string `json:"deny,omitempty"`

	// Which numbers are accepted: `valid`, or `possible` for countries whose
	// new ranges this program does not know yet. Default: `valid`.
	Numbers string `json:"numbers,omitempty"`

	// Kinds of numbers that are refused besides premium rate, shared cost, toll
	// free and others that no person reads: `voip`, `fixed_line`, `personal`,
	// `fixed_or_mobile`.
	RefuseKinds []string `json:"refuse_kinds,omitempty"`

	// What one segment of a message costs, by country or `default`, like
	// `0.045`. Needed for budgets in money.
	Prices map[string]string `json:"prices,omitempty"`

	// The currency of prices and budgets, three letters. It is only shown.
	Currency string `json:"currency,omitempty"`

	// How much may be sent. They take the place of the defaults: 100 messages
	// per hour and 500 per day in all, 50 and 200 to each country, 10 and 30 to
	// each prefix. Of what may be sent in all, numbers of newcomers may take a
	// half, and those of registrations whose earlier stages are complete three
	// quarters. The rest is kept for people who have an account: whoever is logged
	// in and adds a number, or resets a password by one. These are counted for
	// their country and prefix, but not refused by what others have used up there.
	Budgets []SMSBudget `json:"budgets,omitempty"`

	// How many digits of a number make the prefix that budgets and the
	// conversion are counted by. Default: 7.
	PrefixDigits int `json:"prefix_digits,omitempty"`

	// When a prefix is paused because its codes do not come back; and a network of
	// clients (of IPv4 a /24, of IPv6 a /48) because the codes that it asks for do
	// not. A paused prefix is paused for numbers of newcomers,
	// and not for people who have an account.
	Conversion *SMSConversion `json:"conversion,omitempty"`

	// How many messages a number may get in 24 hours. With `max_tries` it bounds
	// guessing: whoever tries all codes of all sessions of a number for a day
	// finds one with a chance of 1 in 20,000 by default, and of 1 in 10,000 if
	// codes of the day before are left. Default: 10.
	PerNumber int `json:"per_number,omitempty"`

	// How many different numbers, and numbers of how many different countries,
	// one client address (of IPv6, its /64) may have messages sent to in 24
	// hours. Default: 10 and 3; -1 is no limit.
	NumbersPerClient   int `json:"numbers_per_client,omitempty"`
	CountriesPerClient int `json:"countries_per_client,omitempty"`

	// How much of any budget in total the clients of one network (of IPv4 a /24, of
	// IPv6 a /48) may take, in percent; never less than three messages. Default: 4;
	// -1 is no limit.
	PartPerClient int `json:"part_per_client,omitempty"`

	// How long to wait after the first message to a number, after the second,
	// and so on; the last is for all that follow. Default: 30s, 60s, 5m.
	ResendAfter []caddy.Duration `json:"resend_after,omitempty"`
}

// SMSRoute says which senders take messages to some numbers.
type SMSRoute struct {
	// Countries (like `FR`) and beginnings of numbers (like `+4479`). The
	// longest beginning wins, then the country. Without any it is for all
	// others.
	Match []string `json:"match,omitempty"`
	// The senders, in the order in which they are tried.
	Senders []string `json:"senders,omitempty"`
}

// SMSBudget bounds what is spent.
type SMSBudget struct {
	// `total`, `country` (each of them), `prefix` (each of them), one country
	// like `FR`, or one beginning of numbers like `+4479`.
	Scope string `json:"scope,omitempty"`
	// `messages` or `money`.
	Unit string `json:"unit,omitempty"`
	// How many messages, or how much money, like `20` or `7.50`.
	Limit string `json:"limit,omitempty"`
	// `hour` or `day`: any 60 minutes, any 24 hours.
	Per string `json:"per,omitempty"`
}

// SMSConversion pauses a prefix to which messages are sent, or a network for which they
// are, and from which no codes come back: what somebody does who earns by the messages.
type SMSConversion struct {
	// The least part of messages whose codes come back. Default: 0.1.
	Ratio float64 `json:"ratio,omitempty"`
	// How many messages it takes to judge a prefix. Default: 20. For a network it takes a
	// quarter of that, and 5 at the least.
	Sample int `json:"sample,omitempty"`
	// How long a pause is. Default: 24h.
	Pause caddy.Duration `json:"pause,omitempty"`
	// Never pause. Default: false.
	Off bool `json:"off,omitempty"`
}
