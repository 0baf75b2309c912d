// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/internal/config"
	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// Limits say how many messages may be asked for, and by whom. Those who are known to be
// somebody's owner come first: a reset that the homeserver grants, and an address that is
// added by whoever is logged in. A part of all limits is kept for them.
type Limits struct {
	// What the limits are that are not given: `small` for up to a hundred people,
	// `community` for some thousands, `public` for a server where anybody may
	// register. Default: community.
	Preset string `json:"preset,omitempty"`

	// How many messages are sent in all, counted for each medium by itself. New
	// registrations get at most half of it, or three quarters once they have
	// completed the stages before the mail; the rest is kept for resets and
	// added addresses. Beyond it requestToken answers 503 with `Retry-After`.
	// Default: 100, 500 or 3000 per 1h, by preset.
	Messages *Limit `json:"messages,omitempty"`

	// How often a token may be requested from one IPv4 address or one /64 of
	// IPv6. The client is the one that Caddy sees. Security: behind another
	// proxy, name that one in Caddy's `trusted_proxies`, or all clients count
	// as one. Default: 20, 60 or 120 per 1h.
	Client *Limit `json:"client,omitempty"`

	// The same for each of the networks around it: the /24 of an IPv4 address,
	// the /56 and the /48 of IPv6. Default: 30, 80 or 200 per 1h.
	Network *Limit `json:"network,omitempty"`

	// How often a token may be requested for addresses of one registered domain
	// and all names below it, by those who are not known to be owners. Default:
	// 60, 200 or 1000 per 1h.
	Domain *Limit `json:"domain,omitempty"`

	// How often a user may add an address, how often bind one, and how often a
	// token may be requested with one access token. Default: 20 per 1h, each.
	User *Limit `json:"user,omitempty"`

	// How often a token may be requested in one session of User-Interactive
	// Authentication, where the session is known. Default: 10 per 1h.
	UIA *Limit `json:"uia,omitempty"`

	// How many wrong tokens are compared that come from one IPv4 address or one
	// /64 of IPv6, over all sessions. Default: 30 per 1h.
	Guesses *Limit `json:"guesses,omitempty"`

	// How many messages one network may ask for to one mailbox in 24 hours. The
	// spellings of one mailbox count as one: with tags (`+tag`) and, at Gmail,
	// with dots. -1 is no limit, for strangers neither. Default: 5.
	Mailbox int `json:"mailbox,omitempty"`

	// How many messages all strangers may ask for to one mailbox in 24 hours; the
	// last of them is for who is logged in.
	// Whoever asks from where the address was proven before is none. A reset may
	// be asked for once an hour more, from a network that has asked for none. Default: 5.
	Strangers int `json:"strangers,omitempty"`

	// How long one network has to wait before the second message to one mailbox,
	// before the third, and so on. Whoever repeats their own request may do so once
	// at once. Default: 1m 5m 30m.
	Pauses []caddy.Duration `json:"pauses,omitempty"`

	// Whether somebody is told by mail who asks for a reset and has no account:
	// that is a mail to a stranger, if somebody else has asked. Default: false.
	ExplainResets bool `json:"explain_resets,omitempty"`
}

// rates are the limits that are a count in a time, by their names.
func (l *Limits) rates() map[string]**Limit {
	return map[string]**Limit{
		"messages": &l.Messages, "client": &l.Client, "network": &l.Network, "domain": &l.Domain,
		"user": &l.User, "uia": &l.UIA, "guesses": &l.Guesses,
	}
}

// formerLimits are those that have lines of their own, by the names in those.
func (a *App) formerLimits() map[string]**Limit {
	return map[string]**Limit{
		"address": &a.LimitAddress, "client": &a.LimitClient, "domain": &a.LimitDomain, "user": &a.LimitUser,
		"uia": &a.LimitUIA, "messages": &a.LimitMessages, "guesses": &a.LimitGuesses,
	}
}

// resolveLimits fills in the defaults, and checks what is given.
func (a *App) resolveLimits(e *config.Expander, c *verification.Config) {
	l := Limits{}
	if a.Limits != nil {
		l = *a.Limits
	}
	in := e.In("limits")
	name := cmp.Or(in.Text("preset", l.Preset), ratelimit.Community)
	def, known := ratelimit.Presets[name]
	if !known {
		in.Fail(config.CheckWord("preset", name, ratelimit.PresetNames))
		def = ratelimit.Presets[ratelimit.Community]
	}
	for _, name := range slices.Sorted(maps.Keys(a.formerLimits())) {
		former := a.formerLimits()[name]
		if now, ok := l.rates()[name]; ok && *former != nil {
			if *now != nil {
				e.Failf("limit %s: is given in limits, too; leave this line out", name)
			}
			*now = *former
		}
	}
	if l.Client != nil && l.Network == nil {
		l.Network = l.Client.wider()
	}
	c.Preset = def
	for name, limit := range c.Rates() {
		*limit = (*l.rates()[name]).resolve(*limit)
	}
	c.PerAddress, c.ExplainResets = a.LimitAddress.resolve(defaultAddressLimit), l.ExplainResets
	if c.Mailboxes = l.mailboxes(def.Mailboxes, in); a.LimitAddress != nil {
		c.Mailboxes = ratelimit.Mailboxes{}
	}
	a.checkLimits(e, *c)
}

// defaultAddressLimit is for a number whose messages somebody else sends, and for
// whoever has the line of before.
var defaultAddressLimit = ratelimit.Limit{Burst: 10, Per: time.Hour}

