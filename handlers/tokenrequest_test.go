// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/ratelimit"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/store/storetest"
)

// TestTokenRequest_TheServersThatClientsName, under each of the operator's rules.
func TestTokenRequest_TheServersThatClientsName(t *testing.T) {
	for body, want := range map[string][4]string{ // no rule, a list, a token with it, both
		`{}`:                   {},
		`{"id_server":null}`:   {},
		`{"id_server":5}`:      {"", wire.CodeInvalidParam, wire.CodeInvalidParam, wire.CodeInvalidParam},
		`{"id_server":"good"}`: {"", "", wire.CodeMissingParam, wire.CodeMissingParam},
		`{"id_server":"evil"}`: {"", wire.CodeServerNotTrusted, wire.CodeMissingParam, wire.CodeServerNotTrusted},
		`{"id_server":"good","id_access_token":null}`: {"", "", wire.CodeMissingParam, wire.CodeMissingParam},
		`{"id_server":"good","id_access_token":"t"}`:  {},
		`{"id_server":"evil","id_access_token":"t"}`:  {"", wire.CodeServerNotTrusted, "", wire.CodeServerNotTrusted},
	} {
		for i, cfg := range []Config{
			{}, {TrustedIDServers: []string{"good"}}, {RequireIDAccessToken: true}, {TrustedIDServers: []string{"good"}, RequireIDAccessToken: true},
		} {
			err := (&Client{cfg: cfg}).checkIDServer(mustObject(t, []byte(body)))
			if got := codeOf(err); got != want[i] || (err == nil) != (got == "") {
				t.Errorf("%s, rule %d: got %v, want %q", body, i, err, want[i])
			}
		}
	}
}

// TestTokenRequest_ABodyThatIsTooLarge is refused, whoever has looked at it before.
func TestTokenRequest_ABodyThatIsTooLarge(t *testing.T) {
	for _, native := range []bool{false, true} {
		r := newRig(t, options{config: func(c *Config) { c.NativeReset = native }})
		req := httptest.NewRequest("POST", resetByMail, strings.NewReader(strings.Repeat(" ", DefaultMaxBody)+"{}"))
		_, err := r.client.requestToken(&wire.Call{W: httptest.NewRecorder(), R: req, Next: r.next, MaxBody: DefaultMaxBody, Route: route.Route{Purpose: threepid.Password, Medium: threepid.Email}})
		if got := codeOf(err); got != wire.CodeTooLarge || len(r.hs.Requests()) != 0 {
			t.Errorf("native %v: got %v and %d requests at the homeserver", native, err, len(r.hs.Requests()))
		}
	}
}

// TestTokenRequest_WhatIsRemembered of who asks, and how: as the operator has set it up.
func TestTokenRequest_WhatIsRemembered(t *testing.T) {
	r := newRig(t, options{config: func(c *Config) {
		audienceOf(c).language = func(accept string) string { return "language of " + accept }
		audienceOf(c).brand = func(host string) string { return "brand of " + host }
	}})
	wantStatus(t, r.do("POST", "http://acme.example"+registerToken, validToken, "Accept-Language", "de"), http.StatusOK)
	if m := r.box.last(t); m.Language != "language of de" || m.Brand != "brand of acme.example" {
		t.Errorf("got %+v", m)
	}
	r.wantEvent("client", "request_token", "ok", http.StatusOK)
	if e := r.events.list[0]; e.Purpose != threepid.Register || e.Medium != threepid.Email || e.Limit != "" {
		t.Errorf("reported was %+v", e)
	}
	rec := r.do("PUT", registerToken, validToken)
	if wantError(t, rec, http.StatusMethodNotAllowed, "M_UNRECOGNIZED"); rec.Header().Get("Allow") != "POST, OPTIONS" {
		t.Errorf("got Allow %q", rec.Header().Get("Allow"))
	}
}

