// SPDX-License-Identifier: Apache-2.0

package siege

import "fmt"

// bound is what is promised of a siege.
type bound struct {
	// own and registrations are how many of 100 resets and adds, and of 100
	// registrations, succeed at the least.
	own, registrations float64
	// stranger and budget are how many mails somebody gets without asking, and how much of 100 the
	// attacker spends of a day's short messages, at the most.
	stranger int
	budget   float64
}

// apartBy is how unlikely a difference between known and unknown addresses has to be for
// it to be taken for one: there are nine to be looked at in each siege.
const apartBy = 0.0001

// brokenBy says which promises a run has broken.
func (b bound) brokenBy(r row) (broken []string) {
	for kind, want := range map[string]float64{reset: b.own, add: b.own, registration: b.registrations} {
		if got := r.success[kind]; got < want {
			broken = append(broken, fmt.Sprintf("%.1f %% of the errands %q succeed, want %.1f %%", got, kind, want))
		}
	}
	if r.stranger > b.stranger {
		broken = append(broken, fmt.Sprintf("somebody gets %d mails in a day that they have not asked for, want at most %d", r.stranger, b.stranger))
	}
	if got := r.sms.spent(); got > b.budget {
		broken = append(broken, fmt.Sprintf("the attacker spends %.1f %% of the budget for short messages, want at most %.1f %%", got, b.budget))
	}
	if r.apart < apartBy {
		broken = append(broken, fmt.Sprintf("addresses with an account can be told from others by %s, p = %.2g", r.telling, r.apart))
	}
	return broken
}

// attackers are all of them, with what is promised.
var attackers = []attacker{
	{name: "nobody", promised: bound{100, 100, 5, 0}},
	{name: "one host", from: oneHost, do: mixed, promised: bound{99.9, 99, 5, 5}},
	{name: "16 hosts in 4 /24s and one /48", from: sixteenHosts, do: mixed, promised: bound{99.9, 95, 5, 20}},
	{name: "5,000 networks", from: fiveThousand, do: mixed, promised: bound{85, 0, 29, 100}},
	{name: "locks owners out, one host", slow: true, from: oneHost, do: lockOut, owners: true, promised: bound{99.9, 0, 5, 0}},
	{name: "locks owners out, 16 hosts", slow: true, from: sixteenHosts, do: lockOut, owners: true, promised: bound{99.9, 0, 5, 0}},
	{name: "one who enumerates", curious: true, promised: bound{99.9, 99, 5, 0}},
}
