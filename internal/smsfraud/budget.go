// SPDX-License-Identifier: Apache-2.0

package smsfraud

import (
	"fmt"
	"slices"
)

// Unit is what a budget counts.
type Unit uint8

// The units.
const (
	// Messages counts messages, whatever their length.
	Messages Unit = iota
	// Amount counts money: the price of every segment.
	Amount
)

// String is the unit's name.
func (u Unit) String() string {
	if u == Amount {
		return "amount"
	}
	return "messages"
}

// Window is the time that a budget is for. It slides: a budget per hour holds
// for any sixty minutes.
type Window uint8

// The windows.
const (
	Hour Window = iota
	Day
)

// String is the window's name.
func (w Window) String() string {
	if w == Day {
		return "day"
	}
	return "hour"
}

// Budget is the most that may be spent within a window.
type Budget struct {
	// Scope is "total"; "country" or "prefix", which is a budget of this size
	// for each country or prefix; a region ("FR"); or the beginning of numbers
	// ("+4479"), all of which are counted together.
	Scope string
	Unit  Unit
	// Limit is in messages, or a [Money].
	Limit int64
	Per   Window
}

// DefaultBudgets are enough for a homeserver of some thousand accounts, and what
// they can cost at most is bearable anywhere.
func DefaultBudgets() []Budget {
	return []Budget{
		{Scope: "total", Limit: 100, Per: Hour},
		{Scope: "total", Limit: 500, Per: Day},
		{Scope: "country", Limit: 50, Per: Hour},
		{Scope: "country", Limit: 200, Per: Day},
		{Scope: "prefix", Limit: 10, Per: Hour},
		{Scope: "prefix", Limit: 30, Per: Day},
	}
}

// kind says what a counter counts.
type kind string

// The kinds. They are stored: do not change them.
const (
	ofTotal   kind = "total"
	ofCountry kind = "country" // Of is the region
	ofPrefix  kind = "prefix"  // Of is the prefix that every number has
	ofBelow   kind = "below"   // Of is a prefix that the operator has named
)

// scope names one counter.
type scope struct {
	kind kind
	of   string
}

// name is how a configuration calls it.
func (s scope) name() string {
	switch {
	case s.kind == ofBelow:
		return "+" + s.of
	case s.of != "":
		return s.of
	}
	return string(s.kind)
}

// parseScope returns the counter of a budget; its of is empty if the budget is
// for each of a kind.
func parseScope(text string) (scope, bool) {
	switch text {
	case "total", "country", "prefix":
		return scope{kind: kind(text)}, true
	}
	if digits, ok := parsePrefix(text); ok {
		return scope{ofBelow, digits}, true
	}
	region, ok := parseRegion(text)
	return scope{ofCountry, region}, ok
}

// budgets are all budgets, by the counters that they are about.
type budgets struct {
	list  []Budget
	scope map[scope][]Budget
	below []string // the prefixes that the operator has named
}

func parseBudgets(list []Budget) (budgets, error) {
	all := budgets{list: list, scope: map[scope][]Budget{}}
	type same struct {
		scope
		Unit
		Window
	}
	seen := map[same]bool{}
	for _, b := range list {
		sc, ok := parseScope(b.Scope)
		switch {
		case !ok:
			return all, fmt.Errorf("budget %s: the scope must be total, country, prefix, a country like FR, or the beginning of numbers like +4479", b.Scope)
		case b.Limit <= 0:
			return all, fmt.Errorf("budget %s: the limit must be positive; to send nothing there, deny it", b.Scope)
		case b.Unit > Amount || b.Per > Day:
			return all, fmt.Errorf("budget %s: unknown unit or time", b.Scope)
		case seen[same{sc, b.Unit, b.Per}]:
			return all, fmt.Errorf("budget %s: in %s per %s is given twice; leave one of them out", b.Scope, b.Unit, b.Per)
		}
		seen[same{sc, b.Unit, b.Per}] = true
		if sc.kind == ofBelow && all.scope[sc] == nil {
			all.below = append(all.below, sc.of)
		}
		all.scope[sc] = append(all.scope[sc], b)
	}
	return all, nil
}

// of returns the budgets that a counter must keep.
func (b budgets) of(c scope) []Budget {
	each := b.scope[scope{kind: c.kind}]
	if c.of == "" {
		return each
	}
	return append(slices.Clip(each), b.scope[c]...)
}

// priced refuses budgets in money for what has no price: that would be free, and
// no budget in money would end it.
func (c Config) priced(all budgets, prices map[string]Money) error {
	if _, ok := prices[defaultPrice]; ok {
		return nil
	}
	for sc, list := range all.scope {
		if !slices.ContainsFunc(list, func(b Budget) bool { return b.Unit == Amount }) {
			continue
		}
		wanted := c.Allow
		if sc.kind == ofCountry && sc.of != "" {
			wanted = []string{sc.of}
		}
		for _, name := range wanted {
			region, ok := parseRegion(name)
			if _, priced := prices[region]; !ok || !priced {
				return fmt.Errorf("budget %s: in money needs prices, and %s has none; write: price default <amount>", sc.name(), name)
			}
		}
	}
	return nil
}
