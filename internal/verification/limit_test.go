// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
)

func TestLimitOff(t *testing.T) {
	for _, l := range []ratelimit.Limit{{}, {Burst: 3}, {Per: time.Hour}, {Burst: -1, Per: time.Hour}, {Burst: 1, Per: -time.Hour}} {
		f := newFixture(t, func(c *Config) { c.PerAddress = l })
		for range 50 {
			f.open(ask())
		}
	}
}

// TestF21_Limit: requests against one address are counted whatever else they
// say and whichever way they come; the refusal says how long to wait.
func TestF21_Limit(t *testing.T) {
	limit := ratelimit.Limit{Burst: 4, Per: time.Hour}
	f := newFixture(t, func(c *Config) { c.PerAddress = limit })
	var n int64
	next := func(r *Request) { n++; r.SendAttempt = n } // each would send
	ways := []func() error{
		func() error { _, err := f.RequestToken(bg, ask(next)); return err },
		func() error {
			_, err := f.RequestToken(bg, ask(next, secret("other"), purpose(threepid.Password)))
			return err
		},
		func() error { _, err := f.Await(bg, ask(next, purpose(threepid.Add))); return err },
		func() error { _, err := f.RequestToken(bg, ask(next, mailbox("alice+tag@example.com"))); return err },
	}
	for i, way := range ways {
		if err := way(); err != nil {
			t.Fatalf("request %d of %d: %v", i+1, limit.Burst, err)
		}
	}
	sent, before := len(f.outbox.messages()), dump(t, f.cfg.Store)
	for i, way := range ways {
		var refused *LimitError
		if err := way(); !errors.As(err, &refused) || refused.RetryAfter != 15*time.Minute {
			t.Errorf("request %d over the limit: %v, want to retry after 15m", i+1, err)
		}
	}
	if len(f.outbox.messages()) != sent || len(dump(t, f.cfg.Store)) != len(before) {
		t.Errorf("a refused request sent or stored something")
	}
	f.open(ask(mailbox("bob@example.com")))

	f.clock.Advance(15*time.Minute - time.Millisecond)
	if err := ways[0](); err == nil {
		t.Errorf("let through before its time")
	}
	f.clock.Advance(time.Millisecond)
	if err := ways[0](); err != nil {
		t.Errorf("refused after the time it was told to wait: %v", err)
	}
	if err := ways[0](); err == nil {
		t.Errorf("one refill let two requests through")
	}
	f.clock.Advance(time.Hour)
	for i, way := range ways {
		if err := way(); err != nil {
			t.Errorf("request %d after an hour of rest: %v", i+1, err)
		}
	}
}

// TestLimitEntryEnds: the state of a limit is gone as soon as it says nothing.
func TestLimitEntryEnds(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.PerAddress = ratelimit.Limit{Burst: 2, Per: time.Hour} })
	if _, err := f.Await(bg, ask()); err != nil {
		t.Fatal(err)
	}
	f.clock.Advance(30*time.Minute - time.Millisecond)
	if n := len(dump(t, f.cfg.Store)); n != 1 {
		t.Errorf("%d entries while the limit counts, want 1", n)
	}
	f.clock.Advance(time.Millisecond)
	if n := len(dump(t, f.cfg.Store)); n != 0 {
		t.Errorf("%d entries after it has refilled, want none", n)
	}
}

func TestLimitErrorText(t *testing.T) {
	err := &LimitError{RetryAfter: 90 * time.Second}
	if got, want := err.Error(), "too many requests, retry after 1m30s"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
}

func TestNewServiceChecks(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Config)
		ok     bool
	}{
		{"defaults", func(*Config) {}, true},
		{"real clock and randomness, no observer", func(c *Config) { c.Now, c.Random, c.Observer = nil, nil, nil }, true},
		{"exactly 24 hours", func(c *Config) { c.SessionLifetime = 24 * time.Hour }, true},
		{"token as long as the session", func(c *Config) { c.TokenLifetime, c.SessionLifetime = time.Hour, time.Hour }, true},
		{"no store", func(c *Config) { c.Store = nil }, false},
		{"no keys", func(c *Config) { c.Keys = nil }, false},
		{"no outbox", func(c *Config) { c.Outbox = nil }, false},
		{"over 24 hours", func(c *Config) { c.SessionLifetime = 24*time.Hour + 1 }, false},
		{"token longer than the session", func(c *Config) { c.TokenLifetime, c.SessionLifetime = 2*time.Hour, time.Hour }, false},
		{"negative token lifetime", func(c *Config) { c.TokenLifetime = -1 }, false},
		{"negative session lifetime", func(c *Config) { c.SessionLifetime = -1 }, false},
		{"negative tries", func(c *Config) { c.MaxTries = -1 }, false},
		{"negative time in flight", func(c *Config) { c.InFlight = -1 }, false},
		{"negative cool-down", func(c *Config) { c.Cooldown = -1 }, false},
	}
	for want, change := range map[string]func(*Config){
		"session_lifetime: must be positive": func(c *Config) { c.SessionLifetime = -1 }, "token_lifetime: must be positive": func(c *Config) { c.TokenLifetime = -1 },
		"max_tries: must be positive": func(c *Config) { c.MaxTries = -1 }, "in_flight: must be positive": func(c *Config) { c.InFlight = -1 },
		"cooldown: must be positive":                                                           func(c *Config) { c.Cooldown = -1 },
		"session_lifetime: must be at most 24h0m0s, not 24h0m1s":                               func(c *Config) { c.SessionLifetime = 24*time.Hour + time.Second },
		"token_lifetime: 2h0m0s is longer than session_lifetime, 1h0m0s; make one of them fit": func(c *Config) { c.TokenLifetime, c.SessionLifetime = 2*time.Hour, time.Hour },
	} {
		var cfg Config
		change(&cfg)
		if err := cfg.Validate(); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			cfg := Config{Store: f.cfg.Store, Keys: f.cfg.Keys, Outbox: f.outbox, Observer: f.watcher, Now: f.clock.Now, Random: f.cfg.Random}
			tt.change(&cfg)
			svc, err := NewService(cfg)
			if (err == nil) != tt.ok || (svc != nil) != tt.ok {
				t.Fatalf("NewService = %v, %v, want success %v", svc, err, tt.ok)
			}
			if !tt.ok {
				return
			}
			if got, err := svc.RequestToken(bg, ask()); err != nil || !got.Sent {
				t.Errorf("RequestToken = %+v, %v", got, err)
			}
		})
	}
}

func TestPing(t *testing.T) {
	f := newFixture(t)
	if err := f.Ping(bg); err != nil {
		t.Errorf("Ping = %v", err)
	}
	ended, cancel := context.WithCancel(bg)
	cancel()
	wantErr(t, "Ping with an ended context", f.Ping(ended), context.Canceled)
	if err := f.cfg.Store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Ping(bg); err == nil {
		t.Errorf("Ping of a closed store succeeds")
	}
}
