// SPDX-License-Identifier: Apache-2.0

package smsfraud

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestPolicy(t *testing.T) {
	list := func(s string) []string { return strings.Fields(s) }
	tests := []struct {
		allow, deny, digits, region string
		want                        bool
	}{
		{"*", "", gb(1), "GB", true},
		{"*", "", "88213123456", "", false}, // not a person's
		{"*", "", "88213123456", "001", false},
		{"*", "", "87677123456", "JM", true},
		{"*", "", "99912345678", "001", false}, // whatever is new
		{"* 001", "", "88213123456", "001", true},
		{"* +881", "", "88161234567", "001", true},
		{"* +881", "", "88213123456", "001", false},
		{"* 001", "+882", "88213123456", "001", false},
		{"*", "GB", gb(1), "GB", false},
		{"*", "FR", gb(1), "GB", true},
		{"FR", "", gb(1), "GB", false},
		{"fr gb", "", gb(1), "gb", true},
		{"GB", "gb", gb(1), "GB", false},        // equal: deny
		{"GB", "+4479", gb(1), "GB", false},     // a prefix is closer than a region
		{"+4479", "GB", gb(1), "GB", true},      // ... in either list
		{"+4479", "+4479", gb(1), "GB", false},  // equal: deny
		{"+44791", "+4479", gb(1), "GB", true},  // the longer one
		{"+4479", "+44791", gb(1), "GB", false}, // ...
		{"+4478", "", gb(1), "GB", false},       // another prefix
		{"* +4479", "GB +447911", gb(1), "GB", false},
		{"001", "", "80012345678", "001", true},
		{"FR", "", "88213123456", "", false},
		{"+8", "", "88213123456", "", true},
		{"+1 -", "", "", "", false}, // an error, see below
	}
	for _, tt := range tests {
		p, err := parsePolicy(list(tt.allow), list(tt.deny))
		if tt.digits == "" {
			if err == nil {
				t.Errorf("parsePolicy(%s) succeeded", tt.allow)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		region, _ := parseRegion(tt.region)
		if got := p.allows(tt.digits, region); got != tt.want {
			t.Errorf("allow %q, deny %q: %s of %q: got %v, want %v", tt.allow, tt.deny, tt.digits, tt.region, got, tt.want)
		}
	}
}

func TestDeniedNumbersTouchNothing(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Allow, c.Deny = []string{"GB"}, []string{"+447911"} })
	f.refused(to(fr(1), "FR"), WhyCountry, 0)
	f.refused(to(gb(1), "GB"), WhyCountry, 0)
	f.reserve(to("447400123456", "GB"))
	f.watcher.want(t, "refused FR country", 1)
	f.watcher.want(t, "refused GB country", 1)
	if got := (&RefusedError{Why: WhyCountry}).Error(); got != "refuse message: country" {
		t.Errorf("got %q", got)
	}
}