// TestTokenRequest_WhatIsSupported, of each medium and purpose.
func TestTokenRequest_WhatIsSupported(t *testing.T) {
	const email, number = threepid.Email, threepid.MSISDN
	for name, c := range map[string]struct {
		cfg     Config
		medium  threepid.Medium
		purpose threepid.Purpose
		want    string
		idle    bool
	}{
		"email":                  {Config{}, email, threepid.Add, "", false},
		"no email":               {Config{NoEmail: true}, email, threepid.Add, "This server cannot verify addresses of this kind", true},
		"a number, without":      {Config{}, number, threepid.Add, wire.ErrNoPhones.Message, false},
		"a number":               {Config{Phones: &Phones{}, NoEmail: true}, number, threepid.Add, "", false},
		"a reset by number":      {Config{Phones: &Phones{}}, number, threepid.Password, errNoPhoneReset.Message, false},
		"a reset by number, set": {Config{Phones: &Phones{Reset: true}}, number, threepid.Password, "", false},
		"a reset by email":       {Config{Phones: &Phones{}}, email, threepid.Password, "", false},
		"fax":                    {Config{Phones: &Phones{}}, "fax", threepid.Add, "This server cannot verify addresses of this kind", false},
	} {
		err := c.cfg.supports(c.medium, c.purpose)
		me, _ := errors.AsType[*wire.MatrixError](err)
		if (err == nil) != (c.want == "") || me != nil && (me.Message != c.want || me.Errcode != wire.CodeMediumNotSupported) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
		if got := c.cfg.idle(); got != c.idle {
			t.Errorf("%s: idle %v, want %v", name, got, c.idle)
		}
	}
}

// TestPhones_WhichNumberIsMeant: an international one needs no country, one of no kind that
// is taken is refused, and the country it was dialled from is known.
func TestPhones_WhichNumberIsMeant(t *testing.T) {
	r, _ := phoneRig(t, options{})
	for body, want := range map[string]string{
		`{"country":"gb","phone_number":"07400 123456"}`:   "447400123456 GB",
		`{"country":"FR","phone_number":"+44 7400123456"}`: "447400123456 FR",
		`{"country":"XX","phone_number":"+447400123456"}`:  "447400123456 GB", // its own
		`{"country":"XX","phone_number":"07400123456"}`:    "'country' must be a code of two letters (ISO 3166-1)",
		`{"country":"XX","phone_number":"+44 740"}`:        errPhoneNumber.Message,
		`{"country":"XX","phone_number":"+44 x"}`:          "'country' must be a code of two letters (ISO 3166-1)",
		`{"country":"GB","phone_number":"0909 8790000"}`:   "Numbers of this kind are not allowed on this server",
		`{"country":"XX","phone_number":"+"}`:              "'country' must be a code of two letters (ISO 3166-1)",
		`{"country":"GB","phone_number":"x"}`:              errPhoneNumber.Message,
		`{"country":"GB"}`:                                 "Missing params: ['phone_number']",
		`{"phone_number":"07400 123456"}`:                  "Missing params: ['country']",
	} {
		got, err := r.client.phoneNumber(mustObject(t, []byte(body)))
		if me, ok := errors.AsType[*wire.MatrixError](err); ok {
			if me.Message != want || got != (dialled{}) {
				t.Errorf("%s: got %v, want %s", body, me, want)
			}
		} else if found := got.Digits + " " + got.country; found != want {
			t.Errorf("%s: got %s, want %s", body, found, want)
		}
	}
	found := verification.Confirmed{ThreePID: threepid.ThreePID{Medium: threepid.MSISDN, Address: "447400123456"}}
	if got := shown(found); got != "+447400123456" {
		t.Errorf("got %s", got)
	}
}

