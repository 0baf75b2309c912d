// SPDX-License-Identifier: Apache-2.0

package smsfraud

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// Shield decides whether a message may be sent, and counts it. It is safe for
// concurrent use, and there may be several over one store.
type Shield struct {
	store    store.Store
	codec    codec
	keys     *keyring.Ring
	now      func() time.Time
	observer Observer

	policy       policy
	budgets      budgets
	prices       map[string]Money
	prefixDigits int
	conversion   Conversion
	perNumber    int
	numbers      int
	countries    int
	part         int
	backoff      []time.Duration
}

// New makes a shield. It does not touch the store.
func New(c Config) (*Shield, error) {
	c = c.withDefaults()
	if err := c.check(); err != nil {
		return nil, err
	}
	policy, err := parsePolicy(c.Allow, c.Deny)
	if err != nil {
		return nil, err
	}
	prices, err := parsePrices(c.Prices)
	if err != nil {
		return nil, err
	}
	budgets, err := parseBudgets(c.Budgets)
	if err != nil {
		return nil, err
	}
	if err := c.priced(budgets, prices); err != nil {
		return nil, err
	}
	conversion, err := c.Conversion.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Shield{
		store: c.Store, codec: codec{c.Keys}, keys: c.Keys, now: c.Now, observer: c.Observer,
		policy: policy, budgets: budgets, prices: prices, prefixDigits: c.PrefixDigits, conversion: conversion,
		perNumber: c.PerNumber, numbers: c.NumbersPerClient, countries: c.CountriesPerClient, part: c.NetworkPart, backoff: c.Backoff,
	}, nil
}

// Request is a message that somebody wants to be sent.
type Request struct {
	// Digits is the number in E.164, without "+".
	Digits string
	// Region is the number's; empty if it has none.
	Region string
	// Client is who asks; the zero address if that is not known.
	Client netip.Addr
	// Class says how sure it is that the message is wanted, and so of how much of the
	// totals it may take.
	Class ratelimit.Class
	// Segments is how many the message is billed as; at least one.
	Segments int
}

// Why is the reason of a refusal: one of the words below, for metrics too.
type Why string

// The reasons. If there are several, the first of this list is told.
const (
	WhyCountry         Why = "country"          // no messages go there
	WhyPrefixPaused    Why = "prefix_paused"    // codes sent there do not come back
	WhyNetworkPaused   Why = "network_paused"   // codes that this network asks for do not come back
	WhyBudget          Why = "budget"           // there is no money left for it
	WhyNetwork         Why = "network"          // the network has had its part of the budgets
	WhyNumber          Why = "number"           // the number has had its messages of the day
	WhyClientNumbers   Why = "client_numbers"   // the client has reached too many numbers
	WhyClientCountries Why = "client_countries" // ... or numbers of too many countries
	WhyBackoff         Why = "backoff"          // the number has just had one
)

// RefusedError is the error of a message that must not be sent.
type RefusedError struct {
	Why Why
	// RetryAfter is how long it takes at the least until the same request is
	// not refused, for this and all other reasons; zero if it always will be.
	RetryAfter time.Duration
	// Early says that the number has just had a message, whatever else there is.
	Early bool
}

func (r *RefusedError) Error() string {
	if r.RetryAfter == 0 {
		return "refuse message: " + string(r.Why)
	}
	return fmt.Sprintf("refuse message: %s, retry after %s", r.Why, r.RetryAfter)
}

// Observer is told what happens, after it has been stored. Its methods must be
// quick and safe for concurrent use. Regions are all that it learns.
type Observer interface {
	// Paused: nothing is sent to a prefix of this region any more. It is called
	// once for each pause.
	Paused(region string)
	// Resumed: a pause was lifted, or its end was noticed when the next message
	// was asked for.
	Resumed(region string)
	// NetworkPaused and NetworkResumed say the same of a network: nothing is sent that
	// is asked for from there.
	NetworkPaused()
	NetworkResumed()
	// Refused: a message was refused.
	Refused(region string, why Why)
	// Spent: a message was counted. That it was given back is not reported.
	Spent(region string, segments int, m Money)
}

type nobody struct{}

func (nobody) Paused(string)            {}
func (nobody) Resumed(string)           {}
func (nobody) NetworkPaused()           {}
func (nobody) NetworkResumed()          {}
func (nobody) Refused(string, Why)      {}
func (nobody) Spent(string, int, Money) {}

// message is a checked request: where it is counted, and what it costs. It does
// not hold the number. What is empty is not looked at.
type message struct {
	region  string
	prefix  string
	number  []string // its names, by every key
	client  []string // its names, by every key
	network []string // its names, by every key
	class   ratelimit.Class
	// about finds the message in the number's record that this one is about; then its
	// network and class are those of that one.
	about    func(*numberRecord) *send
	counters []scope
	segments int
	cost     Money
}

var (
	errDigits = errors.New("a phone number is 5 to 15 digits (E.164)")
	errRegion = errors.New("a region is two letters or three digits")
)

// minDigits is less than any number has; what is shorter was not parsed.
const minDigits = 5

// spending is the part of a message that money is spent on.
func (s *Shield) spending(r Request) (message, error) {
	m, err := s.returning(r.Digits, r.Region)
	if err != nil {
		return m, err
	}
	price, ok := s.prices[m.region]
	if !ok {
		price = s.prices[defaultPrice]
	}
	m.class = r.Class
	m.segments = min(max(r.Segments, 1), maxSegments)
	m.cost = price * Money(m.segments)
	m.counters = []scope{{kind: ofTotal}, {ofCountry, m.region}, {ofPrefix, prefixOf(r.Digits, s.prefixDigits)}}
	for _, prefix := range s.budgets.below {
		if strings.HasPrefix(r.Digits, prefix) {
			m.counters = append(m.counters, scope{ofBelow, prefix})
		}
	}
	return m, nil
}

// returning is the part of a message that codes come back to.
func (s *Shield) returning(digits, region string) (m message, err error) {
	if !onlyDigits(digits) || len(digits) < minDigits || len(digits) > maxDigits {
		return m, errDigits
	}
	if m.region = unknownRegion; region != "" {
		var ok bool
		if m.region, ok = parseRegion(region); !ok {
			return m, errRegion
		}
	}
	if !s.conversion.Off {
		m.prefix = prefixOf(digits, s.prefixDigits)
	}
	return m, nil
}

// tail is how many digits of a number its prefix leaves out at the least.
const tail = 4

func prefixOf(digits string, n int) string {
	return digits[:max(1, min(n, len(digits)-tail))]
}

// answers is an empty record of what becomes of codes.
func (s *Shield) answers() answers {
	sp := s.conversion.span()
	return answers{Size: sp.size, span: sp}
}

// networkNames are the names of the wide network of a client, nil if it is not known.
func (s *Shield) networkNames(client netip.Addr) []string {
	wide := ratelimit.Wide(client)
	if wide == "" {
		return nil
	}
	return s.keys.HashTexts("shield network", string(wide))
}

func numberNames(keys *keyring.Ring, digits string) []string {
	return keys.HashTexts("shield number", digits)
}