func TestNewRefuses(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"no store", func(c *Config) { c.Store = nil }, "store and keys"},
		{"no keys", func(c *Config) { c.Keys = nil }, "store and keys"},
		{"nothing allowed", func(c *Config) { c.Allow = nil }, "allow: is required"},
		{"a word", func(c *Config) { c.Allow = []string{"France"} }, "allow France: is neither"},
		{"a prefix without plus", func(c *Config) { c.Allow = []string{"4479"} }, "4479: is neither"},
		{"a national prefix", func(c *Config) { c.Deny = []string{"+0"} }, "deny +0: is neither"},
		{"a bare plus", func(c *Config) { c.Deny = []string{"+"} }, "deny +: is neither"},
		{"everything denied", func(c *Config) { c.Deny = []string{"*"} }, "leave nothing"},
		{"a budget for a word", func(c *Config) { c.Budgets = []Budget{{Scope: "world", Limit: 1}} }, "budget world"},
		{"an empty budget", func(c *Config) { c.Budgets = []Budget{{Scope: "total"}} }, "must be positive"},
		{"an unknown unit", func(c *Config) { c.Budgets = []Budget{{Scope: "total", Limit: 1, Unit: 2}} }, "unknown unit"},
		{"an unknown window", func(c *Config) { c.Budgets = []Budget{{Scope: "total", Limit: 1, Per: 2}} }, "unknown unit or time"},
		{"money without prices", func(c *Config) { c.Budgets = []Budget{{Scope: "total", Limit: 1, Unit: Amount}} }, "budget total: in money needs prices, and * has none"},
		{"money, and one country has no price", func(c *Config) {
			c.Allow, c.Prices = []string{"DE", "LV"}, map[string]Money{"de": 8}
			c.Budgets = []Budget{{Scope: "total", Limit: 1, Unit: Amount}}
		}, "LV has none"},
		{"money, and a range has no price", func(c *Config) {
			c.Allow, c.Prices = []string{"DE", "+371"}, map[string]Money{"de": 8}
			c.Budgets = []Budget{{Scope: "country", Limit: 1, Unit: Amount}}
		}, "+371 has none"},
		{"money for a country that has no price", func(c *Config) {
			c.Allow, c.Prices = []string{"DE", "LV"}, map[string]Money{"de": 8}
			c.Budgets = []Budget{{Scope: "LV", Limit: 1, Unit: Amount}}
		}, "LV has none"},
		{"money for a range that has no price", func(c *Config) {
			c.Budgets = []Budget{{Scope: "+4479", Limit: 1, Unit: Amount}}
		}, "budget +4479: in money needs prices"},
		{"one budget twice", func(c *Config) {
			c.Budgets = []Budget{{Scope: "FR", Limit: 1}, {Scope: "fr", Limit: 2}}
		}, "messages per hour is given twice"},
		{"a price for a word", func(c *Config) { c.Prices = map[string]Money{"others": 1} }, "price others"},
		{"a negative price", func(c *Config) { c.Prices = map[string]Money{"FR": -1} }, "price FR"},
		{"a price beyond sense", func(c *Config) { c.Prices = map[string]Money{"FR": maxPrice + 1} }, "price FR"},
		{"one price twice", func(c *Config) { c.Prices = map[string]Money{"FR": 1, "fr": 2} }, "is given twice"},
		{"long prefixes", func(c *Config) { c.PrefixDigits = 12 }, "1 to 11"},
		{"negative prefixes", func(c *Config) { c.PrefixDigits = -1 }, "1 to 11"},
		{"no message per number", func(c *Config) { c.PerNumber = -1 }, "1 to 1000 messages"},
		{"too many per number", func(c *Config) { c.PerNumber = 1001 }, "1 to 1000 messages"},
		{"too many per client", func(c *Config) { c.NumbersPerClient = 1001 }, "at most 1000"},
		{"negative back-off", func(c *Config) { c.Backoff = []time.Duration{-1} }, "resend_after"},
		{"endless back-off", func(c *Config) { c.Backoff = []time.Duration{25 * time.Hour} }, "resend_after"},
		{"shorter and shorter", func(c *Config) { c.Backoff = []time.Duration{2, 1} }, "become shorter"},
		{"a ratio over one", func(c *Config) { c.Conversion = Conversion{Ratio: 1.1} }, "ratio must be"},
		{"a negative ratio", func(c *Config) { c.Conversion = Conversion{Ratio: -0.1} }, "ratio must be"},
		{"a negative pause", func(c *Config) { c.Conversion = Conversion{Pause: -1} }, "nothing may be negative"},
		{"a short window", func(c *Config) { c.Conversion = Conversion{Window: time.Minute} }, "ten minutes and a week"},
		{"a long window", func(c *Config) { c.Conversion = Conversion{Window: 8 * day} }, "ten minutes and a week"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := newFixture(t).cfg
			tt.change(&cfg)
			if s, err := New(cfg); s != nil || err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("New = %v, %v, want an error with %q", s, err, tt.want)
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	cfg := newFixture(t).cfg
	s, err := New(Config{Store: cfg.Store, Keys: cfg.Keys, Allow: []string{"GB"}})
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(s.perNumber, s.numbers, s.countries, s.part, s.prefixDigits, s.backoff, len(s.budgets.list), s.conversion)
	if want := "10 10 3 4 7 [30s 1m0s 5m0s] 6 {0.1 20 5 24h0m0s 6h0m0s false}"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	got = ""
	for _, b := range s.budgets.list {
		got += fmt.Sprintf("%s %d per %s, ", b.Scope, b.Limit, b.Per)
	}
	if want := "total 100 per hour, total 500 per day, country 50 per hour, country 200 per day, prefix 10 per hour, prefix 30 per day, "; got != want {
		t.Errorf("got budgets %s, want %s", got, want)
	}
	if now := s.now(); time.Since(now) > time.Minute {
		t.Errorf("the clock shows %s", now)
	}
	if _, err := s.Reserve(bg, to(gb(1), "GB")); err != nil {
		t.Errorf("Reserve = %v", err)
	}
	_, err = s.Reserve(bg, to(gb(1), "GB"))
	var refusal *RefusedError
	if !errors.As(err, &refusal) || refusal.Why != WhyBackoff || refusal.RetryAfter > 30*time.Second || !refusal.Early {
		t.Errorf("Reserve = %+v, want a refusal for back-off", err)
	}
	_, err = s.Reserve(bg, to(fr(1), "FR"))
	wantRefusal(t, err, WhyCountry, 0) // nobody observes it, and nothing breaks
}

