// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/fakehs"
	"github.com/caddy-threepid/caddy-threepid/internal/phone"
	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

const phonePath = "/_threepid/validate/msisdn/submitToken"

// purse is a guard that counts.
type purse struct {
	mu       sync.Mutex
	paid     []string
	released int
	verified []string
	refuse   error
	// strict refuses whoever is not logged in.
	strict bool
}

func (p *purse) Admit(_ *http.Request, req verification.Request, to phone.Number) (func(context.Context), error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuse != nil {
		return nil, p.refuse
	}
	if p.strict && req.Class() != ratelimit.Owner {
		return nil, &verification.LimitError{RetryAfter: time.Minute}
	}
	p.paid = append(p.paid, string(req.Purpose)+" "+to.Region+" "+to.Digits)
	return func(context.Context) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.released++
	}, nil
}

func (p *purse) Verified(_ *http.Request, number string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.verified = append(p.verified, number)
}

// spent is how many messages were paid for and not given back.
func (p *purse) spent() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.paid) - p.released
}

// phoneRig is a rig that verifies phone numbers, in front of a homeserver that
// can reset a password by phone.
// TestPhones_WhoIsLoggedInIsAskedForBeforeTheyAreRefused: then their number counts as an
// owner's. A token that the homeserver does not know is nobody's.
func TestPhones_WhoIsLoggedInIsAskedForBeforeTheyAreRefused(t *testing.T) {
	r, p := phoneRig(t, options{})
	p.strict = true
	r.hs.AddUser("alice", "secret")
	token := r.login("alice", "secret")
	const path = "/_matrix/client/v3/account/3pid/msisdn/requestToken"
	body := phoneBody("s", "GB", "07400 123456", 1)
	wantStatus(t, r.do("POST", path, body), http.StatusTooManyRequests)
	wantStatus(t, r.as("made-up", "POST", path, body), http.StatusTooManyRequests)
	wantStatus(t, r.as(token, "POST", strings.Replace(path, "account/3pid", "register", 1), body), http.StatusTooManyRequests)
	wantStatus(t, r.as(token, "POST", path, body), http.StatusOK)
	if p.spent() != 1 {
		t.Errorf("paid for %v, want one message", p.paid)
	}
}

func phoneRig(t *testing.T, opts options) (*rig, *purse) {
	t.Helper()
	p := &purse{}
	before, hs := opts.config, opts.hs
	opts.config = func(c *Config) {
		if before != nil {
			before(c)
		}
		c.Phones = &Phones{Guard: p, Reset: true}
	}
	opts.hs = func(o *fakehs.Options) {
		o.PhoneReset = true
		if hs != nil {
			hs(o)
		}
	}
	return newRig(t, opts), p
}

func phoneBody(secret, country, number string, attempt int) string {
	return fmt.Sprintf(`{"client_secret":%q,"country":%q,"phone_number":%q,"send_attempt":%d}`, secret, country, number, attempt)
}

func (r *rig) requestPhone(purpose, body string) *httptest.ResponseRecorder {
	r.t.Helper()
	return r.do("POST", "/_matrix/client/r0/"+purpose+"/msisdn/requestToken", body)
}

// openPhone opens a session for +44 7700 900123 and returns its sid and code.
func (r *rig) openPhone(purpose, secret string) (sid, code string) {
	r.t.Helper()
	rec := r.requestPhone(purpose, phoneBody(secret, "GB", "07400 123456", 1))
	wantStatus(r.t, rec, http.StatusOK)
	return decoded(r.t, rec)["sid"].(string), string(r.box.last(r.t).Token)
}

func (r *rig) submitPhone(sid, secret, code string) *httptest.ResponseRecorder {
	r.t.Helper()
	return r.do("POST", phonePath, submitBody(sid, secret, code))
}