// wider is the limit of the networks around a client that has this one.
func (l *Limit) wider() *Limit {
	if l.Count < 0 {
		return &Limit{Count: -1}
	}
	return &Limit{Count: (l.Count*4 + 2) / 3, Per: l.Per}
}

func (l *Limits) mailboxes(p ratelimit.Mailboxes, e *config.Expander) ratelimit.Mailboxes {
	p.Network, p.Strangers = cmp.Or(l.Mailbox, p.Network), cmp.Or(l.Strangers, p.Strangers)
	if len(l.Pauses) > 0 {
		p.Pauses = nil
	}
	for i, pause := range l.Pauses {
		if pause < 0 || time.Duration(pause) > ratelimit.Day || i > 0 && pause < l.Pauses[i-1] {
			e.Failf("pauses: times must be at most 24h, and must not become shorter")
		}
		p.Pauses = append(p.Pauses, time.Duration(pause))
	}
	if p.Network > mostLetters {
		e.Failf("mailbox: must be at most %d in 24 hours, or off", mostLetters)
	}
	if p.Strangers > mostLetters {
		e.Failf("strangers: must be at most %d in 24 hours, or off", mostLetters)
	}
	if p.Strangers < 0 {
		p.Strangers = mostLetters
	}
	return p
}

// mostLetters bounds what is remembered of one mailbox.
const mostLetters = 100

func (a *App) checkLimits(e *config.Expander, c verification.Config) {
	in := e.In("limits")
	limits := c.Rates()
	for _, name := range slices.Sorted(maps.Keys(limits)) {
		limit := *limits[name]
		former := a.formerLimits()[name]
		switch {
		case former != nil && *former != nil:
			e.Fail(checkLimit("limit "+name, limit))
		case name != "network" || a.Limits != nil && a.Limits.Network != nil: // else it follows the clients'
			in.Fail(checkLimit(name, limit))
		}
	}
	e.Fail(checkLimit("limit address", c.PerAddress))
}

// readLimits reads the block.
func (a *App) readLimits(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return config.ErrArgs
	}
	l := new(Limits)
	a.Limits = l
	return config.ReadBlock(d, d.Nesting(), config.Options{
		"preset":         config.OneWord(d, &l.Preset, ratelimit.PresetNames...),
		"mailbox":        config.OneCountOrOff(d, &l.Mailbox),
		"strangers":      config.OneCountOrOff(d, &l.Strangers),
		"pauses":         func() (err error) { l.Pauses, err = config.Durations(d, "pauses"); return err },
		"explain_resets": config.OnOff(d, &l.ExplainResets),
		"messages":       oneRate(d, &l.Messages),
		"client":         oneRate(d, &l.Client),
		"network":        oneRate(d, &l.Network),
		"domain":         oneRate(d, &l.Domain),
		"user":           oneRate(d, &l.User),
		"uia":            oneRate(d, &l.UIA),
		"guesses":        oneRate(d, &l.Guesses),
	})
}

// oneRate reads the limit of the option that the dispenser is at.
func oneRate(d *caddyfile.Dispenser, to **Limit) func() error {
	return func() (err error) {
		*to, err = readRate(d, d.Val(), d.RemainingArgs())
		return err
	}
}

// readLimit reads one of the lines of before, each of which may be given once. That is
// why the block does not see to it.
func (a *App) readLimit(d *caddyfile.Dispenser) (err error) {
	args := d.RemainingArgs()
	if len(args) == 0 {
		return config.ErrArgs
	}
	to, known := a.formerLimits()[args[0]]
	name := "limit " + args[0]
	switch {
	case !known:
		return d.Errf("limit %s: there is none of this name; there are %s", args[0], strings.Join(slices.Sorted(maps.Keys(a.formerLimits())), ", "))
	case *to != nil:
		return d.Errf("option '%s' is given twice", name)
	}
	*to, err = readRate(d, name, args[1:])
	return err
}

// readRate reads a count and a time, or "off".
func readRate(d *caddyfile.Dispenser, name string, args []string) (*Limit, error) {
	var err error
	limit := new(Limit)
	switch {
	case len(args) == 1 && args[0] == "off":
		limit.Count = -1
	case len(args) == 2:
		if limit.Count, err = config.Count(d, name, args[0]); err != nil {
			return nil, err
		}
		if limit.Per, err = config.Positive(d, name, args[1]); err != nil {
			return nil, err
		}
	default:
		return nil, config.ErrArgs
	}
	return limit, nil
}

// resolve fills in the defaults.
func (l *Limit) resolve(limit ratelimit.Limit) ratelimit.Limit {
	if l != nil {
		limit.Burst = cmp.Or(l.Count, limit.Burst)
		limit.Per = cmp.Or(time.Duration(l.Per), limit.Per)
	}
	return limit
}

func checkLimit(name string, limit ratelimit.Limit) error {
	switch {
	case limit.Burst < 0:
		return nil
	case limit.Per <= 0:
		return fmt.Errorf("%s: the time must be positive, like 1h, not %s", name, limit.Per)
	case limit.Per < time.Duration(limit.Burst):
		return fmt.Errorf("%s: %d per %s is no limit; write: %s off", name, limit.Burst, limit.Per, name)
	}
	return nil
}

// clientOf is the client as Caddy sees it: behind proxies that `trusted_proxies`
// names, the one that they name. Without a server around it there is none.
func clientOf(r *http.Request) netip.Addr {
	text, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}
	}
	return addr
}
