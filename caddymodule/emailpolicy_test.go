// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-threepid/caddy-threepid/caddymodule"
	"github.com/caddy-threepid/caddy-threepid/internal/doctor"
	"github.com/caddy-threepid/caddy-threepid/internal/emailpolicy"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/stack"
)

// decisions counts what the policy has decided so far, as rule and action.
func decisions(t *testing.T) func(rule emailpolicy.Rule, action emailpolicy.Action) float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := caddymodule.RegisterMetrics(registry); err != nil {
		t.Fatal(err)
	}
	count := func(rule emailpolicy.Rule, action emailpolicy.Action) float64 {
		return counted(t, registry, "caddy_threepid_policy_total", string(action), string(rule))
	}
	type key struct {
		rule   emailpolicy.Rule
		action emailpolicy.Action
	}
	before := map[key]float64{}
	for _, rule := range []emailpolicy.Rule{
		emailpolicy.Default, emailpolicy.Allow, emailpolicy.MXUnknown, emailpolicy.Deny, emailpolicy.NotAllowed, emailpolicy.Disposable, emailpolicy.NoDot, emailpolicy.NullMX, emailpolicy.NoMail,
	} {
		for _, action := range []emailpolicy.Action{emailpolicy.Allowed, emailpolicy.Refused, emailpolicy.Logged} {
			before[key{rule, action}] = count(rule, action)
		}
	}
	return func(rule emailpolicy.Rule, action emailpolicy.Action) float64 {
		return count(rule, action) - before[key{rule, action}]
	}
}

// put writes a file of the site as a whole.
func (s *site) put(name, text string) {
	s.t.Helper()
	err := os.WriteFile(s.path(name+".new"), []byte(text), 0o600)
	if err = errors.Join(err, os.Rename(s.path(name+".new"), s.path(name))); err != nil {
		s.t.Fatal(err)
	}
}

// token requests a token, and says how that ended: with the status, or with an
// error code, which must come with CORS headers.
func (s *site) token(path, email string) string {
	s.t.Helper()
	a := s.settled(func() (stack.Answer, error) {
		return s.client.Do(s.t.Context(), "POST", path, "", stack.Object{"client_secret": "s", "email": email, "send_attempt": 1})
	})
	if a.Status == http.StatusOK {
		return "ok"
	}
	if got := a.Header.Get("Access-Control-Allow-Origin"); got != "*" {
		s.t.Errorf("%s: got Access-Control-Allow-Origin %q, want *", path, got)
	}
	if denied := a.Text("errcode") == "M_THREEPID_DENIED"; denied != (a.Status == http.StatusForbidden) {
		s.t.Errorf("%s: got %d %s, want 403 for M_THREEPID_DENIED only", path, a.Status, a.Body)
	}
	return a.Text("errcode")
}

const registerPath = "/_matrix/client/v3/register/email/requestToken"

