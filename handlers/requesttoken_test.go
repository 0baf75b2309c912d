// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

const validToken = `{"client_secret":"monkeys_are_AWESOME","email":"alice@homeserver.tld","send_attempt":1}`

// modes runs a test with each way to decide about an address.
func modes(t *testing.T, run func(t *testing.T, opts options)) {
	t.Helper()
	t.Run("off", func(t *testing.T) { run(t, options{}) })
	t.Run("callback", func(t *testing.T) { run(t, callback) })
}

func TestR1_R3_R5_R13_RequestTokenWithoutIDServer(t *testing.T) {
	modes(t, func(t *testing.T, opts options) {
		for _, purpose := range []string{"register", "account/password", "account/3pid"} {
			r := newRig(t, opts)
			if purpose == "account/password" {
				r.hs.AddUser("alice", "old", "alice@homeserver.tld")
			}
			rec := r.do("POST", "/_matrix/client/r0/"+purpose+"/email/requestToken", validToken)
			wantStatus(t, rec, http.StatusOK)
			wantCORS(t, rec)
			if sid, _ := decoded(t, rec)["sid"].(string); sid == "" {
				t.Errorf("%s: no sid in %s", purpose, rec.Body)
			}
			if got := r.box.count(); got != 1 {
				t.Errorf("%s: got %d messages, want 1", purpose, got)
			}
		}
	})
}

func TestR28_R53_TheMailIsOurs(t *testing.T) {
	for purpose, want := range map[string]threepid.Purpose{
		"register": threepid.Register, "account/password": threepid.Password, "account/3pid": threepid.Add,
	} {
		r := newRig(t, options{})
		rec := r.do("POST", "/_matrix/client/r0/"+purpose+"/email/requestToken",
			`{"client_secret":"s","email":"Alice@Example.COM","send_attempt":1,"id_server":"vector.im","id_access_token":"t"}`)
		wantStatus(t, rec, http.StatusOK)
		m := r.box.last(t)
		if m.Purpose != want || m.Address != "alice@example.com" || m.Token == "" {
			t.Errorf("got message for %s to %s, want %s to alice@example.com", m.Purpose, m.Address, want)
		}
		if len(r.hs.Requests()) != 0 {
			t.Errorf("%s: the homeserver saw %d requests, want none", purpose, len(r.hs.Requests()))
		}
	}
}

func TestR2_R4_R6_R24_R29_R38_F17_NoTransport(t *testing.T) {
	r := newRig(t, options{})
	for _, purpose := range []string{"register", "account/password", "account/3pid"} {
		rec := r.do("POST", "/_matrix/client/r0/"+purpose+"/msisdn/requestToken",
			`{"client_secret":"s","country":"GB","phone_number":"07700900001","send_attempt":1}`)
		wantError(t, rec, http.StatusBadRequest, "M_THREEPID_MEDIUM_NOT_SUPPORTED")
	}
	r = newRig(t, options{config: func(c *Config) { c.NoEmail = true }})
	rec := r.do("POST", "/_matrix/client/r0/account/3pid/email/requestToken", validToken)
	wantError(t, rec, http.StatusBadRequest, "M_THREEPID_MEDIUM_NOT_SUPPORTED")
	if got := r.box.count(); got != 0 {
		t.Errorf("got %d messages, want none", got)
	}
}

func TestR7_R9_VersionsAndPrefixes(t *testing.T) {
	r := newRig(t, options{})
	for i, version := range []string{"r0", "v1", "v3", "unstable", "v2_alpha", "api/v1", "v99", "r0.6.1"} {
		for _, prefix := range []string{"/_matrix/client/", "/chat/client/"} {
			body := fmt.Sprintf(`{"client_secret":"s","email":"a%d@x.org","send_attempt":1}`, i)
			rec := r.do("POST", prefix+version+"/register/email/requestToken", body)
			wantStatus(t, rec, http.StatusOK)
		}
	}
}

func TestR9_ConfiguredPrefix(t *testing.T) {
	r := newRig(t, options{config: func(c *Config) { c.Prefixes = []string{"/talk/api"} }})
	wantStatus(t, r.do("POST", "/talk/api/r0/register/email/requestToken", validToken), http.StatusOK)
	rec := r.do("POST", "/chat/client/r0/register/email/requestToken", validToken)
	if rec.Code == http.StatusOK {
		t.Error("a prefix that is not configured is served")
	}
}