func TestR2_R4_R6_R34_R54_F1_RequestTokenForAPhone(t *testing.T) {
	modes(t, func(t *testing.T, opts options) {
		for _, purpose := range []string{"register", "account/password", "account/3pid"} {
			for _, prefix := range []string{"/_matrix/client/r0/", "/_matrix/client/v3/", "/_matrix/client/unstable/", "/chat/client/v1/"} {
				r, p := phoneRig(t, opts)
				if purpose == "account/password" {
					r.hs.AddUser("alice", "old")
					r.hs.AddThreepid("alice", "msisdn", "447400123456")
				}
				rec := r.do("POST", prefix+purpose+"/msisdn/requestToken", phoneBody("s", "GB", "07400 123456", 1))
				wantStatus(t, rec, http.StatusOK)
				wantCORS(t, rec)
				got := decoded(t, rec)
				sid, _ := got["sid"].(string)
				delete(got, "sid")
				want := fmt.Sprint(map[string]any{
					"submit_url": "https://matrix.example.org" + phonePath, "msisdn": "447400123456", "intl_fmt": "+44 7400 123456", "success": true,
				})
				if !threepid.ClientSecret(sid).Valid() || fmt.Sprint(got) != want {
					t.Errorf("%s%s: got sid %q and %v, want %s", prefix, purpose, sid, got, want)
				}
				m := r.box.last(t)
				if m.Medium != threepid.MSISDN || m.Address != "447400123456" || m.Proof != verification.ProofCode || len(m.Token) != 6 {
					t.Errorf("%s: got a message %+v, want a code to 447400123456", purpose, m)
				}
				if p.spent() != 1 || !strings.HasSuffix(p.paid[0], " GB 447400123456") {
					t.Errorf("%s: paid for %v, want one message", purpose, p.paid)
				}
			}
		}
	})
}

// TestF19_PhoneSpellings: however a number is typed, it is one number.
func TestF19_PhoneSpellings(t *testing.T) {
	modes(t, func(t *testing.T, opts options) {
		r, _ := phoneRig(t, opts)
		for i, typed := range [][2]string{{"GB", "07400123456"}, {"gb", "07400 123-456"}, {"FR", "+44 7400 123456"}, {"US", "+447400123456"}, {"FR", "00447400123456"}} {
			rec := r.requestPhone("register", phoneBody("s", typed[0], typed[1], i+1))
			wantStatus(t, rec, http.StatusOK)
			if got := r.box.last(t).Address; got != "447400123456" || r.box.count() != i+1 {
				t.Errorf("%v: got message %d to %s, want message %d to 447400123456", typed, r.box.count(), got, i+1)
			}
			r.clock.Advance(time.Hour)
		}
	})
}

func TestF18_F20_BadPhoneNumbers(t *testing.T) {
	modes(t, func(t *testing.T, opts options) {
		for name, c := range map[string]struct {
			body, errcode string
			status        int
		}{
			"letters":          {phoneBody("s", "US", "1-800-FLOWERS", 1), "M_INVALID_PARAM", 400},
			"40 digits":        {phoneBody("s", "GB", strings.Repeat("1", 40), 1), "M_INVALID_PARAM", 400},
			"an extension":     {phoneBody("s", "GB", "07400123456 ext. 7", 1), "M_INVALID_PARAM", 400},
			"circled digits":   {phoneBody("s", "GB", "⓪⑦④⓪⓪①②③④⑤⑥", 1), "M_INVALID_PARAM", 400},
			"unknown country":  {phoneBody("s", "XX", "07400123456", 1), "M_INVALID_PARAM", 400},
			"country in words": {phoneBody("s", "England", "07400123456", 1), "M_INVALID_PARAM", 400},
			"too short":        {phoneBody("s", "GB", "123", 1), "M_INVALID_PARAM", 400},
			"line break":       {phoneBody("s", "GB", "07400123456\nBcc: x", 1), "M_INVALID_PARAM", 400},
			"premium rate":     {phoneBody("s", "GB", "0909 8790000", 1), "M_THREEPID_DENIED", 403},
			"no country":       {`{"client_secret":"s","phone_number":"07400123456","send_attempt":1}`, "M_MISSING_PARAM", 400},
			"no number":        {`{"client_secret":"s","country":"GB","send_attempt":1}`, "M_MISSING_PARAM", 400},
			"an email address": {validToken, "M_MISSING_PARAM", 400},
			"number as number": {`{"client_secret":"s","country":"GB","phone_number":447400123456,"send_attempt":1}`, "M_INVALID_PARAM", 400},
			"bad secret":       {phoneBody("don'tT3ll", "GB", "07400123456", 1), "M_INVALID_PARAM", 400},
			"not JSON":         {"x", "M_NOT_JSON", 400},
		} {
			for _, purpose := range []string{"register", "account/password", "account/3pid"} {
				r, p := phoneRig(t, opts)
				rec := r.requestPhone(purpose, c.body)
				if rec.Code != c.status || decoded(t, rec)["errcode"] != c.errcode {
					t.Errorf("%s, %s: got %d %s, want %d %s", name, purpose, rec.Code, rec.Body, c.status, c.errcode)
				}
				if r.box.count() != 0 || p.spent() != 0 || len(r.hs.Requests()) != 0 {
					t.Errorf("%s, %s: something was sent, paid for, or asked", name, purpose)
				}
			}
		}
	})
}