// TestConfigurationIsAsItWasGiven, whatever becomes of the lists that it was given in.
func TestConfigurationIsAsItWasGiven(t *testing.T) {
	cfg := newFixture(t).cfg
	cfg.Backoff, cfg.Budgets = []time.Duration{time.Minute}, []Budget{{Scope: "total", Limit: 2, Per: Day}}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Backoff[0], cfg.Budgets[0].Limit = time.Hour, 1
	if _, err := s.Reserve(bg, to(gb(1), "GB", owner)); err != nil {
		t.Fatal(err)
	}
	_, err = s.Reserve(bg, to(gb(1), "GB", owner))
	wantRefusal(t, err, WhyBackoff, time.Minute)
	if _, err := s.Reserve(bg, to(gb(2), "GB", owner)); err != nil {
		t.Errorf("Reserve = %v, want room for two", err)
	}
}

func TestMalformedRequests(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Conversion = Conversion{} })
	for _, r := range []Request{
		to("", "GB"), to("+447911123456", "GB"), to("4479", "GB"), to("1234567890123456", "GB"),
		to("44791112345x", "GB"), to("４４７９１１１２３", "GB"), to(gb(1), "Britain"), to(gb(1), "G1"),
	} {
		_, err := f.Reserve(bg, r)
		if !errors.Is(err, errDigits) && !errors.Is(err, errRegion) {
			t.Errorf("Reserve(%+v) = %v", r, err)
		}
		if err := f.Charge(bg, r); err == nil {
			t.Errorf("Charge(%+v) succeeded", r)
		}
		if err := f.Verified(bg, r.Digits, r.Region, r.Client); err == nil {
			t.Errorf("Verified(%+v) succeeded", r)
		}
	}
	if n, err := f.Forget(bg, "+44"); n != 0 || err == nil {
		t.Errorf("Forget of something else = %d, %v", n, err)
	}
	if got := f.entries(); len(got) != 0 {
		t.Errorf("%d entries were left", len(got))
	}
}

func TestPrefixOf(t *testing.T) {
	for digits, want := range map[string]string{
		"447911123456": "4479111", "6834002": "683", "29051234": "2905", "12345": "1", "46719001234": "4671900",
	} {
		if got := prefixOf(digits, 7); got != want {
			t.Errorf("prefixOf(%s) = %s, want %s", digits, got, want)
		}
	}
}
