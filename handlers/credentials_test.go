// SPDX-License-Identifier: Apache-2.0

package handlers

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"

	"github.com/caddy-threepid/caddy-threepid/handlers/internal/hsapi"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/report"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/route"
	"github.com/caddy-threepid/caddy-threepid/handlers/internal/wire"
	"github.com/caddy-threepid/caddy-threepid/internal/threepid"
	"github.com/caddy-threepid/caddy-threepid/internal/verification"
)

// toldOf is the text of a refusal, or nothing.
func toldOf(err error) string {
	if refused, ok := errors.AsType[*wire.MatrixError](err); ok {
		return refused.Errcode + " " + refused.Message
	}
	return ""
}

// TestCredentialsInAContainer are one set, whatever they are written in; two that are not
// the same are none.
func TestCredentialsInAContainer(t *testing.T) {
	const differ = "M_INVALID_PARAM 'threepid_creds' and 'threepidCreds' differ"
	const one, object = "M_INVALID_PARAM Credentials must be one object", "M_INVALID_PARAM Credentials must be an object"
	for body, want := range map[string]string{
		`{}`: "", `{"threepid_creds":null}`: "", `{"threepid_creds":null,"threepidCreds":null}`: "",
		`{"threepid_creds":{}}`:                                                                                                              "  ",
		`{"threepid_creds":{"sid":"a"}}`:                                                                                                     "a  ",
		`{"threepidCreds":{"sid":"a","client_secret":"b"}}`:                                                                                  "a b ",
		`{"threepid_creds":{"sid":"a","clientSecret":"b","idServer":"c"}}`:                                                                   "a b c",
		`{"threepidCreds": [ {"sid":"a","client_secret":"b","id_server":"c"}]}`:                                                              "a b c",
		`{"threepid_creds":{"sid":"a","client_secret":"b","clientSecret":"b","id_server":"c","idServer":"c","":"d"}}`:                        "a b c",
		`{"threepid_creds":{"sid":"a","client_secret":null,"clientSecret":"b"}}`:                                                             "a b ",
		`{"threepid_creds":{"sid":"a","client_secret":"b","id_server":"c"},"threepidCreds":{"sid":"a","client_secret":"b"}}`:                 "a b c",
		`{"threepid_creds":{"sid":"a","client_secret":"b"},"threepidCreds":{"sid":"a","client_secret":"b","id_server":"c"}}`:                 "a b c",
		`{"threepid_creds":{"sid":"a","client_secret":"b","id_server":"d"},"threepidCreds":{"sid":"a","client_secret":"b","id_server":"c"}}`: "a b c",
		`{"threepid_creds":{"sid":"a","client_secret":"b"},"threepidCreds":{"sid":"c","client_secret":"b"}}`:                                 differ,
		`{"threepid_creds":{"sid":"a","client_secret":"b"},"threepidCreds":{"sid":"a","client_secret":"c"}}`:                                 differ,
		`{"threepid_creds":{"sid":"a"},"threepidCreds":{}}`:                                                                                  differ,
		`{"threepid_creds":[]}`: one, `{"threepid_creds":[{},{}]}`: one, `{"threepid_creds":[5]}`: object, `{"threepid_creds":[null]}`: object, `{"threepid_creds":[[{}]]}`: object,
		`{"threepid_creds":"a"}`: object, `{"threepid_creds":{"sid":"a"},"threepidCreds":5}`: object,
		`{"threepid_creds":{"sid":5}}`:                                         "M_INVALID_PARAM 'sid' must be a string",
		`{"threepid_creds":{"clientSecret":5}}`:                                "M_INVALID_PARAM 'clientSecret' must be a string",
		`{"threepid_creds":{"client_secret":"a","clientSecret":"b"}}`:          "M_INVALID_PARAM 'client_secret' is given twice",
		`{"threepid_creds":{"id_server":"a","idServer":"b"}}`:                  "M_INVALID_PARAM 'id_server' is given twice",
		`{"threepid_creds":{"id_server":"a","idServer":{}},"threepidCreds":1}`: "M_INVALID_PARAM 'idServer' must be a string",
	} {
		holder := mustObject(t, []byte(body))
		creds, err := wire.CredsIn(holder, wire.UIASpellings)
		got := toldOf(err)
		if creds != nil {
			got = string(creds.SID) + " " + string(creds.Secret) + " " + creds.IDServer
			creds.Place(nil)
			if string(holder["threepid_creds"]) != "null" || string(holder["threepidCreds"]) != "null" {
				t.Errorf("%s: they are replaced in one place: %s", body, holder)
			}
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", body, got, want)
		}
	}
}

