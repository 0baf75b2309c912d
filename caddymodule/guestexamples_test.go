// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/smstest"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/smtptest"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// examples is a module of its own, which needs nothing of ours but the contracts.
var examples = filepath.Join("..", "docs", "examples", "guests")

// goOffline runs the go command in a folder, with the modules that are on this machine.
func goOffline(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	cmd.Env = append(slices.Clone(ownEnvironment), "GOPROXY=off", "GOWORK=off", "GOFLAGS=-buildvcs=false")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %q: %v\n%s", args, err, out)
	}
}

// buildExamples builds a Caddy with the example guests, as xcaddy does.
func buildExamples(t *testing.T) (program string) {
	t.Helper()
	var config struct {
		CaddyVersion string              `json:"caddy_version"`
		Plugins      []map[string]string `json:"plugins"`
		Replacements []map[string]string `json:"replacements"`
	}
	must(t, json.Unmarshal(read(t, filepath.Join("..", "xcaddy.json")), &config))
	root, err := filepath.Abs("..")
	must(t, err)
	for _, r := range config.Replacements {
		r["new"] = filepath.Join(root, r["new"])
	}
	config.Plugins = append(config.Plugins, map[string]string{"module_path": "example.org/threepid-guests"})
	config.Replacements = append(config.Replacements, map[string]string{"old": "example.org/threepid-guests", "new": filepath.Join(root, "docs", "examples", "guests")})
	raw, err := json.Marshal(config)
	must(t, err)
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "xcaddy.json"), raw, 0o600))
	program = filepath.Join(dir, "caddy")
	goOffline(t, root, "run", "./internal/dev/xbuild", "-config", filepath.Join(dir, "xcaddy.json"), "-o", program)
	return program
}

// TestExamplesOfGuestsStandAlone: they build with their own go.mod as it is, and what
// they test of themselves is so.
func TestExamplesOfGuestsStandAlone(t *testing.T) {
	goOffline(t, examples, "test", "-mod=readonly", "./...")
}

// TestExamplesOfGuests registers somebody by a phone number and an email address, with a
// mailer, a gateway and a store that are not ours, and does not know them any less after
// a restart.
func TestExamplesOfGuests(t *testing.T) {
	program := buildExamples(t)
	gateway, err := smstest.Start()
	must(t, err)
	t.Cleanup(func() { _ = gateway.Close() })
	s := newSite(t, "")
	hs, upstream := phoneHomeserver(t, fakehs.Options{Require3PIDEmail: true, TrustedIDServers: []string{s.identityName()}})
	s.upstream = upstream
	home := s.path("process")
	must(t, os.Mkdir(home, 0o700))
	config := s.caddyfile(
		"public_url "+s.url(), "key_file "+s.path("keys.json"), "homeserver synapse {\nidentity_name "+s.identityName()+"\nchecks off\n}",
		"store journal {\npath "+s.path("journal")+"\n}",
		"mailer sendmail {\nfrom guest@example.test\ncommand /bin/sh -c `cat > \"$0\"` "+s.path("{to}.eml")+"\n}",
		"sms {\nsender own webhook {\nurl "+gateway.URL()+"\ntoken "+smstest.Token+"\n}\nallow GB\n}",
	)
	start := func() *stack.Caddy {
		t.Helper()
		c, err := stack.StartCaddy(t.Context(), program, home, config, nil, s.public, s.identity, s.admin)
		must(t, err)
		t.Cleanup(c.Stop)
		s.awaitIdentity()
		return c
	}
	running := start()
	do := func(path string, body any, want int) stack.Answer {
		t.Helper()
		a, err := s.client.Do(t.Context(), "POST", path, "", body)
		if err != nil || a.Status != want {
			t.Fatalf("%s: got %d %s (%v), want %d; log:\n%s", path, a.Status, a.Body, err, want, running.Logs())
		}
		return a
	}
	const register, number, email = "/_matrix/client/v3/register", "447400123456", "alice@example.test"
	body := stack.Object{"username": "alice", "password": oldPassword}
	session := do(register, body, http.StatusUnauthorized).Text("session")

	phone := do(register+"/msisdn/requestToken", stack.Object{"client_secret": "p", "country": "GB", "phone_number": "07400123456", "send_attempt": 1}, http.StatusOK)
	text, err := gateway.WaitFor(t.Context(), number)
	must(t, err)
	code, _ := text.Code()
	submit, err := url.Parse(phone.Text("submit_url"))
	must(t, err)
	do(submit.RequestURI(), stack.Object{"sid": phone.Text("sid"), "client_secret": "p", "token": code}, http.StatusOK)
	body["auth"] = stack.PhoneAuth(session, stack.Creds(phone.Text("sid"), "p"))
	do(register, body, http.StatusUnauthorized)

	sid := do(register+"/email/requestToken", stack.Object{"client_secret": "e", "email": email, "send_attempt": 1}, http.StatusOK).Text("sid")
	var link string
	s.await("the mail", func() bool {
		raw, err := os.ReadFile(s.path(email + ".eml"))
		link, _ = smtptest.Message{Raw: raw}.Link()
		return err == nil && link != ""
	})
	if _, done, err := s.client.Click(t.Context(), link); err != nil || done.Status != http.StatusOK {
		t.Fatalf("got %d (%v) for the button, want 200", done.Status, err)
	}
	body["auth"] = stack.EmailAuth(session, stack.Creds(sid, "e"))
	do(register, body, http.StatusOK)
	if got := hs.Emails("alice"); !slices.Equal(got, []string{email}) {
		t.Errorf("got addresses %q, want %q", got, email)
	}

	receipt, err := url.Parse(text.Receipt)
	must(t, err)
	do(receipt.RequestURI(), stack.Object{"state": "DELIVRD"}, http.StatusOK)
	if got := s.session(phone.Text("sid")).Delivery; got != "arrived" {
		t.Errorf("got the delivery %q of the text, want arrived", got)
	}

	asked := stack.Object{"client_secret": "later", "email": "bob@example.test", "send_attempt": 1}
	before := do(register+"/email/requestToken", asked, http.StatusOK).Text("sid")
	running.Stop()
	running = start()
	if after := do(register+"/email/requestToken", asked, http.StatusOK).Text("sid"); after != before || !strings.Contains(string(read(t, s.path("journal"))), "{") {
		t.Errorf("got session %q after a restart, want %q, from the journal", after, before)
	}
}
