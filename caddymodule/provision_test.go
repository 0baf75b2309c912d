// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-threepid/caddy-threepid/caddymodule"
	"github.com/caddy-threepid/caddy-threepid/caddymodule/guests/badger"
	"github.com/caddy-threepid/caddy-threepid/caddymodule/guests/filemailer"
	"github.com/caddy-threepid/caddy-threepid/caddymodule/internal/config"
	"github.com/caddy-threepid/caddy-threepid/handlers"
	"github.com/caddy-threepid/caddy-threepid/internal/provenance"
	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// provision provisions an app from JSON, and cleans it up after the test.
func provision(t *testing.T, config string) (*caddymodule.App, error) {
	t.Helper()
	raw := `{"admin":{"disabled":true},"logging":{"logs":{"default":{"writer":{"output":"discard"}}}},"apps":{"threepid":` + config + `}}`
	var cfg *caddy.Config
	if err := caddy.StrictUnmarshalJSON([]byte(raw), &cfg); err != nil {
		t.Fatal(err)
	}
	ctx, err := caddy.ProvisionContext(cfg)
	if err != nil {
		return nil, err
	}
	mod, err := ctx.App("threepid")
	if err != nil {
		t.Fatal(err)
	}
	app := mod.(*caddymodule.App)
	t.Cleanup(func() {
		if err := app.Cleanup(); err != nil {
			t.Errorf("clean up: %v", err)
		}
	})
	return app, nil
}

func mustProvision(t *testing.T, config string) *caddymodule.App {
	t.Helper()
	app, err := provision(t, config)
	if err != nil {
		t.Fatalf("provision %s: %v", config, err)
	}
	return app
}

func TestR38_DefaultsWorkOnALaptop(t *testing.T) {
	app := mustProvision(t, `{}`)
	got := app.Settings().HTTP
	if got.PublicURL != "https://localhost" || got.IdentityName != "localhost:8443" {
		t.Errorf("got public_url %q and identity_name %q", got.PublicURL, got.IdentityName)
	}
	if got.Callback || got.NoEmail || got.NativeReset || got.TrustedIDServers != nil || got.IdentitySubmit {
		t.Errorf("got %+v, want no checks, the facade, and id_server ignored", got)
	}
	if got, want := app.Settings().Sessions.PerAddress, (ratelimit.Limit{Burst: 10, Per: time.Hour}); got != want {
		t.Errorf("got limit %+v, want %+v", got, want)
	}
	if got, want := app.Settings().Sessions.User, (ratelimit.Limit{Burst: 20, Per: time.Hour}); got != want {
		t.Errorf("got limit %+v, want %+v", got, want)
	}
	domain := app.Settings().Sessions
	for name, got := range map[string]ratelimit.Limit{
		"60 per client": domain.Client, "200 per domain": domain.Domain, "10 per uia": domain.UIA,
		"500 messages": domain.Messages, "30 guesses": domain.Guesses,
	} {
		want := ratelimit.Limit{Per: time.Hour}
		if _, err := fmt.Sscan(name, &want.Burst); err != nil || got != want {
			t.Errorf("%s: got %+v, want that per hour (%v)", name, got, err)
		}
	}
	if got, want := app.Settings().HTTP.RegistrationGate, handlers.GateOffered; got != want {
		t.Errorf("got gate %q, want %q", got, want)
	}
	if len(app.Settings().Labs) != 0 {
		t.Errorf("got %v, want no identity server on a private address", app.Settings().Labs)
	}
	if got, want := app.Settings().KeyFile, config.DataPath("keys.json"); got != want {
		t.Errorf("got key file %q, want %q", got, want)
	}
	file, ok := app.Settings().Mailer.(*filemailer.Mailer)
	if !ok || file.Folder() != config.DataPath("outbox") || file.From() != "noreply@localhost" {
		t.Errorf("got mailer %#v, want the file mailer and its folder", app.Settings().Mailer)
	}
	badger, ok := app.Settings().Store.(*badger.Store)
	if !ok || badger.Folder() != config.DataPath("store") {
		t.Errorf("got store %#v, want Badger in its default folder", app.Settings().Store)
	}
	if len(app.Notices()) != 2 {
		t.Errorf("got notices %v, want one on public_url and one on the mailer", app.Notices())
	}
	if _, err := os.Stat(config.DataPath("")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("provisioning has made %s (%v)", config.DataPath(""), err)
	}
	configured := mustProvision(t, `{"public_url":"https://m.example","mailer":{"type":"file"}}`)
	if len(configured.Notices()) != 0 {
		t.Errorf("got notices %v, want none for what was configured", configured.Notices())
	}
}

