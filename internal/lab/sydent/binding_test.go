// SPDX-License-Identifier: Apache-2.0

package sydent

import (
	"context"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/caddy-threepid/caddy-threepid/internal/lab/smtptest"
)

// The address of these tests, as its owner writes it and as Sydent keeps it.
const (
	written = "Ada@example.test"
	address = "ada@example.test"
)

// wantAnswer fails the test unless the server answered so.
func wantAnswer(t *testing.T, what string, got Answer, err error, want string) {
	t.Helper()
	if err != nil || got.String() != want {
		t.Errorf("%s: got %v, %v; want %s", what, got, err, want)
	}
}

// wantOwner fails the test unless the address leads to that user, "" for none.
func (w *world) wantOwner(u user, want string) {
	w.t.Helper()
	if got, err := w.sydent.Lookup(w.t.Context(), u.idToken, "email", address); got != want || err != nil {
		w.t.Errorf("lookup: got %q, %v; want %q", got, err, want)
	}
}

// delete3PID makes the homeserver forget the address and unbind it.
func (w *world) delete3PID(u user, idServer string) (int, map[string]any) {
	w.t.Helper()
	body := object{"medium": "email", "address": address}
	if idServer != "" {
		body["id_server"] = idServer
	}
	return w.homeserver(http.MethodPost, "/_matrix/client/r0/account/3pid/delete", u.token, body)
}

// TestLifeOfABinding goes through it all once, on real servers.
func TestLifeOfABinding(t *testing.T) {
	w := newWorld(t, Options{})
	ada, bob := w.user("ada"), w.user("bob")
	session := w.validate(ada, address)
	w.wantOwner(bob, "")

	for _, what := range []string{"bind", "bind the same again"} {
		a, err := w.sydent.Bind(t.Context(), ada.idToken, ada.mxid, session)
		wantAnswer(t, what, a, err, "200")
		if a.Text("mxid") != ada.mxid || a.Text("medium") != "email" || a.Text("address") != address {
			t.Errorf("%s: got an association of %q with %q", what, a.Text("address"), a.Text("mxid"))
		}
		w.wantOwner(bob, ada.mxid)
	}
	a, err := w.sydent.Unbind(t.Context(), ada.mxid, "email", address, session)
	wantAnswer(t, "unbind", a, err, "200")
	w.wantOwner(bob, "")
	a, err = w.sydent.Unbind(t.Context(), ada.mxid, "email", address, session)
	wantAnswer(t, "unbind what is not bound", a, err, "200")

	a, err = w.sydent.Bind(t.Context(), ada.idToken, ada.mxid, session)
	wantAnswer(t, "bind after unbind", a, err, "200")
	w.wantOwner(bob, ada.mxid)

	// The homeserver was no party to the bind, so it does not know where.
	if status, answer := w.delete3PID(ada, ""); status != http.StatusOK || answer["id_server_unbind_result"] != "no-support" {
		t.Errorf("delete without id_server: got %d %v, want no-support", status, answer)
	}
	w.wantOwner(bob, ada.mxid)
	// Its signature says who it is, not who asked: bob has nothing to unbind.
	if status, answer := w.delete3PID(bob, w.sydent.Name()); status != http.StatusOK || answer["id_server_unbind_result"] != "success" {
		t.Errorf("delete by another user: got %d %v, want success", status, answer)
	}
	w.wantOwner(bob, ada.mxid)
	if status, answer := w.delete3PID(ada, w.sydent.Name()); status != http.StatusOK || answer["id_server_unbind_result"] != "success" {
		t.Errorf("delete: got %d %v, want success", status, answer)
	}
	w.wantOwner(bob, "")

	w.sydent.Stop()
	if status, answer := w.delete3PID(ada, w.sydent.Name()); status != http.StatusInternalServerError || answer["errcode"] != "M_UNKNOWN" {
		t.Errorf("delete with the identity server dead: got %d %v, want 500 M_UNKNOWN", status, answer)
	}
}