// TestPhoneResetIsOff: where the homeserver could not finish it, a reset by
// phone is refused at once, and no code is sent.
func TestPhoneResetIsOff(t *testing.T) {
	modes(t, func(t *testing.T, opts options) {
		r, p := phoneRig(t, opts)
		r.client.cfg.Phones.Reset = false
		r.hs.AddUser("alice", "old")
		r.hs.AddThreepid("alice", "msisdn", "447400123456")
		for range 2 {
			rec := r.requestPhone("account/password", phoneBody("s", "GB", "07400123456", 1))
			wantError(t, rec, http.StatusBadRequest, "M_THREEPID_MEDIUM_NOT_SUPPORTED")
		}
		if r.box.count() != 0 || len(p.paid) != 0 || len(r.hs.Requests()) != 0 {
			t.Error("something was sent, paid for, or asked")
		}
	})
}

func TestR29_R32_R39_ResetByPhone(t *testing.T) {
	modes(t, func(t *testing.T, opts options) {
		r, _ := phoneRig(t, opts)
		r.hs.AddUser("alice", "old")
		r.hs.AddThreepid("alice", "msisdn", "447400123456")
		sid, code := r.openPhone("account/password", "s")
		body := strings.Replace(resetBody(sid, "s"), "m.login.email.identity", "m.login.msisdn", 1)
		wantStatus(t, r.reset(body), http.StatusUnauthorized)
		wantStatus(t, r.submitPhone(sid, "s", code), http.StatusOK)
		wantStatus(t, r.reset(body), http.StatusOK)
		r.login("alice", "correct horse")
		wantStatus(t, r.reset(body), http.StatusUnauthorized) // once
	})
}

func TestR16_RegisterWithAPhone(t *testing.T) {
	modes(t, func(t *testing.T, opts options) {
		r, p := phoneRig(t, opts)
		sid, code := r.openPhone("register", "s")
		first := r.do("POST", "/_matrix/client/v3/register", `{"username":"alice","password":"correct horse","bind_msisdn":true}`)
		wantStatus(t, first, http.StatusUnauthorized)
		session := decoded(t, first)["session"].(string)
		creds := fmt.Sprintf(`{"sid":%q,"client_secret":"s"}`, sid)
		body := `{"username":"alice","password":"correct horse","bind_msisdn":true,"auth":{"type":"m.login.msisdn","session":"` + session +
			`","threepid_creds":` + creds + `,"threepidCreds":` + creds + `}}`
		wantStatus(t, r.do("POST", "/_matrix/client/v3/register", body), http.StatusUnauthorized)
		wantStatus(t, r.submitPhone(sid, "s", code), http.StatusOK)
		wantStatus(t, r.do("POST", "/_matrix/client/v3/register", body), http.StatusOK)
		if got := r.hs.Threepids("alice"); !slices.Contains(got, "msisdn 447400123456") {
			t.Errorf("the account has %v, want the number", got)
		}
		if !slices.Equal(p.verified, []string{"447400123456"}) {
			t.Errorf("verified were %v, want the number once", p.verified)
		}
	})
}

