// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/guest"
	"github.com/caddy-threepid/caddy-threepid/caddymodule/internal/config"
	"github.com/caddy-threepid/caddy-threepid/internal/doctor"
	"github.com/caddy-threepid/caddy-threepid/internal/instance"
)

func init() {
	caddy.RegisterModule(new(App))
}

// App verifies email addresses on behalf of a Matrix homeserver, so that its
// users need no identity server. It holds the configuration and the state that
// all `threepid` and `threepid_identity` handlers share. Every field has a
// default that works on a laptop; a server that people use needs at least
// `public_url` and `mailer`.
//
// Strings may contain global placeholders like `{env.SMTP_PASSWORD}` or
// `{file./run/secrets/smtp}`; they are expanded when the configuration is
// loaded, and a missing one is an error, for `caddy validate` too.
type App struct {
	// The origin (scheme://host[:port]) under which the readers of mails reach
	// the site with the `threepid` handler. It is the beginning of every link.
	// Default: `https://localhost`, which works on one machine only.
	PublicURL string `json:"public_url,omitempty"`

	// The homeserver behind the `threepid` handler.
	Homeserver *Homeserver `json:"homeserver,omitempty"`

	// The path prefixes of the client-server API that clients use. Default:
	// `/_matrix/client` and `/chat/client`.
	PathPrefixes []string `json:"path_prefixes,omitempty"`

	// What to do with the deprecated parameter `id_server` of requestToken:
	// `ignore`, or `trusted`, which answers `M_SERVER_NOT_TRUSTED` for every
	// server that is not in `trusted_id_servers`. The server named is never
	// contacted. Default: `ignore`.
	IDServerPolicy string `json:"id_server_policy,omitempty"`

	// The identity servers that `id_server_policy` `trusted` accepts, in the
	// spelling that clients send, mostly host[:port].
	TrustedIDServers []string `json:"trusted_id_servers,omitempty"`

	// Whether an `id_server` needs an `id_access_token` beside it: `optional`
	// (clients of before r0.6 have none) or `required`. Default: `optional`.
	IDAccessToken string `json:"id_access_token,omitempty"`

	// The origins (scheme://host[:port]) to which a reader may be sent after
	// confirming, by a client's `next_link`. Security: this is a redirect from
	// a page that people trust, so list only your own clients. A link to any
	// other is accepted and not followed: a page of ours says then where to go
	// on. Default: none.
	NextLink []string `json:"next_link,omitempty"`

	// What a mail carries: `link`, or `code` for six digits to be typed into
	// the client, or into a page to which the mail leads. Default: `link`.
	EmailProof string `json:"email_proof,omitempty"`

	// Whether codes are also accepted at
	// `/_matrix/identity/api/v1/validate/email/submitToken`, where old clients
	// post them. Leave it off where an identity server shares the domain.
	// Default: false.
	IdentitySubmitPath bool `json:"identity_submit_path,omitempty"`

	// Whether a client is told that an address belongs to an account
	// (`M_THREEPID_IN_USE`) or to none (`M_THREEPID_NOT_FOUND`), where `checks`
	// is `callback`. If not, it gets the answer of a request that was granted,
	// equally late, and the owner of the address is told by mail. Security:
	// with `true`, everybody can find out who has an account here. Default:
	// false.
	RevealAccountExistence bool `json:"reveal_account_existence,omitempty"`

	// How long a link or code can be used. Default: 1h.
	TokenLifetime caddy.Duration `json:"token_lifetime,omitempty"`

	// How long a validation session lives after it was opened, and again after
	// it was confirmed. Default, and at most: 24h.
	SessionLifetime caddy.Duration `json:"session_lifetime,omitempty"`

	// How many tokens may be tried in one session before it ends. Security: a
	// code has a million values, so this bounds guessing. Default: 5.
	MaxTries int `json:"max_tries,omitempty"`

	// How many messages may be asked for, and by whom.
	Limits *Limits `json:"limits,omitempty"`

	// The same as in `limits`, as earlier versions have it. LimitAddress counts
	// all messages to a mailbox in the place of what `limits` says of mailboxes.
	LimitAddress  *Limit `json:"limit_address,omitempty"`
	LimitClient   *Limit `json:"limit_client,omitempty"`
	LimitDomain   *Limit `json:"limit_domain,omitempty"`
	LimitUser     *Limit `json:"limit_user,omitempty"`
	LimitUIA      *Limit `json:"limit_uia,omitempty"`
	LimitMessages *Limit `json:"limit_messages,omitempty"`
	LimitGuesses  *Limit `json:"limit_guesses,omitempty"`

	// When a message for a registration is sent: `offered`, while the
	// homeserver offers a stage for it to those who register; `completed`, when
	// besides all stages before it (captcha, terms, registration token) are
	// complete; `off`, always. Security: with `off`, a server that registers
	// nobody mails strangers. Default: `offered`.
	RegistrationGate string `json:"registration_gate,omitempty"`

	// The identity servers, as host or host:port, that may have an address
	// which is not on the public internet, for labs. Users choose the servers
	// where they bind their addresses, and we connect to them, so private and
	// loopback addresses are refused. Security: whatever listens there can be
	// called by every user, over HTTPS only. Default: none.
	AllowIdentityServers []string `json:"allow_identity_servers,omitempty"`

	// The largest request body that is read, in bytes. It does not concern
	// requests that are passed on. Default: 65536.
	MaxBody int64 `json:"max_body,omitempty"`

	// The file with the keys that seal what is stored. It is created, with mode
	// 0600, if it does not exist and the store is empty, and is read again at
	// every reload; `caddy threepid rotate-keys` puts a new key into it. A store
	// that is not empty opens with its own file only. No two stores may share one.
	// Security: without it the store is unreadable, and the server does not start;
	// with it and the store, addresses can be read. Back them up apart. Default:
	// `threepid/keys.json` in Caddy's data directory.
	KeyFile string `json:"key_file,omitempty"`

	// Where sessions are kept. Default: `badger`, an embedded database.
	StoreRaw json.RawMessage `json:"store,omitempty" caddy:"namespace=threepid.stores inline_key=type"`

	// How mail is sent. Default: `file`, which writes every mail into a folder
	// and sends nothing.
	MailerRaw json.RawMessage `json:"mailer,omitempty" caddy:"namespace=threepid.mailers inline_key=type"`

	// How messages are sent to phones. Default: phone numbers are not verified.
	SMS *SMS `json:"sms,omitempty"`

	// A folder with the operator's own words and layouts of mails and pages.
	// What is not in it is as it comes. It is read when the configuration is
	// loaded, and refused if a reader could not use it.
	Templates string `json:"templates,omitempty"`

	// Brands by name: looks and words for some of the hosts that are served.
	Brands map[string]*Brand `json:"brands,omitempty"`

	// How many messages may wait to be sent before requestToken answers 503.
	// Default: 10000.
	MaxQueued int `json:"max_queued,omitempty"`

	// What became of mails after the relay took them.
	Feedback *Feedback `json:"feedback,omitempty"`

	// Whose email addresses may be verified. Default: everybody's whose domain has
	// a dot.
	EmailPolicy *EmailPolicy `json:"email_policy,omitempty"`

	// Whether to leave the addresses of an account untold when its password was
	// reset here, when it has got an address, or has lost one. Default: false,
	// they are told by mail.
	NoNotices bool `json:"no_notices,omitempty"`

	// How much mails and pages say of where a request came from, besides when:
	// `full` (the kind of app or browser, and `203.0.113.x` or a /48 of IPv6),
	// `coarse` (the same with `203.0.x.x` or a /32), or `off`. Privacy: it is told
	// to whoever has the address, which may be mistyped. Default: `coarse`.
	RequestContext string `json:"request_context,omitempty"`

	// Whether to verify no email addresses at all: requestToken answers
	// `M_THREEPID_MEDIUM_NOT_SUPPORTED`, and, without `sms`, `/versions` is
	// left alone. Default: false.
	NoEmail bool `json:"no_email,omitempty"`

	logger   *zap.Logger
	settings settings
	store    guest.Store
	mailer   guest.Mailer // nil with NoEmail
	// defaultMailer: none is configured.
	defaultMailer bool
	gateways      map[string]guest.SMSGateway
	notices       []notice        // what Start tells the operator
	outline       *config.Outline // of the Caddyfile, while it is read
	// sibling finds another app of this configuration.
	sibling func(name string) (any, error)
	// ended says why the configuration has ended; nil while it has not.
	ended    func() error
	miswired []doctor.WiringProblem // what Start has found
	seen     sightings
	proxies  proxies

	started  atomic.Bool
	mu       sync.Mutex // guards opening and closing
	running  atomic.Pointer[instance.Instance]
	key      any // of the pool
	closed   bool
	released bool
}

