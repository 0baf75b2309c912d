// SPDX-License-Identifier: Apache-2.0

package ratelimit

import "slices"

// Places is from where an address was proven here: by what its owner is told from
// strangers.
type Places struct {
	// Networks are parts of keyed hashes, the newest first.
	Networks []uint64 `cbor:"1,keyasint"`
}

// mostKnown is how many networks of an address are remembered: home, work, a telephone
// and some more.
const mostKnown = 8

// Knows reports whether an address was proven from a network, whichever key names it.
func (k *Places) Knows(by []uint64) bool {
	return slices.ContainsFunc(by, func(n uint64) bool { return slices.Contains(k.Networks, n) })
}

// Learn notes that an address was proven from a network.
func (k *Places) Learn(by []uint64) {
	if len(by) == 0 {
		return
	}
	rest := slices.DeleteFunc(k.Networks, func(n uint64) bool { return slices.Contains(by, n) })
	k.Networks = append([]uint64{by[0]}, rest...)
	k.Networks = k.Networks[:min(len(k.Networks), mostKnown)]
}
