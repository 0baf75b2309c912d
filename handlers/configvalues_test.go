// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/provenance"
)

// required is a configuration with nothing but what is required.
func required() Config { return Config{PublicURL: "https://x.org", IdentityName: "localhost:8443"} }

// TestConfigDefaults fill in what is not given, and nothing else.
func TestConfigDefaults(t *testing.T) {
	got, want := required(), required()
	if err := got.Normalize(); err != nil {
		t.Fatal(err)
	}
	want.Prefixes, want.UpstreamPrefix, want.UpstreamVersion = []string{"/_matrix/client", "/chat/client"}, "/_matrix/client", "r0"
	want.Pace, want.MaxBody, want.IdentityAllow = 400*time.Millisecond, 64<<10, localNetworks
	want.RegistrationGate, want.RequestContext = GateOffered, provenance.Coarse
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	given := Config{
		Prefixes: []string{"/a"}, UpstreamPrefix: "/b", UpstreamVersion: "v3", Pace: -1, MaxBody: 1, IdentityAllow: localNetworks[:1],
		RegistrationGate: GateOff, RequestContext: provenance.Off, PublicURL: "https://x.org", IdentityName: "localhost:8443/x",
	}
	kept := given
	if err := kept.Normalize(); err != nil || !reflect.DeepEqual(kept, given) {
		t.Errorf("got %+v, %v, want it as it was", kept, err)
	}
}

// TestConfigFaultsInWords: each is told with the option and the value that it is in,
// unless that may be a password.
func TestConfigFaultsInWords(t *testing.T) {
	const (
		url    = "is not a URL; write it like https://matrix.example.org"
		scheme = "must begin with https:// or http://, like https://matrix.example.org"
		more   = "must be scheme://host[:port] and nothing more; write https://x.org"
		host   = "must name a host, and no user"
		port   = "the port must be a number up to 65535"
		prefix = "a path prefix must begin with a slash, not end with one, and be in canonical form, like /_matrix/client"
		named  = "must be host:port, as the homeserver is told to trust it; write it like localhost:8443"
	)
	type fault struct{ value, want string }
	for option, c := range map[string]struct {
		set    func(*Config, string)
		faults []fault
	}{
		"public_url": {func(c *Config, v string) { c.PublicURL = v }, []fault{
			{"x", scheme},
			{"ftp://x.org", scheme},
			{"https://[::1", url},
			{"https://x.org/ ", url},
			{"https://x.org/\t", url},
			{"https://x.org/matrix", more},
			{"https://x.org?a", more},
			{"https://x.org#a", more},
			{"https://x.org?", more},
			{"https://x.org/a?b#c", more},
			{"https://", host},
			{"https:///x", host},
			{"https:x.org", host},
			{"https://x.org:65536", port},
		}},
		"next_link":              {func(c *Config, v string) { c.NextLinkOrigins = []string{"https://a.org", v} }, []fault{{"https://x.org/app", more}}},
		"path_prefixes":          {func(c *Config, v string) { c.Prefixes = []string{"/ok", v} }, []fault{{"/", prefix}, {"/a/", prefix}, {"a", prefix}, {"/a//b", prefix}, {"/%61", prefix}}},
		"homeserver path_prefix": {func(c *Config, v string) { c.UpstreamPrefix = v }, []fault{{"/a/", prefix}}},
		"homeserver identity_name": {func(c *Config, v string) { c.IdentityName = v }, []fault{
			{"localhost", named},
			{"https://localhost:8443", named},
			{":8443", named},
			{"u@localhost:8443", named},
			{"[::1", named},
			{"a?b:1", named},
			{"localhost:8443/a/", prefix},
			{"localhost:8443//a", prefix},
		}},
	} {
		for _, f := range c.faults {
			cfg := required()
			c.set(&cfg, f.value)
			if err, want := cfg.Normalize(), option+" "+f.value+": "+f.want; err == nil || err.Error() != want {
				t.Errorf("%s %q: got %v, want %s", option, f.value, err, want)
			}
		}
	}
	for want, change := range map[string]func(*Config){
		"public_url: " + host:                   func(c *Config) { c.PublicURL = "https://alice:secret@x.org" },
		"next_link: " + scheme:                  func(c *Config) { c.NextLinkOrigins = []string{"alice:secret@x.org"} },
		"homeserver identity_name: is required": func(c *Config) { c.IdentityName = "" },
		"max_body: must be positive":            func(c *Config) { c.MaxBody = -1 },
		`homeserver client_version "r0 ": is not a path segment; write r0 or v3`:    func(c *Config) { c.UpstreamVersion = "r0 " },
		`homeserver client_version "api/v1": is not a path segment; write r0 or v3`: func(c *Config) { c.UpstreamVersion = "api/v1" },
	} {
		cfg := required()
		change(&cfg)
		if err := cfg.Normalize(); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// TestConfigOrigins are kept as browsers write them.
func TestConfigOrigins(t *testing.T) {
	for given, want := range map[string]string{
		"https://X.org": "https://x.org", "https://x.org/": "https://x.org", "https://x.org:": "https://x.org",
		"https://x.org:443": "https://x.org", "http://x.org:80": "http://x.org", "http://x.org:80/": "http://x.org",
		"https://x.org:80": "https://x.org:80", "http://x.org:443": "http://x.org:443", "https://x.org:65535": "https://x.org:65535", "http://[::1]:8008": "http://[::1]:8008",
	} {
		cfg := required()
		cfg.PublicURL, cfg.NextLinkOrigins = given, []string{"https://a.org", given}
		if err := cfg.Normalize(); err != nil || cfg.PublicURL != want || !slices.Equal(cfg.NextLinkOrigins, []string{"https://a.org", want}) {
			t.Errorf("%s: got %s, %s, %v, want %s", given, cfg.PublicURL, cfg.NextLinkOrigins, err, want)
		}
	}
	for _, name := range []string{"localhost:8443", "localhost:8443/", "[::1]:8443", "localhost:8443/_idp/s3cret"} {
		cfg := required()
		if cfg.IdentityName = name; cfg.Normalize() != nil {
			t.Errorf("identity_name %s is refused", name)
		}
	}
}

// TestPaceIsForWhatIsHidden: where there is nothing to hide, nobody waits.
func TestPaceIsForWhatIsHidden(t *testing.T) {
	for _, c := range []struct {
		callback, reveal bool
		pace             time.Duration
		want             bool
	}{{true, false, 1, true}, {false, false, 1, false}, {true, true, 1, false}, {true, false, 0, false}, {true, false, -1, false}} {
		got := NewClient(Config{PublicURL: "https://x.org", Callback: c.callback, Reveal: c.reveal, Pace: c.pace}, nil, nil, nil).equalizer
		if (got != nil) != c.want {
			t.Errorf("%+v: got %+v", c, got)
		}
	}
}
