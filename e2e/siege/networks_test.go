// SPDX-License-Identifier: Apache-2.0

package siege

import (
	"math/rand/v2"
	"net/netip"
)

// Everybody's addresses are of ranges of their own: honest people's begin with 20 and
// 2001:dba, attackers' with 60 and 2001:dbb, those of who enumerates with 90.

// in24 is an address of the nth /24 of a range.
func in24(first byte, n int, host byte) netip.Addr {
	return netip.AddrFrom4([4]byte{first, byte(n >> 8), byte(n), host})
}

// in48 is a random address of the nth /48 of a range.
func in48(r *rand.Rand, region byte, n int) netip.Addr {
	a := [16]byte{0x20, 0x01, 0x0d, region, byte(n >> 8), byte(n)}
	for i := 6; i < len(a); i++ {
		a[i] = byte(r.Uint32())
	}
	return netip.AddrFrom16(a)
}

// shared is the address of those whose provider has one for many.
var shared = in24(20, 0xffff, 1)

// home is where the nth honest person is: at a network of their own, of either kind, or
// one in twenty at the shared address.
func home(r *rand.Rand, n int) netip.Addr {
	switch {
	case r.IntN(20) == 0:
		return shared
	case r.IntN(2) == 0:
		return in48(r, 0xba, n)
	}
	return in24(20, n, byte(1+r.IntN(250)))
}

// oneHost is always at the same address.
func oneHost(*rand.Rand) netip.Addr { return in24(60, 7, 7) }

// sixteenHosts are twelve in four /24s, whose addresses change, and four in one /48, who
// take any.
func sixteenHosts(r *rand.Rand) netip.Addr {
	if n := r.IntN(16); n < 12 {
		return in24(60, 100+n%4, byte(1+r.IntN(250)))
	}
	return in48(r, 0xbb, 1)
}

// fiveThousand are as many networks of both kinds.
func fiveThousand(r *rand.Rand) netip.Addr {
	n := r.IntN(5000)
	if n%2 == 0 {
		return in24(60, 1000+n, byte(1+r.IntN(250)))
	}
	return in48(r, 0xbb, 1000+n)
}
