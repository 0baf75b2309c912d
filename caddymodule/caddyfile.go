// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/dustin/go-humanize"
)

func init() {
	httpcaddyfile.RegisterGlobalOption("threepid", parseGlobal)
	httpcaddyfile.RegisterHandlerDirective("threepid", parseHandler)
	httpcaddyfile.RegisterHandlerDirective("threepid_identity", parseIdentity)
	// After encode, so that our answers are compressed, and before handle and
	// route, whose blocks would hide requests from us.
	httpcaddyfile.RegisterDirectiveOrder("threepid", httpcaddyfile.After, "encode")
	httpcaddyfile.RegisterDirectiveOrder("threepid_identity", httpcaddyfile.After, "threepid")
}

// parseGlobal parses the global option. Syntax:
//
//	threepid {
//		public_url <origin>
//		homeserver [synapse|dendrite|generic] {
//			identity_name  <host:port>
//			checks         callback|off
//			password_reset facade|native
//			client_version <segment>
//			path_prefix    <prefix>
//		}
//		path_prefixes        <prefixes...>
//		id_server_policy     ignore | trusted <hosts...>
//		id_access_token      optional|required
//		next_link            <origins...>
//		email_proof          link|code
//		identity_submit_path on|off
//		token_lifetime       <duration>
//		session_lifetime     <duration>
//		max_tries            <count>
//		limit address        <count> <duration> | off
//		max_body             <size>
//		key_file             <file>
//		store                <module> { ... }
//		mailer               <module> { ... } | off
//	}
func parseGlobal(d *caddyfile.Dispenser, existing any) (any, error) {
	if existing != nil {
		return nil, d.Err("threepid is configured twice; use one global block")
	}
	app := new(App)
	if err := app.UnmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: "threepid", Value: caddyconfig.JSON(app, nil)}, nil
}

// UnmarshalCaddyfile sets up the app from Caddyfile tokens, see parseGlobal.
// Values are checked when they are provisioned: they may be placeholders here.
func (a *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // threepid
	if d.NextArg() {
		return d.ArgErr()
	}
	seen := map[string]bool{}
	for d.NextBlock(0) {
		name := d.Val()
		parse, known := a.subdirectives()[name]
		if !known {
			return d.Errf("unrecognized subdirective '%s' of threepid", name)
		}
		if seen[name] {
			return d.Errf("'%s' is given twice", name)
		}
		seen[name] = true
		if err := parse(d); err != nil {
			return err
		}
	}
	return nil
}

type parser = func(d *caddyfile.Dispenser) error

func (a *App) subdirectives() map[string]parser {
	return map[string]parser{
		"public_url":           text(&a.PublicURL),
		"homeserver":           a.parseHomeserver,
		"path_prefixes":        list(&a.PathPrefixes),
		"id_server_policy":     a.parsePolicy,
		"id_access_token":      text(&a.IDAccessToken),
		"next_link":            list(&a.NextLink),
		"email_proof":          text(&a.EmailProof),
		"identity_submit_path": toggle(&a.IdentitySubmitPath),
		"token_lifetime":       duration(&a.TokenLifetime),
		"session_lifetime":     duration(&a.SessionLifetime),
		"max_tries":            count(&a.MaxTries),
		"limit":                a.parseLimit,
		"max_body":             size(&a.MaxBody),
		"key_file":             text(&a.KeyFile),
		"store":                guest("threepid.stores.", &a.StoreRaw),
		"mailer":               a.parseMailer,
	}
}

func (a *App) parseHomeserver(d *caddyfile.Dispenser) error {
	hs := new(Homeserver)
	a.Homeserver = hs
	if d.NextArg() {
		hs.Kind = d.Val()
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	for d.NextBlock(1) {
		to := map[string]*string{
			"identity_name": &hs.IdentityName, "checks": &hs.Checks, "password_reset": &hs.PasswordReset,
			"client_version": &hs.ClientVersion, "path_prefix": &hs.PathPrefix,
		}[d.Val()]
		if to == nil {
			return d.Errf("unrecognized subdirective '%s' of homeserver", d.Val())
		}
		if err := once(d, to); err != nil {
			return err
		}
	}
	return nil
}

func (a *App) parsePolicy(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.ArgErr()
	}
	a.IDServerPolicy = d.Val()
	a.TrustedIDServers = d.RemainingArgs()
	return nil
}

