// SPDX-License-Identifier: Apache-2.0

package outbound

import (
	"errors"
	"net/netip"
	"testing"
)

// edges is a range with what holds just outside of it. The table is written
// apart from the one that it tests, from the registries themselves.
type edges struct {
	name, first, last string
	before, after     string
	// Whether the neighbours are ordinary addresses; "" has none.
	beforeOK, afterOK bool
}

var forbiddenRanges = []edges{
	{"this network", "0.0.0.0", "0.255.255.255", "", "1.0.0.0", false, true},
	{"private 10", "10.0.0.0", "10.255.255.255", "9.255.255.255", "11.0.0.0", true, true},
	{"CGNAT", "100.64.0.0", "100.127.255.255", "100.63.255.255", "100.128.0.0", true, true},
	{"loopback", "127.0.0.0", "127.255.255.255", "126.255.255.255", "128.0.0.0", true, true},
	{"link-local", "169.254.0.0", "169.254.255.255", "169.253.255.255", "169.255.0.0", true, true},
	{"private 172", "172.16.0.0", "172.31.255.255", "172.15.255.255", "172.32.0.0", true, true},
	{"IETF", "192.0.0.0", "192.0.0.255", "191.255.255.255", "192.0.1.0", true, true},
	{"TEST-NET-1", "192.0.2.0", "192.0.2.255", "192.0.1.255", "192.0.3.0", true, true},
	{"AS112 v4", "192.31.196.0", "192.31.196.255", "192.31.195.255", "192.31.197.0", true, true},
	{"AMT", "192.52.193.0", "192.52.193.255", "192.52.192.255", "192.52.194.0", true, true},
	{"6to4 relay", "192.88.99.0", "192.88.99.255", "192.88.98.255", "192.88.100.0", true, true},
	{"private 192", "192.168.0.0", "192.168.255.255", "192.167.255.255", "192.169.0.0", true, true},
	{"AS112 direct", "192.175.48.0", "192.175.48.255", "192.175.47.255", "192.175.49.0", true, true},
	{"benchmarking", "198.18.0.0", "198.19.255.255", "198.17.255.255", "198.20.0.0", true, true},
	{"TEST-NET-2", "198.51.100.0", "198.51.100.255", "198.51.99.255", "198.51.101.0", true, true},
	{"TEST-NET-3", "203.0.113.0", "203.0.113.255", "203.0.112.255", "203.0.114.0", true, true},
	{"multicast", "224.0.0.0", "239.255.255.255", "223.255.255.255", "240.0.0.0", true, false},
	{"reserved", "240.0.0.0", "255.255.255.255", "239.255.255.255", "", false, false},

	{"unspecified and loopback", "::", "::1", "", "::2", false, false},
	{"IPv4-compatible", "::", "::ffff:ffff", "", "::1:0:0", false, false},
	{"IPv4-mapped", "::ffff:0.0.0.0", "::ffff:255.255.255.255", "::fffe:ffff:ffff", "::1:0:0:0", false, false},
	{"IPv4-mapped, of an ordinary address", "::ffff:93.184.215.14", "::ffff:93.184.215.14", "", "", false, false},
	{"IPv4-translated", "::ffff:0:0:0", "::ffff:0:ffff:ffff", "", "", false, false},
	{"NAT64", "64:ff9b::", "64:ff9b::ffff:ffff", "64:ff9a:ffff:ffff:ffff:ffff:ffff:ffff", "64:ff9b::1:0:0", false, false},
	{"local NAT64", "64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", "64:ff9b:0:ffff:ffff:ffff:ffff:ffff", "64:ff9b:2::", false, false},
	{"discard", "100::", "100::ffff:ffff:ffff:ffff", "", "", false, false},
	{"dummy", "100:0:0:1::", "100::1:ffff:ffff:ffff:ffff", "", "100:0:0:2::", false, false},
	{"below global unicast", "1000::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "", "2000::", false, true},
	{"IETF v6, Teredo first", "2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2001:200::", true, true},
	{"Teredo", "2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff", "", "2001:1::", false, false},
	{"benchmarking v6", "2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff", "", "", false, false},
	{"ORCHID", "2001:10::", "2001:1f:ffff:ffff:ffff:ffff:ffff:ffff", "", "", false, false},
	{"ORCHIDv2", "2001:20::", "2001:2f:ffff:ffff:ffff:ffff:ffff:ffff", "", "", false, false},
	{"DET", "2001:30::", "2001:3f:ffff:ffff:ffff:ffff:ffff:ffff", "", "", false, false},
	{"documentation", "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db9::", true, true},
	{"6to4", "2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2003::", true, true},
	{"AS112 v6", "2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff", "2620:4f:7fff:ffff:ffff:ffff:ffff:ffff", "2620:4f:8001::", true, true},
	{"new documentation", "3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff:1000::", true, true},
	{"above global unicast", "4000::", "5eff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "5f00::", true, false},
	{"segment routing", "5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "", "5f01::", false, false},
	{"unique local", "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fe00::", false, false},
	{"link-local v6", "fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fec0::", false, false},
	{"site-local", "fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "", "ff00::", false, false},
	{"multicast v6", "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "", "", false, false},
}

func TestCheckAddress(t *testing.T) {
	check := func(t *testing.T, text string, wantOK bool) {
		t.Helper()
		if text == "" {
			return
		}
		err := CheckAddress(netip.MustParseAddr(text))
		if wantOK && err != nil || !wantOK && !errors.Is(err, ErrForbiddenAddress) {
			t.Errorf("%s: got %v, want ordinary: %t", text, err, wantOK)
		}
	}
	for _, tt := range forbiddenRanges {
		t.Run(tt.name, func(t *testing.T) {
			check(t, tt.first, false)
			check(t, tt.last, false)
			check(t, tt.before, tt.beforeOK)
			check(t, tt.after, tt.afterOK)
		})
	}
}

// TestCheckAddressRanges looks for slips in the table itself: a prefix with bits
// beyond its length matches, but is not what its author meant.
func TestCheckAddressRanges(t *testing.T) {
	for family, blocks := range map[string][]block{"IPv4": special4, "IPv6": special6} {
		for _, b := range blocks {
			if b.prefix != b.prefix.Masked() || b.prefix.Addr().Is4() != (family == "IPv4") || b.use == "" {
				t.Errorf("%s: %s %q", family, b.prefix, b.use)
			}
			if err := CheckAddress(b.prefix.Addr()); !errors.Is(err, ErrForbiddenAddress) {
				t.Errorf("%s: got %v, want ErrForbiddenAddress", b.prefix, err)
			}
		}
	}
}

func TestCheckAddressOddities(t *testing.T) {
	for name, addr := range map[string]netip.Addr{
		"zero":                  {},
		"zone":                  netip.MustParseAddr("fe80::1%eth0"),
		"zone on a global":      public6.WithZone("eth0"),
		"mapped":                netip.AddrFrom16(public4.As16()),
		"mapped loopback":       netip.AddrFrom16(local4.As16()),
		"NAT64 of an ordinary":  netip.MustParseAddr("64:ff9b::5db8:d70e"),
		"6to4 of a private one": netip.MustParseAddr("2002:c0a8:1::1"),
	} {
		if err := CheckAddress(addr); !errors.Is(err, ErrForbiddenAddress) {
			t.Errorf("%s: got %v, want ErrForbiddenAddress", name, err)
		}
	}
	for _, addr := range []netip.Addr{public4, public6, netip.MustParseAddr("8.8.8.8"), netip.MustParseAddr("2a00:1450::1")} {
		if err := CheckAddress(addr); err != nil {
			t.Errorf("%s: got %v, want an ordinary address", addr, err)
		}
	}
}