func TestR8_UnknownMedium(t *testing.T) {
	r := newRig(t, options{})
	rec := r.do("POST", "/_matrix/client/r0/register/pigeon/requestToken", validToken)
	wantError(t, rec, http.StatusNotFound, "M_UNRECOGNIZED")
}

func TestR10_R11_R27_IDServerIsIgnored(t *testing.T) {
	modes(t, func(t *testing.T, opts options) {
		r := newRig(t, opts)
		r.hs.AddUser("alice", "old", "alice@x.org")
		for purpose, email := range map[string]string{"register": "new@x.org", "account/password": "alice@x.org"} {
			rec := r.do("POST", "/_matrix/client/r0/"+purpose+"/email/requestToken",
				`{"client_secret":"s","email":"`+email+`","send_attempt":1,"id_server":"evil.example.com","id_access_token":"tok"}`)
			wantStatus(t, rec, http.StatusOK)
		}
		for _, call := range r.hs.IDServerCalls() {
			if !strings.HasPrefix(call.URL, "https://localhost:8443/") {
				t.Errorf("the homeserver called %s", call.URL)
			}
		}
		for _, req := range r.hs.Requests() {
			if strings.Contains(string(req.Body), "evil") || strings.Contains(string(req.Body), "tok") {
				t.Errorf("the homeserver saw %s", req.Body)
			}
		}
		if got := r.box.count(); got != 2 {
			t.Errorf("got %d messages, want 2", got)
		}
	})
}

func TestR14_IDServerWithoutAccessToken(t *testing.T) {
	body := `{"client_secret":"s","email":"a@x.org","send_attempt":1,"id_server":"vector.im"}`
	lenient := newRig(t, options{})
	wantStatus(t, lenient.do("POST", "/_matrix/client/r0/register/email/requestToken", body), http.StatusOK)
	strict := newRig(t, options{config: func(c *Config) { c.RequireIDAccessToken = true }})
	wantError(t, strict.do("POST", "/_matrix/client/r0/register/email/requestToken", body), http.StatusBadRequest, "M_MISSING_PARAM")
	wantStatus(t, strict.do("POST", "/_matrix/client/r0/register/email/requestToken",
		strings.Replace(body, "}", `,"id_access_token":"t"}`, 1)), http.StatusOK)
}

func TestR18_UntrustedIDServer(t *testing.T) {
	r := newRig(t, options{config: func(c *Config) { c.TrustedIDServers = []string{"good.example.com"} }})
	for _, purpose := range []string{"register", "account/password", "account/3pid"} {
		path := "/_matrix/client/r0/" + purpose + "/email/requestToken"
		body := `{"client_secret":"s","email":"a@x.org","send_attempt":1,"id_server":"%s"}`
		wantError(t, r.do("POST", path, fmt.Sprintf(body, "evil.example.com")), http.StatusBadRequest, "M_SERVER_NOT_TRUSTED")
		wantStatus(t, r.do("POST", path, fmt.Sprintf(body, "good.example.com")), http.StatusOK)
		wantStatus(t, r.do("POST", path, strings.Replace(body, `,"id_server":"%s"`, "", 1)), http.StatusOK)
	}
}