// TestCredentialsOfAStage are those of the two that take any.
func TestCredentialsOfAStage(t *testing.T) {
	const creds = `"threepid_creds":{"sid":"a","client_secret":"b"}`
	for auth, want := range map[string]*wire.Credentials{
		`{"type":"m.login.email.identity","session":"u",` + creds + `}`: {SID: "a", Secret: "b", Stage: wire.StageEmail, UIASession: "u"},
		`{"type":"m.login.msisdn",` + creds + `}`:                       {SID: "a", Secret: "b", Stage: wire.StageMSISDN},
		`{"type":"m.login.msisdn","session":5,` + creds + `}`:           {SID: "a", Secret: "b", Stage: wire.StageMSISDN},
		`{"type":"m.login.dummy",` + creds + `}`:                        nil, `{"type":5,` + creds + `}`: nil, `{` + creds + `}`: nil, `{"type":"m.login.msisdn"}`: nil,
	} {
		got, err := wire.StageCreds(mustObject(t, []byte(auth)))
		if got != nil {
			got.Place = nil
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v, want %+v", auth, got, err, want)
		}
	}
}

// TestUsersAreNamedBothWays: for homeservers that know only the older one.
func TestUsersAreNamedBothWays(t *testing.T) {
	const identifier = `"identifier":{"type":"m.id.user","user":"a"}`
	for auth, want := range map[string]string{
		`{"type":"m.login.password",` + identifier + `}`:                            `"a"`,
		`{"type":"m.login.password","user":null,` + identifier + `}`:                `"a"`,
		`{"type":"m.login.password","user":"b",` + identifier + `}`:                 `"b"`,
		`{"type":5,` + identifier + `}`:                                             ``,
		`{` + identifier + `}`:                                                      ``,
		`{"type":"m.login.password","identifier":{"type":"m.id.user"}}`:             ``,
		`{"type":"m.login.password","identifier":{"type":5,"user":"a"}}`:            ``,
		`{"type":"m.login.password","identifier":{"user":"a"}}`:                     ``,
		`{"type":"m.login.password","identifier":{"type":"m.id.user","user":null}}`: ``,
	} {
		o := mustObject(t, []byte(auth))
		if wire.NameUser(o); string(o["user"]) != want {
			t.Errorf("%s: got user %s, want %s", auth, o["user"], want)
		}
	}
}

// TestSessionsThatAreNamedByNothing are the homeserver's to refuse, wherever they stand.
func TestSessionsThatAreNamedByNothing(t *testing.T) {
	const creds = `{"client_secret":"s","id_server":"localhost:8443","sid":""}`
	for path, c := range map[string][2]string{
		"r0/account/password": {
			`{"auth":{"type":"m.login.email.identity","threepid_creds":` + creds + `}}`,
			`{"auth":{"threepidCreds":` + creds + `,"threepid_creds":` + creds + `,"type":"m.login.email.identity"}}`,
		},
		"r0/account/3pid": {`{"three_pid_creds":` + creds + `}`, `{"threePidCreds":` + creds + `,"three_pid_creds":` + creds + `}`},
	} {
		r := newRig(t, options{})
		r.do("POST", "/_matrix/client/"+path, c[0])
		if got := bodies(r.hs.Requests()); got != c[1] {
			t.Errorf("%s: the homeserver saw %s, want %s", path, got, c[1])
		}
	}
}

// TestAnAncientRegistrationGoesOn: the stage that the homeserver has is shown once more,
// for the session does not stand in an "auth" there.
func TestAnAncientRegistrationGoesOn(t *testing.T) {
	var sent []string
	r := newRig(t, options{next: func(w http.ResponseWriter, req *http.Request) error {
		raw, err := wire.ReadBody(w, req, 1<<20)
		sent = append(sent, string(raw))
		return errors.Join(err, upstream(401, `{"completed":["m.login.email.identity"],"session":"u1"}`)(w, req))
	}})
	sid := r.validated("register", "s", "a@x.org")
	body := `{"type":"m.login.email.identity","session":"` + r.registrationName("u1") + `","threepidCreds":{"sid":"` + sid + `","client_secret":"s"}}`
	for range 2 {
		wantStatus(t, r.do("POST", "/_matrix/client/api/v1/register", body), http.StatusUnauthorized)
	}
	first, second := mustObject(t, []byte(sent[0])), mustObject(t, []byte(sent[1]))
	if second["auth"] != nil || string(second["session"]) != `"u1"` || second["threepidCreds"] == nil || string(first["threepidCreds"]) == string(second["threepidCreds"]) {
		t.Errorf("the homeserver saw %q", sent)
	}
}