func TestR58_F30_F31_AddAPhone(t *testing.T) {
	modes(t, func(t *testing.T, opts options) {
		r, _ := phoneRig(t, opts)
		r.hs.AddUser("alice", "secret")
		r.hs.AddUser("bob", "secret")
		token := r.login("alice", "secret")
		sid, code := r.openPhone("account/3pid", "c")
		for _, auth := range []string{"", passwordAuth("", "secret")} {
			early := r.as(token, "POST", addPath, addBody(sid, "c", auth))
			wantError(t, early, http.StatusBadRequest, "M_THREEPID_AUTH_FAILED")
		}
		wantStatus(t, r.submitPhone(sid, "c", code), http.StatusOK)
		session := r.challenged(t, token, sid, "c")
		wantStatus(t, r.as(token, "POST", addPath, addBody(sid, "c", passwordAuth(session, "secret"))), http.StatusOK)
		if got := r.hs.Threepids("alice"); !slices.Contains(got, "msisdn 447400123456") {
			t.Errorf("alice has %v, want the number", got)
		}
		// Another account does not get it, whichever way it asks.
		if opts.config != nil {
			wantStatus(t, r.requestPhone("account/3pid", phoneBody("d", "GB", "07400123456", 1)), http.StatusOK)
			if m := r.box.last(t); !m.Decoy || m.Token != "" {
				t.Errorf("the owner of the number was sent %+v, want a notice", m)
			}
			return
		}
		r.clock.Advance(time.Hour)
		rec := r.requestPhone("account/3pid", phoneBody("d", "GB", "07400123456", 1))
		wantStatus(t, rec, http.StatusOK)
		stolen := decoded(t, rec)["sid"].(string)
		wantStatus(t, r.submitPhone(stolen, "d", string(r.box.last(t).Token)), http.StatusOK)
		bob := r.login("bob", "secret")
		auth := strings.Replace(passwordAuth(r.challenged(t, bob, stolen, "d"), "secret"), "alice", "bob", 1)
		wantError(t, r.as(bob, "POST", addPath, addBody(stolen, "d", auth)), http.StatusBadRequest, "M_THREEPID_IN_USE")
		wantError(t, r.add(bob, "r0", fmt.Sprintf(`{"three_pid_creds":{"sid":%q,"client_secret":"d"}}`, stolen)), http.StatusBadRequest, "M_THREEPID_IN_USE")
		if got := r.hs.Threepids("bob"); len(got) != 0 {
			t.Errorf("bob has %v, want nothing", got)
		}
	})
}

// TestPhoneRepetitionsAreFree: a request that sends nothing is not paid for, and
// is answered even if nothing may be paid for any more.
func TestPhoneRepetitionsAreFree(t *testing.T) {
	modes(t, func(t *testing.T, opts options) {
		r, p := phoneRig(t, opts)
		sid, _ := r.openPhone("register", "s")
		p.refuse = &verification.LimitError{RetryAfter: 90 * time.Second}
		again := r.requestPhone("register", phoneBody("s", "GB", "+447400123456", 1))
		wantStatus(t, again, http.StatusOK)
		if decoded(t, again)["sid"] != sid {
			t.Errorf("got %s, want sid %s", again.Body, sid)
		}
		later := r.requestPhone("register", phoneBody("s", "GB", "+447400123456", 2))
		wantError(t, later, http.StatusTooManyRequests, "M_LIMIT_EXCEEDED")
		if got := later.Header().Get("Retry-After"); got != "90" {
			t.Errorf("got Retry-After %q, want 90", got)
		}
		if r.box.count() != 1 || p.spent() != 1 {
			t.Errorf("%d messages were sent and %d paid for, want one each", r.box.count(), p.spent())
		}
	})
}

// TestPhoneRefusedByTheHomeserver: what it does not agree to is not sent, and is
// given back.
func TestPhoneRefusedByTheHomeserver(t *testing.T) {
	r, p := phoneRig(t, revealing)
	r.hs.AddUser("alice", "old")
	r.hs.AddThreepid("alice", "msisdn", "447400123456")
	wantError(t, r.requestPhone("register", phoneBody("s", "GB", "07400123456", 1)), http.StatusBadRequest, "M_THREEPID_IN_USE")
	wantError(t, r.requestPhone("account/password", phoneBody("s", "GB", "07400123457", 1)), http.StatusBadRequest, "M_THREEPID_NOT_FOUND")
	if r.box.count() != 0 || p.spent() != 0 || len(p.paid) != 2 {
		t.Errorf("%d messages were sent, %d paid for and %d given back, want 0, 2 and 2", r.box.count(), len(p.paid), p.released)
	}
}

