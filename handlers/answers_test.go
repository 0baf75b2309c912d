// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	web "github.com/caddy-threepid/caddy-threepid/handlers/pages"
	"github.com/caddy-threepid/caddy-threepid/internal/lab/element"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
	"github.com/caddy-threepid/caddy-threepid/internal/words"
)

// TestAnswers_WrongCodes: one wrong digit leaves the person where they are, whatever
// they are at; what happens then is what the client makes of the answer.
func TestAnswers_WrongCodes(t *testing.T) {
	modes(t, func(t *testing.T, opts options) {
		for _, c := range []struct {
			purpose, errcode string
			status           int
			sees             func(int, []byte) element.Sees
		}{
			{"register", "M_TOKEN_INCORRECT", 200, element.CodeOfRegistration},
			{"account/3pid", "M_THREEPID_AUTH_FAILED", 400, element.CodeOfNumber},
			// No client that is known resets a password by phone: as MSC4183 has it.
			{"account/password", "M_TOKEN_INCORRECT", 400, nil},
		} {
			r, _ := phoneRig(t, opts)
			r.hs.AddUser("alice", "old")
			if c.purpose == "account/password" {
				r.hs.AddThreepid("alice", "msisdn", "447400123456")
			}
			sid, code := r.openPhone(c.purpose, "s")
			rec := r.submitPhone(sid, "s", wrongCode(code))
			wantError(t, rec, c.status, c.errcode)
			if decoded(t, rec)["success"] != false {
				t.Errorf("%s: got %s, want success to be false", c.purpose, rec.Body)
			}
			if c.sees == nil {
				continue
			}
			if got := c.sees(rec.Code, rec.Body.Bytes()); got != element.FieldAgain {
				t.Errorf("%s: after a wrong code Element shows %s", c.purpose, got)
			}
			rec = r.submitPhone(sid, "s", code)
			if got := c.sees(rec.Code, rec.Body.Bytes()); got != element.GoesOn {
				t.Errorf("%s: after the right code Element shows %s", c.purpose, got)
			}
		}
	})
}

// wrongCode is another code.
func wrongCode(code string) string {
	if code == "000000" {
		return "111111"
	}
	return "000000"
}

// TestAnswers_ContinueBeforeTheClick: nobody is asked for their password in vain, by a
// homeserver that can add addresses itself, and by us for one that cannot.
func TestAnswers_ContinueBeforeTheClick(t *testing.T) {
	run := func(t *testing.T, r *rig) {
		r.hs.AddUser("alice", "secret")
		token := r.login("alice", "secret")
		sid := r.request("account/3pid", "c", "new@x.org")
		carryOn := func(auth string) element.Sees {
			rec := r.as(token, "POST", addPath, addBody(sid, "c", auth))
			return element.ContinueOfAddress(rec.Code, rec.Body.Bytes())
		}
		for _, auth := range []string{"", "null"} {
			if got := carryOn(auth); got != element.OpenTheLink {
				t.Errorf("before the click Element shows %s", got)
			}
		}
		wantError(t, r.as("made-up", "POST", addPath, addBody(sid, "c", "")), http.StatusUnauthorized, "M_UNKNOWN_TOKEN")
		wantError(t, r.do("POST", addPath, addBody(sid, "c", "")), http.StatusUnauthorized, "M_MISSING_TOKEN")
		wantStatus(t, r.confirm(sid, string(r.box.last(t).Token)), http.StatusOK)
		if got := carryOn(""); got != element.PasswordAsked {
			t.Errorf("after the click Element shows %s", got)
		}
	}
	eachMode(t, func(t *testing.T, r *rig, _ string) { run(t, r) })
}

