// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"fmt"
	"hash/fnv"
	"strings"
)

// Originators are the names and numbers that messages come from: by gateway ("*"
// for all of them), then by country ("default" for all others). What a gateway
// has of its own comes first.
type Originators map[string]map[string][]string

// The keys of [Originators] that stand for what has none of its own.
const (
	AnyGateway = "*"
	AnyRegion  = "default"
)

// maxOriginator is longer than any: 15 digits with "+", or 11 letters.
const maxOriginator = 16

func (o Originators) check(peers map[string]*peer) error {
	for gateway, regions := range o {
		if gateway != AnyGateway && peers[gateway] == nil {
			return fmt.Errorf("originators of gateway %q, which does not exist", gateway)
		}
		for region, list := range regions {
			if region != AnyRegion && !regionForm.MatchString(region) {
				return fmt.Errorf("originator %s: is neither a country, like FR, nor %s", region, AnyRegion)
			}
			if len(list) == 0 {
				return fmt.Errorf("originator %s: there are none", region)
			}
			for _, one := range list {
				if one == "" || len(one) > maxOriginator || strings.ContainsFunc(one, func(r rune) bool { return r < ' ' || r > '~' }) {
					return fmt.Errorf("originator %s: %q must be 1 to %d printable ASCII characters", region, one, maxOriginator)
				}
			}
		}
	}
	return nil
}

// choose picks the originator for a number. It is always the same one for the
// same number, so that a person who asks twice does not see two senders.
func (o Originators) choose(gateway, region, to string) string {
	for _, g := range []string{gateway, AnyGateway} {
		for _, r := range []string{strings.ToUpper(region), AnyRegion} {
			if list := o[g][r]; len(list) > 0 {
				h := fnv.New64a()
				_, _ = h.Write([]byte(to))
				return list[h.Sum64()%uint64(len(list))]
			}
		}
	}
	return ""
}
