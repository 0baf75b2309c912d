// SPDX-License-Identifier: Apache-2.0

package verification

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/keyring"
	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/store"
)

// MaxLifetime is the longest a session may live since its last modification
// (IS API, "Terminology").
const MaxLifetime = 24 * time.Hour

// Defaults of [Config].
const (
	DefaultTokenLifetime   = time.Hour
	DefaultSessionLifetime = MaxLifetime
	DefaultMaxTries        = 5
	// DefaultInFlight is more than the longest time a homeserver is given to
	// answer one request.
	DefaultInFlight = 2 * time.Minute
	// DefaultCooldown is as long as whoever typed in a wrong address could go on
	// with the session that its owner has refused.
	DefaultCooldown = 24 * time.Hour
)

// Config is what a Service is made of. Store, Keys and Outbox are required.
type Config struct {
	Store    store.Store
	Keys     *keyring.Ring
	Outbox   Outbox
	Observer Observer

	TokenLifetime   time.Duration
	SessionLifetime time.Duration
	MaxTries        int

	// Preset are the limits of requests for a token. User also limits other actions,
	// each by itself.
	ratelimit.Preset
	// PerAddress takes the place of Mailboxes where that is the zero value, and is the
	// limit of numbers.
	PerAddress ratelimit.Limit
	// ExplainResets has whoever asks for a reset and has no account told so by mail.
	ExplainResets bool

	// InFlight bounds how long a nonce or an alias is honoured: the time one
	// request may spend at the homeserver.
	InFlight time.Duration

	// Cooldown is how long no message goes to an address whose owner has said
	// "I did not ask for this".
	Cooldown time.Duration

	// Now and Random are the clock and the randomness; nil means the real ones.
	Now    func() time.Time
	Random io.Reader
}

// Service runs the state machine over a store.
type Service struct {
	*limiter
	ids *idMaker
	// waiting are what requests were counted against, by their nonces, until the
	// homeserver has decided about them; what another node began has none here.
	waiting sync.Map
}

// limiter is what a Service is over: a store and its limits. It counts what is asked for,
// and knows mailboxes, but no session.
type limiter struct {
	cfg   Config
	store store.Store
	naming
	now     func() time.Time
	table   ratelimit.Table
	dry     atomic.Int64 // when newcomers got nothing, in Unix nanoseconds
	dryTold atomic.Bool
	limited *ratelimit.Ledger
}

// Validate fills in the defaults of what can be checked without a store, and
// checks it.
func (cfg *Config) Validate() error {
	setDefault(&cfg.SessionLifetime, DefaultSessionLifetime)
	setDefault(&cfg.TokenLifetime, min(DefaultTokenLifetime, cfg.SessionLifetime))
	setDefault(&cfg.MaxTries, DefaultMaxTries)
	setDefault(&cfg.InFlight, DefaultInFlight)
	setDefault(&cfg.Cooldown, DefaultCooldown)
	for _, option := range []struct {
		name  string
		value int64
	}{
		{"session_lifetime", int64(cfg.SessionLifetime)},
		{"token_lifetime", int64(cfg.TokenLifetime)},
		{"max_tries", int64(cfg.MaxTries)},
		{"in_flight", int64(cfg.InFlight)},
		{"cooldown", int64(cfg.Cooldown)},
	} {
		if option.value < 0 {
			return fmt.Errorf("%s: must be positive", option.name)
		}
	}
	if cfg.SessionLifetime > MaxLifetime {
		return fmt.Errorf("session_lifetime: must be at most %s, not %s", MaxLifetime, cfg.SessionLifetime)
	}
	if cfg.TokenLifetime > cfg.SessionLifetime {
		return fmt.Errorf("token_lifetime: %s is longer than session_lifetime, %s; make one of them fit", cfg.TokenLifetime, cfg.SessionLifetime)
	}
	return nil
}

// NewService checks the configuration and fills in defaults.
func NewService(cfg Config) (*Service, error) {
	if cfg.Store == nil || cfg.Keys == nil || cfg.Outbox == nil {
		return nil, errors.New("store, keys and outbox are required")
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Random == nil {
		cfg.Random = rand.Reader
	}
	if cfg.Observer == nil {
		cfg.Observer = silent{}
	}
	return &Service{
		limiter: &limiter{
			cfg: cfg, store: cfg.Store, naming: naming{cfg.Keys}, now: cfg.Now,
			table:   ratelimit.Table{Entries: kindLimit, Heat: ratelimit.NewHeat(), Now: cfg.Now},
			limited: ratelimit.NewLedger(),
		},
		ids: &idMaker{keys: cfg.Keys, random: cfg.Random},
	}, nil
}

func setDefault[T ~int | ~int64](v *T, def T) {
	if *v == 0 {
		*v = def
	}
}

type silent struct{}

func (silent) Transition(threepid.Purpose, threepid.Medium, string)   {}
func (silent) Asked(ratelimit.Class, threepid.Medium, ratelimit.Kind) {}
func (silent) RanDry(bool)                                            {}

// secretLabel and tokenLabel keep the hashes of secrets and tokens apart from
// others.
const (
	secretLabel = "client secret"
	tokenLabel  = "token"
)

func (s *Service) secret(clientSecret threepid.ClientSecret) hash {
	return s.keys.Hash(secretLabel, string(clientSecret))
}

func (s *Service) tokenHash(sid threepid.SID, token threepid.Token) hash {
	return s.keys.Hash(tokenLabel, string(sid), string(token))
}

// Owns reports whether sid was made by this server, whether or not the
// session still exists.
func (s *Service) Owns(sid threepid.SID) bool {
	_, ok := s.ids.parse(sid)
	return ok
}

// Pseudonym is what a log may say in place of an address or a user.
func (s *limiter) Pseudonym(text string) string { return s.keys.Pseudonym(s.now(), text) }

// Ping reports whether the store can serve.
func (s *Service) Ping(ctx context.Context) error { return s.store.Ping(ctx) }
