// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/guest"
	"github.com/caddy-threepid/caddy-threepid/caddymodule/internal/config"
)

func init() {
	httpcaddyfile.RegisterGlobalOption("threepid", parseGlobalOption)
}

// parseGlobalOption reads the global option.
func parseGlobalOption(d *caddyfile.Dispenser, existing any) (any, error) {
	if existing != nil {
		d.Next() // so that the error has a line
		return nil, d.Err("the threepid option is given twice")
	}
	app := new(App)
	if err := app.UnmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	value := caddyconfig.JSON(app, nil)
	config.Remember(value, app.outline)
	return httpcaddyfile.App{Name: "threepid", Value: value}, nil
}

// UnmarshalCaddyfile sets up the app from Caddyfile tokens. Syntax:
//
//	threepid {
//		public_url           <origin>
//		homeserver           [synapse|dendrite|generic] {
//			identity_name  <host:port[/path]>
//			checks         callback|off
//			password_reset facade|native
//			phone_reset    on|off
//			client_version <r0|...>
//			path_prefix    <prefix>
//		}
//		path_prefixes        <prefix...>
//		id_server_policy     ignore | trusted <host...>
//		id_access_token      optional|required
//		next_link            <origin...>
//		email_proof          link|code
//		identity_submit_path on|off
//		reveal_account_existence on|off
//		token_lifetime       <duration>
//		session_lifetime     <duration>
//		max_tries            <n>
//		limits {
//			preset         small|community|public
//			messages|client|network|domain|user|uia|guesses <count> <per-duration> | off
//			mailbox        <count> | off
//			strangers      <count> | off
//			pauses         <duration...>
//			explain_resets on|off
//		}
//		limit address|client|domain|user|uia|messages|guesses <count> <per-duration> | off (as in earlier versions)
//		registration_gate    offered|completed|off
//		allow_identity_servers <host[:port]...>
//		max_body             <size>
//		key_file             <path>
//		templates            <folder>
//		brand                <name> {
//			host <host...>
//			logo <file>
//			css  <variable> <value>
//		}
//		max_queued           <n>
//		notices              on|off
//		request_context      full|coarse|off
//		email_policy {
//			allow       <rule...>
//			deny        <rule...>
//			disposable  <file>
//			check_mx    on|off
//			require_dot on|off
//			log_only    on|off
//		}
//		feedback {
//			bounces  <address>
//			lmtp     <listen-address>
//			ses      <topic-arn...>
//			postmark <user> <password>
//			mailgun  <signing-key>
//			sendgrid <public-key>
//		}
//		store                <module> ...
//		mailer               <module> ... | off
//		sms {
//			sender        <name> <module> ...
//			route         <country|+prefix...>|default to <sender...>
//			originator    <country>|default <from...>
//			allow         <country|+prefix...>|*
//			deny          <country|+prefix...>
//			numbers       valid|possible
//			refuse        <kind...>
//			price         <country>|default <amount>
//			currency      <code>
//			budget        total|country|prefix|<country>|<+prefix> messages|money <limit> per hour|day
//			prefix_digits <n>
//			conversion    <ratio> <sample> [<pause>] | off
//			per_number    <n>
//			per_client    numbers|countries <n>|off
//			per_client    part <percent>|off
//			resend_after  <duration...>
//		}
//	}
func (a *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the option's name
	if d.NextArg() {
		return d.Errf("threepid takes a block and no arguments, not '%s'", d.Val())
	}
	if err := a.readOptions(d); err != nil {
		return err
	}
	a.outline = config.OutlineOf(d)
	e := newDraft()
	a.judge(e)
	return e.Err(a.outline)
}

