// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-threepid/caddy-threepid/handlers"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

func init() {
	caddy.RegisterModule(new(App))
}

// App verifies email addresses on behalf of a Matrix homeserver, so that its
// users need no identity server. Every field has a default that works on a
// laptop; a server that people use needs at least `public_url` and `mailer`.
type App struct {
	// The origin (scheme://host[:port]) under which the readers of mails reach
	// the site that has the `threepid` handler. It is the beginning of every
	// link that is mailed, and is never taken from a request, because whoever
	// sends the request could choose it. Default: `https://localhost`.
	PublicURL string `json:"public_url,omitempty"`

	// What is known of the homeserver behind.
	Homeserver *Homeserver `json:"homeserver,omitempty"`

	// Prefixes of the client-server API's paths. Default: `/_matrix/client` and
	// `/chat/client`.
	PathPrefixes []string `json:"path_prefixes,omitempty"`

	// What to do with the deprecated parameter `id_server` of requestToken:
	// `ignore` (default) or `trusted`, which answers `M_SERVER_NOT_TRUSTED` for
	// every server that is not in `trusted_id_servers`. The server named is
	// never contacted.
	IDServerPolicy string `json:"id_server_policy,omitempty"`

	// The identity servers that `id_server_policy` `trusted` accepts, as
	// host[:port].
	TrustedIDServers []string `json:"trusted_id_servers,omitempty"`

	// Whether an `id_server` needs an `id_access_token` beside it: `optional`
	// (default; clients before r0.6 have none) or `required`.
	IDAccessToken string `json:"id_access_token,omitempty"`

	// Origins (scheme://host[:port]) that a client's `next_link` may lead to.
	// Default: none, and a request with a `next_link` is refused. An entry here
	// is a redirect from a page that people trust: list only your own clients.
	NextLink []string `json:"next_link,omitempty"`

	// What a mail carries: `link` (default), a link with a 256-bit token, or
	// `code`, six digits that the reader types into the client.
	EmailProof string `json:"email_proof,omitempty"`

	// Also accept codes on `/_matrix/identity/api/v1/validate/email/submitToken`
	// of the public site, for old clients. Default: false. Leave it off where
	// an identity server shares the domain.
	IdentitySubmitPath bool `json:"identity_submit_path,omitempty"`

	// How long a link or code works. Default: 1h.
	TokenLifetime caddy.Duration `json:"token_lifetime,omitempty"`

	// How long a session lives after it was opened, and again after it was
	// confirmed. Default, and at most: 24h.
	SessionLifetime caddy.Duration `json:"session_lifetime,omitempty"`

	// How many tokens may be tried in one session before it ends. Default: 5.
	MaxTries int `json:"max_tries,omitempty"`

	// How many requests one address may cause.
	LimitAddress *Limit `json:"limit_address,omitempty"`

	// The largest request body that is read, in bytes. Default: 65536.
	MaxBody int64 `json:"max_body,omitempty"`

	// File with the keys that seal the store; it is made, with mode 0600, when
	// it does not exist. Without it the store is unreadable and open sessions
	// are lost; with it and the store, addresses can be read: back them up
	// apart. Default: `threepid/keys.json` in Caddy's data directory.
	KeyFile string `json:"key_file,omitempty"`

	// Where sessions are kept. Default: `badger`.
	StoreRaw json.RawMessage `json:"store,omitempty" caddy:"namespace=threepid.stores inline_key=type"`

	// How mail is sent. Default: `file`.
	MailerRaw json.RawMessage `json:"mailer,omitempty" caddy:"namespace=threepid.mailers inline_key=type"`

	// Verify no email addresses: requestToken answers
	// `M_THREEPID_MEDIUM_NOT_SUPPORTED` and `/versions` is left alone.
	NoEmail bool `json:"no_email,omitempty"`

	logger  *zap.Logger
	cfg     handlers.Config
	domain  verification.Config
	keyFile string
	store   StoreModule
	mailer  Mailer

	mu       sync.Mutex
	runtime  *runtime
	released bool
}

// Homeserver is what is known of the homeserver.
type Homeserver struct {
	// `synapse`, `dendrite` or `generic` (default).
	Kind string `json:"kind,omitempty"`

	// The host:port, as in the homeserver's list of trusted identity servers,
	// byte for byte, under which it reaches the site that has the
	// `threepid_identity` handler. A path may follow, to hide that site below a
	// secret prefix. Default: `localhost:8443`.
	IdentityName string `json:"identity_name,omitempty"`

	// Who decides whether an address may have a token: `callback`, the
	// homeserver, asked for every request, or `off`, nobody, in which case it
	// refuses at completion. Default: `callback` if `kind` is given, else `off`.
	Checks string `json:"checks,omitempty"`

	// Who resets passwords: `facade` (default), this module, or `native`, the
	// homeserver with its own mail.
	PasswordReset string `json:"password_reset,omitempty"`

	// The version segment of client paths that the homeserver knows; clients
	// say `v3`. Default: `r0`.
	ClientVersion string `json:"client_version,omitempty"`

	// The path prefix that the homeserver knows. Default: `/_matrix/client`.
	PathPrefix string `json:"path_prefix,omitempty"`
}

