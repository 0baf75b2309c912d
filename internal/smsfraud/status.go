// SPDX-License-Identifier: Apache-2.0

package smsfraud

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Status is what an operator may see: sums, by region and prefix. No number can
// be read from it.
type Status struct {
	// Budgets are in the order of the configuration.
	Budgets []Usage
	// Paused are the prefixes that nothing is sent to, and the networks that nothing is
	// sent for.
	Paused []Pause
	// Prefixes are those that codes were sent to within the window.
	Prefixes []Rate
}

// Usage is how far one budget is used up.
type Usage struct {
	Budget
	// Of is which country or prefix it is about: "FR", "+4479001…", "total".
	Of string
	// Used is in the unit of the budget. All of its oldest bucket is counted, as
	// it is when a message is judged.
	Used int64
}

// Pause is a prefix that nothing is sent to, or a network that nothing is sent for. That
// has a pseudonym and no region.
type Pause struct {
	Name, Region string
	Network      bool
	Since, Until time.Time
}

// Rate is how many codes were sent to a prefix, and how many came back.
type Rate struct {
	Prefix, Region string
	Sent, Verified int64
}

// masked shows a prefix: that it is one, and not a number, must be seen.
func masked(digits string) string { return "+" + digits + "…" }

// Status reads what is used and paused. Entries that cannot be read, because
// their key is gone, are left out.
func (s *Shield) Status(ctx context.Context) (Status, error) {
	now := s.now()
	counters := map[scope]*counter{}
	err := kindCounter.Scan(ctx, s.store, partition, func(key string, value []byte) (bool, error) {
		var c counter
		if s.codec.open(kindCounter, key, value, &c) == nil {
			c.tidy(now)
			counters[c.scope()] = &c
		}
		return true, nil
	})
	if err != nil {
		return Status{}, fmt.Errorf("read counters: %w", err)
	}
	var st Status
	for _, b := range s.budgets.list {
		st.Budgets = append(st.Budgets, usages(b, counters)...)
	}
	prefixes, err := s.prefixes(ctx, now)
	if err != nil {
		return Status{}, err
	}
	for _, p := range prefixes {
		name := masked(p.Digits)
		if sent, verified := sum(p.Buckets); sent > 0 || verified > 0 {
			st.Prefixes = append(st.Prefixes, Rate{name, p.Region, sent, verified})
		}
		if p.Until != 0 {
			st.Paused = append(st.Paused, Pause{name, p.Region, false, time.Unix(0, p.Since), time.Unix(0, p.Until)})
		}
	}
	networks, err := s.networks(ctx, now)
	if err != nil {
		return Status{}, err
	}
	for _, n := range networks {
		if n.Until != 0 {
			st.Paused = append(st.Paused, Pause{pseudonym(n.name), "", true, time.Unix(0, n.Since), time.Unix(0, n.Until)})
		}
	}
	return st, nil
}

// usages are those of one budget: of what is in use, if it is for each of a kind.
func usages(b Budget, counters map[scope]*counter) []Usage {
	sc, _ := parseScope(b.Scope)
	if sc.of != "" || sc.kind == ofTotal {
		c := counters[sc]
		if c == nil {
			c = &counter{}
		}
		return []Usage{{b, shown(sc), c.used(b)}}
	}
	var list []Usage
	for other, c := range counters {
		if used := c.used(b); other.kind == sc.kind && used > 0 {
			list = append(list, Usage{b, shown(other), used})
		}
	}
	slices.SortFunc(list, func(x, y Usage) int { return cmp.Compare(x.Of, y.Of) })
	return list
}

// shown is the name of a counter for people.
func shown(sc scope) string {
	switch sc.kind {
	case ofPrefix, ofBelow:
		return masked(sc.of)
	case ofCountry:
		return sc.of
	default:
		return string(sc.kind)
	}
}

// prefixes returns the records of all prefixes, by their digits. A pause that is
// over is not shown, nor what led to it.
func (s *Shield) prefixes(ctx context.Context, now time.Time) ([]*prefixRecord, error) {
	var list []*prefixRecord
	if s.conversion.Off {
		return nil, nil
	}
	err := kindPrefix.Scan(ctx, s.store, partition, func(key string, value []byte) (bool, error) {
		p := &prefixRecord{answers: s.answers()}
		if s.codec.open(kindPrefix, key, value, p) == nil {
			p.tidy(now)
			p.over(now)
			list = append(list, p)
		}
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("read prefixes: %w", err)
	}
	slices.SortFunc(list, func(x, y *prefixRecord) int { return cmp.Compare(x.Digits, y.Digits) })
	return list, nil
}

// networks returns the records of all networks, by their names.
func (s *Shield) networks(ctx context.Context, now time.Time) ([]*networkRecord, error) {
	var list []*networkRecord
	if s.conversion.Off {
		return nil, nil
	}
	err := kindNetwork.Scan(ctx, s.store, partition, func(key string, value []byte) (bool, error) {
		n := &networkRecord{answers: s.answers(), name: strings.TrimPrefix(key, kindNetwork.Key(""))}
		if s.codec.open(kindNetwork, key, value, n) == nil {
			n.tidy(now)
			n.over(now)
			list = append(list, n)
		}
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("read networks: %w", err)
	}
	slices.SortFunc(list, func(x, y *networkRecord) int { return cmp.Compare(x.name, y.name) })
	return list, nil
}