func TestF6_F18_F20_BadInput(t *testing.T) {
	long := strings.Repeat("x", 256)
	for name, c := range map[string]struct {
		body   string
		status int
		code   string
	}{
		"empty":             {``, 400, "M_NOT_JSON"},
		"not JSON":          {`{"client_secret":"s",`, 400, "M_NOT_JSON"},
		"trailing comma":    {`{"client_secret":"s","email":"a@x.org","send_attempt":1,}`, 400, "M_NOT_JSON"},
		"two values":        {validToken + validToken, 400, "M_NOT_JSON"},
		"not UTF-8":         {"{\"client_secret\":\"\xff\"}", 400, "M_NOT_JSON"},
		"array":             {`[]`, 400, "M_BAD_JSON"},
		"string":            {`"x"`, 400, "M_BAD_JSON"},
		"duplicate key":     {`{"client_secret":"s","email":"a@x.org","email":"b@x.org","send_attempt":1}`, 400, "M_BAD_JSON"},
		"escaped duplicate": {`{"client_secret":"s","email":"a@x.org","\u0065mail":"b@x.org","send_attempt":1}`, 400, "M_BAD_JSON"},
		"no secret":         {`{"email":"a@x.org","send_attempt":1}`, 400, "M_MISSING_PARAM"},
		"no email":          {`{"client_secret":"s","send_attempt":1}`, 400, "M_MISSING_PARAM"},
		"other case":        {`{"client_secret":"s","Email":"a@x.org","send_attempt":1}`, 400, "M_BAD_JSON"},
		"null email":        {`{"client_secret":"s","email":null,"send_attempt":1}`, 400, "M_MISSING_PARAM"},
		"no attempt":        {`{"client_secret":"s","email":"a@x.org"}`, 400, "M_MISSING_PARAM"},
		"attempt word":      {`{"client_secret":"s","email":"a@x.org","send_attempt":"one"}`, 400, "M_INVALID_PARAM"},
		"attempt fraction":  {`{"client_secret":"s","email":"a@x.org","send_attempt":1.5}`, 400, "M_INVALID_PARAM"},
		"attempt huge":      {`{"client_secret":"s","email":"a@x.org","send_attempt":1e99}`, 400, "M_INVALID_PARAM"},
		"secret number":     {`{"client_secret":1,"email":"a@x.org","send_attempt":1}`, 400, "M_INVALID_PARAM"},
		"secret apostrophe": {`{"client_secret":"don'tT3ll","email":"a@x.org","send_attempt":1}`, 400, "M_INVALID_PARAM"},
		"secret empty":      {`{"client_secret":"","email":"a@x.org","send_attempt":1}`, 400, "M_INVALID_PARAM"},
		"secret long":       {`{"client_secret":"` + long + `","email":"a@x.org","send_attempt":1}`, 400, "M_INVALID_PARAM"},
		"secret newline":    {`{"client_secret":"s\n","email":"a@x.org","send_attempt":1}`, 400, "M_INVALID_PARAM"},
		"email without at":  {`{"client_secret":"s","email":"ax.org","send_attempt":1}`, 400, "M_INVALID_PARAM"},
		"email two ats":     {`{"client_secret":"s","email":"a@b@x.org","send_attempt":1}`, 400, "M_INVALID_PARAM"},
		"email CRLF":        {`{"client_secret":"s","email":"a@x.org\r\nBcc: b@x.org","send_attempt":1}`, 400, "M_INVALID_PARAM"},
		"email quoted":      {`{"client_secret":"s","email":"\"a b\"@x.org","send_attempt":1}`, 400, "M_INVALID_PARAM"},
		"email list":        {`{"client_secret":"s","email":["a@x.org"],"send_attempt":1}`, 400, "M_INVALID_PARAM"},
		"email long":        {`{"client_secret":"s","email":"` + long + `@x.org","send_attempt":1}`, 400, "M_INVALID_PARAM"},
		"over the cap":      {`{"x":"` + strings.Repeat("x", DefaultMaxBody) + `"}`, 413, "M_TOO_LARGE"},
		"nested too deeply": {strings.Repeat(`{"a":`, 100) + "1" + strings.Repeat("}", 100), 400, "M_BAD_JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			modes(t, func(t *testing.T, opts options) {
				r := newRig(t, opts)
				for _, purpose := range []string{"register", "account/password", "account/3pid"} {
					rec := r.do("POST", "/_matrix/client/r0/"+purpose+"/email/requestToken", c.body)
					wantError(t, rec, c.status, c.code)
				}
				if r.box.count() != 0 || len(r.hs.Requests()) != 0 {
					t.Errorf("got %d messages and %d upstream requests, want none", r.box.count(), len(r.hs.Requests()))
				}
			})
		})
	}
}

