// SPDX-License-Identifier: Apache-2.0

package provenance

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// agents are headers that real programs send or sent.
var agents = map[string]string{
	"Element/1.6.14 (Google Pixel 7; Android 14; UQ1A; Flavour GooglePlay; MatrixAndroidSdk2 1.6.14)":                                             "Element (Android)",
	"Element/1.11.10 (iPhone 14; iOS 17.5; Scale/3.00)":                                                                                           "Element (iOS)",
	"Element X/25.03.2 (Google Pixel 8; Android 15; AP4A; Sdk 4a1b)":                                                                              "Element X (Android)",
	"Element%20X/702 CFNetwork/1494 Darwin/23.4.0":                                                                                                "Element X",
	"Riot.im/0.9.9 (Linux; U; Android 9; SM-G960F Build/PPR1; Flavour GooglePlay; MatrixAndroidSDK 0.9.30)":                                       "Riot (Android)",
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Element/1.11.64 Chrome/122.0 Electron/29.1.4 Safari/537.36": "Element (Windows)",
	"SchildiChat/1.6.5.sc75 (Fairphone 4; Android 13; MatrixAndroidSdk2)":                                                                         "SchildiChat (Android)",
	"FluffyChat/1.14": "FluffyChat",
	"nheko/0.12.0":    "Nheko",
	"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0":                                                                 "Firefox (Linux)",
	"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Safari/605.1.15":                  "Safari (macOS)",
	"Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/123.0 Mobile/15E148 Safari/604.1": "Chrome (iOS)",
	"Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Mobile Safari/537.36":                  "Chrome (Android)",
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36 Edg/124.0.2478.51":      "Edge (Windows)",
	"curl/8.5.0": "", "Dart/3.3 (dart:io)": "", "": "", "okhttp/4.9.2 (Android)": "",
}

func TestProgramsAreRecognised(t *testing.T) {
	for agent, want := range agents {
		if got := Of(agent, netip.Addr{}, Coarse).App(); got != want {
			t.Errorf("%s: got %q, want %q", agent, got, want)
		}
	}
	if got := Of(strings.Repeat("x", maxAgent)+"Element/1", netip.Addr{}, Full); got != (Origin{}) {
		t.Errorf("of an endless header, %v was read", got)
	}
}

func TestNetworksAreCut(t *testing.T) {
	for addr, want := range map[string]struct{ full, coarse string }{
		"203.0.113.7":        {"203.0.113.x", "203.0.x.x"},
		"::ffff:203.0.113.7": {"203.0.113.x", "203.0.x.x"},
		"2001:db8:1:2::3":    {"2001:db8:1::/48", "2001:db8::/32"},
		"127.0.0.1":          {}, "10.1.2.3": {}, "192.168.1.1": {}, "100.64.3.2": {}, "169.254.1.1": {}, "::1": {}, "fe80::1%eth0": {}, "fd00::1": {}, "0.0.0.0": {},
	} {
		client := netip.MustParseAddr(addr)
		for detail, network := range map[Detail]string{Full: want.full, Coarse: want.coarse, Off: ""} {
			if got := Of("", client, detail).Network; got != network {
				t.Errorf("%s, %s: got %q, want %q", addr, detail, got, network)
			}
		}
	}
	if got := Of("Firefox/1", netip.MustParseAddr("203.0.113.7"), Off); got != (Origin{}) {
		t.Errorf("off: got %v", got)
	}
}

// TestNothingOfAHeaderGetsThrough: whatever a client says of itself, an origin
// has words of the tables and numbers, and nothing else is taken for one.
func TestNothingOfAHeaderGetsThrough(t *testing.T) {
	words := []string{""}
	for _, m := range slices.Concat(programs, systems) {
		words = append(words, m.name)
	}
	rapid.Check(t, func(t *rapid.T) {
		agent := rapid.OneOf(rapid.String(), rapid.Map(rapid.SampledFrom(programs), func(m mark) string {
			return m.sign + "<b>http://evil.example</b>\r\nBcc: x"
		})).Draw(t, "agent")
		raw := [4]byte{}
		copy(raw[:], rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "address"))
		o := Of(agent, netip.AddrFrom4(raw), rapid.SampledFrom([]Detail{Full, Coarse, Off}).Draw(t, "detail"))
		if !slices.Contains(words, o.Program) || !slices.Contains(words, o.System) || strings.Trim(o.Network, "0123456789.x") != "" {
			t.Fatalf("got %+v of %q", o, agent)
		}
		if got := o.Checked(); got != o {
			t.Fatalf("what was made is not taken for it: %+v became %+v", o, got)
		}
		stored := Origin{Program: rapid.String().Draw(t, "program"), System: rapid.String().Draw(t, "system"), Network: rapid.String().Draw(t, "network")}
		if c := stored.Checked(); !slices.Contains(words, c.Program) || !slices.Contains(words, c.System) || strings.Trim(c.Network, "0123456789abcdef.:/x") != "" {
			t.Fatalf("%+v passed as %+v", stored, c)
		}
	})
	for _, bad := range []string{"203.0.x.x.evil", "203.0.113.7", "x.x", "1.x.x.x", "203.0.113.7/24", "::ffff:1.2.3.4/96", "2001:db8:1::/32", "2001:db8::%x/32", ".x.x", "999.0.x.x"} {
		if got := (Origin{Network: bad}).Checked().Network; got != "" {
			t.Errorf("%q was taken for a network", bad)
		}
	}
	for _, good := range []string{"203.0.x.x", "203.0.113.x", "2001:db8::/32", "2001:db8:1::/48"} {
		if got := (Origin{Network: good}).Checked().Network; got != good {
			t.Errorf("%q: got %q", good, got)
		}
	}
}