// TestF16_PolicyThroughCaddy: everything of the Caddyfile at once, in front of a
// homeserver that would have taken all of these addresses.
func TestF16_PolicyThroughCaddy(t *testing.T) {
	both(t, func(t *testing.T, w *whole) {
		w.put("disposable.txt", "# some\ntrash.example\nmailinator.test\n")
		count := decisions(t)
		mails := len(w.inbox.Messages())
		w.mustLoad(strings.Replace(w.loaded, "limit address off", "limit address off\nemail_policy {\nallow =good.trash.example *\ndeny evil.test =bücher.test\ndisposable "+
			w.path("disposable.txt")+"\n}", 1))
		w.hs.AddUser("eve", oldPassword, "eve@evil.test")
		asked := len(w.hs.Requests())
		for email, want := range map[string]string{
			"canary@evil.test": "M_THREEPID_DENIED", "Canary@SUB.Evil.Test": "M_THREEPID_DENIED", "canary@ｅｖｉｌ．test": "M_THREEPID_DENIED",
			"canary@BÜCHER.test": "M_THREEPID_DENIED", "canary@xn--bcher-kva.test": "M_THREEPID_DENIED",
			"canary@a.trash.example": "M_THREEPID_DENIED", "canary@mailinator.test": "M_THREEPID_DENIED", "canary@intranet": "M_THREEPID_DENIED",
			"canary@evil.test.": "M_INVALID_PARAM", "canary@evil.test#@good.test": "M_INVALID_PARAM", "canary@ev\u00adil.test": "M_INVALID_PARAM",
		} {
			for _, purpose := range []string{"register", "account/3pid"} {
				if got := w.token("/_matrix/client/v3/"+purpose+"/email/requestToken", email); got != want {
					t.Errorf("%s, %s: got %s, want %s", purpose, email, got, want)
				}
			}
		}
		if got := len(w.hs.Requests()) - asked; got != 0 {
			t.Errorf("the homeserver was asked %d times about refused addresses, want never", got)
		}
		for _, email := range []string{"a@sub.bücher.test", "a@notevil.test", "a@good.trash.example", "a@evil.test.example"} {
			if got := w.token(registerPath, email); got != "ok" {
				t.Errorf("%s: got %s, want ok", email, got)
			}
		}
		// The account was there before the rule.
		w.ask("v3", "account/password", "reset", "eve@evil.test")
		w.link("eve@evil.test")
		if got := count(emailpolicy.Deny, emailpolicy.Refused); got != 10 {
			t.Errorf("got %v denials, want 10", got)
		}
		if d, n, a := count(emailpolicy.Disposable, emailpolicy.Refused), count(emailpolicy.NoDot, emailpolicy.Refused), count(emailpolicy.Allow, emailpolicy.Allowed); d != 4 || n != 2 || a != 4 {
			t.Errorf("got %v disposable, %v dotless, %v allowed, want 4, 2, 4", d, n, a)
		}
		for _, m := range w.inbox.Messages()[mails:] {
			if strings.Contains(m.To, "canary") {
				t.Error("a refused address got a mail")
			}
		}
		log := w.log("caddy.log")
		if !strings.Contains(log, `"rule":"deny","action":"refused","pseudonym":"`) {
			t.Error("the log does not name the rule that was applied")
		}
		if strings.Contains(strings.ToLower(log), "canary") || strings.Contains(log, "evil.test") {
			t.Error("the log has an address in it")
		}
	})
}

// TestAdvisory18_NoPathLeadsAroundThePolicy through Caddy's own router and
// proxy.
func TestAdvisory18_NoPathLeadsAroundThePolicy(t *testing.T) {
	both(t, func(t *testing.T, w *whole) {
		w.mustLoad(strings.Replace(w.loaded, "limit address off", "limit address off\nemail_policy {\ndeny evil.test\n}", 1))
		asked := len(w.hs.Requests())
		for _, prefix := range []string{"/_matrix/client/", "/chat/client/"} {
			for _, version := range []string{"r0", "v1", "v3", "v99", "unstable", "api/v1"} {
				base := prefix + version
				for path, want := range map[string]string{
					base + "/register/email/requestToken":          "M_THREEPID_DENIED",
					base + "/account/3pid/email/requestToken":      "M_THREEPID_DENIED",
					base + "//register/email/requestToken":         "M_UNRECOGNIZED",
					base + "/register//email/requestToken":         "M_UNRECOGNIZED",
					"/" + base + "/register/email/requestToken":    "M_UNRECOGNIZED",
					base + "/register/email/requestToken/":         "M_UNRECOGNIZED",
					base + "/register%2femail/requestToken":        "M_UNRECOGNIZED",
					base + "/register/email%2FrequestToken":        "M_UNRECOGNIZED",
					base + "/%72egister/email/requestToken":        "M_UNRECOGNIZED",
					base + "/%2572egister/email/requestToken":      "M_UNRECOGNIZED",
					base + "/REGISTER/email/requestToken":          "M_UNRECOGNIZED",
					base + "/register/Email/requestToken":          "M_UNRECOGNIZED",
					base + "/register/email/requesttoken":          "M_UNRECOGNIZED",
					base + "/./register/email/requestToken":        "M_UNRECOGNIZED",
					base + "/x/%2e%2e/register/email/requestToken": "M_UNRECOGNIZED",
					base + "/register/email/requestToken;v=1":      "M_UNRECOGNIZED",
					base + "/register/email/requestToken%20":       "M_UNRECOGNIZED",
					base + "/account//3pid/email/requestToken":     "M_UNRECOGNIZED",
					base + "/account/3PID/email/requestToken":      "M_UNRECOGNIZED",
					base + `/register%5Cemail%5CrequestToken`:      "M_UNRECOGNIZED",
					base + "/register/email/requestToken?email=x;": "M_INVALID_PARAM",
				} {
					if got := w.token(path, "a@evil.test"); got != want {
						t.Errorf("%s: got %s, want %s", path, got, want)
					}
				}
			}
		}
		if got := len(w.hs.Requests()) - asked; got != 0 {
			t.Errorf("the homeserver saw %d requests, want none", got)
		}
		if got := len(w.inbox.Messages()); got != 0 {
			t.Errorf("got %d mails, want none", got)
		}
	})
}