// TestAnswers_AskedAgainWithinThePause: a client that asks again for the code that it
// has a field for keeps the field; another registration is told how long to wait.
func TestAnswers_AskedAgainWithinThePause(t *testing.T) {
	modes(t, func(t *testing.T, opts options) {
		r, p := phoneRig(t, opts)
		sid, _ := r.openPhone("register", "s")
		p.refuse = &verification.LimitError{RetryAfter: 30 * time.Second, Limit: verification.LimitResend}
		ask := func(secret string, attempt int) *httptest.ResponseRecorder {
			return r.requestPhone("register", phoneBody(secret, "GB", "07400 123456", attempt))
		}
		for _, attempt := range []int{1, 2, 2, 7} {
			rec := ask("s", attempt)
			wantStatus(t, rec, http.StatusOK)
			if got := decoded(t, rec)["sid"]; got != sid {
				t.Errorf("send_attempt %d: got sid %v, want %s", attempt, got, sid)
			}
		}
		rec := ask("t", 1)
		wantError(t, rec, http.StatusTooManyRequests, "M_LIMIT_EXCEEDED")
		if got := decoded(t, rec)["error"]; got != "Too many requests. Please try again in 1 minute." {
			t.Errorf("got %q", got)
		}
		if r.box.count() != 1 || p.spent() != 1 {
			t.Errorf("%d messages were sent and %d paid, want one", r.box.count(), p.spent())
		}
		p.refuse = nil // the pause is over
		wantStatus(t, ask("s", 7), http.StatusOK)
		if r.box.count() != 2 {
			t.Errorf("%d messages were sent, want the one that was asked for too early", r.box.count())
		}
		wantStatus(t, r.submitPhone(sid, "s", string(r.box.last(t).Token)), http.StatusOK)
		p.refuse = &verification.LimitError{RetryAfter: time.Hour} // any other limit
		wantError(t, ask("s", 8), http.StatusTooManyRequests, "M_LIMIT_EXCEEDED")
	})
}

// TestAnswers_AnInternationalNumberNeedsNoCountry: what stands beside it is optional.
func TestAnswers_AnInternationalNumberNeedsNoCountry(t *testing.T) {
	modes(t, func(t *testing.T, opts options) {
		for _, country := range []string{"", "XX", "UK", "GBR"} {
			r, _ := phoneRig(t, opts)
			wantStatus(t, r.requestPhone("register", phoneBody("s", country, "+44 7400 123456", 1)), http.StatusOK)
			wantError(t, r.requestPhone("register", phoneBody("t", country, "07400 123456", 1)), http.StatusBadRequest, "M_INVALID_PARAM")
			if got := r.box.last(t).Address; got != "447400123456" {
				t.Errorf("country %q: a message to %s", country, got)
			}
			wantStatus(t, r.requestPhone("account/3pid", phoneBody("u", country, "\u00a0(+٤٤) 7400 123456", 1)), http.StatusOK)
		}
	})
}

// TestAnswers_DeadHomeserver: whatever a completion asks of it, its client is told, in
// JSON, that the homeserver is down, and that the fault is not ours.
func TestAnswers_DeadHomeserver(t *testing.T) {
	for name, failure := range map[string]error{
		"refused":  &wire.UpstreamError{Status: http.StatusBadGateway, Err: wire.ErrNoAnswer},
		"internal": &wire.UpstreamError{Status: http.StatusInternalServerError, Err: wire.ErrNoAnswer},
	} {
		for _, path := range []string{"register", "account/password", "account/3pid", "account/3pid/add", "account/deactivate", "account/3pid/delete", "account/3pid/unbind"} {
			reached := 0
			for _, body := range []string{
				``, `{}`, `{"auth":{"type":"m.login.dummy"}}`, `{"username":"bob","password":"p","auth":{"session":"x"}}`,
				`{"sid":"x","client_secret":"c"}`, `{"three_pid_creds":{"sid":"x","client_secret":"c"}}`, `{"medium":"email","address":"a@x.org"}`,
				`{"auth":{"type":"m.login.email.identity","threepid_creds":{"sid":"x","client_secret":"c"}}}`,
			} {
				r := newRig(t, options{next: func(http.ResponseWriter, *http.Request) error { return failure }})
				rec := r.do("POST", "/_matrix/client/r0/"+path, body, "Authorization", "Bearer t")
				if rec.Code/100 == 4 { // it never got there
					continue
				}
				reached++
				wantError(t, rec, http.StatusBadGateway, "M_UNKNOWN")
				if text := decoded(t, rec)["error"]; text != "The fault is with the server, not with you. Try again in a few minutes." {
					t.Errorf("%s, %s %s: got %q", name, path, body, text)
				}
			}
			if reached == 0 {
				t.Errorf("%s: nothing was asked of the homeserver", path)
			}
		}
	}
}

