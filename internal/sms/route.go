// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/caddy-threepid/caddy-threepid/internal/input"
)

// Route says which gateways carry messages to some numbers, in the order of
// preference.
type Route struct {
	// Match are countries ("FR", ISO 3166-1; "001" for numbers of no country)
	// and beginnings of numbers ("+4479"). None makes the default route. The
	// longest beginning comes first, then the country, then the default.
	Match    []string
	Gateways []string
}

var (
	regionForm = regexp.MustCompile(`^([A-Z]{2}|001)$`)
	prefixForm = regexp.MustCompile(`^\+[1-9][0-9]{0,14}$`)
)

// table finds the gateways of a number.
type table struct {
	prefixes map[string][]*peer // digits
	regions  map[string][]*peer
	rest     []*peer
	longest  int // of the prefixes, in digits
}

func newTable(routes []Route, peers map[string]*peer) (*table, error) {
	t := &table{prefixes: map[string][]*peer{}, regions: map[string][]*peer{}}
	for _, r := range routes {
		order, err := inOrder(r.Gateways, peers)
		if err != nil {
			return nil, err
		}
		if len(r.Match) == 0 {
			if t.rest != nil {
				return nil, errors.New("route default: is there twice; leave one of them out")
			}
			t.rest = order
		}
		for _, item := range r.Match {
			if err := t.add(item, order); err != nil {
				return nil, err
			}
		}
	}
	return t, nil
}

func (t *table) add(item string, order []*peer) error {
	item = strings.ToUpper(input.NumberOrWord(item))
	digits, prefix := strings.CutPrefix(item, "+")
	key, routes := digits, t.regions
	switch {
	case prefix && prefixForm.MatchString(item):
		routes, t.longest = t.prefixes, max(t.longest, len(digits))
	case !regionForm.MatchString(item):
		return fmt.Errorf("route %s: is neither a country, like FR, nor the beginning of numbers, like +4479", item)
	}
	if routes[key] != nil {
		return fmt.Errorf("route %s: is there twice; leave one of them out", item)
	}
	routes[key] = order
	return nil
}

func inOrder(names []string, peers map[string]*peer) ([]*peer, error) {
	if len(names) == 0 {
		return nil, errors.New("route: names no sender")
	}
	seen := map[string]bool{}
	order := make([]*peer, 0, len(names))
	for _, name := range names {
		switch one := peers[name]; {
		case one == nil:
			return nil, fmt.Errorf("route %s: there is no such sender; write: sender %s http {…}", name, name)
		case seen[name]:
			return nil, fmt.Errorf("route %s: the sender is there twice", name)
		default:
			seen[name] = true
			order = append(order, one)
		}
	}
	return order, nil
}

// find returns the gateways for a number, or nil.
func (t *table) find(region, to string) []*peer {
	for n := min(len(to), t.longest); n > 0; n-- {
		if order := t.prefixes[to[:n]]; order != nil {
			return order
		}
	}
	if order := t.regions[strings.ToUpper(region)]; order != nil {
		return order
	}
	return t.rest
}
