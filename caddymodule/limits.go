// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/internal/config"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// The limits that are on unless told otherwise. A family never comes near them;
// an office behind one address can have sixty people join within an hour; and
// what a stranger can do is bounded (ADR 15).
var (
	// defaultAddressLimit is enough for a person who mistypes and asks again,
	// and too little to fill a mailbox.
	defaultAddressLimit = verification.Limit{Burst: 10, Per: time.Hour}
	defaultClientLimit  = verification.Limit{Burst: 60, Per: time.Hour}
	// defaultDomainLimit is meant for the big mail providers, too.
	defaultDomainLimit = verification.Limit{Burst: 200, Per: time.Hour}
	// defaultUserLimit is enough for a person with many addresses, and too
	// little to guess a password.
	defaultUserLimit    = verification.Limit{Burst: 20, Per: time.Hour}
	defaultUIALimit     = verification.Limit{Burst: 10, Per: time.Hour}
	defaultMessageLimit = verification.Limit{Burst: 500, Per: time.Hour}
	defaultGuessLimit   = verification.Limit{Burst: 30, Per: time.Hour}
)

// limits are the app's own, by the names that the Caddyfile has for them.
func (a *App) limits() map[string]**Limit {
	return map[string]**Limit{
		"address": &a.LimitAddress, "client": &a.LimitClient, "domain": &a.LimitDomain, "user": &a.LimitUser,
		"uia": &a.LimitUIA, "messages": &a.LimitMessages, "guesses": &a.LimitGuesses,
	}
}

// resolveLimits fills in the defaults.
func (a *App) resolveLimits(c *verification.Config) {
	c.PerAddress = a.LimitAddress.resolve(defaultAddressLimit)
	c.PerClient = a.LimitClient.resolve(defaultClientLimit)
	c.PerDomain = a.LimitDomain.resolve(defaultDomainLimit)
	c.PerUser = a.LimitUser.resolve(defaultUserLimit)
	c.PerUIA = a.LimitUIA.resolve(defaultUIALimit)
	c.Messages = a.LimitMessages.resolve(defaultMessageLimit)
	c.Guesses = a.LimitGuesses.resolve(defaultGuessLimit)
}

func checkLimits(c verification.Config) error {
	return errors.Join(
		checkLimit("limit address", c.PerAddress), checkLimit("limit client", c.PerClient),
		checkLimit("limit domain", c.PerDomain), checkLimit("limit user", c.PerUser),
		checkLimit("limit uia", c.PerUIA), checkLimit("limit messages", c.Messages),
		checkLimit("limit guesses", c.Guesses),
	)
}

// readLimit reads one of the limits, each of which may be given once. That is
// why the block does not see to it.
func (a *App) readLimit(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) == 0 {
		return config.ErrArgs
	}
	to, known := a.limits()[args[0]]
	name := "limit " + args[0]
	switch {
	case !known:
		return d.Errf("limit %s: there is none of this name; there are %s", args[0], strings.Join(slices.Sorted(maps.Keys(a.limits())), ", "))
	case *to != nil:
		return d.Errf("option '%s' is given twice", name)
	}
	var err error
	limit := new(Limit)
	switch {
	case len(args) == 2 && args[1] == "off":
		limit.Count = -1
	case len(args) == 3:
		if limit.Count, err = config.Count(d, name, args[1]); err != nil {
			return err
		}
		if limit.Per, err = config.Positive(d, name, args[2]); err != nil {
			return err
		}
	default:
		return config.ErrArgs
	}
	*to = limit
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
