// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-threepid/caddy-threepid/caddymodule/internal/config"
	"github.com/caddy-threepid/caddy-threepid/handlers"
	"github.com/caddy-threepid/caddy-threepid/internal/instance"
	"github.com/caddy-threepid/caddy-threepid/internal/provenance"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
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

// settings is the configuration with placeholders expanded and defaults applied, and
// the words that it was made of. It holds no secret but those of webhooks.
type settings struct {
	instance.Config
	checks string
	reset  string
	proof  string
	policy string
	access string
	email  emailPolicy
}

// resolve expands the app's own options and checks them, without a look at any
// file.
func (a *App) resolve(e *config.Expander) settings {
	hs := a.Homeserver
	if hs == nil {
		hs = &Homeserver{}
	}
	home := e.In("homeserver")
	s := settings{
		Config: instance.Config{
			Homeserver: cmp.Or(e.Text("homeserver", hs.Kind), genericKind),
			KeyFile:    cmp.Or(e.Text("key_file", a.KeyFile), config.DataPath("keys.json")),
			StoreID:    string(moduleID(a.store)), Store: a.store, Mailer: a.mailer, Gateways: a.gateways,
			Logger: a.logger, Operator: operator{a},
		},
		checks: home.Text("checks", hs.Checks),
		reset:  cmp.Or(home.Text("password_reset", hs.PasswordReset), "facade"),
		proof:  cmp.Or(e.Text("email_proof", a.EmailProof), "link"),
		policy: cmp.Or(e.Text("id_server_policy", a.IDServerPolicy), "ignore"),
		access: cmp.Or(e.Text("id_access_token", a.IDAccessToken), "optional"),
	}
	if s.checks == "" {
		s.checks = "callback"
		if s.Homeserver == genericKind {
			s.checks = "off"
		}
	}
	s.Sessions = verification.Config{
		TokenLifetime:   time.Duration(a.TokenLifetime),
		SessionLifetime: time.Duration(a.SessionLifetime),
		MaxTries:        a.MaxTries,
	}
	a.resolveLimits(e, &s.Sessions)
	s.HTTP = a.httpConfig(e, hs, &s)
	s.Labs = servers(e, "allow_identity_servers", a.AllowIdentityServers)
	s.email = a.resolvePolicy(e)
	s.Feedback, s.MaxQueued = a.Feedback.resolve(e.In("feedback")), a.MaxQueued
	a.resolveBrands(e)
	s.SMS = a.SMS.resolve(e.In("sms"), a.gateways)
	s.HTTP.Phones = phonesOf(s.SMS, hs.PhoneReset)
	if e.Draft || !e.Failed() { // else defaults stand for what could not be expanded
		s.check(e)
	}
	return s
}

// httpConfig is what the handlers need to know.
func (a *App) httpConfig(e *config.Expander, hs *Homeserver, s *settings) handlers.Config {
	home := e.In("homeserver")
	config := handlers.Config{
		Prefixes:             e.List("path_prefixes", a.PathPrefixes),
		PublicURL:            cmp.Or(e.Text("public_url", a.PublicURL), defaultPublicURL),
		UpstreamPrefix:       home.Text("path_prefix", hs.PathPrefix),
		UpstreamVersion:      home.Text("client_version", hs.ClientVersion),
		IdentityName:         cmp.Or(home.Text("identity_name", hs.IdentityName), defaultIdentityName),
		Callback:             s.checks == "callback",
		NativeReset:          s.reset == "native",
		NoEmail:              a.NoEmail,
		TrustedIDServers:     e.List("trusted_id_servers", a.TrustedIDServers),
		RequireIDAccessToken: s.access == "required",
		NextLinkOrigins:      e.List("next_link", a.NextLink),
		IdentitySubmit:       a.IdentitySubmitPath,
		Reveal:               a.RevealAccountExistence,
		MaxBody:              a.MaxBody,
		RegistrationGate:     handlers.Gate(e.Text("registration_gate", a.RegistrationGate)),
		NoNotices:            a.NoNotices,
		RequestContext:       provenance.Detail(e.Text("request_context", a.RequestContext)),
	}
	if s.proof == "code" {
		config.Proof = verification.ProofCode
	}
	return config
}

// check goes through what was expanded.
func (s *settings) check(e *config.Expander) {
	home := e.In("homeserver")
	e.Fail(config.CheckWord("homeserver", s.Homeserver, kindWords))
	home.Fail(config.CheckWord("checks", s.checks, checkWords))
	home.Fail(checkReset(s.reset))
	home.Fail(s.checkPhoneReset())
	e.Fail(config.CheckWord("email_proof", s.proof, proofWords))
	e.Fail(config.CheckWord("id_server_policy", s.policy, policyWords))
	e.Fail(config.CheckWord("id_access_token", s.access, accessWords))
	e.Fail(s.checkPolicy())
	e.Fail(checkOriginSpelling("public_url", s.HTTP.PublicURL))
	for _, origin := range s.HTTP.NextLinkOrigins {
		e.Fail(checkOriginSpelling("next_link", origin))
	}
	e.Fail(s.HTTP.Normalize())
	e.Fail(config.CheckWord("registration_gate", string(s.HTTP.RegistrationGate), gateWords))
	e.Fail(config.CheckWord("request_context", string(s.HTTP.RequestContext), contextWords))
	e.Fail(s.Sessions.Validate())
	if s.MaxQueued < 0 {
		e.Failf("max_queued: must be a positive number, not %d", s.MaxQueued)
	}
}

func checkReset(word string) error {
	if word == "admin" {
		return errors.New("password_reset admin: is not available in this version; write facade or native")
	}
	return config.CheckWord("password_reset", word, resetWords)
}

// checkPhoneReset refuses what leads nowhere.
func (s *settings) checkPhoneReset() error {
	if s.HTTP.Phones == nil || !s.HTTP.Phones.Reset {
		return nil
	}
	if s.Homeserver == "synapse" || s.Homeserver == "dendrite" {
		return fmt.Errorf("phone_reset: %s cannot reset a password by phone; leave phone_reset out", s.Homeserver)
	}
	return nil
}

// checkPolicy refuses a list that would not be used, and a policy that would
// refuse everything.
func (s *settings) checkPolicy() error {
	switch {
	case s.policy == "trusted" && len(s.HTTP.TrustedIDServers) == 0:
		return errors.New("id_server_policy: trusted needs the servers that are; write: id_server_policy trusted <host...>")
	case s.policy != "trusted" && len(s.HTTP.TrustedIDServers) > 0:
		return errors.New("id_server_policy: only `trusted` takes a list of servers; write: id_server_policy trusted <host...>")
	}
	return nil
}