// TestAnAncientRegistrationHasOneSession, at whatever stage it is.
func TestAnAncientRegistrationHasOneSession(t *testing.T) {
	r := newRig(t, options{})
	body := `{"type":"m.login.dummy","threepid_creds":{"sid":"a"},"threepidCreds":{"sid":"b"}}`
	if wantError(t, r.do("POST", "/_matrix/client/api/v1/register", body), http.StatusBadRequest, "M_INVALID_PARAM"); len(r.hs.Requests()) > 0 {
		t.Errorf("the homeserver saw %s", bodies(r.hs.Requests()))
	}
}

// TestWhatAnAccountHasGot is reported, and not by what was proven meanwhile.
func TestWhatAnAccountHasGot(t *testing.T) {
	r := newRig(t, options{})
	for _, c := range []struct {
		purpose threepid.Purpose
		status  int
		answer  string
		who     *hsapi.Account
		want    []report.Change
	}{
		{threepid.Add, 200, `{"user_id":"@x"}`, &hsapi.Account{User: "@a"}, []report.Change{{Action: "added", User: r.svc.Pseudonym("@a"), Medium: "email", Address: r.svc.Pseudonym("a")}}},
		{threepid.Add, 200, `<html>`, nil, []report.Change{{Action: "added", Medium: "email", Address: r.svc.Pseudonym("a")}}},
		{threepid.Register, 200, `{"user_id":"@x"}`, nil, []report.Change{{Action: "registered", User: r.svc.Pseudonym("@x"), Medium: "email", Address: r.svc.Pseudonym("a" + wire.StageEmail)}}},
		{threepid.Register, 401, `{"completed":["m.login.email.identity"]}`, nil, nil},
		{threepid.Register, 400, `{"user_id":"@x"}`, nil, nil},
		{threepid.Register, 500, `{"user_id":"@x"}`, nil, nil},
		{threepid.Password, 200, `{"user_id":"@x"}`, nil, nil},
	} {
		j := &completion{client: r.client, call: &wire.Call{Route: route.Route{Purpose: c.purpose}}, who: c.who}
		for _, live := range []bool{true, false} {
			for _, stage := range []string{"", wire.StageEmail} {
				j.credentials = append(j.credentials, shownAt(stage, verification.Alias{Live: live, ThreePID: threepid.ThreePID{Medium: threepid.Email, Address: "a" + stage}}))
			}
		}
		answer := &wire.Answer{Status: c.status}
		_, _ = answer.Body.WriteString(c.answer) // into memory
		if got := j.changes(judge(answer)); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%+v: got %+v", c, got)
		}
	}
}

// TestWhoeverIsNotSureHasNoAnswer: while the homeserver does not list the addresses of an
// account, nobody is told that an address is not theirs.
func TestWhoeverIsNotSureHasNoAnswer(t *testing.T) {
	r := newRig(t, options{next: upstream(500, `{}`)})
	req := httptest.NewRequest("POST", "/", nil)
	own, err := r.client.hs.Owns(&wire.Call{R: req, Next: r.next}, &hsapi.Account{User: alice, Token: "t"}, threepid.ThreePID{Medium: threepid.Email, Address: "alice@x.org"})
	if _, refused := wire.RefusalOf(err); own || !refused {
		t.Errorf("got %v, %v, want the homeserver's failure", own, err)
	}
	if list, err := r.client.hs.Threepids(&wire.Call{R: req, Next: r.next}, &hsapi.Account{}); len(list) != 0 || err == nil {
		t.Errorf("got %v, %v", list, err)
	}
}

// TestServersThatAreNoNames are refused wherever they stand, even where nobody is to look
// for them.
func TestServersThatAreNoNames(t *testing.T) {
	for _, auth := range []string{
		`{"type":"m.login.dummy","threepid_creds":{"id_server":5}}`, `{"type":"m.login.dummy","idServer":["x"]}`, `{"threepidCreds":[{},{"idServer":{}}]}`,
	} {
		r := newRig(t, options{})
		wantError(t, r.do("POST", elsewhere, `{"auth":`+auth+`}`), http.StatusBadRequest, "M_INVALID_PARAM")
		if got := r.hs.Requests(); len(got) > 0 {
			t.Errorf("%s: the homeserver saw %s", auth, bodies(got))
		}
	}
}
