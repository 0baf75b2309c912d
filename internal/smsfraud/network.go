// SPDX-License-Identifier: Apache-2.0

package smsfraud

import (
	"encoding/base64"
	"fmt"
	"time"
)

// networkRecord is what was spent on the messages that one wide network of clients has
// asked for, and what has become of their codes. Its name is a keyed hash, and nothing in
// it says which network it is.
type networkRecord struct {
	answers
	Spent counter `cbor:"7,keyasint"`

	name string
}

func (n *networkRecord) tidy(now time.Time) bool {
	codes, spent := n.answers.tidy(now), n.Spent.tidy(now)
	return codes || spent
}

func (n *networkRecord) expires() time.Time { return later(n.answers.expires(), n.Spent.expires()) }

// leastPart is how many messages a network may have of any budget: what is small is not
// divided.
const leastPart = 3

// part is so much of a budget, in percent, or what some such messages cost if that is more.
func (b Budget) part(percent, least int, cost Money) Budget {
	more := int64(1)
	if b.Unit == Amount {
		more = int64(cost)
	}
	p := int64(percent)
	part := b.Limit/100*p + b.Limit%100*p/100
	b.Limit = min(b.Limit, max(part, int64(least)*more))
	return b
}

// networkWord begins the names by which operators see networks.
const networkWord = "network-"

// pseudonym names a network to operators, by the name of its record: they can tell whether
// it is the same, but not which it is.
func pseudonym(name string) string {
	raw, _ := base64.RawURLEncoding.DecodeString(name) // a hash
	return fmt.Sprintf("%s%x", networkWord, raw[:min(len(raw), 5)])
}