// TestPolicyIsTriedOut: with log_only nothing is refused, and all is counted.
func TestPolicyIsTriedOut(t *testing.T) {
	w := newWhole(t, "off", "email_policy {\ndeny evil.test\nlog_only on\n}")
	count := decisions(t)
	for _, email := range []string{"a@evil.test", "a@intranet", "a@good.test"} {
		if got := w.token(registerPath, email); got != "ok" {
			t.Errorf("%s: got %s, want ok", email, got)
		}
	}
	if d, n, o := count(emailpolicy.Deny, emailpolicy.Logged), count(emailpolicy.NoDot, emailpolicy.Logged), count(emailpolicy.Default, emailpolicy.Allowed); d != 1 || n != 1 || o != 1 {
		t.Errorf("got %v denied, %v dotless, %v others, want one of each", d, n, o)
	}
	if log := w.log("caddy.log"); !strings.Contains(log, `"rule":"deny","action":"logged"`) {
		t.Error("the log does not say what would have been refused")
	}
}

// fakeNames is a Resolver with an answer for each domain.
type fakeNames struct {
	asked atomic.Int32
	mx    map[string][]*net.MX
}

func (f *fakeNames) LookupMX(_ context.Context, name string) ([]*net.MX, error) {
	f.asked.Add(1)
	if mx, ok := f.mx[name]; ok {
		return mx, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func (f *fakeNames) LookupHost(_ context.Context, name string) ([]string, error) {
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

// TestPolicyAsksForMX only if it is told to, and not about what is refused
// anyway.
func TestPolicyAsksForMX(t *testing.T) {
	names := &fakeNames{mx: map[string][]*net.MX{"good.test.": {{Host: "mx.good.test."}}, "null.test.": {{Host: "."}}}}
	t.Cleanup(caddymodule.SetNameServers(names))
	w := newWhole(t, "off", "email_policy {\ndeny evil.test\n}")
	if got := w.token(registerPath, "a@null.test"); got != "ok" || names.asked.Load() != 0 {
		t.Errorf("got %s and %d questions, want ok and none", got, names.asked.Load())
	}
	count := decisions(t)
	w.mustLoad(strings.Replace(w.loaded, "deny evil.test", "deny evil.test\ncheck_mx on", 1))
	for email, want := range map[string]string{
		"a@good.test": "ok", "b@GOOD.test": "ok", "a@null.test": "M_THREEPID_DENIED", "a@missing.test": "M_THREEPID_DENIED", "a@evil.test": "M_THREEPID_DENIED",
	} {
		if got := w.token(registerPath, email); got != want {
			t.Errorf("%s: got %s, want %s", email, got, want)
		}
	}
	if got := names.asked.Load(); got != 3 {
		t.Errorf("got %d questions, want one for each domain that no rule refuses", got)
	}
	if a, b := count(emailpolicy.NullMX, emailpolicy.Refused), count(emailpolicy.NoMail, emailpolicy.Refused); a != 1 || b != 1 {
		t.Errorf("got %v with a null MX and %v without mail, want one each", a, b)
	}
}

// TestDisposableListIsRenewed under a running server, and looked after by the
// doctor, whose look is one at the file.
func TestDisposableListIsRenewed(t *testing.T) {
	w := newWhole(t, "off")
	w.put("disposable.txt", "one.test\n")
	w.mustLoad(strings.Replace(w.loaded, "limit address off", "limit address off\nemail_policy {\ndisposable "+w.path("disposable.txt")+"\n}", 1))
	steps := []struct {
		name     string
		change   func() error
		code     string
		one, two string
	}{
		{"at the start", func() error { return nil }, "ok", "M_THREEPID_DENIED", "ok"},
		{"a new one", func() error { w.put("disposable.txt", "two.test\n"); return nil }, "ok", "ok", "M_THREEPID_DENIED"},
		{"a broken one", func() error { w.put("disposable.txt", "<html>\n"); return nil }, "list_broken", "ok", "M_THREEPID_DENIED"},
		{"none", func() error { return os.Remove(w.path("disposable.txt")) }, "list_missing", "ok", "M_THREEPID_DENIED"},
		{"an old one", func() error {
			w.put("disposable.txt", "one.test\n")
			old := time.Now().Add(-100 * 24 * time.Hour)
			return os.Chtimes(w.path("disposable.txt"), old, old)
		}, "list_old", "M_THREEPID_DENIED", "ok"},
	}
	for _, step := range steps {
		if err := step.change(); err != nil {
			t.Fatal(err)
		}
		f := w.examine()["disposable"]
		if f.Code != step.code || f.Subject != w.path("disposable.txt") || (f.Severity == doctor.OK) != (step.code == "ok") {
			t.Errorf("%s: got %+v, want %s", step.name, f, step.code)
		}
		if one, two := w.token(registerPath, "a@one.test"), w.token(registerPath, "a@x.two.test"); one != step.one || two != step.two {
			t.Errorf("%s: got %s and %s, want %s and %s", step.name, one, two, step.one, step.two)
		}
	}
	log := w.log("caddy.log")
	if got := strings.Count(log, "cannot use the list of disposable domains"); got != 2 {
		t.Errorf("got %d lines about a bad list, want one for each", got)
	}
	if !strings.Contains(log, "read the list of disposable domains") {
		t.Error("the log does not tell of the new list")
	}
}

// TestPolicyIsCheckedBeforeItRuns: by `caddy validate`, too.
func TestPolicyIsCheckedBeforeItRuns(t *testing.T) {
	s := newSite(t, "http://127.0.0.1:1")
	s.put("broken.txt", "one.test\nnot a domain\n")
	s.put("good.txt", "one.test\n")
	t.Setenv("THREEPID_TEST_RULE", "not a domain")
	for block, want := range map[string]string{
		"disposable " + s.path("missing.txt"):                   "no such file",
		"disposable " + s.path("broken.txt"):                    "line 2 is not a domain",
		"disposable {env.THREEPID_TEST_NO}":                     "THREEPID_TEST_NO",
		"deny {env.THREEPID_TEST_RULE}":                         "deny not a domain: is not a rule",
		"deny *":                                                "leave nothing",
		"deny a.test\nallow A.test.":                            "is allowed as well",
		"deny a.test\n}\nmailer off\nlimit user off\nbrand x {": "of no use with `mailer off`",
		"disposable " + s.path("good.txt"):                      "",
		"allow a.test\ndeny *":                                  "",
	} {
		adapted, err := adapt(s.caddyfile(s.options("email_policy {\n" + block + "\n}")...))
		if err == nil {
			err = validate(adapted)
		}
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v, want one with %q", block, err, want)
		}
		if bytes.Contains(adapted, []byte("one.test")) {
			t.Error("the list is in the configuration")
		}
	}
}
