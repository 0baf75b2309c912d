// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
)

// TestLimitsAreWhatIsConfigured: a preset, what is given beside it, and the lines of before.
func TestLimitsAreWhatIsConfigured(t *testing.T) {
	community := ratelimit.Presets[ratelimit.Community]
	with := func(change func(*ratelimit.Preset)) ratelimit.Preset {
		p := community
		change(&p)
		return p
	}
	of := func(n int) ratelimit.Limit { return ratelimit.Limit{Burst: n, Per: time.Hour} }
	for name, c := range map[string]struct {
		config string
		want   ratelimit.Preset
	}{
		"nothing":        {`{}`, community},
		"a preset":       {`{"limits":{"preset":"public"}}`, ratelimit.Presets[ratelimit.Public]},
		"small":          {`{"limits":{"preset":"small"}}`, ratelimit.Presets[ratelimit.Small]},
		"client":         {`{"limits":{"client":{"count":30}}}`, with(func(p *ratelimit.Preset) { p.Client, p.Network = of(30), of(40) })},
		"client off":     {`{"limits":{"client":{"count":-1}}}`, with(func(p *ratelimit.Preset) { p.Client.Burst, p.Network.Burst = -1, -1 })},
		"network":        {`{"limits":{"client":{"count":30},"network":{"count":31}}}`, with(func(p *ratelimit.Preset) { p.Client, p.Network = of(30), of(31) })},
		"former client":  {`{"limit_client":{"count":30}}`, with(func(p *ratelimit.Preset) { p.Client, p.Network = of(30), of(40) })},
		"former off":     {`{"limit_client":{"count":-1}}`, with(func(p *ratelimit.Preset) { p.Client.Burst, p.Network.Burst = -1, -1 })},
		"former other":   {`{"limits":{"preset":"community"},"limit_domain":{"count":9}}`, with(func(p *ratelimit.Preset) { p.Domain = of(9) })},
		"former address": {`{"limit_address":{"count":3}}`, with(func(p *ratelimit.Preset) { p.Mailboxes = ratelimit.Mailboxes{} })},
		"mailbox": {`{"limits":{"mailbox":9,"strangers":8,"pauses":["10s","20s"]}}`, with(func(p *ratelimit.Preset) {
			p.Mailboxes = ratelimit.Mailboxes{Network: 9, Strangers: 8, Pauses: []time.Duration{10 * time.Second, 20 * time.Second}, Spare: time.Hour}
		})},
		"mailbox off":   {`{"limits":{"mailbox":-1}}`, with(func(p *ratelimit.Preset) { p.Mailboxes.Network = -1 })},
		"strangers off": {`{"limits":{"strangers":-1}}`, with(func(p *ratelimit.Preset) { p.Mailboxes.Strangers = 100 })},
	} {
		s := mustProvision(t, c.config).Settings().Sessions
		got := ratelimit.Preset{
			Messages: s.Messages, Domain: s.Domain, Client: s.Client, Network: s.Network,
			User: s.User, UIA: s.UIA, Guesses: s.Guesses, Mailboxes: s.Mailboxes,
		}
		for _, l := range []*ratelimit.Limit{&got.Client, &got.Network, &c.want.Client, &c.want.Network} {
			if l.Off() {
				*l = ratelimit.Limit{}
			}
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got\n%+v, want\n%+v", name, got, c.want)
		}
	}
}
