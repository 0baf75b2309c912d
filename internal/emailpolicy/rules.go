// SPDX-License-Identifier: Apache-2.0

package emailpolicy

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddy-threepid/caddy-threepid/internal/address"
	"github.com/caddy-threepid/caddy-threepid/internal/input"
)

// form is what a rule says about its domain.
type form string

const (
	both  form = ""  // the domain and everything below it
	exact form = "=" // the domain alone
	below form = "." // everything below it
	all   form = "*" // every domain there is
)

// rule is one domain rule in canonical form.
type rule struct {
	form   form
	domain string
}

// String is the canonical spelling, which parses to the same rule.
func (r rule) String() string { return string(r.form) + r.domain }

// CheckRule reports what is wrong with the text of a rule.
func CheckRule(text string) error {
	_, err := parseRule(text)
	return err
}

func parseRule(text string) (rule, error) {
	text = input.Trim(text)
	if text == string(all) {
		return rule{form: all}, nil
	}
	if strings.Contains(text, "@") {
		return rule{}, errors.New("a rule is about a domain, not about an address; write what is after the at sign")
	}
	if rest, ok := strings.CutPrefix(text, "*."); ok {
		// Elsewhere this is one label, or the domain as well: not to be guessed.
		return rule{}, fmt.Errorf("is not a rule; write .%s for everything below the domain", rest)
	}
	r, typed := rule{}, text
	for _, f := range []form{exact, below} {
		if rest, ok := strings.CutPrefix(text, string(f)); ok {
			r.form, typed = f, rest
		}
	}
	var err error
	if r.domain, err = canonicalDomain(typed); err != nil {
		return rule{}, errors.New("is not a rule; write example.org, =example.org, .example.org or *")
	}
	return r, nil
}

// canonicalDomain takes a name as zone files have it, too: with a dot at the
// end. An address must not have that, but no two names differ by it.
func canonicalDomain(typed string) (string, error) {
	return address.Domain(strings.TrimSuffix(typed, "."))
}

// rules are one list, of any order: what counts is how closely each speaks of a
// domain.
type rules map[rule]struct{}

func parseRules(list []string) (rules, error) {
	parsed := make(rules, len(list))
	for _, text := range list {
		r, err := parseRule(text)
		if err != nil {
			return nil, err
		}
		parsed[r] = struct{}{}
	}
	return parsed, nil
}

// closeness says how closely a list speaks of a domain: unspoken if it does not,
// and the more, the longer the name in the rule is. Between names of the same
// length, =domain and .domain say more than domain, as they are about fewer.
type closeness int

const (
	unspoken closeness = -1
	general  closeness = 0 // by *
)

func byName(labels int, f form) closeness {
	if f == both {
		return closeness(2 * labels)
	}
	return closeness(2*labels + 1)
}

func (rs rules) has(f form, domain string) bool {
	_, ok := rs[rule{f, domain}]
	return ok
}

// match compares whole labels, from the whole domain on to its last label.
func (rs rules) match(domain string) closeness {
	narrow := exact // for the domain itself, and then for those above it
	for labels, name := range suffixes(domain) {
		for _, f := range []form{narrow, both} {
			if rs.has(f, name) {
				return byName(labels, f)
			}
		}
		narrow = below
	}
	if rs.has(all, "") {
		return general
	}
	return unspoken
}

// suffixes yields a domain and the domains above it, each with the number of
// its labels.
func suffixes(domain string) func(yield func(int, string) bool) {
	return func(yield func(int, string) bool) {
		labels := strings.Count(domain, ".") + 1
		for yield(labels, domain) && labels > 1 {
			_, domain, _ = strings.Cut(domain, ".")
			labels--
		}
	}
}

// parseBoth reads the two lists, and refuses what cannot be meant.
func parseBoth(allow, deny []string) (allowed, denied rules, err error) {
	if allowed, err = parseRules(allow); err != nil {
		return nil, nil, fmt.Errorf("allow: %w", err)
	}
	if denied, err = parseRules(deny); err != nil {
		return nil, nil, fmt.Errorf("deny: %w", err)
	}
	for _, r := range slices.SortedFunc(maps.Keys(denied), func(a, b rule) int { return strings.Compare(a.String(), b.String()) }) {
		if _, also := allowed[r]; also {
			return nil, nil, fmt.Errorf("deny %s: is allowed as well; leave one of them out", r)
		}
	}
	if denied.has(all, "") && len(allowed) == 0 {
		return nil, nil, errors.New("deny *: alone would leave nothing; write what to allow, or `mailer off`")
	}
	return allowed, denied, nil
}
