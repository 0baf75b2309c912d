// SPDX-License-Identifier: Apache-2.0

package ratelimit

import "net/netip"

// A client is not an address: whoever has a network of addresses uses all of them. So
// it is counted as several networks, from that of one subscriber to what is routed as
// one: the /64, /56 and /48 of an IPv6 address (RFC 6177), the address itself and the
// /24 of IPv4.

// Network is one of them. It is a text that no other has.
type Network string

// Networks are those of a client, the narrowest first; none if it is not known.
func Networks(client netip.Addr) []Network {
	client = client.Unmap().WithZone("")
	switch {
	case !client.IsValid():
		return nil
	case client.Is4():
		return []Network{Network(client.String()), prefix(client, 24)}
	}
	return []Network{prefix(client, 64), prefix(client, 56), prefix(client, 48)}
}

// Narrow is what one subscriber has: all of an IPv4 address, and a /64 of IPv6, within
// which they can choose. It is empty if the client is not known.
func Narrow(client netip.Addr) Network {
	if of := Networks(client); len(of) > 0 {
		return of[0]
	}
	return ""
}

// Wide is the widest of them, or empty.
func Wide(client netip.Addr) Network {
	if of := Networks(client); len(of) > 0 {
		return of[len(of)-1]
	}
	return ""
}

func prefix(client netip.Addr, bits int) Network {
	p, _ := client.Prefix(bits) // which each has
	return Network(p.String())
}