// Homeserver describes the homeserver.
type Homeserver struct {
	// `synapse`, `dendrite` or `generic`. The first two switch `checks` on.
	// Default: `generic`.
	Kind string `json:"kind,omitempty"`

	// The `id_server` that the homeserver is told to ask, as host:port or
	// host:port/path; the port is required, the path may hide the site below a
	// secret prefix. It must be listed in the homeserver's
	// `trusted_third_party_id_servers` in the same spelling, byte for byte, and
	// be the address of a site with the `threepid_identity` handler. Default:
	// `localhost:8443`.
	IdentityName string `json:"identity_name,omitempty"`

	// Who decides whether an address is in use, not found, or denied:
	// `callback` asks the homeserver before a mail is sent; `off` sends always.
	// Security: with `off`, a person can be mailed about an account that does
	// not exist. Default: `callback` for `synapse` and `dendrite`, else `off`.
	Checks string `json:"checks,omitempty"`

	// Who resets passwords by email: `facade` does it here; `native` leaves it
	// to the homeserver and its own mails. Default: `facade`.
	PasswordReset string `json:"password_reset,omitempty"`

	// Whether the homeserver can finish a password reset that was confirmed by
	// phone. No Synapse can: it accepts the code and then fails. Where it is
	// off, no code is sent for a reset. Default: false.
	PhoneReset bool `json:"phone_reset,omitempty"`

	// The version of the client-server API that the homeserver knows, a path
	// segment; requests for `v3` are rewritten to it. Default: `r0`.
	ClientVersion string `json:"client_version,omitempty"`

	// The path prefix of the client-server API that the homeserver knows.
	// Default: `/_matrix/client`.
	PathPrefix string `json:"path_prefix,omitempty"`
}