func TestF8_F9_SendAttempt(t *testing.T) {
	modes(t, func(t *testing.T, opts options) {
		r := newRig(t, opts)
		ask := func(secret, email, attempt string) string {
			t.Helper()
			rec := r.do("POST", "/_matrix/client/r0/register/email/requestToken",
				`{"client_secret":"`+secret+`","email":"`+email+`","send_attempt":`+attempt+`}`)
			wantStatus(t, rec, http.StatusOK)
			return decoded(t, rec)["sid"].(string)
		}
		first := ask("s", "Alice@x.org", "1")
		for _, c := range []struct {
			email, attempt string
			mails          int
		}{{"alice@X.org", "1", 1}, {"alice@x.org", "0", 1}, {"alice@x.org", "-5", 1}, {"alice@x.org", "2", 2}, {"alice@x.org", `"3"`, 3}} {
			if got := ask("s", c.email, c.attempt); got != first {
				t.Errorf("attempt %s: got another sid", c.attempt)
			}
			if got := r.box.count(); got != c.mails {
				t.Errorf("attempt %s: got %d messages, want %d", c.attempt, got, c.mails)
			}
		}
		if ask("other", "alice@x.org", "1") == first || ask("s", "bob@x.org", "1") == first {
			t.Error("another secret or address continues the session")
		}
	})
}

func TestF14_F15_F16_TheHomeserversRefusals(t *testing.T) {
	r := newRig(t, options{config: revealing.config, hs: func(o *fakehs.Options) { o.AllowedLocal3PIDs = []string{`.*@x\.org$`} }})
	r.hs.AddUser("alice", "pw", "alice@x.org")
	for _, c := range []struct {
		purpose, email string
		status         int
		code           string
	}{
		{"register", "alice@x.org", 400, "M_THREEPID_IN_USE"},
		{"account/3pid", "ALICE@x.org", 400, "M_THREEPID_IN_USE"},
		{"account/password", "nobody@x.org", 400, "M_THREEPID_NOT_FOUND"},
		{"register", "a@elsewhere.org", 403, "M_THREEPID_DENIED"},
		{"account/password", "a@elsewhere.org", 403, "M_THREEPID_DENIED"},
	} {
		rec := r.do("POST", "/_matrix/client/r0/"+c.purpose+"/email/requestToken",
			`{"client_secret":"s","email":"`+c.email+`","send_attempt":1}`)
		wantError(t, rec, c.status, c.code)
	}
	rec := r.do("POST", "/_matrix/client/r0/account/password/email/requestToken",
		`{"client_secret":"s","email":"alice@x.org","send_attempt":1}`)
	wantStatus(t, rec, http.StatusOK) // in use is what a reset is for
	if got := r.box.count(); got != 1 {
		t.Errorf("got %d messages, want 1", got)
	}
}

func TestF21_RateLimit(t *testing.T) {
	modes(t, func(t *testing.T, opts options) {
		opts.service = func(c *verification.Config) {
			c.PerAddress = ratelimit.Limit{Burst: 2, Per: 3 * time.Second}
		}
		r := newRig(t, opts)
		path := "/_matrix/client/r0/register/email/requestToken"
		body := func(i int) string {
			return fmt.Sprintf(`{"client_secret":"s%d","email":"a@x.org","send_attempt":1}`, i)
		}
		wantStatus(t, r.do("POST", path, body(1)), http.StatusOK)
		wantStatus(t, r.do("POST", path, body(2)), http.StatusOK)
		rec := r.do("POST", path, body(3))
		wantError(t, rec, http.StatusTooManyRequests, "M_LIMIT_EXCEEDED")
		if got := decoded(t, rec)["retry_after_ms"]; got != 1500.0 {
			t.Errorf("got retry_after_ms %v, want 1500", got)
		}
		if got := rec.Header().Get("Retry-After"); got != "2" {
			t.Errorf("got Retry-After %q, want 2", got)
		}
		if got := r.box.count(); got != 2 {
			t.Errorf("got %d messages, want 2", got)
		}
		r.clock.Advance(1500 * time.Millisecond)
		wantStatus(t, r.do("POST", path, body(3)), http.StatusOK)
	})
}

