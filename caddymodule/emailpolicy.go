// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/internal/config"
	"github.com/caddy-threepid/caddy-threepid/internal/doctor"
	"github.com/caddy-threepid/caddy-threepid/internal/emailpolicy"
)

// EmailPolicy says whose email addresses may be verified to register or to add
// them; any other gets `M_THREEPID_DENIED`. Passwords of existing accounts can be
// reset whatever it says, and sessions that are open already go on.
//
// A rule is `example.org` for a domain and everything below it, `=example.org`
// for the domain alone, `.example.org` for everything below it, or `*`. It
// matches whole domains, in any spelling. If several match, the one with the
// longest name decides, and `deny` if both lists have one of that length.
type EmailPolicy struct {
	// The domains that are allowed. If there are any, all others are refused.
	// Default: every domain is.
	Allow []string `json:"allow,omitempty"`

	// The domains that are refused. Default: none.
	Deny []string `json:"deny,omitempty"`

	// A file with disposable domains, one per line, `#` before comments. They and
	// everything below them are refused, unless `allow` has a rule with as long a
	// name. A new file is noticed within seconds; one that cannot be used leaves
	// the list as it was. Default: none.
	Disposable string `json:"disposable,omitempty"`

	// Whether to ask the domain name system if a domain takes mail, and to refuse
	// one that does not. No answer within two seconds counts as yes. Privacy: the
	// name server learns the domains of your users' addresses. Default: false.
	CheckMX bool `json:"check_mx,omitempty"`

	// Whether to take domains without a dot, like `localhost`. Security: relays
	// deliver such mail inside of their own network. Default: false; a rule in
	// `allow` with the name lets a single one through.
	AllowDotless bool `json:"allow_dotless,omitempty"`

	// Whether to refuse nothing, and only to log and count what would be. For
	// trying rules out. Default: false.
	LogOnly bool `json:"log_only,omitempty"`
}

// nameServers are asked about domains. Tests have their own.
var nameServers emailpolicy.Resolver = emailpolicy.NewResolver()

// emailPolicy is the policy of one configuration.
type emailPolicy struct {
	*emailpolicy.Policy
	config emailpolicy.Config
	file   string
	list   *emailpolicy.List // nil: none
}

// resolvePolicy reads the rules. Without an option, only dotless domains are
// refused.
func (a *App) resolvePolicy(e *config.Expander) (p emailPolicy) {
	option := a.EmailPolicy
	if option == nil {
		option = new(EmailPolicy)
	} else if a.NoEmail {
		e.Failf("email_policy: is of no use with `mailer off`; leave one of them out")
	}
	e = e.In("email_policy")
	p.config = emailpolicy.Config{
		Allow: e.List("allow", option.Allow), Deny: e.List("deny", option.Deny),
		Dotless: option.AllowDotless, LogOnly: option.LogOnly,
	}
	p.file = e.Text("disposable", option.Disposable)
	if option.CheckMX {
		p.config.MX = emailpolicy.NewMX(emailpolicy.MXOptions{Resolver: nameServers})
	}
	if e.Failed() && !e.Draft {
		return p // a rule may be what could not be expanded
	}
	err := errors.Join(checkRules("allow", p.config.Allow), checkRules("deny", p.config.Deny))
	if err == nil {
		_, err = emailpolicy.New(p.config)
	}
	e.Fail(err)
	return p
}

func checkRules(option string, rules []string) error {
	var errs []error
	for _, text := range rules {
		if err := emailpolicy.CheckRule(text); err != nil {
			if !strings.Contains(text, "@") { // no address belongs into a log
				option += " " + text
			}
			errs = append(errs, fmt.Errorf("%s: %w", option, err))
		}
	}
	return errors.Join(errs...)
}

// loadPolicy reads the list and makes the policy.
func (a *App) loadPolicy(e *config.Expander) {
	p := &a.settings.email
	var err error
	if p.file != "" {
		if p.list, err = emailpolicy.LoadList(emailpolicy.ListOptions{Path: p.file, Report: a.listChanged(p.file)}); err != nil {
			e.Failf("email_policy disposable %s: %w", p.file, config.PlainPathError(err))
		}
		p.config.Disposable = p.list
	}
	if p.Policy, err = emailpolicy.New(p.config); err != nil {
		e.Failf("email_policy: %w", err)
	}
	a.settings.EmailPolicy = p.Policy
}

// listChanged tells the operator that a new list is in force, or why it is not.
func (a *App) listChanged(file string) func(int, error) {
	return func(domains int, err error) {
		if err != nil {
			a.logger.Error("cannot use the list of disposable domains; going on with the one before",
				zap.String("file", file), zap.Int("domains", domains), zap.Error(err))
			return
		}
		a.logger.Info("read the list of disposable domains", zap.String("file", file), zap.Int("domains", domains))
	}
}

// examineList adds the list of disposable domains, if there is one.
func (a *App) examineList(o *doctor.Options) {
	if p := a.settings.email; p.list != nil {
		o.DomainList = &doctor.DomainList{Path: p.file, State: p.list.State}
	}
}

// readEmailPolicy reads the block of the Caddyfile.
func (a *App) readEmailPolicy(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return config.ErrArgs
	}
	p := new(EmailPolicy)
	a.EmailPolicy = p
	dot := true
	err := config.ReadBlock(d, d.Nesting(), config.Options{
		"allow":       config.ManyArgs(d, &p.Allow),
		"deny":        config.ManyArgs(d, &p.Deny),
		"disposable":  config.OneArg(d, &p.Disposable),
		"check_mx":    config.OnOff(d, &p.CheckMX),
		"require_dot": config.OnOff(d, &dot),
		"log_only":    config.OnOff(d, &p.LogOnly),
	})
	p.AllowDotless = !dot
	return err
}