func TestR38_ChecksFollowTheKind(t *testing.T) {
	tests := map[string]bool{
		`{}`:                                               false,
		`{"homeserver":{}}`:                                false,
		`{"homeserver":{"kind":"synapse"}}`:                true,
		`{"homeserver":{"kind":"dendrite"}}`:               true,
		`{"homeserver":{"kind":"generic"}}`:                false, // the default, written out
		`{"homeserver":{"checks":"callback"}}`:             true,
		`{"homeserver":{"kind":"synapse","checks":"off"}}`: false,
	}
	for config, want := range tests {
		if got := mustProvision(t, config).Settings().HTTP.Callback; got != want {
			t.Errorf("%s: got callback %v, want %v", config, got, want)
		}
	}
}

func TestProvisionTranslatesEverything(t *testing.T) {
	t.Setenv("THREEPID_TEST_HOST", "matrix.example.org")
	t.Setenv("THREEPID_TEST_GATE", "completed")
	t.Setenv("THREEPID_TEST_CONTEXT", "full")
	app := mustProvision(t, `{
		"public_url": "https://{env.THREEPID_TEST_HOST}:443/",
		"homeserver": {"kind": "synapse", "identity_name": "{env.THREEPID_TEST_HOST}:8443/_idp", "password_reset": "native", "client_version": "v1", "path_prefix": "/_matrix/hs"},
		"path_prefixes": ["/{env.THREEPID_TEST_HOST}"],
		"id_server_policy": "trusted", "trusted_id_servers": ["{env.THREEPID_TEST_HOST}"], "id_access_token": "required",
		"next_link": ["https://app.{env.THREEPID_TEST_HOST}"], "email_proof": "code", "identity_submit_path": true,
		"token_lifetime": "30m", "session_lifetime": "12h", "max_tries": 3,
		"limit_address": {"count": 2, "per": "10m"}, "limit_user": {"count": 3, "per": "11m"}, "limit_client": {"count": 4, "per": "12m"}, "limit_domain": {"count": 5, "per": "13m"},
		"limit_uia": {"count": 6, "per": "14m"}, "limit_messages": {"count": 7, "per": "15m"}, "limit_guesses": {"count": 8, "per": "16m"},
		"registration_gate": "{env.THREEPID_TEST_GATE}",
		"allow_identity_servers": ["ID.{env.THREEPID_TEST_HOST}:443", "127.0.0.1:8090"], "max_body": 1000, "key_file": "/{env.THREEPID_TEST_HOST}/keys",
		"no_email": true, "reveal_account_existence": true, "no_notices": true, "request_context": "{env.THREEPID_TEST_CONTEXT}"
	}`)
	want := handlers.Config{
		PublicURL: "https://matrix.example.org", IdentityName: "matrix.example.org:8443/_idp",
		Prefixes: []string{"/matrix.example.org"}, UpstreamPrefix: "/_matrix/hs", UpstreamVersion: "v1",
		Callback: true, Reveal: true, Pace: 400 * time.Millisecond, NativeReset: true, NoEmail: true, Proof: verification.ProofCode,
		TrustedIDServers: []string{"matrix.example.org"}, RequireIDAccessToken: true,
		NextLinkOrigins: []string{"https://app.matrix.example.org"}, IdentitySubmit: true, MaxBody: 1000,
		RegistrationGate: handlers.GateCompleted, NoNotices: true, RequestContext: provenance.Full,
	}
	got := app.Settings().HTTP
	got.IdentityAllow, got.Audience = nil, nil
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v, want\n%+v", got, want)
	}
	domain := app.Settings().Sessions
	limits := []ratelimit.Limit{domain.PerAddress, domain.User, domain.Client, domain.Domain, domain.UIA, domain.Messages, domain.Guesses}
	for i, got := range limits {
		if want := (ratelimit.Limit{Burst: 2 + i, Per: time.Duration(10+i) * time.Minute}); got != want {
			t.Errorf("limit %d: got %+v, want %+v", i, got, want)
		}
	}
	if domain.TokenLifetime != 30*time.Minute || domain.SessionLifetime != 12*time.Hour || domain.MaxTries != 3 {
		t.Errorf("got %+v", domain)
	}
	if got, want := fmt.Sprint(app.Settings().Labs), "[id.matrix.example.org 127.0.0.1:8090]"; got != want {
		t.Errorf("got labs %s, want %s", got, want)
	}
	if got, want := app.Settings().KeyFile, "/matrix.example.org/keys"; got != want {
		t.Errorf("got key file %q, want %q", got, want)
	}
	if app.Settings().Mailer != nil {
		t.Errorf("got mailer %T, want none", app.Settings().Mailer)
	}
}

