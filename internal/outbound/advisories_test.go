// SPDX-License-Identifier: Apache-2.0

package outbound

import (
	"context"
	"errors"
	"net/netip"
	"testing"
)

// wantNoDial drives a name through a client as it is in service, and reports
// whether anything was connected to.
func wantNoDial(t *testing.T, name string, resolver Resolver) {
	t.Helper()
	dials := &recorder{next: refuse}
	parsed, err := ParseName(name)
	if err != nil {
		return // it is no name at all
	}
	if _, _, err := get(NewClient(Options{Resolver: resolver, Dial: dials.dial}), parsed.URL("/")); !errors.Is(err, ErrForbiddenAddress) {
		t.Errorf("%s: got %v, want ErrForbiddenAddress", name, err)
	}
	if got := dials.seen(); len(got) != 0 {
		t.Errorf("%s: dialled %v", name, got)
	}
}

// Sydent CVE-2021-29431: a server that connects to whatever it is told. The name
// is checked as it was given, as it was looked up, and, with an answer that
// changes, as it is dialled.
func TestAdvisory04_NothingInsideIsDialled(t *testing.T) {
	for _, name := range []string{
		"169.254.169.254", "169.254.169.254:80", "[::ffff:127.0.0.1]", "[::1]:8008", "127.0.0.1:8008", "10.0.0.1", "192.168.1.1:443",
		"0.0.0.0", "[::]", "[fe80::1]", "[fd00:ec2::254]", "2130706433", "0x7f000001", "127.1", "localhost", "localhost:8443",
	} {
		wantNoDial(t, name, resolveTo(local4))
	}
	for _, addr := range addrs("127.0.0.1", "169.254.169.254", "10.1.2.3", "::1", "fd00:ec2::254", "fe80::1") {
		wantNoDial(t, "is.example", resolveTo(addr))
		wantNoDial(t, "is.example", resolveTo(public4, addr))
	}
	// DNS rebinding.
	attack(t, flipping(), 1)
}

func flipping() Resolver {
	looks := 0
	return resolverFunc(func(context.Context, string) ([]netip.Addr, error) {
		looks++
		return flip(looks), nil
	})
}

// Synapse CVE-2021-21273, CVE-2021-21392: lists of forbidden addresses that did
// not know how IPv4 is written in IPv6.
func TestAdvisory12_IPv4InsideIPv6IsForbidden(t *testing.T) {
	for _, text := range []string{
		"::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1", // mapped
		"::127.0.0.1", "::ffff:0:127.0.0.1", // compatible, translated
		"64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1", // NAT64
		"2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:0a00:0001::1", // 6to4
		"2001:0:7f00:1::", "2001::a9fe:a9fe", // Teredo
	} {
		addr := netip.MustParseAddr(text)
		if err := CheckAddress(addr); !errors.Is(err, ErrForbiddenAddress) {
			t.Errorf("%s: got %v, want ErrForbiddenAddress", text, err)
		}
		wantNoDial(t, "["+text+"]:443", resolveTo(public4))
		if addr.Unmap().Is6() { // a resolver's mapped answer is the IPv4 address
			wantNoDial(t, "is.example", resolveTo(addr))
		}
	}
}