func (a *App) parseLimit(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) < 2 || len(args) > 3 || args[0] != "address" {
		return d.Errf("limit needs 'address <count> <duration>' or 'address off'")
	}
	if len(args) == 2 {
		if args[1] != "off" {
			return d.ArgErr()
		}
		a.LimitAddress = &Limit{Count: -1}
		return nil
	}
	n, err := strconv.Atoi(args[1])
	if err != nil || n <= 0 {
		return d.Errf("limit: '%s' is not a count", args[1])
	}
	per, err := caddy.ParseDuration(args[2])
	if err != nil || per <= 0 {
		return d.Errf("limit: '%s' is not a duration", args[2])
	}
	a.LimitAddress = &Limit{Count: n, Per: caddy.Duration(per)}
	return nil
}

func (a *App) parseMailer(d *caddyfile.Dispenser) error {
	if d.CountRemainingArgs() == 1 {
		d.NextArg()
		if d.Val() == "off" {
			a.NoEmail = true
			return nil
		}
		d.Prev()
	}
	return guest("threepid.mailers.", &a.MailerRaw)(d)
}

// parseHandler parses the handler directive. Syntax:
//
//	threepid [<matcher>]
func parseHandler(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	h.Next() // threepid
	if h.NextArg() {
		return nil, h.ArgErr()
	}
	for h.NextBlock(0) {
		return nil, h.Errf("unrecognized subdirective '%s': threepid is configured by the global option of that name", h.Val())
	}
	return new(Handler), nil
}

// parseIdentity parses the handler directive. Syntax:
//
//	threepid_identity [<matcher>] {
//		allow <networks...>
//	}
func parseIdentity(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	h.Next() // threepid_identity
	if h.NextArg() {
		return nil, h.ArgErr()
	}
	handler := new(IdentityHandler)
	for h.NextBlock(0) {
		if h.Val() != "allow" {
			return nil, h.Errf("unrecognized subdirective '%s' of threepid_identity", h.Val())
		}
		networks := h.RemainingArgs()
		if len(networks) == 0 {
			return nil, h.ArgErr()
		}
		handler.Allow = append(handler.Allow, networks...)
	}
	return handler, nil
}

// guest delegates a subdirective to the module that it names.
func guest(namespace string, to *json.RawMessage) parser {
	return func(d *caddyfile.Dispenser) error {
		if !d.NextArg() {
			return d.ArgErr()
		}
		name := d.Val()
		module, err := caddyfile.UnmarshalModule(d, namespace+name)
		if err != nil {
			return err
		}
		*to = caddyconfig.JSONModuleObject(module, "type", name, nil)
		return nil
	}
}

func text(to *string) parser {
	return func(d *caddyfile.Dispenser) error {
		if !d.AllArgs(to) {
			return d.ArgErr()
		}
		return nil
	}
}

// once is text for a subdirective of a block that has no list of those seen.
func once(d *caddyfile.Dispenser, to *string) error {
	if *to != "" {
		return d.Errf("'%s' is given twice", d.Val())
	}
	return text(to)(d)
}

func onceDuration(d *caddyfile.Dispenser, to *caddy.Duration) error {
	if *to != 0 {
		return d.Errf("'%s' is given twice", d.Val())
	}
	return duration(to)(d)
}

func list(to *[]string) parser {
	return func(d *caddyfile.Dispenser) error {
		if *to = d.RemainingArgs(); len(*to) == 0 {
			return d.ArgErr()
		}
		return nil
	}
}

func toggle(to *bool) parser {
	return func(d *caddyfile.Dispenser) error {
		var word string
		if !d.AllArgs(&word) {
			return d.ArgErr()
		}
		if word != "on" && word != "off" {
			return d.Errf("'%s' must be on or off", word)
		}
		*to = word == "on"
		return nil
	}
}

func duration(to *caddy.Duration) parser {
	return func(d *caddyfile.Dispenser) error {
		var word string
		if !d.AllArgs(&word) {
			return d.ArgErr()
		}
		v, err := caddy.ParseDuration(word)
		if err != nil || v <= 0 {
			return d.Errf("'%s' is not a duration, such as 30s or 1h", word)
		}
		*to = caddy.Duration(v)
		return nil
	}
}

func count(to *int) parser {
	return func(d *caddyfile.Dispenser) error {
		var word string
		if !d.AllArgs(&word) {
			return d.ArgErr()
		}
		n, err := strconv.Atoi(word)
		if err != nil || n <= 0 {
			return d.Errf("'%s' is not a positive number", word)
		}
		*to = n
		return nil
	}
}

func size(to *int64) parser {
	return func(d *caddyfile.Dispenser) error {
		var word string
		if !d.AllArgs(&word) {
			return d.ArgErr()
		}
		n, err := humanize.ParseBytes(word)
		if err != nil || n == 0 || n > 64<<20 {
			return d.Errf("'%s' is not a size between 1B and 64MiB", word)
		}
		*to = int64(n)
		return nil
	}
}
