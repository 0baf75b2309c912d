// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-threepid/caddy-threepid/handlers"
	"github.com/caddy-threepid/caddy-threepid/handlers/pages"
	"github.com/caddy-threepid/caddy-threepid/internal/outbound"
	"github.com/caddy-threepid/caddy-threepid/internal/provenance"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/internal/words"
)

// genericKind is a homeserver of which nothing is known.
const genericKind = "generic"

// Defaults that only make sense in Caddy.
const (
	defaultPublicURL    = "https://localhost"
	defaultIdentityName = "localhost:8443"
)

// The words that options accept. The Caddyfile checks them where they stand,
// and settings.check checks them again, after placeholders are expanded.
var (
	kindWords    = []string{"synapse", "dendrite", genericKind}
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
	templates *words.Set
	looks     map[string]pages.Look
	feedback  loop
	sms       *smsSettings // nil: no phone numbers
	maxQueued int
	email     emailPolicy
}

// resolve expands the app's own options and checks them, without a look at any
// file.
func (a *App) resolve(e *expander) settings {
	hs := a.Homeserver
	if hs == nil {
		hs = &Homeserver{}
	}
	home := e.in("homeserver")
	s := settings{
		kind:    cmp.Or(e.text("homeserver", hs.Kind), genericKind),
		checks:  home.text("checks", hs.Checks),
		reset:   cmp.Or(home.text("password_reset", hs.PasswordReset), "facade"),
		proof:   cmp.Or(e.text("email_proof", a.EmailProof), "link"),
		policy:  cmp.Or(e.text("id_server_policy", a.IDServerPolicy), "ignore"),
		access:  cmp.Or(e.text("id_access_token", a.IDAccessToken), "optional"),
		keyFile: cmp.Or(e.text("key_file", a.KeyFile), dataPath("keys.json")),
	}
	if s.checks == "" {
		s.checks = "callback"
		if s.kind == genericKind {
			s.checks = "off"
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
	s.email = a.resolvePolicy(e)
	s.feedback, s.maxQueued = a.Feedback.resolve(e.in("feedback")), a.MaxQueued
	a.resolveBrands(e)
	s.sms = a.SMS.resolve(e.in("sms"), a.gateways)
	s.http.Phones = s.sms.phones(hs.PhoneReset)
	if e.draft || !e.failed() { // else defaults stand for what could not be expanded
		s.check(e)
	}
	return s
}

// httpConfig is what the handlers need to know.
func (a *App) httpConfig(e *expander, hs *Homeserver, s *settings) handlers.Config {
	home := e.in("homeserver")
	config := handlers.Config{
		Prefixes:             e.list("path_prefixes", a.PathPrefixes),
		PublicURL:            cmp.Or(e.text("public_url", a.PublicURL), defaultPublicURL),
		UpstreamPrefix:       home.text("path_prefix", hs.PathPrefix),
		UpstreamVersion:      home.text("client_version", hs.ClientVersion),
		IdentityName:         cmp.Or(home.text("identity_name", hs.IdentityName), defaultIdentityName),
		Callback:             s.checks == "callback",
		NativeReset:          s.reset == "native",
		NoEmail:              a.NoEmail,
		TrustedIDServers:     e.list("trusted_id_servers", a.TrustedIDServers),
		RequireIDAccessToken: s.access == "required",
		NextLinkOrigins:      e.list("next_link", a.NextLink),
		IdentitySubmit:       a.IdentitySubmitPath,
		Reveal:               a.RevealAccountExistence,
		MaxBody:              a.MaxBody,
		RegistrationGate:     handlers.Gate(e.text("registration_gate", a.RegistrationGate)),
		NoNotices:            a.NoNotices,
		RequestContext:       provenance.Detail(e.text("request_context", a.RequestContext)),
	}
	if s.proof == "code" {
		config.Proof = verification.ProofCode
	}
	return config
}

// check goes through what was expanded.
func (s *settings) check(e *expander) {
	home := e.in("homeserver")
	e.fail(checkWord("homeserver", s.kind, kindWords))
	home.fail(checkWord("checks", s.checks, checkWords))
	home.fail(checkReset(s.reset))
	home.fail(s.checkPhoneReset())
	e.fail(checkWord("email_proof", s.proof, proofWords))
	e.fail(checkWord("id_server_policy", s.policy, policyWords))
	e.fail(checkWord("id_access_token", s.access, accessWords))
	e.fail(s.checkPolicy())
	e.fail(checkOriginSpelling("public_url", s.http.PublicURL))
	for _, origin := range s.http.NextLinkOrigins {
		e.fail(checkOriginSpelling("next_link", origin))
	}
	e.fail(s.http.Normalize())
	e.fail(checkWord("registration_gate", string(s.http.RegistrationGate), gateWords))
	e.fail(checkWord("request_context", string(s.http.RequestContext), contextWords))
	e.fail(s.domain.Validate())
	e.fail(checkLimits(s.domain))
	if s.maxQueued < 0 {
		e.failf("max_queued: must be a positive number, not %d", s.maxQueued)
	}
}

func checkReset(word string) error {
	if word == "admin" {
		return errors.New("password_reset admin: is not available in this version; write facade or native")
	}
	return checkWord("password_reset", word, resetWords)
}

// checkPhoneReset refuses what leads nowhere.
func (s *settings) checkPhoneReset() error {
	if s.http.Phones == nil || !s.http.Phones.Reset {
		return nil
	}
	if s.kind == "synapse" || s.kind == "dendrite" {
		return fmt.Errorf("phone_reset: %s cannot reset a password by phone; leave phone_reset out", s.kind)
	}
	return nil
}

// checkPolicy refuses a list that would not be used, and a policy that would
// refuse everything.
func (s *settings) checkPolicy() error {
	switch {
	case s.policy == "trusted" && len(s.http.TrustedIDServers) == 0:
		return errors.New("id_server_policy: trusted needs the servers that are; write: id_server_policy trusted <host...>")
	case s.policy != "trusted" && len(s.http.TrustedIDServers) > 0:
		return errors.New("id_server_policy: only `trusted` takes a list of servers; write: id_server_policy trusted <host...>")
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

func checkLimit(name string, limit verification.Limit) error {
	switch {
	case limit.Burst < 0:
		return nil
	case limit.Per <= 0:
		return fmt.Errorf("%s: the time must be positive, like 1h, not %s", name, limit.Per)
	case limit.Per < time.Duration(limit.Burst):
		return fmt.Errorf("%s: %d per %s is no limit; write: %s off", name, limit.Burst, limit.Per, name)
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
	return fmt.Errorf("%s: must be %s, not %q", option, strings.Join(words, " or "), value)
}

// dataPath is a path in Caddy's data directory.
func dataPath(name string) string {
	return filepath.Join(caddy.AppDataDir(), "threepid", name)
}
