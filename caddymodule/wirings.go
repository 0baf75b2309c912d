// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/guest"
	"github.com/caddy-threepid/caddy-threepid/caddymodule/wiring"
	"github.com/caddy-threepid/caddy-threepid/handlers"
	"github.com/caddy-threepid/caddy-threepid/internal/doctor"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// homeserverPause is how often a fault of the homeserver's configuration is told
// of in the log at most.
const homeserverPause = 10 * time.Minute

// examine looks how the sites of this configuration are put together, and says
// what is wrong. It never keeps a configuration from being loaded.
func (a *App) examine() {
	a.miswired = a.miswirings()
	for _, f := range a.advised(a.miswired...) {
		a.warn(f)
	}
}

// miswirings are what the configuration alone shows.
func (a *App) miswirings() (found []doctor.WiringProblem) {
	defer func() {
		if p := recover(); p != nil {
			a.logger.Debug("the routes could not be examined", zap.Any("panic", p))
			found = nil
		}
	}()
	if a.sibling == nil {
		return nil
	}
	mod, err := a.sibling("http")
	http, ok := mod.(*caddyhttp.App)
	if err != nil || !ok {
		return nil // nothing is served
	}
	return wiring.Examine(http, a.wiringConfig())
}

func (a *App) wiringConfig() wiring.Config {
	c := a.settings.HTTP
	w := wiring.Config{
		PublicURL: c.PublicURL, Prefixes: c.Prefixes, Required: c.Prefixes,
		UpstreamPrefix: c.UpstreamPrefix, UpstreamVersion: c.UpstreamVersion, IdentityName: c.IdentityName,
		NeedsIdentity: a.settings.Homeserver != genericKind || c.Callback,
	}
	if len(a.PathPrefixes) == 0 {
		w.Required = handlers.DefaultPrefixes[:1] // the others are for clients that hardly anybody has
	}
	if !c.NoEmail {
		w.Links = append(w.Links, handlers.PagePath(verification.Email), handlers.RefusePath)
	}
	if c.Phones != nil {
		w.Links = append(w.Links, handlers.PagePath(verification.MSISDN))
	}
	if _, embedded := a.store.(guest.Embedded); !embedded {
		w.NeedsIdentity = false // another process may have it
	}
	return w
}

// wirings are all problems that are known of now.
func (a *App) wirings() []doctor.WiringProblem {
	return append(slices.Clip(a.miswired), a.seen.problems(time.Now())...)
}

// Wiring is what is wrong with how the sites are put together, as far as is known
// without asking anybody.
func (a *App) Wiring() []doctor.Finding { return a.advised(a.wirings()...) }

// advised are problems in the doctor's words.
func (a *App) advised(problems ...doctor.WiringProblem) []doctor.Finding {
	return doctor.Wiring(doctor.Options{
		Homeserver: a.settings.Homeserver, IdentityName: a.settings.HTTP.IdentityName,
		Wiring: func() []doctor.WiringProblem { return problems },
	})
}

// warn writes one line.
func (a *App) warn(f doctor.Finding) {
	a.logger.Warn(f.Problem+" See `caddy threepid doctor`.",
		zap.String("code", f.Code), zap.String("subject", f.Subject), zap.String("advice", strings.TrimSpace(f.Advice)))
}

// sighted takes in what a request has shown.
func (a *App) sighted(p doctor.WiringProblem, pause time.Duration) {
	if !a.seen.note(p, time.Now(), pause) {
		return
	}
	for _, f := range a.advised(p) {
		a.warn(f)
	}
}

// operator is told by package handlers of what only the operator can mend.
type operator struct{ *App }

func (a operator) Misconfigured(m handlers.Misconfiguration) {
	name := a.settings.HTTP.IdentityName
	p := doctor.WiringProblem{Code: string(m), Subject: name, Values: []any{name}}
	switch m {
	case handlers.NotTrusted:
		p.Problem = "The homeserver does not trust %s: the name is not in its list of trusted identity servers."
	case handlers.Unreached:
		p.Problem = "The homeserver has failed and did not call %s before: it cannot reach that site, or does not trust its certificate."
	default:
		return
	}
	a.sighted(p, homeserverPause)
}

// reached is told of when the homeserver has called us.
func (a *App) reached() { a.seen.gone(string(handlers.NotTrusted), string(handlers.Unreached)) }