// Limit is a rate limit.
type Limit struct {
	// How many at once. Default: 10; negative: no limit.
	Count int `json:"count,omitempty"`
	// The time in which the count is refilled, evenly. Default: 1h.
	Per caddy.Duration `json:"per,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "threepid", New: func() caddy.Module { return new(App) }}
}

// Provision expands placeholders, fills in defaults, loads the guest modules
// and registers the metrics. It touches neither disk nor network.
func (a *App) Provision(ctx caddy.Context) error {
	a.logger = ctx.Logger()
	if err := registerMetrics(ctx.GetMetricsRegistry()); err != nil {
		return fmt.Errorf("register metrics: %w", err)
	}
	if err := a.expand(); err != nil {
		return err
	}
	if err := a.buildConfig(); err != nil {
		return err
	}
	if err := a.buildDomain(); err != nil {
		return err
	}
	return a.loadGuests(ctx)
}

// expand resolves placeholders in what an operator may want to take from the
// environment. Nothing of a request is ever expanded.
func (a *App) expand() error {
	repl := caddy.NewReplacer()
	if a.Homeserver == nil {
		a.Homeserver = &Homeserver{}
	}
	a.keyFile = a.KeyFile
	if a.keyFile == "" {
		a.keyFile = filepath.Join(caddy.AppDataDir(), "threepid", "keys.json")
	}
	a.cfg.PublicURL = a.PublicURL
	if a.PublicURL == "" {
		a.cfg.PublicURL = "https://localhost"
		a.logger.Warn("public_url is not set: links in mails lead to this machine only", zap.String("public_url", a.cfg.PublicURL))
	}
	a.cfg.IdentityName = a.Homeserver.IdentityName
	if a.cfg.IdentityName == "" {
		a.cfg.IdentityName = "localhost:8443"
	}
	for name, value := range map[string]*string{
		"public_url": &a.cfg.PublicURL, "identity_name": &a.cfg.IdentityName, "key_file": &a.keyFile,
	} {
		expanded, err := repl.ReplaceOrErr(*value, true, true)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		*value = expanded
	}
	return nil
}

// buildConfig translates the configuration for the handlers.
func (a *App) buildConfig() error {
	hs := a.Homeserver
	if err := errors.Join(
		oneOf("homeserver", hs.Kind, "", "synapse", "dendrite", "generic"),
		oneOf("checks", hs.Checks, "", "callback", "off"),
		oneOf("id_server_policy", a.IDServerPolicy, "", "ignore", "trusted"),
		oneOf("id_access_token", a.IDAccessToken, "", "optional", "required"),
		oneOf("email_proof", a.EmailProof, "", "link", "code"),
	); err != nil {
		return err
	}
	if hs.PasswordReset == "admin" {
		return errors.New("password_reset admin is not available in this version; use facade or native")
	}
	if err := oneOf("password_reset", hs.PasswordReset, "", "facade", "native"); err != nil {
		return err
	}
	if (a.IDServerPolicy == "trusted") != (len(a.TrustedIDServers) > 0) {
		return errors.New("id_server_policy trusted and a list of servers go together")
	}
	a.cfg.Prefixes = append([]string(nil), a.PathPrefixes...)
	a.cfg.UpstreamPrefix, a.cfg.UpstreamVersion = hs.PathPrefix, hs.ClientVersion
	a.cfg.Callback = hs.Checks == "callback" || (hs.Checks == "" && hs.Kind != "")
	a.cfg.NativeReset = hs.PasswordReset == "native"
	a.cfg.NoEmail = a.NoEmail
	a.cfg.TrustedIDServers = a.TrustedIDServers
	a.cfg.RequireIDAccessToken = a.IDAccessToken == "required"
	a.cfg.NextLinkOrigins = append([]string(nil), a.NextLink...)
	a.cfg.IdentitySubmit = a.IdentitySubmitPath
	a.cfg.MaxBody = a.MaxBody
	if a.EmailProof == "code" {
		a.cfg.Proof = verification.ProofCode
	}
	return a.cfg.Normalize()
}

func oneOf(name, value string, allowed ...string) error {
	for _, a := range allowed {
		if value == a {
			return nil
		}
	}
	return fmt.Errorf("%s %q must be one of %q", name, value, allowed[1:])
}

// buildDomain translates the configuration for the domain, and checks it.
func (a *App) buildDomain() error {
	limit := verification.Limit{Burst: 10, Per: time.Hour}
	if l := a.LimitAddress; l != nil {
		if l.Count != 0 {
			limit.Burst = l.Count
		}
		if l.Per != 0 {
			limit.Per = time.Duration(l.Per)
		}
		if limit.Per < 0 {
			return errors.New("the time of a limit must be positive")
		}
	}
	a.domain = verification.Config{
		TokenLifetime:   time.Duration(a.TokenLifetime),
		SessionLifetime: time.Duration(a.SessionLifetime),
		MaxTries:        a.MaxTries,
		PerAddress:      limit,
		Observer:        sessionObserver{},
	}
	return a.domain.Validate()
}

// loadGuests loads the store and the mailer. Their Provision does no I/O
// either.
func (a *App) loadGuests(ctx caddy.Context) error {
	if a.StoreRaw == nil {
		a.StoreRaw = json.RawMessage(`{"type":"badger"}`)
	}
	mod, err := ctx.LoadModule(a, "StoreRaw")
	if err != nil {
		return fmt.Errorf("load store module: %w", err)
	}
	var ok bool
	if a.store, ok = mod.(StoreModule); !ok {
		return fmt.Errorf("module %T is not a store", mod)
	}
	if a.NoEmail {
		if a.MailerRaw != nil {
			return errors.New("a mailer is configured although email is switched off")
		}
		return nil
	}
	if a.MailerRaw == nil {
		a.MailerRaw = json.RawMessage(`{"type":"file"}`)
	}
	if mod, err = ctx.LoadModule(a, "MailerRaw"); err != nil {
		return fmt.Errorf("load mailer module: %w", err)
	}
	if a.mailer, ok = mod.(Mailer); !ok {
		return fmt.Errorf("module %T is not a mailer", mod)
	}
	return nil
}
