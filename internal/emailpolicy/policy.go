// SPDX-License-Identifier: Apache-2.0

package emailpolicy

import (
	"context"
	"strings"
)

// Rule is the word for why a verdict is as it is, a closed set.
type Rule string

// The rules.
const (
	// Default: nothing speaks against the domain.
	Default Rule = "default"
	// Allow: a rule allows it.
	Allow Rule = "allow"
	// MXUnknown: the domain name system gave no answer, which counts as a good
	// one.
	MXUnknown Rule = "mx_unknown"
	// Deny: a rule denies it.
	Deny Rule = "deny"
	// NotAllowed: there are rules that allow, and none is about it.
	NotAllowed Rule = "not_allowed"
	// Disposable: it is on the list of disposable domains.
	Disposable Rule = "disposable"
	// NoDot: the domain has but one label.
	NoDot Rule = "no_dot"
	// NullMX: the domain says that it takes no mail (RFC 7505).
	NullMX Rule = "null_mx"
	// NoMail: there is neither an MX record nor an address, or no such domain.
	NoMail Rule = "no_mail"
)

// Action is what comes of a verdict, a closed set.
type Action string

// The actions.
const (
	Allowed Action = "allowed"
	Refused Action = "refused"
	// Logged: it would have been refused.
	Logged Action = "logged"
)

// Verdict is what was decided about an address, without the address.
type Verdict struct {
	Rule   Rule
	Action Action
}

// Config is what a policy is made of. The zero value refuses domains without a
// dot, and nothing else.
type Config struct {
	// Allow and Deny are rules. With any in Allow, what no rule is about is
	// refused. The rule with the longest name decides; among equals, Deny does.
	Allow, Deny []string
	// Disposable are domains that are denied, unless an Allow speaks of the
	// domain as closely. May be nil.
	Disposable *List
	// MX asks the domain name system about what nothing else has refused. May be
	// nil.
	MX *MX
	// Dotless takes domains of one label; else only an Allow with the name does.
	Dotless bool
	// LogOnly refuses nothing.
	LogOnly bool
}

// Policy decides about addresses. It may be used by many goroutines.
type Policy struct {
	allow, deny rules
	config      Config
}

// New reads the rules.
func New(c Config) (*Policy, error) {
	allow, deny, err := parseBoth(c.Allow, c.Deny)
	if err != nil {
		return nil, err
	}
	return &Policy{allow: allow, deny: deny, config: c}, nil
}

// Check decides about an address in canonical form, as [address.Email] returns
// it.
func (p *Policy) Check(ctx context.Context, email string) Verdict {
	domain := email[strings.LastIndexByte(email, '@')+1:]
	rule := p.byName(domain)
	if !rule.refuses() && p.config.MX != nil {
		if found := p.config.MX.check(ctx, domain); found != "" {
			rule = found
		}
	}
	switch {
	case !rule.refuses():
		return Verdict{rule, Allowed}
	case p.config.LogOnly:
		return Verdict{rule, Logged}
	}
	return Verdict{rule, Refused}
}

// byName decides without asking anybody.
func (p *Policy) byName(domain string) Rule {
	allowed := p.allow.match(domain)
	denied := p.deny.match(domain)
	switch {
	case denied != unspoken && denied >= allowed:
		return Deny
	case allowed == unspoken && len(p.allow) > 0:
		return NotAllowed
	case p.config.Disposable != nil && p.config.Disposable.match(domain) > allowed:
		return Disposable
	case !p.config.Dotless && allowed <= general && !strings.Contains(domain, "."):
		return NoDot
	case allowed != unspoken:
		return Allow
	}
	return Default
}

func (r Rule) refuses() bool {
	switch r {
	case Default, Allow, MXUnknown:
		return false
	default:
		return true
	}
}