// Brand is a look of its own for requests to some hosts. Its words and layouts
// are in the folder `brands/<name>` of `templates`, if there is one.
type Brand struct {
	// The hosts of requests that it is for.
	Hosts []string `json:"hosts,omitempty"`
	// A picture for the top of pages: PNG, JPEG, GIF, WebP or SVG, at most 64
	// KiB.
	Logo string `json:"logo,omitempty"`
	// Variables of the pages' style, such as `accent` and `dark-accent`.
	CSS map[string]string `json:"css,omitempty"`
}

// Limit is a rate limit.
type Limit struct {
	// How many may come at once. A negative count is no limit.
	Count int `json:"count,omitempty"`
	// The time in which that many are granted again, evenly.
	Per caddy.Duration `json:"per,omitempty"`
}

// notice is a message to be logged once, when the configuration starts.
type notice struct {
	text   string
	fields []zap.Field
}

// CaddyModule returns the Caddy module information.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "threepid",
		New: func() caddy.Module { return new(App) },
	}
}

// Provision sets the app up. It finds all that is wrong with a configuration,
// and changes nothing and calls nobody: `caddy validate` calls it beside a
// running server.
func (a *App) Provision(ctx caddy.Context) error {
	a.logger, a.sibling = ctx.Logger(), ctx.AppIfConfigured
	a.ended = func() error { return context.Cause(ctx) }
	if err := RegisterMetrics(ctx.GetMetricsRegistry()); err != nil {
		return err
	}
	where := recall(a)
	if err := a.loadGuests(ctx); err != nil {
		return err
	}
	e := newExpander()
	a.judge(e)
	if !e.Failed() {
		a.rehearse(e)
	}
	if err := e.Err(where); err != nil {
		return err
	}
	a.announce()
	a.warnOfAdmin(ctx)
	return nil
}

func (a *App) notice(text string, fields ...zap.Field) {
	a.notices = append(a.notices, notice{text, fields})
}

// Interface guards
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
