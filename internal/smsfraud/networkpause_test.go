// SPDX-License-Identifier: Apache-2.0

package smsfraud

import (
	"net/netip"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
)

// suspicious judges networks and hardly prefixes.
func suspicious(c *Config) {
	c.Conversion = Conversion{Sample: 1000, NetworkSample: 4, Ratio: 0.5, Pause: 2 * time.Hour, Window: time.Hour}
}

// returns has the code of a number come back from a client.
func (f *fixture) returns(digits, client string) {
	f.Helper()
	if err := f.Verified(bg, digits, "GB", netip.MustParseAddr(client)); err != nil {
		f.Fatalf("Verified: %v", err)
	}
}

// TestANetworkIsPausedWhoseCodesDoNotComeBack, for whomever it asks; nothing else is.
func TestANetworkIsPausedWhoseCodesDoNotComeBack(t *testing.T) {
	for _, tt := range []struct {
		name       string
		sent, back int
		after      time.Duration
		want       bool
	}{
		{"nobody answers", 4, 0, 3 * time.Minute, true},
		{"too few to judge", 3, 0, 3 * time.Minute, false},
		{"one too few answers", 5, 2, 3 * time.Minute, true},
		{"just enough answer", 4, 2, 3 * time.Minute, false},
		{"a burst that is young", 11, 0, time.Minute, false},
		{"a flood is not waited for", 12, 0, 0, true},
		{"long ago", 12, 0, 61 * time.Minute, false},
	} {
		f := newFixture(t, suspicious)
		f.spread(tt.sent, "192.0.2.%d")
		for i := range tt.back {
			f.returns(gb(1000+i), "192.0.2.200")
		}
		f.clock.Advance(tt.after)
		f.reserve(to(gb(1), "GB", from("192.0.3.1")))
		if !tt.want {
			f.reserve(to(gb(2), "GB", from("192.0.2.1")))
			f.watcher.want(t, "network paused", 0)
			continue
		}
		f.refused(to(fr(2), "FR", from("192.0.2.222"), owner), WhyNetworkPaused, 2*time.Hour)
		f.reserve(to(gb(1), "GB", from("192.0.3.1")))
		f.reserve(to(gb(3), "GB"))
		f.watcher.want(t, "network paused", 1)
		f.watcher.want(t, "paused GB", 0)
		f.Shield = f.another()
		f.refuses(to(fr(2), "FR", from("192.0.2.222")), WhyNetworkPaused, 2*time.Hour)
		f.reserve(to(fr(2), "FR", from("192.0.2.222")))
		f.watcher.want(t, "network resumed", 1)
	}
}

// TestFiveCodesJudgeANetwork, or a quarter of what it takes for a prefix.
func TestFiveCodesJudgeANetwork(t *testing.T) {
	for sample, want := range map[int]int{0: 5, 4: 5, 23: 5, 24: 6, 40: 10} {
		f := newFixture(t, func(c *Config) { c.Conversion = Conversion{Sample: sample} })
		f.spread(want-1, "192.0.2.%d", owner)
		f.clock.Advance(3 * time.Minute)
		f.reserve(to(fr(1), "FR", from("192.0.2.7")))
		f.clock.Advance(3 * time.Minute)
		f.refused(to(fr(1), "FR", from("192.0.2.7")), WhyNetworkPaused, day)
	}
}

// TestWhoHasAskedHasTheCredit of a code that comes back, once for each message: whoever
// types it in at another place has asked for it too if they have, and else the last who did.
func TestWhoHasAskedHasTheCredit(t *testing.T) {
	const home, mobile, stranger = "192.0.2.1", "198.51.100.1", "203.0.113.1"
	for name, tt := range map[string]struct {
		asked, back []string
		want        map[string]int64
	}{
		"one who asks and answers":         {[]string{home}, []string{home}, map[string]int64{home: 1}},
		"another device":                   {[]string{home}, []string{mobile}, map[string]int64{home: 1}},
		"one code twice":                   {[]string{home}, []string{home, home}, map[string]int64{home: 1}},
		"a stranger has asked since":       {[]string{home, stranger}, []string{home}, map[string]int64{home: 1}},
		"the newest of two":                {[]string{stranger, home}, []string{mobile}, map[string]int64{home: 1}},
		"each of two":                      {[]string{stranger, home}, []string{mobile, mobile}, map[string]int64{home: 1, stranger: 1}},
		"two of one":                       {[]string{home, stranger, home}, []string{home, home}, map[string]int64{home: 2}},
		"nobody has asked for such a code": {nil, []string{home}, map[string]int64{}},
	} {
		f := newFixture(t, suspicious)
		for _, client := range tt.asked {
			f.reserve(to(gb(1), "GB", from(client)))
		}
		f.Shield = f.another()
		for _, client := range tt.back {
			f.returns(gb(1), client)
		}
		got := map[string]int64{}
		networks, err := f.networks(bg, f.clock.Now())
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range networks {
			for _, client := range []string{home, mobile, stranger} {
				if _, back := sum(n.Buckets); back > 0 && n.name == f.networkNames(netip.MustParseAddr(client))[0] {
					got[client] = back
				}
			}
		}
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got %v, want %v", name, got, tt.want)
		}
	}
}

