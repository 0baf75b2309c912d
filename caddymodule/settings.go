// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-threepid/caddy-threepid/handlers"
	"github.com/caddy-threepid/caddy-threepid/internal/delivery/mail"
	"github.com/caddy-threepid/caddy-threepid/internal/delivery/templates"
	"github.com/caddy-threepid/caddy-threepid/internal/outbound"
	"github.com/caddy-threepid/caddy-threepid/internal/provenance"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// Defaults that only make sense in Caddy.
const (
	defaultPublicURL    = "https://localhost"
	defaultIdentityName = "localhost:8443"
)

// The words that options accept. The Caddyfile checks them where they stand,
// and settings.validate checks them again, after placeholders are expanded.
var (
	kindWords    = []string{"synapse", "dendrite", "generic"}
	checkWords   = []string{"callback", "off"}
	resetWords   = []string{"facade", "native"}
	proofWords   = []string{"link", "code"}
	policyWords  = []string{"ignore", "trusted"}
	accessWords  = []string{"optional", "required"}
	contextWords = []string{string(provenance.Full), string(provenance.Coarse), string(provenance.Off)}
	gateWords    = []string{string(handlers.GateOffered), string(handlers.GateCompleted), string(handlers.GateOff)}
)

// settings is the configuration with placeholders expanded and defaults
// applied. It holds no secret.
type settings struct {
	http      handlers.Config
	kind      string
	checks    string
	reset     string
	proof     string
	policy    string
	access    string
	domain    verification.Config
	keyFile   string
	labs      []outbound.Name // identity servers that may have any address
	templates *templates.Set
	looks     map[string]handlers.Look
	feedback  loop
	sms       *smsSettings // nil: no phone numbers
	maxQueued int
	email     emailPolicy
}

// expander expands global placeholders and remembers what went wrong. It only
// ever sees configuration, never anything out of a request.
type expander struct {
	repl *caddy.Replacer
	errs []error
}

func newExpander() *expander { return &expander{repl: caddy.NewReplacer()} }

func (e *expander) text(option, value string) string {
	out, err := e.repl.ReplaceOrErr(value, true, true)
	if err != nil {
		e.errs = append(e.errs, fmt.Errorf("%s: %w", option, err))
	}
	return out
}

func (e *expander) list(option string, values []string) []string {
	if len(values) == 0 {
		return nil
	}
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = e.text(option, v)
	}
	return out
}

// outerPlaceholder are those of Caddy that may stand beside placeholders of our
// own, which are expanded for each message.
var outerPlaceholder = regexp.MustCompile(`\{(?:env|file)\.[^{}]+\}`)

// outer expands only those.
func (e *expander) outer(option, value string) string {
	return outerPlaceholder.ReplaceAllStringFunc(value, func(name string) string { return e.text(option, name) })
}

// servers expands the names of servers.
func (e *expander) servers(option string, values []string) []outbound.Name {
	var names []outbound.Name
	for _, raw := range e.list(option, values) {
		name, err := outbound.ParseName(raw)
		if err != nil {
			e.errs = append(e.errs, fmt.Errorf("%s %q: %w", option, raw, err))
			continue
		}
		names = append(names, name)
	}
	return names
}

func (e *expander) err() error { return errors.Join(e.errs...) }

// resolve expands the app's own options.
func (a *App) resolve() (settings, error) {
	e := newExpander()
	hs := a.Homeserver
	if hs == nil {
		hs = &Homeserver{}
	}
	s := settings{
		kind:    e.text("homeserver", hs.Kind),
		checks:  e.text("checks", hs.Checks),
		reset:   cmp.Or(e.text("password_reset", hs.PasswordReset), "facade"),
		proof:   cmp.Or(e.text("email_proof", a.EmailProof), "link"),
		policy:  cmp.Or(e.text("id_server_policy", a.IDServerPolicy), "ignore"),
		access:  cmp.Or(e.text("id_access_token", a.IDAccessToken), "optional"),
		keyFile: cmp.Or(e.text("key_file", a.KeyFile), dataPath("keys.json")),
	}
	if s.checks == "" {
		s.checks = "off"
		if s.kind != "" {
			s.checks = "callback"
		}
	}
	s.domain = verification.Config{
		TokenLifetime:   time.Duration(a.TokenLifetime),
		SessionLifetime: time.Duration(a.SessionLifetime),
		MaxTries:        a.MaxTries,
	}
	a.resolveLimits(&s.domain)
	s.http = a.httpConfig(e, hs, &s)
	s.labs = e.servers("allow_identity_servers", a.AllowIdentityServers)
	s.email = a.loadPolicy(e)
	s.feedback, s.maxQueued = a.Feedback.resolve(e), a.MaxQueued
	s.sms = a.SMS.resolve(e)
	s.http.Phones = s.sms.phones(hs.PhoneReset)
	if err := e.err(); err != nil {
		return s, err
	}
	if err := errors.Join(s.http.Normalize(), s.domain.Validate()); err != nil {
		return s, err
	}
	return s, a.loadWords(&s)
}

