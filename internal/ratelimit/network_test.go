// SPDX-License-Identifier: Apache-2.0

package ratelimit

import (
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestNetworks(t *testing.T) {
	for _, c := range []struct {
		client string
		want   []Network
	}{
		{"192.0.2.7", []Network{"192.0.2.7", "192.0.2.0/24"}},
		{"::ffff:192.0.2.7", []Network{"192.0.2.7", "192.0.2.0/24"}},
		{"2001:db8:1:2:3:4:5:6", []Network{"2001:db8:1:2::/64", "2001:db8:1::/56", "2001:db8:1::/48"}},
		{"2001:db8:1:102:3:4:5:6", []Network{"2001:db8:1:102::/64", "2001:db8:1:100::/56", "2001:db8:1::/48"}},
		{"fe80::1%eth0", []Network{"fe80::/64", "fe80::/56", "fe80::/48"}},
	} {
		client := netip.MustParseAddr(c.client)
		got := Networks(client)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.client, got, c.want)
		}
		if Narrow(client) != c.want[0] || Wide(client) != c.want[len(c.want)-1] {
			t.Errorf("%s: got %q and %q, want the first and the last of %q", c.client, Narrow(client), Wide(client), c.want)
		}
	}
	if got := Networks(netip.Addr{}); got != nil || Narrow(netip.Addr{}) != "" || Wide(netip.Addr{}) != "" {
		t.Errorf("nobody: got %q", got)
	}
}

// TestNobodyLeavesTheirNetworkByChoosingAnAddress: whatever a client chooses below its
// /48, or its /24, is the same at last.
func TestNobodyLeavesTheirNetworkByChoosingAnAddress(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := [16]byte{0x20, 1, 0xd, 0xb8, 7, 7}, [16]byte{0x20, 1, 0xd, 0xb8, 7, 7}
		copy(a[6:], rapid.SliceOfN(rapid.Byte(), 10, 10).Draw(t, "a"))
		copy(b[6:], rapid.SliceOfN(rapid.Byte(), 10, 10).Draw(t, "b"))
		if one, other := Wide(netip.AddrFrom16(a)), Wide(netip.AddrFrom16(b)); one != other {
			t.Fatalf("%s and %s are two", one, other)
		}
		host := rapid.SliceOfN(rapid.Byte(), 2, 2).Draw(t, "hosts")
		if one, other := Wide(netip.AddrFrom4([4]byte{192, 0, 2, host[0]})), Wide(netip.AddrFrom4([4]byte{192, 0, 2, host[1]})); one != other {
			t.Fatalf("%s and %s are two", one, other)
		}
	})
}