// TestPhonePage: submit_url opened by a person is a page that a code is typed
// into.
func TestPhonePage(t *testing.T) {
	r, p := phoneRig(t, options{})
	sid, code := r.openPhone("account/3pid", "s")
	page := r.do("GET", phonePath+"?"+url.Values{"sid": {sid}, "client_secret": {"s"}}.Encode(), "")
	wantStatus(t, page, http.StatusOK)
	html := page.Body.String()
	for _, want := range []string{`inputmode="numeric"`, `autocomplete="one-time-code"`, `action="` + phonePath + `"`} {
		if !strings.Contains(html, want) {
			t.Errorf("the page has no %s:\n%s", want, html)
		}
	}
	for _, never := range []string{"447400123456", "mail", "<script", code} {
		if strings.Contains(html, never) {
			t.Errorf("the page says %q:\n%s", never, html)
		}
	}
	form := fields(page)
	form.Set("token", code[:3]+"-"+code[3:]) // as people write it
	wantPage(t, r.postTo(phonePath, form), http.StatusOK, "Confirmed")
	if len(p.verified) != 1 {
		t.Errorf("verified were %v, want one", p.verified)
	}
}

// TestPhoneTries: a code can be tried five times, and nobody is told how often
// it still can.
func TestPhoneTries(t *testing.T) {
	r, p := phoneRig(t, options{})
	sid, code := r.openPhone("register", "s")
	wrong := "000000"
	if code == wrong {
		wrong = "111111"
	}
	bodies := map[string]bool{}
	for range verification.DefaultMaxTries {
		rec := r.submitPhone(sid, "s", wrong)
		wantError(t, rec, http.StatusOK, "M_TOKEN_INCORRECT") // see TestAnswers_WrongCodes
		bodies[rec.Body.String()] = true
	}
	if len(bodies) != 1 {
		t.Errorf("the answers differ: %v", bodies)
	}
	wantError(t, r.submitPhone(sid, "s", code), http.StatusBadRequest, "M_SESSION_EXPIRED")
	if len(p.verified) != 0 {
		t.Errorf("verified were %v, want none", p.verified)
	}
}

// TestPhoneSubmitOnTheIdentityPath: clients of before MSC2078 post codes there.
func TestPhoneSubmitOnTheIdentityPath(t *testing.T) {
	const path = "/_matrix/identity/api/v1/validate/msisdn/submitToken"
	r, _ := phoneRig(t, options{config: func(c *Config) { c.IdentitySubmit = true }})
	sid, code := r.openPhone("register", "s")
	rec := r.do("POST", path, submitBody(sid, "s", code))
	wantStatus(t, rec, http.StatusOK)
	if got := strings.TrimSpace(rec.Body.String()); got != `{"success":true}` {
		t.Errorf("got %s", got)
	}
	off, _ := phoneRig(t, options{next: func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(http.StatusTeapot)
		return nil
	}})
	if rec := off.do("POST", path, submitBody(sid, "s", code)); rec.Code != http.StatusTeapot {
		t.Errorf("got status %d where the path is not ours, want that of the next handler", rec.Code)
	}
}

// TestR19_F17_PhonesOnly: a server that verifies phone numbers only says so, and
// is one that needs no identity server.
func TestR19_F17_PhonesOnly(t *testing.T) {
	r, _ := phoneRig(t, options{config: func(c *Config) { c.NoEmail = true }})
	wantError(t, r.do("POST", "/_matrix/client/r0/register/email/requestToken", validToken), http.StatusBadRequest, "M_THREEPID_MEDIUM_NOT_SUPPORTED")
	wantStatus(t, r.requestPhone("register", phoneBody("s", "GB", "07400123456", 1)), http.StatusOK)
	features, _ := decoded(t, r.do("GET", "/_matrix/client/versions", ""))["unstable_features"].(map[string]any)
	if features["m.require_identity_server"] != false {
		t.Errorf("got %v", features)
	}
}

// TestPhoneFaceRefuses: the homeserver-facing side sends nothing that no client
// has asked for.
func TestPhoneFaceRefuses(t *testing.T) {
	const path = "/_matrix/identity/api/v1/validate/msisdn/requestToken"
	r, _ := phoneRig(t, options{})
	wantError(t, r.local("POST", path, phoneBody("00abc", "GB", "+447400123456", 1)), http.StatusForbidden, "M_FORBIDDEN")
	wantError(t, r.local("POST", path, phoneBody("00abc", "GB", "x", 1)), http.StatusBadRequest, "M_INVALID_ADDRESS")
	wantError(t, r.local("POST", path, `{"client_secret":"x","country":"GB"}`), http.StatusBadRequest, "M_MISSING_PARAMS")
	if r.box.count() != 0 {
		t.Error("a message was sent")
	}
}