func TestProvisionRefuses(t *testing.T) {
	const smtp = `"type":"smtp","server":"smtp.example.org:587","from":"a@example.org"`
	tests := []struct{ name, config, want string }{
		{"unknown field", `{"publik_url":"x"}`, "unknown field"},
		{"public_url with path", `{"public_url":"https://x.org/path"}`, "public_url"},
		{"public_url without scheme", `{"public_url":"x.org"}`, "public_url"},
		{"missing environment", `{"public_url":"{env.THREEPID_TEST_MISSING}"}`, "env.THREEPID_TEST_MISSING"},
		{"missing file", `{"key_file":"{file./no/such/file}"}`, "key_file"},
		{"unknown placeholder", `{"next_link":["{http.request.host}"]}`, "next_link"},
		{"kind", `{"homeserver":{"kind":"conduit"}}`, "homeserver: must be synapse or dendrite or generic"},
		{"checks", `{"homeserver":{"checks":"oracle"}}`, "homeserver checks: must be callback or off"},
		{"reset", `{"homeserver":{"password_reset":"no"}}`, "homeserver password_reset: must be facade or native"},
		{"reset admin", `{"homeserver":{"password_reset":"admin"}}`, "not available in this version"},
		{"identity_name without port", `{"homeserver":{"identity_name":"localhost"}}`, "identity_name"},
		{"version", `{"homeserver":{"client_version":"r0/x?"}}`, "client_version"},
		{"prefix", `{"path_prefixes":["/x/"]}`, "path prefix"},
		{"policy", `{"id_server_policy":"some"}`, "id_server_policy: must be ignore or trusted"},
		{"policy without servers", `{"id_server_policy":"trusted"}`, "trusted needs the servers"},
		{"servers without policy", `{"trusted_id_servers":["x"]}`, "takes a list of servers"},
		{"access token", `{"id_access_token":"maybe"}`, "id_access_token: must be"},
		{"proof", `{"email_proof":"sms"}`, "email_proof: must be link or code"},
		{"next_link", `{"next_link":["https://x.org/app"]}`, "next_link"},
		{"session too long", `{"session_lifetime":"25h"}`, "at most 24h"},
		{"token longer than session", `{"token_lifetime":"2h","session_lifetime":"1h"}`, "longer than session"},
		{"negative lifetime", `{"token_lifetime":"-1h"}`, "positive"},
		{"negative tries", `{"max_tries":-1}`, "positive"},
		{"negative body", `{"max_body":-1}`, "max_body"},
		{"negative limit", `{"limit_address":{"count":1,"per":"-1s"}}`, "limit address"},
		{"limit that is none", `{"limit_address":{"count":1000,"per":"1ns"}}`, "write: limit address off"},
		{"limit user that is none", `{"limit_user":{"count":1000,"per":"1ns"}}`, "limit user"},
		{"identity server that is a URL", `{"allow_identity_servers":["https://id.example.org"]}`, "allow_identity_servers"},
		{"identity server missing", `{"allow_identity_servers":["{env.THREEPID_TEST_MISSING}"]}`, "THREEPID_TEST_MISSING"},
		{"unknown store", `{"store":{"type":"etcd"}}`, "threepid.stores.etcd"},
		{"store without type", `{"store":{"path":"/x"}}`, "type"},
		{"unknown store option", `{"store":{"type":"badger","dir":"/x"}}`, "unknown field"},
		{"missing store path", `{"store":{"type":"badger","path":"{env.THREEPID_TEST_MISSING}"}}`, "THREEPID_TEST_MISSING"},
		{"unknown mailer", `{"mailer":{"type":"pigeon"}}`, "threepid.mailers.pigeon"},
		{"mailer and none", `{"no_email":true,"mailer":{"type":"file"}}`, "is of no use with no_email"},
		{"file from", `{"mailer":{"type":"file","from":"nobody"}}`, "is no mailbox"},
		{"smtp without server", `{"mailer":{"type":"smtp","from":"a@example.org"}}`, "mailer smtp server: is required"},
		{"smtp without from", `{"mailer":{"type":"smtp","server":"x:25"}}`, "mailer smtp from: is required"},
		{"smtp without port", `{"mailer":{"type":"smtp","server":"x","from":"a@example.org"}}`, "host:port"},
		{"smtp bad from", `{"mailer":{"type":"smtp","server":"x:25","from":"a@example.org\r\nBcc: b@example.org"}}`, "is no mailbox"},
		{"smtp tls", `{"mailer":{` + smtp + `,"tls":"maybe"}}`, "tls"},
		{"smtp in clear", `{"mailer":{` + smtp + `,"tls":"none"}}`, "tls none"},
		{"smtp password in clear", `{"mailer":{"type":"smtp","server":"127.0.0.1:25","from":"a@example.org","tls":"none","username":"u","password":"p"}}`, "without tls"},
		{"smtp password alone", `{"mailer":{` + smtp + `,"password":"p"}}`, "go together"},
		{"smtp missing password", `{"mailer":{` + smtp + `,"username":"u","password":"{env.THREEPID_TEST_MISSING}"}}`, "THREEPID_TEST_MISSING"},
		{"smtp negative timeout", `{"mailer":{` + smtp + `,"timeout":"-1s"}}`, "timeout"},
		{"smtp useless ca_file", `{"mailer":{"type":"smtp","server":"127.0.0.1:25","from":"a@example.org","tls":"none","ca_file":"x"}}`, "ca_file"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := provision(t, test.config)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want one with %q", err, test.want)
			}
		})
	}
}