// TestPausedNetworksHavePseudonyms: the operator sees that there is one, and can lift its
// pause, but nothing that is stored or shown tells which it is.
func TestPausedNetworksHavePseudonyms(t *testing.T) {
	f := newFixture(t, suspicious)
	f.spread(12, "192.0.2.%d")
	f.spread(12, "2001:db8::%x")
	f.refused(to(fr(1), "FR", from("192.0.2.1")), WhyNetworkPaused, 2*time.Hour)
	f.refused(to(fr(1), "FR", from("2001:db8::")), WhyNetworkPaused, 2*time.Hour)
	paused := f.status().Paused
	if len(paused) != 2 || paused[0].Name == paused[1].Name {
		t.Fatalf("got %+v, want two networks", paused)
	}
	for _, p := range paused {
		if !regexp.MustCompile(`^network-[0-9a-f]{10}$`).MatchString(p.Name) || !p.Network || p.Region != "" || !p.Since.Equal(began) || !p.Until.Equal(began.Add(2*time.Hour)) {
			t.Errorf("got %+v", p)
		}
	}
	for _, entry := range f.plain() {
		if strings.Contains(entry, "192.0.2") || strings.Contains(entry, "2001:db8") {
			t.Errorf("a network stands in %s", entry)
		}
	}
	if ok, err := f.Resume(bg, "network-0000000000"); ok || err != nil {
		t.Errorf("Resume of another network = %v, %v", ok, err)
	}
	if ok, err := f.Resume(bg, paused[0].Name); !ok || err != nil {
		t.Errorf("Resume = %v, %v", ok, err)
	}
	if got := f.status().Paused; len(got) != 1 || got[0] != paused[1] {
		t.Errorf("got %+v, want only %+v", got, paused[1])
	}
	if ok, err := f.Resume(bg, ""); !ok || err != nil {
		t.Errorf("Resume of all = %v, %v", ok, err)
	}
	f.watcher.want(t, "network resumed", 2)
	f.reserve(to(fr(1), "FR", from("192.0.2.1")))
	f.reserve(to(fr(1), "FR", from("2001:db8::")))
}

// TestPauseOfANetworkAfterTheClockWasSetBack lasts as long as it would have lasted.
func TestPauseOfANetworkAfterTheClockWasSetBack(t *testing.T) {
	f := newFixture(t, suspicious)
	f.spread(12, "192.0.2.%d")
	f.refused(to(fr(1), "FR", from("192.0.2.1")), WhyNetworkPaused, 2*time.Hour)
	f.clock.Advance(-10 * day)
	f.refuses(to(fr(1), "FR", from("192.0.2.1")), WhyNetworkPaused, 2*time.Hour)
	f.reserve(to(fr(1), "FR", from("192.0.2.1")))
}

// TestNetworksAreNotJudgedWhereConversionIsOff, nor is one paused that was.
func TestNetworksAreNotJudgedWhereConversionIsOff(t *testing.T) {
	f := newFixture(t, suspicious)
	f.spread(12, "192.0.2.%d")
	f.refused(to(fr(1), "FR", from("192.0.2.1")), WhyNetworkPaused, 2*time.Hour)
	f.Shield = f.another(func(c *Config) { c.Conversion.Off, c.NetworkPart = true, 100 })
	f.spread(30, "192.0.2.%d")
	if got := f.status().Paused; len(got) != 0 {
		t.Errorf("got %+v", got)
	}
	f.watcher.want(t, "network paused", 1)
	f.watcher.want(t, "network resumed", 0)
}

// TestNobodyIsPausedBefore1970, where a machine without a battery begins.
func TestNobodyIsPausedBefore1970(t *testing.T) {
	f := newFixture(t, breaking)
	f.clock.Advance(-100 * 365 * day)
	f.reserve(to(gb(1), "GB", from("192.0.2.1")))
	f.reserve(to(gb(2), "GB", from("192.0.2.1"), func(r *Request) { r.Class = ratelimit.Begun }))
}
