// SPDX-License-Identifier: Apache-2.0

package outbound

import (
	"errors"
	"fmt"
	"net/netip"
)

// ErrForbiddenAddress is the outcome when a name is, or resolves to, an address
// that is not an ordinary one on the public internet. Nothing was connected to.
var ErrForbiddenAddress = errors.New("address is not on the public internet")

// block is a range of addresses that were taken out of ordinary use.
type block struct {
	prefix netip.Prefix
	use    string
}

// special4 is the IANA IPv4 Special-Purpose Address Registry (RFC 6890, RFC
// 8190), with multicast, which has a registry of its own. Entries that are
// globally reachable are here too: they are anycast addresses of
// infrastructure, answered by whichever node is nearest, perhaps our own.
var special4 = []block{
	{netip.MustParsePrefix("0.0.0.0/8"), "this network (RFC 791)"},
	{netip.MustParsePrefix("10.0.0.0/8"), "private (RFC 1918)"},
	{netip.MustParsePrefix("100.64.0.0/10"), "shared, carrier-grade NAT (RFC 6598)"},
	{netip.MustParsePrefix("127.0.0.0/8"), "loopback (RFC 1122)"},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local (RFC 3927)"},
	{netip.MustParsePrefix("172.16.0.0/12"), "private (RFC 1918)"},
	{netip.MustParsePrefix("192.0.0.0/24"), "IETF protocol assignments (RFC 6890)"},
	{netip.MustParsePrefix("192.0.2.0/24"), "documentation (RFC 5737)"},
	{netip.MustParsePrefix("192.31.196.0/24"), "AS112 (RFC 7535)"},
	{netip.MustParsePrefix("192.52.193.0/24"), "AMT relays (RFC 7450)"},
	{netip.MustParsePrefix("192.88.99.0/24"), "6to4 relays (RFC 7526)"},
	{netip.MustParsePrefix("192.168.0.0/16"), "private (RFC 1918)"},
	{netip.MustParsePrefix("192.175.48.0/24"), "AS112 (RFC 7534)"},
	{netip.MustParsePrefix("198.18.0.0/15"), "benchmarking (RFC 2544)"},
	{netip.MustParsePrefix("198.51.100.0/24"), "documentation (RFC 5737)"},
	{netip.MustParsePrefix("203.0.113.0/24"), "documentation (RFC 5737)"},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast (RFC 5771)"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved (RFC 1112) and broadcast (RFC 919)"},
}

// special6 is the IANA IPv6 Special-Purpose Address Registry (RFC 6890, RFC
// 8190), with deprecated and multicast ranges. Most of it lies outside
// globalUnicast and is refused for that already; it is listed for the reason.
// More specific ranges stand first.
var special6 = []block{
	{netip.MustParsePrefix("::/128"), "unspecified (RFC 4291)"},
	{netip.MustParsePrefix("::1/128"), "loopback (RFC 4291)"},
	{netip.MustParsePrefix("::ffff:0:0/96"), "IPv4-mapped (RFC 4291)"},
	{netip.MustParsePrefix("::ffff:0:0:0/96"), "IPv4-translated (RFC 2765)"},
	{netip.MustParsePrefix("::/96"), "IPv4-compatible (RFC 4291)"},
	{netip.MustParsePrefix("64:ff9b::/96"), "NAT64 (RFC 6052)"},
	{netip.MustParsePrefix("64:ff9b:1::/48"), "local NAT64 (RFC 8215)"},
	{netip.MustParsePrefix("100::/64"), "discard only (RFC 6666)"},
	{netip.MustParsePrefix("100:0:0:1::/64"), "dummy prefix (RFC 9780)"},
	{netip.MustParsePrefix("2001::/32"), "Teredo (RFC 4380)"},
	{netip.MustParsePrefix("2001:10::/28"), "ORCHID (RFC 4843)"},
	{netip.MustParsePrefix("2001:20::/28"), "ORCHIDv2 (RFC 7343)"},
	{netip.MustParsePrefix("2001::/23"), "IETF protocol assignments (RFC 2928)"},
	{netip.MustParsePrefix("2001:db8::/32"), "documentation (RFC 3849)"},
	{netip.MustParsePrefix("2002::/16"), "6to4 (RFC 3056)"},
	{netip.MustParsePrefix("2620:4f:8000::/48"), "AS112 (RFC 7534)"},
	{netip.MustParsePrefix("3fff::/20"), "documentation (RFC 9637)"},
	{netip.MustParsePrefix("5f00::/16"), "segment routing (RFC 9602)"},
	{netip.MustParsePrefix("fc00::/7"), "unique local (RFC 4193)"},
	{netip.MustParsePrefix("fe80::/10"), "link-local (RFC 4291)"},
	{netip.MustParsePrefix("fec0::/10"), "site-local (RFC 3879)"},
	{netip.MustParsePrefix("ff00::/8"), "multicast (RFC 4291)"},
}

// globalUnicast is the one eighth of the IPv6 space that IANA assigns addresses
// from. What lies outside is refused without knowing what it may become.
var globalUnicast = netip.MustParsePrefix("2000::/3")

// CheckAddress returns an [ErrForbiddenAddress] that says why, unless addr is an
// ordinary address on the public internet. Of an IPv4 address in an IPv6
// notation it does not look at the IPv4 address: such an address is forbidden.
func CheckAddress(addr netip.Addr) error {
	// Prefixes contain no address with a zone, so that must not get further.
	if !addr.IsValid() || addr.Zone() != "" {
		return fmt.Errorf("%w: invalid, or with a zone", ErrForbiddenAddress)
	}
	blocks := special6
	if addr.Is4() {
		blocks = special4
	}
	for _, b := range blocks {
		if b.prefix.Contains(addr) {
			return fmt.Errorf("%w: %s", ErrForbiddenAddress, b.use)
		}
	}
	if addr.Is6() && !globalUnicast.Contains(addr) {
		return fmt.Errorf("%w: not assigned (RFC 4291)", ErrForbiddenAddress)
	}
	return nil
}