// TestBindRefusals records what Sydent answers, for what relays it.
func TestBindRefusals(t *testing.T) { //nolint:tparallel // its cases follow one another at one session
	w := newWorld(t, Options{})
	ada, bob := w.user("ada"), w.user("bob")
	session := w.validate(ada, address)
	pending, err := w.sydent.RequestEmail(t.Context(), ada.idToken, address)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, token, mxid string
		session           Session
		want              string
	}{
		{"wrong sid", ada.idToken, ada.mxid, Session{"12345", session.ClientSecret}, "404 M_NO_VALID_SESSION"},
		{"sid that is no number", ada.idToken, ada.mxid, Session{"abc", session.ClientSecret}, "404 M_NO_VALID_SESSION"},
		{"wrong client_secret", ada.idToken, ada.mxid, Session{session.SID, "wrong"}, "404 M_NO_VALID_SESSION"},
		{"malformed client_secret", ada.idToken, ada.mxid, Session{session.SID, "wro ng"}, "400 M_INVALID_PARAM"},
		{"not validated", ada.idToken, ada.mxid, pending, "400 M_SESSION_NOT_VALIDATED"},
		{"another user's ID", ada.idToken, bob.mxid, session, "403 M_UNAUTHORIZED"},
		{"no access token", "", ada.mxid, session, "401 M_UNAUTHORIZED"},
		{"wrong access token", "wrong", ada.mxid, session, "401 M_UNAUTHORIZED"},
		{"homeserver's access token", ada.token, ada.mxid, session, "401 M_UNAUTHORIZED"},
		// The session is not tied to the account that opened it.
		{"another user's session", bob.idToken, bob.mxid, session, "200"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, err := w.sydent.Bind(t.Context(), tc.token, tc.mxid, tc.session)
			wantAnswer(t, "bind", a, err, tc.want)
			if tc.want != "200" {
				w.wantOwner(ada, "")
			}
		})
	}
	w.wantOwner(ada, bob.mxid)
	a, err := w.sydent.Do(t.Context(), http.MethodPost, v2+"/3pid/bind", ada.idToken, object{"sid": session.SID})
	wantAnswer(t, "parameters missing", a, err, "400 M_MISSING_PARAMS")
	a, err = w.sydent.Do(t.Context(), http.MethodPost, v2+"/3pid/bind", ada.idToken, object{"sid": 1, "client_secret": 2, "mxid": ada.mxid})
	wantAnswer(t, "parameters of a wrong type", a, err, "500 M_UNKNOWN")
}

// TestUnbindRefusals does the same for unbinding by a session.
func TestUnbindRefusals(t *testing.T) { //nolint:tparallel // its cases follow one another at one session
	w := newWorld(t, Options{})
	ada, bob := w.user("ada"), w.user("bob")
	session := w.validate(ada, written)
	a, err := w.sydent.Bind(t.Context(), ada.idToken, ada.mxid, session)
	wantAnswer(t, "bind", a, err, "200")
	if got := a.Text("address"); got != address {
		t.Errorf("the association is of %q, want %q", got, address)
	}
	for _, tc := range []struct {
		name, mxid, address string
		session             Session
		want                string
	}{
		{"wrong sid", ada.mxid, written, Session{"12345", session.ClientSecret}, "401 M_NO_VALID_SESSION"},
		{"wrong client_secret", ada.mxid, written, Session{session.SID, "wrong"}, "401 M_NO_VALID_SESSION"},
		{"malformed client_secret", ada.mxid, written, Session{session.SID, "wro ng"}, "400 M_INVALID_PARAM"},
		{"another address", ada.mxid, "eve@example.test", session, "403 M_FORBIDDEN"},
		// It is compared with what was validated, and that is not folded.
		{"the address as it was bound", ada.mxid, address, session, "403 M_FORBIDDEN"},
		{"another user's ID", bob.mxid, written, session, "200"}, // and nothing happens
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, err := w.sydent.Unbind(t.Context(), tc.mxid, "email", tc.address, tc.session)
			wantAnswer(t, "unbind", a, err, tc.want)
			w.wantOwner(ada, ada.mxid)
		})
	}
	for name, token := range map[string]string{"no session, no signature": "", "an access token instead": ada.idToken} {
		a, err := w.sydent.Do(t.Context(), http.MethodPost, v2+"/3pid/unbind", token,
			object{"mxid": ada.mxid, "threepid": object{"medium": "email", "address": written}})
		wantAnswer(t, name, a, err, "401 M_FORBIDDEN")
	}
	t.Run("not validated", func(t *testing.T) { unbindHangs(t, w, ada) })

	// What was validated can be asked for.
	query := url.Values{"sid": {session.SID}, "client_secret": {session.ClientSecret}}
	a, err = w.sydent.Do(t.Context(), http.MethodGet, v2+"/3pid/getValidated3pid?"+query.Encode(), ada.idToken, nil)
	wantAnswer(t, "getValidated3pid", a, err, "200")
	a, err = w.sydent.Unbind(t.Context(), ada.mxid, "email", a.Text("address"), session)
	wantAnswer(t, "the address as it was validated", a, err, "200")
	w.wantOwner(ada, "")
}

