// SPDX-License-Identifier: Apache-2.0

package smsfraud

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
)

// TestBoundsOfAConfiguration: what is on the bound is taken, and the next value
// beyond is not; with and without a store.
func TestBoundsOfAConfiguration(t *testing.T) {
	conversion := func(change func(*Conversion, time.Duration)) func(*Config, int64) {
		return func(c *Config, n int64) {
			c.Conversion = Conversion{}
			change(&c.Conversion, time.Duration(n))
		}
	}
	tests := map[string]struct {
		set         func(c *Config, n int64)
		least, most int64
	}{
		"prefix digits":  {func(c *Config, n int64) { c.PrefixDigits = int(n) }, 1, 11},
		"per number":     {func(c *Config, n int64) { c.PerNumber = int(n) }, 1, 1000},
		"per client":     {func(c *Config, n int64) { c.NumbersPerClient = int(n) }, -1, 1000},
		"network's part": {func(c *Config, n int64) { c.NetworkPart = int(n) }, -1, 100},
		"price":          {func(c *Config, n int64) { c.Prices = map[string]Money{"FR": Money(n)} }, 0, int64(maxPrice)},
		"budget":         {func(c *Config, n int64) { c.Budgets = []Budget{{Scope: "total", Limit: n}} }, 1, 0},
		"first wait":     {func(c *Config, n int64) { c.Backoff = []time.Duration{time.Duration(n)} }, 0, int64(24 * time.Hour)},
		"next wait":      {func(c *Config, n int64) { c.Backoff = []time.Duration{5, time.Duration(n)} }, 5, int64(24 * time.Hour)},
		"window":         {conversion(func(c *Conversion, d time.Duration) { c.Window = d }), int64(10 * time.Minute), int64(7 * 24 * time.Hour)},
		"pause":          {conversion(func(c *Conversion, d time.Duration) { c.Pause = d }), 0, int64(8760 * time.Hour)},
		"sample":         {conversion(func(c *Conversion, d time.Duration) { c.Sample = int(d) }), 0, 0},
		"of a network":   {conversion(func(c *Conversion, d time.Duration) { c.NetworkSample = int(d) }), 0, 0},
		"tenth of ratio": {conversion(func(c *Conversion, d time.Duration) { c.Ratio = float64(d) / 10 }), 0, 10},
	}
	for name, tt := range tests {
		values := map[int64]bool{tt.least: true, tt.most: true, tt.least - 1: false, tt.most + 1: false}
		if tt.most == 0 && tt.least == 0 {
			values = map[int64]bool{0: true, -1: false} // as many as one likes
		}
		if tt.most < tt.least {
			values = map[int64]bool{1: true, 0: false, -1: false}
		}
		if tt.least == -1 {
			delete(values, -2) // any negative one is off
		}
		if name == "prefix digits" || name == "per number" {
			delete(values, 0) // the default
			values[-1] = false
		}
		for value, good := range values {
			cfg := newFixture(t).cfg
			tt.set(&cfg, value)
			s, err := New(cfg)
			bare := cfg
			bare.Store, bare.Keys = nil, nil
			if checked := bare.Validate(); (err == nil) != good || (s != nil) != good || (checked == nil) != good {
				t.Errorf("%s of %d: New = %v, Validate = %v, want it taken: %v", name, value, err, checked, good)
			}
		}
	}
}

// TestWhoCountsAsOneClient, however the address is written.
func TestWhoCountsAsOneClient(t *testing.T) {
	for typed, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "::ffff:192.0.2.7": "192.0.2.7",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64",
	} {
		if got := ratelimit.Narrow(netip.MustParseAddr(typed)); got != ratelimit.Network(want) {
			t.Errorf("%s: got %q, want %q", typed, got, want)
		}
	}
	if got := ratelimit.Narrow(netip.Addr{}); got != "" {
		t.Errorf("nobody: got %q", got)
	}
}

// TestMoneyNeedsPricesOnlyWhereItCounts: a budget in money for one country asks for
// the price of that one.
func TestMoneyNeedsPricesOnlyWhereItCounts(t *testing.T) {
	cfg := newFixture(t).cfg
	cfg.Allow, cfg.Prices = []string{"DE", "LV"}, map[string]Money{"lv": 8}
	cfg.Budgets = []Budget{{Scope: "lv", Limit: 1, Unit: Amount}, {Scope: "total", Limit: 1}, {Scope: "DE", Limit: 1}}
	if _, err := New(cfg); err != nil {
		t.Errorf("New = %v", err)
	}
	withRange := cfg
	withRange.Allow, withRange.Budgets = []string{"LV"}, []Budget{{Scope: "+4479", Limit: 1, Unit: Amount}}
	if _, err := New(withRange); err != nil {
		t.Errorf("a range below a country that has a price: New = %v", err)
	}
	cfg.Budgets = append(cfg.Budgets, Budget{Scope: "DE", Limit: 1, Unit: Amount})
	if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), "budget DE: in money needs prices, and DE has none") {
		t.Errorf("New = %v, want DE to have no price", err)
	}
}

// TestWordsOfPlaces are read in one way, and nothing beside them is.
func TestWordsOfPlaces(t *testing.T) {
	for text, want := range map[string]string{
		"GB": "GB", " fr ": "FR", "AZ": "AZ", "za": "ZA", "001": "001", "999": "999",
		"": "", "G": "", "GBR": "", "@A": "", "A@": "", "[A": "", "A[": "", "G1": "", "1G": "", "00": "", "0001": "", "0a1": "", "-01": "",
	} {
		if got, ok := parseRegion(text); got != want || ok != (want != "") {
			t.Errorf("parseRegion(%q) = %q, %v, want %q", text, got, ok, want)
		}
	}
	fifteen := strings.Repeat("9", 15)
	for text, want := range map[string]string{
		"+4479": "4479", "+1": "1", "+" + fifteen: fifteen,
		"": "", "+": "", "+0": "", "+044": "", "4479": "", "+44x": "", "+" + fifteen + "9": "", "++44": "",
	} {
		if got, ok := parsePrefix(text); ok != (want != "") || ok && got != want {
			t.Errorf("parsePrefix(%q) = %q, %v, want %q", text, got, ok, want)
		}
	}
	for digits, good := range map[string]bool{"4479": false, "44791": true, fifteen: true, fifteen + "9": false} {
		if _, err := newFixture(t).Ask(bg, to(digits, "GB")); (err == nil) != good {
			t.Errorf("a number of %d digits: %v", len(digits), err)
		}
	}
}
