// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/caddy-threepid/caddy-threepid/internal/doctor"
	"github.com/caddy-threepid/caddy-threepid/internal/emailpolicy"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
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

// policyTotal is what the policy has decided. Both labels are closed sets.
var policyTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
	Namespace: "caddy", Subsystem: "threepid", Name: "policy_total",
	Help: "Decisions about email addresses, by the rule that made them.",
}, []string{"rule", "action"})

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
func (a *App) resolvePolicy(e *expander) (p emailPolicy) {
	option := a.EmailPolicy
	if option == nil {
		option = new(EmailPolicy)
	} else if a.NoEmail {
		e.failf("email_policy: is of no use with `mailer off`; leave one of them out")
	}
	e = e.in("email_policy")
	p.config = emailpolicy.Config{
		Allow: e.list("allow", option.Allow), Deny: e.list("deny", option.Deny),
		Dotless: option.AllowDotless, LogOnly: option.LogOnly,
	}
	p.file = e.text("disposable", option.Disposable)
	if option.CheckMX {
		p.config.MX = emailpolicy.NewMX(emailpolicy.MXOptions{Resolver: nameServers})
	}
	if e.failed() && !e.draft {
		return p // a rule may be what could not be expanded
	}
	err := errors.Join(checkRules("allow", p.config.Allow), checkRules("deny", p.config.Deny))
	if err == nil {
		_, err = emailpolicy.New(p.config)
	}
	e.fail(err)
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
func (a *App) loadPolicy(e *expander) {
	p := &a.settings.email
	var err error
	if p.file != "" {
		if p.list, err = emailpolicy.LoadList(emailpolicy.ListOptions{Path: p.file, Report: a.listChanged(p.file)}); err != nil {
			e.failf("email_policy disposable %s: %w", p.file, plainPathError(err))
		}
		p.config.Disposable = p.list
	}
	if p.Policy, err = emailpolicy.New(p.config); err != nil {
		e.failf("email_policy: %w", err)
	}
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

// emailRules are the policy, and what the mailer has to say of an address.
type emailRules struct {
	app *App
	// service has the keys by which an address is named in the log.
	service *verification.Service
}

// Refused implements [handlers.EmailRules].
func (r *emailRules) Refused(ctx context.Context, email string) bool {
	v := r.app.settings.email.Check(ctx, email)
	policyTotal.WithLabelValues(string(v.Rule), string(v.Action)).Inc()
	if v.Action != emailpolicy.Allowed {
		r.app.logger.Info("address denied by policy", zap.String("rule", string(v.Rule)), zap.String("action", string(v.Action)),
			zap.String("pseudonym", r.service.Pseudonym(email)))
	}
	return v.Action == emailpolicy.Refused
}

// CannotCarry implements [handlers.EmailRules].
func (r *emailRules) CannotCarry(ctx context.Context, email string) bool {
	carrier, ok := r.app.mailer.(Carrier)
	return ok && carrier.CannotCarry(ctx, email)
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
		return errArgs
	}
	p := new(EmailPolicy)
	a.EmailPolicy = p
	dot := true
	err := readBlock(d, d.Nesting(), options{
		"allow":       manyArgs(d, &p.Allow),
		"deny":        manyArgs(d, &p.Deny),
		"disposable":  oneArg(d, &p.Disposable),
		"check_mx":    onOff(d, &p.CheckMX),
		"require_dot": onOff(d, &dot),
		"log_only":    onOff(d, &p.LogOnly),
	})
	p.AllowDotless = !dot
	return err
}