func (a *App) readOptions(d *caddyfile.Dispenser) error {
	return config.ReadBlock(d, 0, config.Options{
		"reveal_account_existence": config.OnOff(d, &a.RevealAccountExistence),

		"public_url":             config.OneArg(d, &a.PublicURL),
		"homeserver":             func() error { return a.readHomeserver(d) },
		"path_prefixes":          config.ManyArgs(d, &a.PathPrefixes),
		"id_server_policy":       func() error { return a.readIDServerPolicy(d) },
		"id_access_token":        config.OneWord(d, &a.IDAccessToken, accessWords...),
		"next_link":              config.ManyArgs(d, &a.NextLink),
		"email_proof":            config.OneWord(d, &a.EmailProof, proofWords...),
		"identity_submit_path":   config.OnOff(d, &a.IdentitySubmitPath),
		"allow_identity_servers": config.ManyArgs(d, &a.AllowIdentityServers),
		"token_lifetime":         config.OneDuration(d, &a.TokenLifetime),
		"session_lifetime":       config.OneDuration(d, &a.SessionLifetime),
		"max_tries":              config.OneCount(d, &a.MaxTries),
		"limit":                  func() error { return a.readLimit(d) },
		"limits":                 func() error { return a.readLimits(d) },
		"registration_gate":      config.OneWord(d, &a.RegistrationGate, gateWords...),
		"templates":              config.OneArg(d, &a.Templates),
		"brand":                  func() error { return a.readBrand(d) },
		"email_policy":           func() error { return a.readEmailPolicy(d) },
		"notices":                func() error { return a.readNotices(d) },
		"request_context":        config.OneWord(d, &a.RequestContext, contextWords...),
		"max_queued":             config.OneCount(d, &a.MaxQueued),
		"feedback":               func() error { return a.readFeedback(d) },
		"max_body":               config.OneSize(d, &a.MaxBody),
		"key_file":               config.OneArg(d, &a.KeyFile),
		"store":                  func() error { return a.readStore(d) },
		"mailer":                 func() error { return a.readMailer(d) },
		"sms":                    func() error { return a.readSMS(d) },
	})
}

func (a *App) readHomeserver(d *caddyfile.Dispenser) error {
	hs := new(Homeserver)
	a.Homeserver = hs
	args := d.RemainingArgs()
	if len(args) > 1 {
		return config.ErrArgs
	}
	if len(args) == 1 {
		if !slices.Contains(kindWords, args[0]) && !config.Placeholder(args[0]) {
			return d.WrapErr(config.WordError("homeserver", args[0], kindWords))
		}
		hs.Kind = args[0]
	}
	return config.ReadBlock(d, d.Nesting(), config.Options{
		"identity_name":  config.OneArg(d, &hs.IdentityName),
		"checks":         config.OneWord(d, &hs.Checks, checkWords...),
		"password_reset": config.OneArg(d, &hs.PasswordReset),
		"phone_reset":    config.OnOff(d, &hs.PhoneReset),
		"client_version": config.OneArg(d, &hs.ClientVersion),
		"path_prefix":    config.OneArg(d, &hs.PathPrefix),
	})
}

func (a *App) readIDServerPolicy(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) == 0 {
		return config.ErrArgs
	}
	a.IDServerPolicy, a.TrustedIDServers = args[0], args[1:]
	return nil
}

func (a *App) readStore(d *caddyfile.Dispenser) error {
	mod, err := readGuest(d, "threepid.stores.", &a.StoreRaw)
	a.store, _ = mod.(guest.Store)
	return err
}

func (a *App) readMailer(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return config.ErrArgs
	}
	if d.Val() != "off" {
		d.Prev()
		mod, err := readGuest(d, "threepid.mailers.", &a.MailerRaw)
		a.mailer, _ = mod.(guest.Mailer)
		return err
	}
	if d.NextArg() {
		return config.ErrArgs
	}
	a.NoEmail = true
	return nil
}

// readGuest hands the rest of the segment to a guest module.
func readGuest(d *caddyfile.Dispenser, namespace string, to *json.RawMessage) (any, error) {
	if !d.NextArg() {
		return nil, config.ErrArgs
	}
	name := d.Val()
	if _, err := caddy.GetModule(namespace + name); err != nil {
		return nil, d.Errf("there is no module %s%s in this program; %s", namespace, name, config.ModulesIn(namespace))
	}
	mod, err := caddyfile.UnmarshalModule(d, namespace+name)
	if err != nil {
		return nil, err
	}
	*to = caddyconfig.JSONModuleObject(mod, "type", name, nil)
	return mod, nil
}

// readNotices reads a switch that is on unless told otherwise.
func (a *App) readNotices(d *caddyfile.Dispenser) error {
	on := true
	err := config.OnOff(d, &on)()
	a.NoNotices = !on
	return err
}

// Interface guard
var _ caddyfile.Unmarshaler = (*App)(nil)