// unbindHangs unbinds by a session that was never validated: Sydent sends the
// head of its answer and never the end, so whoever asks needs a deadline.
func unbindHangs(t *testing.T, w *world, ada user) {
	pending, err := w.sydent.RequestEmail(t.Context(), ada.idToken, written)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	a, err := w.sydent.Unbind(ctx, ada.mxid, "email", written, pending)
	if a.Status != http.StatusForbidden || ctx.Err() == nil {
		t.Errorf("got %v, %v; want 403 and no end of it", a, err)
	}
	w.wantOwner(ada, ada.mxid)
}

// TestSessionsAge finds out how long a session serves: a day from the request
// of its token, and after five more it is as if it had never been.
func TestSessionsAge(t *testing.T) {
	w := newWorld(t, Options{})
	ada := w.user("ada")
	session := w.validate(ada, address)
	a, err := w.sydent.Bind(t.Context(), ada.idToken, ada.mxid, session)
	wantAnswer(t, "bind", a, err, "200")
	for _, tc := range []struct {
		name         string
		by           time.Duration
		bind, unbind string
	}{
		{"23 hours", 23 * time.Hour, "200", ""},
		{"25 hours", 2 * time.Hour, "400 M_SESSION_EXPIRED", "500 M_UNKNOWN"},
		{"six days", 5 * 24 * time.Hour, "404 M_NO_VALID_SESSION", "401 M_NO_VALID_SESSION"},
	} {
		if err := w.sydent.Age(t.Context(), tc.by); err != nil {
			t.Fatal(err)
		}
		a, err := w.sydent.Bind(t.Context(), ada.idToken, ada.mxid, session)
		wantAnswer(t, tc.name+": bind", a, err, tc.bind)
		if tc.unbind != "" {
			a, err = w.sydent.Unbind(t.Context(), ada.mxid, "email", address, session)
			wantAnswer(t, tc.name+": unbind", a, err, tc.unbind)
		}
		w.wantOwner(ada, ada.mxid)
	}
}

func TestTerms(t *testing.T) {
	w := newWorld(t, Options{Terms: true})
	ada := w.user("ada") // registers all the same
	if _, err := w.sydent.RequestEmail(t.Context(), ada.idToken, address); err == nil {
		t.Error("requestToken before the terms are accepted: got no error")
	}
	a, err := w.sydent.Bind(t.Context(), ada.idToken, ada.mxid, Session{"12345", "secret"})
	wantAnswer(t, "bind before the terms are accepted", a, err, "403 M_TERMS_NOT_SIGNED")
	if _, err := w.sydent.Lookup(t.Context(), ada.idToken, "email", address); err == nil {
		t.Error("lookup before the terms are accepted: got no error")
	}
	if err := w.sydent.AcceptTerms(t.Context(), ada.idToken); err != nil {
		t.Fatal(err)
	}
	session := w.validate(ada, address)
	a, err = w.sydent.Bind(t.Context(), ada.idToken, ada.mxid, session)
	wantAnswer(t, "bind", a, err, "200")
	w.wantOwner(ada, ada.mxid)
}

// TestWithoutV1 is why the v1 API is on: this homeserver speaks no other.
func TestWithoutV1(t *testing.T) {
	w := newWorld(t, Options{DisableV1: true})
	ada := w.user("ada")
	session := w.validate(ada, address)
	a, err := w.sydent.Bind(t.Context(), ada.idToken, ada.mxid, session)
	wantAnswer(t, "bind", a, err, "200")
	if status, answer := w.delete3PID(ada, w.sydent.Name()); status != http.StatusOK || answer["id_server_unbind_result"] != "no-support" {
		t.Errorf("delete: got %d %v, want no-support", status, answer)
	}
	w.wantOwner(ada, ada.mxid)
}

func TestSubmitTellsARefusal(t *testing.T) {
	w := newWorld(t, Options{})
	ada := w.user("ada")
	session, err := w.sydent.RequestEmail(t.Context(), ada.idToken, address)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.sydent.Submit(t.Context(), ada.idToken, session, "wrong"); err == nil {
		t.Error("a wrong code: got no error")
	}
	mail, err := w.inbox.WaitFor(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := mail.Subject(), "Confirm your address for lookup"; got != want {
		t.Errorf("subject: got %q, want %q", got, want)
	}
	code, err := Code(mail)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.sydent.Submit(t.Context(), ada.idToken, session, code); err != nil {
		t.Errorf("the code of the mail: %v", err)
	}
	if _, err := Code(smtptest.Message{Raw: []byte("Content-Type: text/plain\r\n\r\nhttps://localhost/?sid=1")}); err == nil {
		t.Error("a link without a token: got no error")
	}
}
