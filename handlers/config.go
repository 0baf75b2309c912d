// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/internal/provenance"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// DefaultMaxBody bounds a request body that we read, in bytes.
const DefaultMaxBody = 64 << 10

// Config is what both sides need to know. The zero value of a field is its
// default, except where it is said to be required.
type Config struct {
	// Prefixes are the path prefixes of the client-server API.
	Prefixes []string
	// PublicURL is the origin under which the reader of a mail reaches us;
	// required.
	PublicURL string
	// UpstreamPrefix and UpstreamVersion are the spelling that the homeserver
	// knows: prefixes are mapped to the one, version v3 to the other.
	UpstreamPrefix  string
	UpstreamVersion string
	// IdentityName is the id_server that the homeserver is told to ask.
	IdentityName string
	// Callback asks the homeserver whether an address may have a token.
	Callback bool
	// Reveal tells clients what the homeserver says about the owner of an
	// address: that it is in use, or not found. Without it they cannot tell.
	Reveal bool
	// Pace is the shortest time after which a request is answered that the
	// homeserver has decided, see timing.go. Default: 400 ms; negative: at once.
	Pace time.Duration
	// NativeReset leaves password resets to the homeserver.
	NativeReset bool
	// NoEmail says that there is no transport for mail.
	NoEmail bool
	// Emails are the rules about email addresses; nil means that there are none.
	Emails EmailRules
	// Phones says how phone numbers are verified; nil means not at all.
	Phones *Phones
	// Audience tells who makes a request; nil means that the connection does, and
	// that there is one language and one brand.
	Audience Audience
	// Proof is what a mail carries.
	Proof verification.Proof
	// TrustedIDServers, when not nil, are the only id_server values that
	// requestToken accepts. Nil ignores id_server.
	TrustedIDServers []string
	// RequireIDAccessToken refuses an id_server without an id_access_token.
	RequireIDAccessToken bool
	// NextLinkOrigins are the origins that next_link may name.
	NextLinkOrigins []string
	// IdentitySubmit also accepts codes on the submit path of identity servers.
	IdentitySubmit bool
	// IdentityAllow are the networks that may reach the homeserver-facing side.
	IdentityAllow []netip.Prefix
	// MaxBody bounds request bodies, in bytes.
	MaxBody int64
	// Operator is told of what only the operator can mend; nil means nobody.
	Operator Operator
	// RegistrationGate says when messages for registrations are sent. Default:
	// GateOffered.
	RegistrationGate Gate
	// NoNotices tells the addresses of an account nothing of its changes.
	NoNotices bool
	// RequestContext is how much messages and pages say of where a request came
	// from. Default: provenance.Coarse.
	RequestContext provenance.Detail
}

// localNetworks are loopback and the private ranges (RFC 1918, RFC 4193), where
// a homeserver behind the same proxy lives, in a container perhaps.
var localNetworks = []netip.Prefix{
	netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"),
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("fc00::/7"),
	netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("fe80::/10"),
}

// Normalize fills in defaults and checks what can be checked without I/O.
func (c *Config) Normalize() error {
	if len(c.Prefixes) == 0 {
		c.Prefixes = slices.Clone(DefaultPrefixes)
	}
	if c.UpstreamPrefix == "" {
		c.UpstreamPrefix = DefaultPrefixes[0]
	}
	if c.UpstreamVersion == "" {
		c.UpstreamVersion = "r0"
	}
	if c.Pace == 0 {
		c.Pace = leastStep
	}
	if c.MaxBody == 0 {
		c.MaxBody = DefaultMaxBody
	}
	if c.IdentityAllow == nil {
		c.IdentityAllow = localNetworks
	}
	c.RegistrationGate = cmp.Or(c.RegistrationGate, GateOffered)
	c.RequestContext = cmp.Or(c.RequestContext, provenance.Coarse)
	var errs []error
	if c.MaxBody < 0 {
		errs = append(errs, errors.New("max_body: must be positive"))
	}
	for _, p := range c.Prefixes {
		errs = append(errs, checkPrefix("path_prefixes "+p, p))
	}
	errs = append(errs, checkPrefix("homeserver path_prefix "+c.UpstreamPrefix, c.UpstreamPrefix))
	if !route.PlainVersion(c.UpstreamVersion) || strings.Contains(c.UpstreamVersion, "/") {
		errs = append(errs, fmt.Errorf("homeserver client_version %q: is not a path segment; write r0 or v3", c.UpstreamVersion))
	}
	errs = append(errs, c.normalizeURLs(), c.checkIdentityName())
	return errors.Join(errs...)
}

func (c *Config) normalizeURLs() error {
	var errs []error
	clean := func(option, raw string) string {
		found, err := origin(raw)
		if err != nil && !strings.Contains(raw, "@") { // which may be a password
			option += " " + raw
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", option, err))
		}
		return found
	}
	c.PublicURL = clean("public_url", c.PublicURL)
	for i, o := range c.NextLinkOrigins {
		c.NextLinkOrigins[i] = clean("next_link", o)
	}
	return errors.Join(errs...)
}

// checkPrefix refuses a prefix that would never match a canonical path.
func checkPrefix(option, p string) error {
	if p == "/" || route.Loosen(p) != p {
		return fmt.Errorf("%s: a path prefix must begin with a slash, not end with one, and be in canonical form, like /_matrix/client", option)
	}
	return nil
}

// checkIdentityName insists on a port: Dendrite resolves a name without one by
// the federation algorithm, and would never find us.
func (c *Config) checkIdentityName() error {
	if c.IdentityName == "" {
		return errors.New("homeserver identity_name: is required")
	}
	host, prefix, _ := strings.Cut(c.IdentityName, "/")
	u, err := url.Parse("https://" + host)
	if err != nil || u.Host != host || u.Port() == "" || u.Hostname() == "" {
		return fmt.Errorf("homeserver identity_name %s: must be host:port, as the homeserver is told to trust it; write it like localhost:8443", c.IdentityName)
	}
	if prefix != "" {
		return checkPrefix("homeserver identity_name "+c.IdentityName, "/"+prefix)
	}
	return nil
}

// origin returns scheme://host[:port] of an http(s) URL that is nothing more.
func origin(raw string) (string, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil || strings.ContainsAny(raw, " \t"):
		return "", errors.New("is not a URL; write it like https://matrix.example.org")
	case u.Scheme != "http" && u.Scheme != "https":
		return "", errors.New("must begin with https:// or http://, like https://matrix.example.org")
	case u.Host != "" && ((u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.Fragment != "" || u.ForceQuery):
		return "", fmt.Errorf("must be scheme://host[:port] and nothing more; write %s://%s", u.Scheme, u.Host)
	}
	if _, err := strconv.ParseUint(cmp.Or(u.Port(), "443"), 10, 16); err != nil {
		return "", errors.New("the port must be a number up to 65535")
	}
	return originOf(u)
}

// originOf is the origin of a parsed URL as browsers compute it (RFC 6454 §4):
// host in lower case, default port left out.
func originOf(u *url.URL) (string, error) {
	if u.User != nil || u.Hostname() == "" {
		return "", errors.New("must name a host, and no user")
	}
	host := strings.ToLower(u.Host)
	port := ":80"
	if u.Scheme == "https" {
		port = ":443"
	}
	return u.Scheme + "://" + strings.TrimSuffix(strings.TrimSuffix(host, port), ":"), nil
}