// httpConfig is what the handlers need to know.
func (a *App) httpConfig(e *expander, hs *Homeserver, s *settings) handlers.Config {
	config := handlers.Config{
		Prefixes:             e.list("path_prefixes", a.PathPrefixes),
		PublicURL:            cmp.Or(e.text("public_url", a.PublicURL), defaultPublicURL),
		UpstreamPrefix:       e.text("path_prefix", hs.PathPrefix),
		UpstreamVersion:      e.text("client_version", hs.ClientVersion),
		IdentityName:         cmp.Or(e.text("identity_name", hs.IdentityName), defaultIdentityName),
		Callback:             s.checks == "callback",
		NativeReset:          s.reset == "native",
		NoEmail:              a.NoEmail,
		TrustedIDServers:     e.list("trusted_id_servers", a.TrustedIDServers),
		RequireIDAccessToken: s.access == "required",
		NextLinkOrigins:      e.list("next_link", a.NextLink),
		IdentitySubmit:       a.IdentitySubmitPath,
		Reveal:               a.RevealAccountExistence,
		MaxBody:              a.MaxBody,
		ClientAddr:           clientOf,
		RegistrationGate:     handlers.Gate(e.text("registration_gate", a.RegistrationGate)),
		NoNotices:            a.NoNotices,
		RequestContext:       provenance.Detail(e.text("request_context", a.RequestContext)),
	}
	if s.proof == "code" {
		config.Proof = verification.ProofCode
	}
	return config
}

// validate checks everything that Normalize has not.
func (s *settings) validate(mailer Mailer) error {
	errs := []error{
		checkWord("homeserver", s.kind, append([]string{""}, kindWords...)),
		checkWord("checks", s.checks, checkWords),
		checkReset(s.reset),
		s.checkPhoneReset(),
		checkWord("email_proof", s.proof, proofWords),
		checkWord("id_server_policy", s.policy, policyWords),
		checkWord("id_access_token", s.access, accessWords),
		s.validatePolicy(),
		checkWord("registration_gate", string(s.http.RegistrationGate), gateWords),
		checkWord("request_context", string(s.http.RequestContext), contextWords),
		validateLimits(s.domain),
	}
	if mailer != nil {
		if _, _, err := mail.Sender(mailer.From()); err != nil {
			errs = append(errs, fmt.Errorf("mailer: from %q: %w", mailer.From(), err))
		}
	}
	return errors.Join(errs...)
}

func checkReset(word string) error {
	if word == "admin" {
		return errors.New("password_reset admin is not available in this version; use facade or native")
	}
	return checkWord("password_reset", word, resetWords)
}

// checkPhoneReset refuses what leads nowhere.
func (s *settings) checkPhoneReset() error {
	if s.http.Phones == nil || !s.http.Phones.Reset {
		return nil
	}
	if s.kind == "synapse" || s.kind == "dendrite" {
		return fmt.Errorf("phone_reset on: %s cannot reset a password by phone", s.kind)
	}
	return nil
}

// validatePolicy refuses a list that would not be used, and a policy that
// would refuse everything.
func (s *settings) validatePolicy() error {
	if (s.policy == "trusted") != (len(s.http.TrustedIDServers) > 0) {
		return errors.New("id_server_policy trusted and a list of servers go together")
	}
	return nil
}

// resolve fills in the defaults.
func (l *Limit) resolve(limit verification.Limit) verification.Limit {
	if l != nil {
		limit.Burst = cmp.Or(l.Count, limit.Burst)
		limit.Per = cmp.Or(time.Duration(l.Per), limit.Per)
	}
	return limit
}

func validateLimit(name string, limit verification.Limit) error {
	switch {
	case limit.Burst < 0:
		return nil
	case limit.Per <= 0:
		return fmt.Errorf("%s: the duration %s must be positive", name, limit.Per)
	case limit.Per < time.Duration(limit.Burst):
		return fmt.Errorf("%s: %d per %s is no limit; use off", name, limit.Burst, limit.Per)
	}
	return nil
}

func checkWord(option, value string, words []string) error {
	if slices.Contains(words, value) {
		return nil
	}
	return wordError(option, value, words)
}

func wordError(option, value string, words []string) error {
	named := slices.DeleteFunc(slices.Clone(words), func(w string) bool { return w == "" })
	return fmt.Errorf("%s must be %s, not %q", option, strings.Join(named, " or "), value)
}

// dataPath is a path in Caddy's data directory.
func dataPath(name string) string {
	return filepath.Join(caddy.AppDataDir(), "threepid", name)
}