// TestPhones_WhatIsReadIsTold to who pays, once; what was confirmed by mail is not.
func TestPhones_WhatIsReadIsTold(t *testing.T) {
	r, p := phoneRig(t, options{})
	sid, code := r.openPhone("register", "s")
	for range 2 {
		wantStatus(t, r.submitPhone(sid, "s", code), http.StatusOK)
	}
	r.validated("register", "m", "a@x.org")
	if len(p.verified) != 1 {
		t.Errorf("told were %v, want the number once", p.verified)
	}
	sid, code = r.openPhone("register", "t")
	r.client.cfg.Phones = nil // a new configuration, and a session from before it
	wantStatus(t, r.submitPhone(sid, "t", code), http.StatusOK)
}

// TestPhones_TooEarlyKeepsTheField: a person who has the code is not told to wait for
// another one, if it is that number's own turn that has not come.
func TestPhones_TooEarlyKeepsTheField(t *testing.T) {
	for limit, want := range map[ratelimit.Kind]int{verification.LimitResend: http.StatusOK, verification.LimitMessages: http.StatusServiceUnavailable} {
		r, p := phoneRig(t, options{})
		p.refuse = &verification.LimitError{RetryAfter: time.Minute, Limit: limit}
		if rec := r.requestPhone("register", phoneBody("s", "GB", "07400 123456", 1)); rec.Code == http.StatusOK {
			t.Errorf("%s: a first message was not paid for: %s", limit, rec.Body)
		}
		p.refuse = nil
		sid, _ := r.openPhone("register", "s")
		p.refuse = &verification.LimitError{RetryAfter: time.Minute, Limit: limit}
		rec := r.requestPhone("register", phoneBody("s", "GB", "07400 123456", 2))
		if wantStatus(t, rec, want); want == http.StatusOK && decoded(t, rec)["sid"] != sid {
			t.Errorf("%s: got %s, want the session that is open", limit, rec.Body)
		}
		if got := r.box.count(); got != 1 || p.spent() != 1 {
			t.Errorf("%s: %d messages were sent and %d paid for", limit, got, p.spent())
		}
	}
}

// TestNative_LaterHomeserversAreToldWhatWasTyped: they fold it themselves; and so is one
// of which it cannot be found out. The type of the body is the client's.
func TestNative_LaterHomeserversAreToldWhatWasTyped(t *testing.T) {
	const body = `{"client_secret":"s","send_attempt":1,"email":"me@b\u00fccher.example"}`
	for name, add := range map[string]wire.Next{
		"later": upstream(401, `{"errcode":"M_MISSING_TOKEN"}`), "unknown": upstream(502, `<html>`),
	} {
		r, _ := native(t, nil)
		var seen []string
		r.next = func(w http.ResponseWriter, req *http.Request) error {
			if strings.HasSuffix(req.URL.Path, "/3pid/add") {
				return add(w, req)
			}
			raw, err := io.ReadAll(req.Body)
			seen = append(seen, req.URL.Path+" "+req.Header.Get("Content-Type")+" "+string(raw))
			return errors.Join(err, upstream(200, `{"sid":"theirs"}`)(w, req))
		}
		wantStatus(t, r.do("POST", strings.Replace(resetByMail, "r0", "v3", 1), body, "Content-Type", "text/plain"), http.StatusOK)
		if want := resetByMail + " text/plain " + body; len(seen) != 1 || seen[0] != want {
			t.Errorf("%s: the homeserver saw %q, want %q", name, seen, want)
		}
	}
}

