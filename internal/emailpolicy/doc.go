// SPDX-License-Identifier: Apache-2.0

// Package emailpolicy decides whether addresses of a domain may be verified: by the
// operator's rules, by a list of disposable domains, and by what the domain name
// system says about mail there.
//
// Rules are about domains, not patterns of text. A pattern is one forgotten
// anchor away from being no rule at all (`.*@matrix\.org` also matches
// a@matrix.org.evil.com). Rules, lists and addresses go through the same
// canonicalisation, [address.Domain], so that a rule is applied to the very
// A-label that a relay is told, however either was typed.
//
// A [Verdict] names one of a closed set of rules, for counting. Neither it nor
// any error holds an address.
package emailpolicy
