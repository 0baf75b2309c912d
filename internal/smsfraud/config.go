// SPDX-License-Identifier: Apache-2.0

package smsfraud

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// Config is what a shield is made of. Store, Keys and Allow must be given.
type Config struct {
	Store store.Store
	Keys  *keyring.Ring
	// Now is the clock; time.Now by default.
	Now func() time.Time
	// Observer is told what happens; nobody by default.
	Observer Observer

	// Allow and Deny are regions ("FR") and beginnings of numbers ("+4479"). The
	// longest beginning that fits decides, before any region; where both lists
	// say the same, Deny does. "*" in Allow is all numbers of people: those of a
	// country, and not of satellites and services of the whole world.
	Allow, Deny []string
	// Budgets are the most that may be spent; nil means [DefaultBudgets], and an
	// empty list none.
	Budgets []Budget
	// Prices are what a segment costs, by region; "default" is that of all
	// others. What has no price costs nothing, and counts as a message still; a
	// budget in money needs prices for all that is allowed.
	Prices map[string]Money
	// PrefixDigits is how many digits of a number, country code included, are
	// its prefix; 7 by default. The last four digits of a number never belong
	// to its prefix, so that a prefix does not tell who it is.
	PrefixDigits int
	// Conversion says when a prefix is paused.
	Conversion Conversion
	// PerNumber is how many messages one number gets in 24 hours; 10 by default.
	// It bounds how often a code can be guessed, see the package comment.
	PerNumber int
	// NumbersPerClient and CountriesPerClient are how many different ones a
	// client address may send to in 24 hours; 10 and 3 by default. A negative
	// one is off.
	NumbersPerClient, CountriesPerClient int
	// NetworkPart is how much of any budget in total one network may take (of IPv4 a
	// /24, of IPv6 a /48), in percent, and three messages at the least; 4 by default. A
	// negative one is off.
	NetworkPart int
	// Backoff is the least time between messages to one number: after the
	// first, after the second, and so on; the last one repeats. Messages are
	// forgotten after 24 hours. Nil means 30 s, 60 s, 5 min; an empty list none.
	Backoff []time.Duration
}

// The bounds of a configuration; records must fit into an entry of a store.
const (
	maxPerNumber    = 1000
	maxPrefixDigits = 11
	maxPrice        = 1_000_000 * unit
	maxSegments     = 255
)

// defaultPrice is the key of the price for all other regions.
const defaultPrice = "default"

func (c Config) withDefaults() Config {
	def := func(n *int, value int) {
		if *n == 0 {
			*n = value
		}
	}
	def(&c.PrefixDigits, 7)
	def(&c.PerNumber, 10)
	def(&c.NumbersPerClient, 10)
	def(&c.CountriesPerClient, 3)
	def(&c.NetworkPart, 4)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Observer == nil {
		c.Observer = nobody{}
	}
	if c.Budgets == nil {
		c.Budgets = DefaultBudgets()
	}
	if c.Backoff == nil {
		c.Backoff = []time.Duration{30 * time.Second, time.Minute, 5 * time.Minute}
	}
	c.Budgets, c.Backoff = slices.Clone(c.Budgets), slices.Clone(c.Backoff)
	return c
}

func (c Config) check() error {
	switch {
	case c.Store == nil || c.Keys == nil:
		return errors.New("the shield needs a store and keys")
	case c.PrefixDigits < 1 || c.PrefixDigits > maxPrefixDigits:
		return fmt.Errorf("prefix_digits: must be 1 to %d", maxPrefixDigits)
	case c.PerNumber < 1 || c.PerNumber > maxPerNumber:
		return fmt.Errorf("per_number: must be 1 to %d messages in 24 hours", maxPerNumber)
	case c.NumbersPerClient > maxUses:
		return fmt.Errorf("per_client numbers: must be at most %d in 24 hours, or off", maxUses)
	case c.NetworkPart > 100:
		return errors.New("per_client part: must be at most 100 percent, or off")
	}
	for i, d := range c.Backoff {
		if d < 0 || d > day || i > 0 && d < c.Backoff[i-1] {
			return errors.New("resend_after: times must be at most 24h, and must not become shorter")
		}
	}
	return nil
}

// parsePrices returns the prices by region in its one spelling.
func parsePrices(given map[string]Money) (map[string]Money, error) {
	prices := map[string]Money{}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		price, region := given[name], name
		if name != defaultPrice {
			var ok bool
			if region, ok = parseRegion(name); !ok {
				return nil, fmt.Errorf("price %s: is neither a country, like FR, nor %s", name, defaultPrice)
			}
		}
		if price < 0 || price > maxPrice {
			return nil, fmt.Errorf("price %s: must be between 0 and %s", name, maxPrice)
		}
		if _, twice := prices[region]; twice {
			return nil, fmt.Errorf("price %s: is given twice, in two spellings", name)
		}
		prices[region] = price
	}
	return prices, nil
}

// unopened stands for a store that is not open yet.
type unopened struct{ store.Store }

// Validate checks everything that does not need a store, so that a configuration
// can be refused before one is opened.
func (c Config) Validate() error {
	c.Store, c.Keys = unopened{}, new(keyring.Ring)
	_, err := New(c)
	return err
}