// TestNative_NumbersAreReadAsTheyAreCounted: what we would read otherwise than the
// homeserver is told in our reading, or refused.
func TestNative_NumbersAreReadAsTheyAreCounted(t *testing.T) {
	for body, want := range map[string]string{
		`{"country":"GB","phone_number":"07400123456"}`:        `{"country":"GB","phone_number":"07400123456"}`,
		`{"country":"GB","phone_number":"07400\u00a0123456 "}`: `{"country":"GB","phone_number":"07400123456"}`,
		`{"country":"GB",  "phone_number":"07400123456"}`:      `{"country":"GB",  "phone_number":"07400123456"}`,
		`{"country":"GB",  "phone_number":"12"}`:               `{"country":"GB",  "phone_number":"12"}`,
		`{"country":"GB","phone_number":"1-2"}`:                `{"country":"GB","phone_number":"12"}`,
		`{"country":"GB","phone_number":"07400123456 ext. 7"}`: "",
		`{"country":"GB"}`:                  "",
		`{"phone_number":"07400123456"}`:    "",
		`{"country":5,"phone_number":"1"}`:  "",
		`{"country":"GB","phone_number":5}`: "",
	} {
		r, seen := native(t, nil)
		legacy, got := r.next, ""
		r.next = func(w http.ResponseWriter, req *http.Request) error {
			raw, err := io.ReadAll(req.Body)
			got = string(raw)
			return errors.Join(err, legacy(w, req))
		}
		rec := r.do("POST", resetByPhone, body)
		if got != want || (rec.Code == http.StatusOK) != (want != "") || *seen > 1 {
			t.Errorf("%s: got %d, and the homeserver saw %q, want %q", body, rec.Code, got, want)
		}
	}
}

// TestNative_WhatCannotBeReadGoesNowhere: a body that is too large, and an address of which
// an old homeserver does not say who has it.
func TestNative_WhatCannotBeReadGoesNowhere(t *testing.T) {
	r, seen := native(t, nil)
	wantError(t, r.do("POST", resetByMail, `{"email":"`+strings.Repeat("x", DefaultMaxBody)+`"}`), http.StatusRequestEntityTooLarge, "M_TOO_LARGE")
	if *seen != 0 {
		t.Errorf("the homeserver saw %d requests", *seen)
	}
	o := &oracle{codes: map[string]string{"me@xn--bcher-kva.example": ""}, add: oldHomeserver}
	r.next = o.next
	wantError(t, r.do("POST", resetByMail, `{"client_secret":"s","send_attempt":1,"email":"me@b\u00fccher.example"}`), http.StatusBadGateway, "M_UNKNOWN")
}

// TestTokenRequest_OneThatIsHeldBackIsNotLost: whichever write of it fails, the client is
// told, and the mail comes when it is asked for again and the stages are complete.
func TestTokenRequest_OneThatIsHeldBackIsNotLost(t *testing.T) {
	failed := 0
	for n, met := 1, true; met; n++ {
		disk := &storetest.Breaking{Err: errDisk}
		r := gated(t, options{service: func(c *verification.Config) {
			disk.Store = c.Store
			c.Store = disk
		}}, GateCompleted, steps)
		session := r.begin()
		disk.Arm(n)
		rec := r.signUp("s")
		met = disk.Broke() != ""
		disk.Arm(0)
		if rec.Code != http.StatusOK {
			failed++
			wantStatus(t, r.signUp("s"), http.StatusOK)
		}
		for _, auth := range earlier {
			r.wantMails(0)
			wantStatus(t, r.stage(session, auth), http.StatusUnauthorized)
		}
		r.wantMails(1)
	}
	if failed < 3 {
		t.Errorf("%d operations have failed", failed)
	}
}

// TestPhones_NothingIsAdmittedByAStoreThatFails: whether it was sent already is not known.
func TestPhones_NothingIsAdmittedByAStoreThatFails(t *testing.T) {
	broken := &brokenStore{}
	r, p := phoneRig(t, options{service: func(c *verification.Config) {
		broken.Store = c.Store
		c.Store = broken
	}})
	broken.err = errDisk
	req := verification.Request{Purpose: threepid.Add, ThreePID: threepid.ThreePID{Medium: threepid.MSISDN, Address: "447400123456"}, ClientSecret: "s", SendAttempt: 1}
	if _, err := r.client.admit(&wire.Call{R: mustRequest(t, "POST", "/")}, &req, recipient{}); !errors.Is(err, errDisk) || req.RepeatOnly || p.spent() != 0 {
		t.Errorf("got %v; repeat only: %v; paid for were %d", err, req.RepeatOnly, p.spent())
	}
}