// TestAnswers_WordsForPeople: what clients show as it comes is in the language of the
// browser, and has the wait in it.
func TestAnswers_WordsForPeople(t *testing.T) {
	set := loadTemplates(t, words.Options{})
	r, p := phoneRig(t, options{config: func(c *Config) {
		c.Emails = rules{refused: func(context.Context, string) bool { return true }}
	}})
	if err := r.client.SetPages(PageOptions{Words: web.FromTemplates(set), Looks: web.LooksOf(set), Now: r.clock.Now}); err != nil {
		t.Fatal(err)
	}
	p.refuse = &verification.LimitError{RetryAfter: 5*time.Minute + time.Second}
	mail := func(address string) string {
		return `{"client_secret":"s","send_attempt":1,"email":"` + address + `"}`
	}
	for _, c := range []struct{ path, body, language, want string }{
		{"msisdn", phoneBody("s", "GB", "07400 123456", 1), "", "Too many requests. Please try again in 6 minutes."},
		{"msisdn", phoneBody("s", "GB", "07400 123456", 1), "de-AT, en;q=0.5", "Zu viele Anfragen. Bitte versuchen Sie es in 6 Minuten noch einmal."},
		{"msisdn", phoneBody("s", "GB", "07400 123456", 1), "ru", "Слишком много запросов. Попробуйте ещё раз через 6 минут."},
		{"msisdn", phoneBody("s", "GB", "1", 1), "fr", "Ce numéro de téléphone n’est pas valide. Vérifiez aussi le pays."},
		{"email", mail("a"), "es", "Esta dirección de correo no es válida."},
		{"email", mail("a@x.org"), "ja", "このドメインのアドレスは、このサーバーでは使用できません。"},
		{"email", mail("a@x.org"), "tlh", "Addresses of this domain are not allowed on this server."},
		{"email", `{"email":"a@x.org"}`, "de", "Missing params: ['client_secret']"}, // for who writes clients
	} {
		rec := r.do("POST", "/_matrix/client/r0/register/"+c.path+"/requestToken", c.body, "Accept-Language", c.language)
		if got := decoded(t, rec)["error"]; got != c.want {
			t.Errorf("%s %q: got %q, want %q", c.path, c.language, got, c.want)
		}
	}
}

// TestAnswers_EverySayingHasWords, in the words that come with us and without any.
func TestAnswers_EverySayingHasWords(t *testing.T) {
	set := loadTemplates(t, words.Options{})
	for _, say := range []string{
		wire.SayLimit, wire.SayBusy, wire.SayEmail, wire.SayNumber, wire.SayDenied, wire.SayClosed, wire.SayBegin, wire.SayUnsupported, wire.SaySetup, wire.SayUnconfirmed, wire.SayPassword,
		wire.SayWrong, wire.SayExpired, wire.SayRevoked, wire.SayInvalid, wire.SayFault, wire.SayBarred,
	} {
		r := newRig(t, options{})
		for _, words := range []PageOptions{{Now: r.clock.Now}, {Words: web.FromTemplates(set), Now: r.clock.Now}} {
			if err := r.client.SetPages(words); err != nil {
				t.Fatal(err)
			}
			said := r.client.inWords(httptest.NewRequest("POST", "/", nil), &wire.MatrixError{Say: say, Message: "as it is", RetryAfter: time.Minute})
			if said.Message == "as it is" || strings.ContainsAny(said.Message, "{}") {
				t.Errorf("%s: got %q", say, said.Message)
			}
		}
	}
	odd := &wire.MatrixError{Say: "nothing", Message: "as it is", Err: wire.ErrNoAnswer}
	if got := newRig(t, options{}).client.inWords(httptest.NewRequest("POST", "/", nil), odd); got != odd {
		t.Errorf("got %v, want what there are no words for as it is", got)
	}
}

// TestAnswers_AWrongPasswordInWords, where the asking is ours: the dialogue goes on,
// and shows what we say.
func TestAnswers_AWrongPasswordInWords(t *testing.T) {
	r := newRig(t, options{})
	if err := r.client.SetPages(PageOptions{Words: web.FromTemplates(loadTemplates(t, words.Options{})), Now: r.clock.Now}); err != nil {
		t.Fatal(err)
	}
	r.hs.AddUser("alice", "secret")
	token := r.login("alice", "secret")
	sid := r.validated("account/3pid", "c", "new@x.org")
	body := addBody(sid, "c", passwordAuth(r.challenged(t, token, sid, "c"), "wrong"))
	for language, want := range map[string]string{"": "This password is not right.", "nl": "Dit wachtwoord klopt niet."} {
		rec := r.do("POST", addPath, body, "Authorization", "Bearer "+token, "Accept-Language", language)
		wantError(t, rec, http.StatusUnauthorized, "M_FORBIDDEN")
		if answer := decoded(t, rec); answer["error"] != want || answer["flows"] == nil || answer["say"] != nil {
			t.Errorf("%q: got %s, want %q and the flows", language, rec.Body, want)
		}
	}
}