func TestF22_F23_Preflight(t *testing.T) {
	for _, path := range []string{
		"/_matrix/client/v3/register/email/requestToken", "/_matrix/client/r0/account/password/msisdn/requestToken",
		"/_matrix/client/r0/account/3pid/email/requestToken", "/_matrix/client/r0/register", "/_matrix/client/r0/account/password",
		"/_matrix/client/r0/account/3pid", "/_matrix/client/r0/account/3pid/add", "/_matrix/client/versions", linkPath,
	} {
		r := newRig(t, callback)
		rec := r.do("OPTIONS", path, "", "Origin", "https://app.example", "Access-Control-Request-Method", "POST")
		if rec.Code/100 != 2 {
			t.Errorf("%s: got status %d, want 2xx", path, rec.Code)
		}
		wantCORS(t, rec)
		if r.box.count() != 0 || len(r.hs.Requests()) != 0 {
			t.Errorf("%s: OPTIONS had an effect", path)
		}
	}
}

func TestF24_F25_ContentTypes(t *testing.T) {
	for _, contentType := range []string{"", "text/plain", "application/octet-stream", "application/json; charset=utf-8"} {
		r := newRig(t, options{})
		rec := r.do("POST", "/_matrix/client/r0/register/email/requestToken", validToken, "Content-Type", contentType)
		wantStatus(t, rec, http.StatusOK)
		if got := rec.Header().Get("Content-Type"); got != "application/json" {
			t.Errorf("got Content-Type %q, want application/json", got)
		}
	}
}

func TestWrongMethodIs405(t *testing.T) {
	r := newRig(t, options{})
	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "PATCH"} {
		rec := r.do(method, "/_matrix/client/r0/register/email/requestToken", "")
		wantError(t, rec, http.StatusMethodNotAllowed, "M_UNRECOGNIZED")
	}
}

func TestCallbackShowsTheHomeserverOnlyWhatItNeeds(t *testing.T) {
	r := newRig(t, options{config: func(c *Config) { c.Callback = true; c.NextLinkOrigins = []string{"https://app.example"} }})
	rec := r.do("POST", "/chat/client/v3/register/email/requestToken",
		`{"client_secret":"s3cret","email":"Alice@X.org","send_attempt":7,"next_link":"https://app.example/","id_access_token":"t","extra":1}`,
		"Accept-Encoding", "gzip")
	wantStatus(t, rec, http.StatusOK)
	got := r.hs.Requests()
	if len(got) != 1 || got[0].Path != "/_matrix/client/r0/register/email/requestToken" {
		t.Fatalf("got upstream requests %+v", got)
	}
	seen, err := wire.ParseObject(got[0].Body)
	if err != nil || len(seen) != 4 {
		t.Fatalf("the homeserver saw %s", got[0].Body)
	}
	if nonce, _, _ := seen.Text("client_secret"); nonce == "s3cret" || !threepid.ClientSecret(nonce).Valid() {
		t.Errorf("the homeserver saw client_secret %q", nonce)
	}
	if m := r.box.last(t); m.Address != "alice@x.org" {
		t.Errorf("got message to %q", m.Address)
	}
}

func TestDeadHomeserver(t *testing.T) {
	for _, c := range []struct {
		name   string
		next   wire.Next
		status int
	}{
		{"refused", func(http.ResponseWriter, *http.Request) error {
			return &wire.UpstreamError{Status: 502, Err: wire.ErrNoAnswer}
		}, 502},
		{"busy", func(http.ResponseWriter, *http.Request) error {
			return &wire.UpstreamError{Status: 503, Err: wire.ErrNoAnswer}
		}, 503},
		{"nothing behind", func(http.ResponseWriter, *http.Request) error { return nil }, 502},
		{"broken off", func(http.ResponseWriter, *http.Request) error { panic(http.ErrAbortHandler) }, 502},
	} {
		r := newRig(t, options{config: callback.config, next: c.next})
		rec := r.do("POST", "/_matrix/client/r0/register/email/requestToken", validToken)
		wantError(t, rec, c.status, "M_UNKNOWN")
		if r.box.count() != 0 {
			t.Errorf("%s: a message was sent", c.name)
		}
	}
}

func TestHomeserverOfItsOwnMind(t *testing.T) {
	r := newRig(t, options{config: callback.config, hs: func(o *fakehs.Options) { o.ResetMode = fakehs.ResetOff }})
	r.hs.AddUser("alice", "pw", "alice@x.org")
	rec := r.do("POST", "/_matrix/client/r0/account/password/email/requestToken", `{"client_secret":"s","email":"alice@x.org","send_attempt":1}`)
	wantError(t, rec, http.StatusBadRequest, "M_UNKNOWN")
}
